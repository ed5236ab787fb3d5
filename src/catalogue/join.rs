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
#[derive(Debug, Clone)]
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
        let mut framing = Self::part(form, coding);
        if form == Form::Array {
            framing.byte(b'[');
        }
        framing
    }

    /// A part of a body, without segments yet: to be appended to one.
    fn part(form: Form, coding: Coding) -> Self {
        Self { form, coding, crc: Hasher::new(), plain: 0, coded: 0, any: false }
    }

    /// A segment as such a part.
    fn segment(form: Form, coding: Coding, segment: &EncodedSegment) -> Self {
        let (plain, coded) = (segment.plain_len() as u64, segment.bytes().len() as u64);
        let crc = match coding {
            Coding::Gzip => Hasher::new_with_initial_len(segment.crc(), plain),
            Coding::Identity | Coding::Zstd => Hasher::new(),
        };
        Self { form, coding, crc, plain, coded, any: !segment.is_empty() }
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
        self.append(&Self::segment(self.form, self.coding, segment))
    }

    /// Counts the next part, likewise.
    fn append(&mut self, part: &Self) -> &'static [u8] {
        if !part.any {
            return b"";
        }
        let before = if self.any { self.between() } else { b"" };
        if self.any && self.form == Form::Array {
            self.byte(b',');
        }
        self.any = true;
        self.plain += part.plain;
        self.coded += before.len() as u64 + part.coded;
        if self.coding == Coding::Gzip {
            self.crc.combine(&part.crc);
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
    /// What comes after the last segment.
    pub fn end(&self) -> &Bytes {
        &self.end
    }
}

/// The segments of a body that are not empty, in their order.
pub type Segments = Arc<[Arc<EncodedSegment>]>;

/// How often what answers are made of is looked up in the cache, while there are any.
const LOOKED_UP_EVERY: Duration = Duration::from_secs(1);

/// The segments that answers on their way hold, for those that begin meanwhile: these need not gather them one by one. Holds
/// none itself, so that it keeps nothing in memory.
#[derive(Debug, Default)]
struct Underway(Mutex<Option<Weak<[Arc<EncodedSegment>]>>>);

impl Underway {
    /// What an answer on its way holds.
    fn segments(&self) -> Option<Segments> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.upgrade()
    }

    /// An answer that has gathered its segments is on its way.
    fn share(&self, segments: &Segments) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(segments));
    }
}

/// How many numbers of segments a block spans: about the root of how many segments a large collection has, so that a change costs
/// as much within its block as among all blocks.
const BLOCK: u64 = 64;

/// A segment of a body and its number.
pub type Numbered = (u64, Arc<EncodedSegment>);

/// A segment that takes the place of the one with its number; `None` where there is none any more.
pub type Change = (u64, Option<Arc<EncodedSegment>>);

/// Segments that are measured together, by number. None of them is empty.
#[derive(Debug)]
struct Block {
    number: u64,
    segments: Vec<(u64, Weak<EncodedSegment>)>,
    measure: Framing,
}

impl Block {
    /// `None` where all of `segments` are empty.
    fn of(form: Form, coding: Coding, number: u64, segments: &[Numbered]) -> Option<Arc<Self>> {
        let mut measure = Framing::part(form, coding);
        let mut known = Vec::with_capacity(segments.len());
        for (number, segment) in segments.iter().filter(|(_, segment)| !segment.is_empty()) {
            measure.add(segment);
            known.push((*number, Arc::downgrade(segment)));
        }
        (!known.is_empty()).then(|| Arc::new(Self { number, segments: known, measure }))
    }

    /// Its segments but for those of `changes`, when all of these are still in memory.
    fn rest(&self, changes: &[Change]) -> Option<Vec<Numbered>> {
        let is_changed = |number| changes.binary_search_by_key(&number, |(number, _)| *number).is_ok();
        let rest = self.segments.iter().filter(|(number, _)| !is_changed(*number));
        rest.map(|(number, segment)| Some((*number, segment.upgrade()?))).collect()
    }
}

