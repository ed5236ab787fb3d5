//! Segments joined to one body: an array or lines, as they are, as one gzip member or as frames of Zstandard.
//!
//! *gzip:* each segment is deflated on its own and ended by a full flush (RFC 1951, section 3.2.4 and zlib's
//! `Z_FULL_FLUSH`), so the blocks of all of them follow each other on the edge of a byte. What stands
//! between them is a stored block of one byte. The CRC of the whole is combined from those of the
//! segments, not computed over the bytes again.
//!
//! *Zstandard:* each segment is a frame, and so is each byte that stands between them: decoders take frames one
//! after another (RFC 8878, section 3).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use crc32fast::Hasher;

use super::coding::{Coding, gzip, zstandard};
use super::segment::{EncodedSegment, Form};

/// The header and `[` in one piece.
const GZIP_ARRAY_BEGINS: [u8; 16] = {
    let [a, b, c, d, e, f] = gzip::one_byte(b'[', false);
    let [g0, g1, g2, g3, g4, g5, g6, g7, g8, g9] = gzip::HEADER;
    [g0, g1, g2, g3, g4, g5, g6, g7, g8, g9, a, b, c, d, e, f]
};
const GZIP_COMMA: [u8; 6] = gzip::one_byte(b',', false);
const GZIP_ARRAY_ENDS: [u8; 6] = gzip::one_byte(b']', true);
const ZSTD_ARRAY_BEGINS: [u8; 10] = zstandard::one_byte(b'[');
const ZSTD_COMMA: [u8; 10] = zstandard::one_byte(b',');
const ZSTD_ARRAY_ENDS: [u8; 10] = zstandard::one_byte(b']');

/// What stands before, between and after the segments of one body, and how long it all is.
#[derive(Debug, Clone)]
pub struct Frame {
    begin: &'static [u8],
    between: &'static [u8],
    end: Bytes,
    len: u64,
}

/// Measures a body segment by segment, so that they need not all be held.
pub struct Framing {
    form: Form,
    coding: Coding,
    crc: Hasher,
    plain: u64,
    coded: u64,
    any: bool,
}

impl Framing {
    /// A body without segments yet.
    pub fn new(form: Form, coding: Coding) -> Self {
        let mut framing = Self { form, coding, crc: Hasher::new(), plain: 0, coded: 0, any: false };
        if form == Form::Array {
            framing.byte(b'[');
        }
        framing
    }

    /// What comes before the first segment.
    pub fn begin(&self) -> &'static [u8] {
        match (self.form, self.coding) {
            (Form::Array, Coding::Identity) => b"[",
            (Form::Array, Coding::Gzip) => &GZIP_ARRAY_BEGINS,
            (Form::Array, Coding::Zstd) => &ZSTD_ARRAY_BEGINS,
            (Form::Lines, Coding::Identity | Coding::Zstd) => b"",
            (Form::Lines, Coding::Gzip) => &gzip::HEADER,
        }
    }

    /// What comes between two segments that are not empty.
    fn between(&self) -> &'static [u8] {
        match (self.form, self.coding) {
            (Form::Array, Coding::Identity) => b",",
            (Form::Array, Coding::Gzip) => &GZIP_COMMA,
            (Form::Array, Coding::Zstd) => &ZSTD_COMMA,
            (Form::Lines, _) => b"",
        }
    }

    fn byte(&mut self, byte: u8) {
        self.crc.update(&[byte]);
        self.plain += 1;
    }

    /// Counts the next segment, which is in this form and coding (an empty one takes no place), and gives what
    /// comes before its bytes.
    pub fn add(&mut self, segment: &EncodedSegment) -> &'static [u8] {
        if segment.is_empty() {
            return b"";
        }
        let before = if self.any { self.between() } else { b"" };
        if self.any && self.form == Form::Array {
            self.byte(b',');
        }
        self.any = true;
        self.coded += before.len() as u64;
        self.plain += segment.plain_len() as u64;
        self.coded += segment.bytes().len() as u64;
        if self.coding == Coding::Gzip {
            self.crc.combine(&Hasher::new_with_initial_len(segment.crc(), segment.plain_len() as u64));
        }
        before
    }

    /// The frame of all that was added.
    pub fn finish(mut self) -> Frame {
        if self.form == Form::Array {
            self.byte(b']');
        }
        let end = match (self.form, self.coding) {
            (Form::Array, Coding::Identity) => Bytes::from_static(b"]"),
            (Form::Lines, Coding::Identity) => Bytes::new(),
            (_, Coding::Gzip) => {
                let last = if self.form == Form::Array { &GZIP_ARRAY_ENDS[..] } else { &gzip::LAST_BLOCK };
                [last, &gzip::trailer(self.crc.clone().finalize(), self.plain)].concat().into()
            }
            (Form::Array, Coding::Zstd) => Bytes::from_static(&ZSTD_ARRAY_ENDS),
            // Without movies there would be no frame.
            (Form::Lines, Coding::Zstd) if !self.any => Bytes::from_static(&zstandard::EMPTY),
            (Form::Lines, Coding::Zstd) => Bytes::new(),
        };
        let (begin, between) = (self.begin(), self.between());
        Frame { begin, between, len: begin.len() as u64 + self.coded + end.len() as u64, end }
    }
}

