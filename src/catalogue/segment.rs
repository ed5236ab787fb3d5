//! An encoded segment: up to 256 movies as the bytes that go out.

#[cfg(test)]
mod fuzz;
mod packed;

use bytes::Bytes;

use super::coding::{Coding, exact, gzip, zstandard};
use crate::domain::Movie;

/// The version of everything that is made here. A change of any byte that goes out raises it, so that
/// validators and shared caches of two releases never meet.
pub const ENCODER_VERSION: u32 = 1;

/// How the movies of a collection are strung together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A JSON array.
    Array,
    /// One movie a line (NDJSON).
    Lines,
}

impl Form {
    /// Every form there is.
    pub const ALL: [Self; 2] = [Self::Array, Self::Lines];
}

/// The movies of one segment at one stamp, in one form and coding. It never changes.
#[derive(Debug, Clone)]
pub struct EncodedSegment {
    bytes: Bytes,
    /// How many bytes it is decoded.
    plain_len: usize,
    /// The CRC-32 of those; 0 where no coding asks for it.
    crc: u32,
    /// The low byte of each movie's id and where the movie begins, by id: of an array that is not coded.
    starts: Box<[(u8, u32)]>,
}

impl EncodedSegment {
    /// Encodes `movies`, which are of one segment and in the order of their ids: as an array, not coded. All
    /// other forms and codings are made of it.
    pub fn encode(movies: &[Movie]) -> Self {
        let mut array = Array::of(movies.len(), movies.len() * 256);
        for movie in movies {
            array.add(low_byte(movie.id), |json| write_movie(json, movie));
        }
        array.finish()
    }

    /// The segment that a write makes of this one, which [`Self::encode`] made: without the movies in `gone`, and
    /// with those in `put` added or in the place of their older selves. Both are of this segment and in the order
    /// of their ids; who is in `put` is there, whether or not it is in `gone`.
    pub fn changed<'a>(&self, gone: &[u64], put: impl ExactSizeIterator<Item = &'a Movie>) -> Self {
        let mut array = Array::of(self.starts.len() + put.len(), self.bytes.len() + put.len() * 256);
        let mut put = put.peekable();
        let ends = self.starts.iter().skip(1).map(|(_, next)| *next as usize - 1).chain([self.bytes.len()]);
        for ((low, start), end) in self.starts.iter().zip(ends) {
            while let Some(movie) = put.next_if(|movie| low_byte(movie.id) < *low) {
                array.add(low_byte(movie.id), |json| write_movie(json, movie));
            }
            if let Some(movie) = put.next_if(|movie| low_byte(movie.id) == *low) {
                array.add(*low, |json| write_movie(json, movie));
            } else if gone.binary_search_by_key(low, |id| low_byte(*id)).is_err() {
                let movie = self.bytes.get(*start as usize..end).unwrap_or_default();
                array.add(*low, |json| json.extend_from_slice(movie));
            }
        }
        for movie in put {
            array.add(low_byte(movie.id), |json| write_movie(json, movie));
        }
        array.finish()
    }

    /// The same movies in another form and coding: to be asked of what [`Self::encode`] made. The database is
    /// not.
    pub fn to(&self, form: Form, coding: Coding) -> Self {
        let plain = match form {
            Form::Array => self.bytes.clone(),
            Form::Lines => self.lines(),
        };
        let plain_len = plain.len();
        let (bytes, crc) = match coding {
            Coding::Identity if form == Form::Array => return self.clone(),
            Coding::Identity => (plain, 0),
            Coding::Gzip => (exact(gzip::blocks(&plain)), crc32fast::hash(&plain)),
            Coding::Zstd if plain.is_empty() => (plain, 0),
            Coding::Zstd => (exact(zstandard::frame(&plain)), 0),
        };
        Self { bytes, plain_len, crc, starts: Box::default() }
    }

    /// A movie a line: a comma becomes an end of line.
    fn lines(&self) -> Bytes {
        let mut lines = Vec::with_capacity(self.bytes.len() + 1);
        lines.extend_from_slice(&self.bytes);
        for (_, start) in self.starts.iter().skip(1) {
            if let Some(byte) = lines.get_mut(*start as usize - 1) {
                *byte = b'\n';
            }
        }
        if !lines.is_empty() {
            lines.push(b'\n');
        }
        lines.into()
    }

    /// The JSON of one movie, as a slice of the segment's; `None` in any other form and coding than that of
    /// [`Self::encode`].
    pub fn movie(&self, id: u64) -> Option<Bytes> {
        let index = self.starts.binary_search_by_key(&low_byte(id), |(low, _)| *low).ok()?;
        let (_, start) = self.starts.get(index)?;
        let end = match self.starts.get(index + 1) {
            Some((_, next)) => *next as usize - 1,
            None => self.bytes.len(),
        };
        Some(self.bytes.slice(*start as usize..end))
    }

    /// What goes out. An array has commas between its movies but no brackets. Deflated blocks (RFC 1951) are
    /// ended by a full flush, so that those of other segments can follow; so can a frame of Zstandard.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes it is decoded.
    pub fn plain_len(&self) -> usize {
        self.plain_len
    }

    /// The CRC-32 of what it is decoded, for gzip.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// How many movies an array that is not coded has.
    pub fn movies(&self) -> usize {
        self.starts.len()
    }

    /// Whether it has no movies.
    pub fn is_empty(&self) -> bool {
        self.plain_len == 0
    }

    /// About how many bytes of memory it holds.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + size_of_val::<[_]>(&self.starts)
    }
}