/// What a body in pieces is made of, measured: the next one is made of it and of what changed, without a look at the
/// rest. It holds no segment in memory; the cache does, or answers on their way.
#[derive(Debug)]
pub struct Outline {
    form: Form,
    coding: Coding,
    /// By number.
    blocks: Vec<Arc<Block>>,
    frame: Frame,
    underway: Underway,
    /// When its segments, or those of outlines before it, were last looked up in the cache.
    looked_up: Arc<Mutex<Instant>>,
}

impl Outline {
    /// The body of `segments`, by number, which were looked up just now.
    pub fn of(form: Form, coding: Coding, segments: &[Numbered]) -> Self {
        let blocks = segments.chunk_by(|(one, _), (other, _)| one / BLOCK == other / BLOCK);
        let blocks = blocks.filter_map(|block| Block::of(form, coding, block.first()?.0 / BLOCK, block));
        Self::made(form, coding, blocks.collect(), Arc::new(Mutex::new(Instant::now())))
    }

    fn made(form: Form, coding: Coding, blocks: Vec<Arc<Block>>, looked_up: Arc<Mutex<Instant>>) -> Self {
        let mut framing = Framing::new(form, coding);
        for block in &blocks {
            framing.append(&block.measure);
        }
        let frame = framing.finish();
        Self { form, coding, blocks, frame, underway: Underway::default(), looked_up }
    }

    /// The body after changes, by number; `None` when a neighbour of theirs is not in memory any more.
    pub fn with(&self, changed: &[Change]) -> Option<Self> {
        let mut blocks = self.blocks.clone();
        for changes in changed.chunk_by(|(one, _), (other, _)| one / BLOCK == other / BLOCK) {
            let number = changes.first()?.0 / BLOCK;
            let at = blocks.binary_search_by_key(&number, |block| block.number);
            let mut segments = match at.ok().and_then(|at| blocks.get(at)) {
                Some(block) => block.rest(changes)?,
                None => Vec::new(),
            };
            for (number, now) in changes {
                let Some(now) = now else { continue };
                let at = segments.partition_point(|(before, _)| before < number);
                segments.insert(at, (*number, Arc::clone(now)));
            }
            match (Block::of(self.form, self.coding, number, &segments), at) {
                (Some(block), Ok(at)) => *blocks.get_mut(at)? = block,
                (Some(block), Err(at)) => blocks.insert(at, block),
                (None, Ok(at)) => drop(blocks.remove(at)),
                (None, Err(_)) => {}
            }
        }
        Some(Self::made(self.form, self.coding, blocks, Arc::clone(&self.looked_up)))
    }

    /// The body, when all its segments are still in memory.
    pub fn pieces(&self) -> Option<Pieces> {
        let segments = match self.underway.segments() {
            Some(segments) => segments,
            None => {
                let segments = self.blocks.iter().flat_map(|block| &block.segments);
                let segments: Segments =
                    segments.map(|(_, segment)| segment.upgrade()).collect::<Option<_>>()?;
                self.underway.share(&segments);
                segments
            }
        };
        Some(Pieces { frame: self.frame.clone(), segments, next: 0 })
    }

    /// Whether its segments are to be looked up in the cache, which forgets first what was not looked up for the longest
    /// time: once a second, to one of those who ask.
    pub fn is_to_be_looked_up(&self) -> bool {
        let mut last = self.looked_up.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.elapsed() >= LOOKED_UP_EVERY;
        if due {
            *last = Instant::now();
        }
        due
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
    use std::collections::{BTreeMap, BTreeSet};

    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};
    use serde_json::Value;

    use super::*;
    use crate::catalogue::coding::tests::decoded;
    use crate::catalogue::segment::tests::movie;

    fn segment(ids: &[u64]) -> Arc<EncodedSegment> {
        Arc::new(EncodedSegment::encode(&ids.iter().map(|id| movie(*id)).collect::<Vec<_>>()))
    }

