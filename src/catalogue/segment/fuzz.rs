//! Segments of any movies, and what replicas leave for each other.

use std::sync::Arc;

use super::*;
use crate::catalogue::coding::tests::decoded;
use crate::catalogue::join::{Numbered, Outline};
use crate::fuzz::{Values, target};
use crate::store::SegmentRef;

const KEY: &str = "marquee:1:1:1:1";

/// Movies of several segments, in the order of their ids.
fn movies(values: &mut Values) -> Vec<Movie> {
    let mut id = u64::from(values.byte()) << (values.byte() % 54);
    let mut movies = Vec::new();
    while !values.is_empty() && movies.len() < 64 {
        // Mostly the next one; sometimes in the next segment, or far away.
        id += 1 + match values.byte() {
            far @ 250.. => u64::from(far) << 20,
            next @ 200.. => u64::from(next) + 200,
            near => u64::from(near) / 20,
        };
        movies.push(values.movie(id));
    }
    movies
}

/// They, segment by segment; one without movies in between, as deletes leave it.
fn segments(movies: &[Movie]) -> Vec<(u64, EncodedSegment)> {
    let mut segments = Vec::new();
    for movies in movies.chunk_by(|a, b| a.id >> 8 == b.id >> 8) {
        let number = movies[0].id >> 8;
        segments.push((number, EncodedSegment::encode(movies)));
        segments.push((number + 1, EncodedSegment::encode(&[])));
    }
    segments
}

/// However movies are spread over segments: in every form and coding these join to what one shot makes of all, and each
/// movie is found, and what is left for replicas is what they read.
#[test]
fn segments_join() {
    target("segments_join", 150, |bytes| {
        let movies = movies(&mut Values(bytes));
        let segments = segments(&movies);
        let array = serde_json::to_vec(&movies).unwrap();
        let lines: Vec<u8> = movies.iter().flat_map(|m| [movie_json(m).as_ref(), b"\n"].concat()).collect();
        for (form, whole) in [(Form::Array, array), (Form::Lines, lines)] {
            for coding in Coding::ALL {
                let coded: Vec<Numbered> =
                    segments.iter().map(|(number, s)| (*number, Arc::new(s.to(form, coding)))).collect();
                let pieces = Outline::of(form, coding, &coded).pieces().unwrap();
                let promised = pieces.total_len();
                let body = pieces.concat();
                assert_eq!(body.len() as u64, promised);
                assert!(decoded(&body, coding) == whole, "{form:?} {coding:?}");
            }
        }
        for movie in &movies {
            let mut of = segments.iter().filter(|(_, segment)| !segment.is_empty());
            let of = of.find(|(number, _)| *number == movie.id >> 8);
            assert_eq!(of.unwrap().1.movie(movie.id).unwrap(), movie_json(movie));
        }
        for (number, segment) in segments {
            let of = SegmentRef { number, stamp: 1, movies: u32::try_from(segment.movies()).unwrap() };
            let packed = segment.pack(KEY).unwrap();
            let unpacked = EncodedSegment::unpack(&packed, KEY, of).unwrap();
            assert_eq!((unpacked.bytes(), &unpacked.starts), (segment.bytes(), &segment.starts));
        }
    });
}

/// A write takes some movies away, changes some, and brings some: what it makes of the bytes is what the rows would be
/// encoded to.
#[test]
fn segments_change() {
    target("segments_change", 1500, |bytes| {
        let mut values = Values(bytes);
        let (mut before, mut after, mut gone, mut put) = (vec![], vec![], vec![], vec![]);
        let mut id = 7 << 8;
        while !values.is_empty() && id >> 8 == 7 {
            let fate = values.byte();
            id += u64::from(fate >> 4);
            if id >> 8 != 7 || before.last().is_some_and(|last: &Movie| last.id == id) {
                break;
            }
            let movie = values.movie(id);
            match fate & 0xf {
                0 => gone.push(id),
                1..4 => put.push(movie.clone()),
                4..7 => {
                    before.push(movie.clone());
                    put.push(Movie { version: movie.version + 1, ..movie });
                }
                7..10 => {
                    before.push(movie);
                    gone.push(id);
                }
                _ => before.push(movie),
            }
            id += 1;
        }
        let is_put = |id: u64| put.iter().any(|movie| movie.id == id);
        after.extend(before.iter().filter(|m| !gone.contains(&m.id) && !is_put(m.id)).cloned());
        after.extend(put.iter().cloned());
        after.sort_by_key(|movie| movie.id);
        let changed = EncodedSegment::encode(&before).changed(&gone, put.iter());
        let encoded = EncodedSegment::encode(&after);
        assert_eq!((changed.bytes(), &changed.starts), (encoded.bytes(), &encoded.starts));
        assert_eq!(changed.plain_len(), encoded.plain_len());
    });
}

/// Whatever Redis hands over, under a checksum that is right (it keeps no malice out): it is refused, or holds together,
/// and is packed to what is unpacked to the same.
#[test]
fn packed_bytes() {
    target("packed_bytes", 10_000, |bytes| {
        let mut values = Values(bytes);
        let (mode, number) = (values.byte(), u64::from(values.byte()));
        let movies = u16::from(values.byte() % 4);
        let (places, rest) = values.0.split_at(values.0.len().min(usize::from(movies) * 5));
        let mut body = movies.to_le_bytes().to_vec();
        body.extend(places);
        if mode % 2 == 0 {
            // Chance finds no frame of Zstandard: it is one of what follows.
            body.extend(u32::try_from(rest.len()).unwrap().to_le_bytes());
            body.extend(zstd::bulk::compress(rest, 1).unwrap());
        } else {
            body.extend(rest);
        }
        let mut packed = [&[1], &[0; 8][..], &body].concat();
        assert!(
            EncodedSegment::unpack(&packed, KEY, SegmentRef { number, stamp: 1, movies: movies.into() })
                .is_none(),
            "the checksum is none"
        );
        packed::sign(KEY, &mut packed).unwrap();
        for of in [movies, movies ^ 1].map(|movies| SegmentRef { number, stamp: 1, movies: movies.into() }) {
            let Some(segment) = EncodedSegment::unpack(&packed, KEY, of) else { continue };
            assert_eq!((of.movies, segment.movies()), (movies.into(), usize::from(movies)));
            let parts: Vec<_> = (0..=255).filter_map(|low| segment.movie(number << 8 | low)).collect();
            assert_eq!(parts.join(&b','), segment.bytes().as_ref());
            let again = EncodedSegment::unpack(&segment.pack(KEY).unwrap(), KEY, of).unwrap();
            assert_eq!((again.bytes(), &again.starts), (segment.bytes(), &segment.starts));
            assert_eq!(segment.changed(&[], [].iter()).bytes(), segment.bytes());
            for form in Form::ALL {
                let plain = segment.to(form, Coding::Identity);
                let coded = segment.to(form, Coding::Gzip);
                assert_eq!(
                    (coded.plain_len(), coded.crc()),
                    (plain.bytes().len(), crc32fast::hash(plain.bytes()))
                );
            }
        }
    });
}