/// An array that is being encoded.
struct Array {
    json: Vec<u8>,
    starts: Vec<(u8, u32)>,
}

impl Array {
    fn of(movies: usize, bytes: usize) -> Self {
        Self { json: Vec::with_capacity(bytes), starts: Vec::with_capacity(movies) }
    }

    fn add(&mut self, low: u8, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.json.is_empty() {
            self.json.push(b',');
        }
        self.starts.push((low, u32::try_from(self.json.len()).unwrap_or(u32::MAX)));
        write(&mut self.json);
    }

    fn finish(self) -> EncodedSegment {
        let Self { json, starts } = self;
        EncodedSegment { plain_len: json.len(), bytes: exact(json), crc: 0, starts: starts.into() }
    }
}

/// Writes the JSON of one movie.
pub(super) fn write_movie(json: &mut Vec<u8>, movie: &Movie) {
    // Writing to a vector cannot fail, and every member of a movie can be written.
    if let Err(error) = serde_json::to_writer(json, movie) {
        log::error!("movie {} cannot be encoded: {error}", movie.id);
    }
}

/// The JSON of one movie: the same bytes as in its segment.
pub fn movie_json(movie: &Movie) -> Bytes {
    let mut json = Vec::with_capacity(512);
    write_movie(&mut json, movie);
    json.into()
}

/// What tells a movie's JSON from any other of the same movie: what its entity tags are made of.
pub fn fingerprint(json: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(json)
}