    fn body(form: Form, coding: Coding, segments: &[Arc<EncodedSegment>]) -> Vec<u8> {
        let segments: Vec<Numbered> =
            (0..).zip(segments).map(|(number, s)| (number, Arc::new(s.to(form, coding)))).collect();
        whole(&Outline::of(form, coding, &segments), coding)
    }

    fn whole(outline: &Outline, coding: Coding) -> Vec<u8> {
        let pieces = outline.pieces().unwrap();
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
        let segments = [(0, segment(&[1])), (1, segment(&[])), (2, segment(&[256]))];
        let outline = Outline::of(Form::Array, Coding::Identity, &segments);
        let (first, second) = (outline.pieces().unwrap(), outline.pieces().unwrap());
        assert!(Arc::ptr_eq(&first.segments, &second.segments));
        assert_eq!(first.segments.len(), 2);
        // Whatever the cache forgets meanwhile.
        drop(segments);
        drop(first);
        assert!(outline.pieces().is_some());
        drop(second);
        assert!(outline.pieces().is_none());
    }

    #[test]
    fn what_is_no_more_in_memory_is_not_built_upon() {
        let kept: Vec<Numbered> = [0, BLOCK].map(|number| (number, segment(&[number * 256]))).into();
        let gone: Numbered = (1, segment(&[256]));
        let outline =
            Outline::of(Form::Array, Coding::Identity, &[kept[0].clone(), gone.clone(), kept[1].clone()]);
        drop(gone);
        assert!(outline.with(&[(2, Some(segment(&[512])))]).is_none(), "a neighbour of it is gone");
        // A block that does not change is not looked into, and its body is not to be had.
        let other = segment(&[BLOCK * 256 + 1]);
        assert!(outline.with(&[(BLOCK, Some(Arc::clone(&other)))]).unwrap().pieces().is_none());
        // What takes its place needs nothing of it.
        let now = segment(&[257]);
        assert!(outline.with(&[(1, Some(Arc::clone(&now)))]).unwrap().pieces().is_some());
        assert!(outline.with(&[(1, None)]).unwrap().pieces().is_some());
    }

    /// Outlines that are made of each other by changes, beside those that are made of all segments.
    #[test]
    fn what_changes_leaves_the_same_body_as_all_made_anew() {
        let mut random = SmallRng::seed_from_u64(7);
        for form in Form::ALL {
            for coding in Coding::ALL {
                let coded = |ids: &[u64]| Arc::new(segment(ids).to(form, coding));
                let mut all: BTreeMap<u64, Arc<EncodedSegment>> = BTreeMap::new();
                let mut outline = Outline::of(form, coding, &[]);
                for step in 0..60 {
                    // Of three blocks, and one far away.
                    let numbers: BTreeSet<u64> = (0..random.random_range(1..6))
                        .map(|_| {
                            random.random_range(0..3 * BLOCK) | (u64::from(random.random_ratio(1, 9)) << 32)
                        })
                        .collect();
                    let changed: Vec<_> = numbers
                        .into_iter()
                        .map(|number| {
                            let now = match random.random_range(0..4) {
                                0 => None,
                                1 => Some(coded(&[])),
                                _ => Some(coded(&[number * 256, number * 256 + 1 + step])),
                            };
                            (number, now)
                        })
                        .collect();
                    for (number, now) in &changed {
                        match now.as_ref().filter(|now| !now.is_empty()) {
                            Some(now) => all.insert(*number, Arc::clone(now)),
                            None => all.remove(number),
                        };
                    }
                    outline = outline.with(&changed).unwrap();
                    let anew = Outline::of(form, coding, &Vec::from_iter(all.clone()));
                    let (one, other) = (outline.pieces().unwrap(), anew.pieces().unwrap());
                    assert_eq!(one.concat(), other.concat(), "{form:?} {coding:?} after {step} changes");
                }
                assert!(!whole(&outline, coding).is_empty());
            }
        }
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
