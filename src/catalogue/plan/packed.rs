//! Outcomes as bytes, as they are kept for retries: a byte that tells the form, then its parts, all of it
//! compressed. Numbers are 64-bit, little-endian; texts follow their lengths.

use bytes::{Buf, BufMut, Bytes};

use super::{Merged, Outcome, Written};

const CREATED: u8 = 1;
const UPSERTED: u8 = 2;
const GENRE_CREATED: u8 = 3;

/// It is paid for while the lock of the revision row is held.
const LEVEL: i32 = 1;

/// Packs the outcomes of a batch.
#[derive(Default)]
pub(super) struct Packer(Option<zstd::bulk::Compressor<'static>>);

impl Packer {
    /// A success as bytes; `None` for an outcome that is not kept.
    pub(super) fn packed(&mut self, outcome: &Outcome) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        match outcome {
            Outcome::Created(movies) => {
                plain.put_u8(CREATED);
                put_movies(&mut plain, movies);
            }
            Outcome::Upserted(movies, Merged { created, changed, unchanged }) => {
                plain.put_u8(UPSERTED);
                [created, changed, unchanged].iter().for_each(|n| plain.put_u64_le(**n));
                put_movies(&mut plain, movies);
            }
            Outcome::GenreCreated { slug } => {
                plain.put_u8(GENRE_CREATED);
                put_text(&mut plain, slug.as_bytes());
            }
            _ => return None,
        }
        if self.0.is_none() {
            self.0 = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        self.0.as_mut()?.compress(&plain).ok()
    }
}

/// The outcome that was packed; `None` when it is none that is known here.
pub(super) fn unpacked(packed: &[u8]) -> Option<Outcome> {
    let mut plain = Bytes::from(zstd::decode_all(packed).ok()?);
    let outcome = match plain.try_get_u8().ok()? {
        CREATED => Outcome::Created(movies(&mut plain)?),
        UPSERTED => {
            let mut number = || plain.try_get_u64_le().ok();
            let merged = Merged { created: number()?, changed: number()?, unchanged: number()? };
            Outcome::Upserted(movies(&mut plain)?, merged)
        }
        GENRE_CREATED => Outcome::GenreCreated { slug: String::from_utf8(text(&mut plain)?.into()).ok()? },
        _ => return None,
    };
    plain.is_empty().then_some(outcome)
}

fn put_text(plain: &mut Vec<u8>, text: &[u8]) {
    plain.put_u64_le(text.len() as u64);
    plain.put_slice(text);
}

fn put_movies(plain: &mut Vec<u8>, movies: &[Written]) {
    plain.put_u64_le(movies.len() as u64);
    for movie in movies {
        plain.put_u64_le(movie.id);
        put_text(plain, &movie.json);
    }
}

fn text(plain: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(plain.try_get_u64_le().ok()?).ok()?;
    (length <= plain.len()).then(|| plain.split_to(length))
}

fn movies(plain: &mut Bytes) -> Option<Vec<Written>> {
    let count = plain.try_get_u64_le().ok()?;
    (0..count).map(|_| Some(Written { id: plain.try_get_u64_le().ok()?, json: text(plain)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(id: u64, json: &str) -> Written {
        Written { id, json: Bytes::copy_from_slice(json.as_bytes()) }
    }

    #[test]
    fn successes_are_unpacked_as_they_were() {
        let many = (1..2000).map(|id| written(id, &format!("{{\"id\":{id},\"title\":\"Ω{id}\"}}"))).collect();
        let merged = Merged { created: 1, changed: 2, unchanged: u64::MAX };
        let mut packer = Packer::default();
        for outcome in [
            Outcome::Created(Vec::new()),
            Outcome::Created(vec![written(7, "{}")]),
            Outcome::Created(many),
            Outcome::Upserted(vec![written(1, ""), written(u64::MAX, "x")], merged),
            Outcome::GenreCreated { slug: "film-noir".to_owned() },
        ] {
            let packed = packer.packed(&outcome).unwrap();
            assert_eq!(unpacked(&packed).unwrap(), outcome);
        }
    }

    #[test]
    fn failures_are_not_kept() {
        let taken = Outcome::DuplicateImdbId { index: 0, imdb_id: String::new() };
        for outcome in [taken, Outcome::DuplicateGenre { name: String::new() }, Outcome::Stale] {
            assert_eq!(Packer::default().packed(&outcome), None);
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let pack = |plain: &[u8]| zstd::bulk::compress(plain, 1).unwrap();
        let whole = Packer::default().packed(&Outcome::Created(vec![written(7, "{}")])).unwrap();
        let plain = zstd::decode_all(whole.as_slice()).unwrap();
        for end in 0..plain.len() {
            assert_eq!(unpacked(&pack(&plain[..end])), None, "{end}");
        }
        assert_eq!(unpacked(&pack(&[&plain[..], b"x"].concat())), None);
        assert_eq!(unpacked(&pack(&[99, 0, 0])), None);
        assert_eq!(unpacked(b"not compressed"), None);
        let endless = [&[CREATED][..], &u64::MAX.to_le_bytes()].concat();
        assert_eq!(unpacked(&pack(&endless)), None);
    }
}