#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
fn low_byte(id: u64) -> u8 {
    id as u8
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::{NewMovie, Title};

    pub(in crate::catalogue) fn movie(id: u64) -> Movie {
        let title = Title::parse(&format!("Movie, \"{id}\" é 👩‍👩‍👧")).unwrap();
        NewMovie::titled(title).first(id, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_movie_is_a_slice_of_its_segment() {
        let base = 1u64 << 33;
        let movies: Vec<Movie> = [0, 1, 7, 254, 255].map(|low| movie(base + low)).into();
        let segment = EncodedSegment::encode(&movies);
        for movie in &movies {
            assert_eq!(segment.movie(movie.id).unwrap(), serde_json::to_vec(movie).unwrap());
        }
        assert_eq!(segment.movie(base + 2), None);
        assert_eq!(EncodedSegment::encode(&[]).movie(base), None);
    }

    /// Each of eight movies was there or not, goes or not, and is put or not: what a write makes of the bytes is
    /// what the rows would be encoded to.
    #[test]
    fn a_changed_segment_is_what_its_movies_encode_to() {
        const BASE: u64 = 3 << 8;
        let all: Vec<Movie> = [0, 1, 2, 7, 100, 253, 254, 255].map(|low| movie(BASE + low)).into();
        let newer: Vec<Movie> = all.iter().map(|movie| Movie { version: 2, ..movie.clone() }).collect();
        let mut bits = 0u32;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [_, was, goes, comes] = bits.to_le_bytes();
            let has = |set: u8, index: usize| set >> index & 1 == 1;
            let before: Vec<Movie> = (0..8).filter(|i| has(was, *i)).map(|i| all[i].clone()).collect();
            let gone: Vec<u64> = (0..8).filter(|i| has(goes, *i)).map(|i| all[i].id).collect();
            let put: Vec<&Movie> = (0..8).filter(|i| has(comes, *i)).map(|i| &newer[i]).collect();
            let after: Vec<Movie> = (0..8)
                .filter(|i| has(comes, *i) || has(was, *i) && !has(goes, *i))
                .map(|i| if has(comes, i) { newer[i].clone() } else { all[i].clone() })
                .collect();
            let changed = EncodedSegment::encode(&before).changed(&gone, put.into_iter());
            let encoded = EncodedSegment::encode(&after);
            assert_eq!(changed.bytes(), encoded.bytes());
            assert_eq!((&changed.starts, changed.plain_len), (&encoded.starts, encoded.plain_len));
        }
    }

    #[test]
    fn the_example_of_the_contract_is_what_goes_out() {
        let mut movie = movie(1);
        movie.title = Title::parse("The Wizard of Oz").unwrap();
        movie.created_at = "2026-11-23T22:49:34.7Z".parse().unwrap();
        let json = EncodedSegment::encode(&[movie]);
        let expected = r#"{"id":1,"imdb_id":null,"title":"The Wizard of Oz","year":null,"runtime_minutes":null,"directors":[],"genres":[],"rating":null,"votes":null,"popularity":null,"version":1,"created_at":"2026-11-23T22:49:34Z","updated_at":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(json.bytes(), expected);
    }

    #[test]
    fn deflated_bytes_are_the_same_bytes_at_any_length() {
        for count in [1, 2, 100, 256] {
            let movies: Vec<Movie> = (0..count).map(movie).collect();
            let array = EncodedSegment::encode(&movies);
            for form in Form::ALL {
                let (plain, segment) = (array.to(form, Coding::Identity), array.to(form, Coding::Gzip));
                let mut inflated = Vec::new();
                // A full flush is no end of the stream, so the reader stops where the bytes stop.
                let mut reader = flate2::read::DeflateDecoder::new(segment.bytes().as_ref());
                let mut buffer = [0; 1000];
                while let Ok(n @ 1..) = reader.read(&mut buffer) {
                    inflated.extend_from_slice(&buffer[..n]);
                }
                assert_eq!(inflated, plain.bytes().as_ref());
                assert_eq!((inflated.len(), plain.plain_len()), (segment.plain_len(), segment.plain_len()));
                assert_eq!(crc32fast::hash(&inflated), segment.crc());
                assert!(segment.bytes().ends_with(&[0, 0, 0xff, 0xff]), "ends on a byte's edge");
            }
        }
    }

    #[test]
    fn what_is_empty_is_empty_in_every_form_and_coding() {
        for form in Form::ALL {
            for coding in Coding::ALL {
                let segment = EncodedSegment::encode(&[]).to(form, coding);
                assert!(segment.is_empty() && segment.bytes().is_empty(), "{form:?} {coding:?}");
            }
        }
    }

    #[test]
    fn only_what_is_an_array_and_not_coded_has_movies_to_slice() {
        let array = EncodedSegment::encode(&[movie(1), movie(2)]);
        for form in Form::ALL {
            for coding in Coding::ALL {
                let plain = (form, coding) == (Form::Array, Coding::Identity);
                assert_eq!(array.to(form, coding).movie(2).is_some(), plain, "{form:?} {coding:?}");
            }
        }
    }

    #[test]
    fn lines_end_each_movie() {
        let lines = EncodedSegment::encode(&[movie(1), movie(2)]).to(Form::Lines, Coding::Identity);
        let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
        assert!(text.ends_with("}\n"));
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}