impl Frame {
    /// The frame of `segments` as a body.
    pub fn of<'a>(
        form: Form,
        coding: Coding,
        segments: impl IntoIterator<Item = &'a EncodedSegment>,
    ) -> Self {
        let mut framing = Framing::new(form, coding);
        for segment in segments {
            framing.add(segment);
        }
        framing.finish()
    }

    /// The length of the whole body in bytes.
    pub fn total_len(&self) -> u64 {
        self.len
    }

    /// What comes after the last segment.
    pub fn end(&self) -> &Bytes {
        &self.end
    }
}

/// The segments of a body that are not empty, in their order.
pub type Segments = Arc<[Arc<EncodedSegment>]>;

/// How long answers share what one of them looked up. The cache forgets first what was not looked up for the longest time, so
/// that what answers hold must be looked up now and then.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The segments that answers on their way hold, for those that begin meanwhile: these need not look each of
/// them up. Holds none itself, so that it keeps nothing in memory.
#[derive(Debug, Default)]
pub struct Underway(Mutex<Option<LookedUp>>);

#[derive(Debug)]
struct LookedUp {
    segments: Weak<[Arc<EncodedSegment>]>,
    since: Instant,
}

impl Underway {
    /// What an answer on its way holds, if it was looked up lately.
    pub fn segments(&self) -> Option<Segments> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.since.elapsed() < SHARED_FOR)?.segments.upgrade()
    }

    /// An answer that has looked its segments up is on its way.
    pub fn share(&self, segments: &Segments) {
        let known = LookedUp { segments: Arc::downgrade(segments), since: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

/// A body in pieces, all of them held: what was begun can be finished.
#[derive(Debug, Clone)]
pub struct Pieces {
    frame: Frame,
    segments: Segments,
    /// Twice the number of segments sent, and one more once what comes before them was.
    next: usize,
}

impl Pieces {
    /// The body of `segments` in `frame`, which must be theirs.
    pub fn new(frame: Frame, mut segments: Vec<Arc<EncodedSegment>>) -> Self {
        segments.retain(|segment| !segment.is_empty());
        Self::shared(frame, segments.into())
    }

    /// As [`Self::new`], of segments that are held already.
    pub fn shared(frame: Frame, segments: Segments) -> Self {
        Self { frame, segments, next: 0 }
    }

    /// Its segments.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The length of the whole body in bytes.
    pub fn total_len(&self) -> u64 {
        self.frame.len
    }

    /// All pieces in one.
    pub fn concat(self) -> Bytes {
        let mut whole = BytesMut::with_capacity(usize::try_from(self.frame.len).unwrap_or_default());
        self.for_each(|piece| whole.extend_from_slice(&piece));
        whole.freeze()
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            let at = self.next;
            self.next += 1;
            let last = 2 * self.segments.len().max(1);
            let piece = if at == 0 {
                Bytes::from_static(self.frame.begin)
            } else if at >= last {
                if at > last {
                    return None;
                }
                self.frame.end.clone()
            } else if at % 2 == 1 {
                self.segments.get(at / 2).map(|segment| segment.bytes().clone()).unwrap_or_default()
            } else {
                Bytes::from_static(self.frame.between)
            };
            if !piece.is_empty() {
                return Some(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::catalogue::coding::tests::decoded;
    use crate::catalogue::segment::tests::movie;

    fn segment(ids: &[u64]) -> Arc<EncodedSegment> {
        Arc::new(EncodedSegment::encode(&ids.iter().map(|id| movie(*id)).collect::<Vec<_>>()))
    }

    fn body(form: Form, coding: Coding, segments: &[Arc<EncodedSegment>]) -> Vec<u8> {
        let segments: Vec<_> = segments.iter().map(|s| Arc::new(s.to(form, coding))).collect();
        let frame = Frame::of(form, coding, segments.iter().map(AsRef::as_ref));
        let pieces = Pieces::new(frame, segments);
        let promised = pieces.total_len();
        let whole = pieces.clone().concat();
        assert_eq!(whole.len() as u64, promised);
        assert_eq!(pieces.flatten().collect::<Vec<u8>>(), whole);
        decoded(&whole, coding)
    }

    fn ids(form: Form, body: &[u8]) -> Vec<u64> {
        let movies: Vec<Value> = match form {
            Form::Array => serde_json::from_slice(body).unwrap(),
            Form::Lines => body
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .map(|l| serde_json::from_slice(l).unwrap())
                .collect(),
        };
        movies.iter().map(|movie| movie["id"].as_u64().unwrap()).collect()
    }

    #[test]
    fn any_collection_joins_to_the_same_movies_in_every_form_and_coding() {
        let far = 1u64 << 40;
        let collections: [&[&[u64]]; 8] = [
            &[],
            &[&[]],
            &[&[1]],
            &[&[1, 255], &[256, 511]],
            &[&[1], &[], &[512]],
            &[&[], &[256], &[]],
            &[&[], &[], &[]],
            &[&[1], &[far, far + 255], &[], &[far + 512]],
        ];
        for collection in collections {
            let segments: Vec<_> = collection.iter().map(|ids| segment(ids)).collect();
            let expected: Vec<u64> = collection.concat();
            for form in Form::ALL {
                for coding in Coding::ALL {
                    assert_eq!(ids(form, &body(form, coding, &segments)), expected, "{form:?} {coding:?}");
                }
            }
        }
    }

    #[test]
    fn answers_share_what_one_on_its_way_holds() {
        let underway = Underway::default();
        assert!(underway.segments().is_none());
        let frame = Frame::of(Form::Array, Coding::Identity, []);
        let first = Pieces::new(frame.clone(), vec![segment(&[1]), segment(&[]), segment(&[256])]);
        underway.share(first.segments());
        let second = Pieces::shared(frame, underway.segments().unwrap());
        assert!(Arc::ptr_eq(first.segments(), second.segments()));
        drop(first);
        assert_eq!(underway.segments().unwrap().len(), 2);
        drop(second);
        assert!(underway.segments().is_none());
    }

    #[test]
    fn an_empty_collection_is_an_empty_array() {
        for coding in Coding::ALL {
            assert_eq!(body(Form::Array, coding, &[]), b"[]");
            assert_eq!(body(Form::Lines, coding, &[]), b"");
        }
    }

    #[test]
    fn many_full_segments_join_to_what_one_shot_encoding_gives() {
        let segments: Vec<_> =
            (0..20).map(|n| segment(&(n * 256..(n + 1) * 256).collect::<Vec<_>>())).collect();
        let expected: Vec<_> = (0..20 * 256).map(movie).collect();
        let expected = serde_json::to_vec(&expected).unwrap();
        for coding in Coding::ALL {
            assert!(body(Form::Array, coding, &segments) == expected, "{coding:?}");
        }
    }
}
