//! An encoded segment: up to 256 movies as the bytes that go out.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

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

/// The movies of one segment at one stamp, encoded. It never changes.
#[derive(Debug, Clone)]
pub struct EncodedSegment {
    json: Bytes,
    deflated: Bytes,
    crc: u32,
    /// The low byte of each movie's id and where the movie begins, by id.
    starts: Box<[(u8, u32)]>,
}

impl EncodedSegment {
    /// Encodes `movies`, which are of one segment and in the order of their ids.
    pub fn encode(movies: &[Movie]) -> Self {
        let mut json = Vec::with_capacity(movies.len() * 256);
        let mut starts = Vec::with_capacity(movies.len());
        for movie in movies {
            if !json.is_empty() {
                json.push(b',');
            }
            starts.push((low_byte(movie.id), u32::try_from(json.len()).unwrap_or(u32::MAX)));
            // Writing to a vector cannot fail, and every member of a movie can be written.
            if let Err(error) = serde_json::to_writer(&mut json, movie) {
                log::error!("movie {} cannot be encoded: {error}", movie.id);
            }
        }
        Self::of(json, starts.into())
    }

    fn of(json: Vec<u8>, starts: Box<[(u8, u32)]>) -> Self {
        Self { crc: crc32fast::hash(&json), deflated: deflate(&json).into(), json: json.into(), starts }
    }

    /// The same movies one a line. The database is not asked: a comma becomes an end of line.
    pub fn to_lines(&self) -> Self {
        let mut lines = self.json.to_vec();
        for (_, start) in self.starts.iter().skip(1) {
            if let Some(byte) = lines.get_mut(*start as usize - 1) {
                *byte = b'\n';
            }
        }
        if !lines.is_empty() {
            lines.push(b'\n');
        }
        Self::of(lines, self.starts.clone())
    }

    /// The JSON of one movie, as a slice of the segment's.
    pub fn movie(&self, id: u64) -> Option<Bytes> {
        let index = self.starts.binary_search_by_key(&low_byte(id), |(low, _)| *low).ok()?;
        let (_, start) = self.starts.get(index)?;
        let end = match self.starts.get(index + 1) {
            Some((_, next)) => *next as usize - 1,
            None => self.json.len(),
        };
        Some(self.json.slice(*start as usize..end))
    }

    /// The movies as JSON: in an array with commas between them but without brackets.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The same bytes deflated (RFC 1951), ended by a full flush: blocks of other segments can follow.
    pub fn deflated(&self) -> &Bytes {
        &self.deflated
    }

    /// The CRC-32 of the JSON.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Whether it has no movies.
    pub fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// About how many bytes of memory it holds.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.json.len() + self.deflated.len() + size_of_val::<[_]>(&self.starts)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
fn low_byte(id: u64) -> u8 {
    id as u8
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 + 64);
    if bytes.is_empty() {
        return out;
    }
    let mut deflate = Compress::new(Compression::default(), false);
    loop {
        let done = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
        let rest = bytes.get(done..).unwrap_or_default();
        let room = out.capacity() - out.len();
        let status = deflate.compress_vec(rest, &mut out, FlushCompress::Full);
        let finished = deflate.total_in() == bytes.len() as u64 && out.len() < out.capacity();
        match status {
            Ok(Status::Ok | Status::BufError) if !finished => out.reserve(room.max(4096)),
            _ => return out,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::Title;

    pub(in crate::catalogue) fn movie(id: u64) -> Movie {
        Movie {
            id,
            imdb_id: None,
            title: Title::parse(&format!("Movie, \"{id}\" é 👩‍👩‍👧")).unwrap(),
            year: None,
            runtime_minutes: None,
            directors: Vec::new(),
            genres: Vec::new(),
            rating: None,
            votes: None,
            popularity: None,
            version: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
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

    #[test]
    fn the_example_of_the_contract_is_what_goes_out() {
        let mut movie = movie(1);
        movie.title = Title::parse("The Wizard of Oz").unwrap();
        movie.created_at = "2026-11-23T22:49:34.7Z".parse().unwrap();
        let json = EncodedSegment::encode(&[movie]);
        let expected = r#"{"id":1,"imdb_id":null,"title":"The Wizard of Oz","year":null,"runtime_minutes":null,"directors":[],"genres":[],"rating":null,"votes":null,"popularity":null,"version":1,"created_at":"2026-11-23T22:49:34Z","updated_at":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(json.json(), expected);
    }

    #[test]
    fn deflated_bytes_are_the_same_bytes_at_any_length() {
        for count in [1, 2, 100, 256] {
            let movies: Vec<Movie> = (0..count).map(movie).collect();
            for segment in [EncodedSegment::encode(&movies), EncodedSegment::encode(&movies).to_lines()] {
                let mut inflated = Vec::new();
                // A full flush is no end of the stream, so the reader stops where the bytes stop.
                let mut reader = flate2::read::DeflateDecoder::new(segment.deflated().as_ref());
                let mut buffer = [0; 1000];
                while let Ok(n @ 1..) = reader.read(&mut buffer) {
                    inflated.extend_from_slice(&buffer[..n]);
                }
                assert_eq!(inflated, segment.json().as_ref());
                assert_eq!(crc32fast::hash(&inflated), segment.crc());
                assert!(segment.deflated().ends_with(&[0, 0, 0xff, 0xff]), "ends on a byte's edge");
            }
        }
    }

    #[test]
    fn lines_end_each_movie() {
        let lines = EncodedSegment::encode(&[movie(1), movie(2)]).to_lines();
        let text = String::from_utf8(lines.json().to_vec()).unwrap();
        assert!(text.ends_with("}\n"));
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}
