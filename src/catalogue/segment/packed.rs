//! An encoded segment as it is left to other replicas: where its movies begin, and the array compressed.
//!
//! ```text
//! form (1 byte) │ checksum (8) │ movies (2) │ per movie: low byte of the id (1), place (4) │ length (4) │ Zstandard
//! ```
//!
//! Numbers are little-endian. The checksum is of the key and of all that follows, so that bytes that were damaged, cut,
//! or put under another key are told. What is unpacked is looked through all the same, since nobody may be served from
//! what only seems right: it is what [`EncodedSegment::encode`] makes of as many movies with such ids.

use xxhash_rust::xxh3::Xxh3;

use super::EncodedSegment;
use crate::catalogue::coding::exact;
use crate::store::SegmentRef;

/// The form that is written, and the only one that is read.
const FORM: u8 = 1;
/// Form, checksum, number of movies.
const HEAD: usize = 1 + 8 + 2;
/// A movie's low byte and place.
const PLACE: usize = 1 + 4;
/// What is longer is left to the database: 256 movies have some 60 kB.
const LONGEST: usize = 16 << 20;
/// Less than for clients (docs/ENCODING.md): this is done for each write, and read back once by each replica.
const LEVEL: i32 = 1;

impl EncodedSegment {
    /// This segment, as [`Self::encode`] made it, to be left under `key`; `None` where it is too long for that.
    pub fn pack(&self, key: &str) -> Option<Vec<u8>> {
        let movies = u16::try_from(self.starts.len()).ok()?;
        let length = u32::try_from(self.bytes.len()).ok().filter(|_| self.bytes.len() <= LONGEST)?;
        let frame = zstd::bulk::compress(&self.bytes, LEVEL).ok()?;
        let mut packed = Vec::with_capacity(HEAD + self.starts.len() * PLACE + 4 + frame.len());
        packed.push(FORM);
        packed.extend([0; 8]);
        packed.extend(movies.to_le_bytes());
        for (low, start) in &self.starts {
            packed.push(*low);
            packed.extend(start.to_le_bytes());
        }
        packed.extend(length.to_le_bytes());
        packed.extend(frame);
        sign(key, &mut packed)?;
        Some(packed)
    }

    /// What was packed of `segment` under `key`; `None` unless it is exactly that.
    pub fn unpack(packed: &[u8], key: &str, segment: SegmentRef) -> Option<Self> {
        let (form, rest) = packed.split_first()?;
        let (sum, rest) = rest.split_first_chunk()?;
        if *form != FORM || u64::from_le_bytes(*sum) != checksum(key, rest) {
            return None;
        }
        let (movies, rest) = rest.split_first_chunk()?;
        let movies = u16::from_le_bytes(*movies);
        if u32::from(movies) != segment.movies {
            return None;
        }
        let (places, rest) = rest.split_at_checked(usize::from(movies) * PLACE)?;
        let (length, frame) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST)?;
        let bytes = zstd::bulk::decompress(frame, length).ok().filter(|bytes| bytes.len() == length)?;
        let starts: Option<Box<[(u8, u32)]>> = places
            .chunks_exact(PLACE)
            .map(|place| {
                let (low, start) = place.split_first()?;
                Some((*low, u32::from_le_bytes(start.try_into().ok()?)))
            })
            .collect();
        let unpacked = Self { plain_len: length, bytes: exact(bytes), crc: 0, starts: starts? };
        unpacked.fits(segment.number).then_some(unpacked)
    }

    /// Whether each movie begins where it is said to, and is the one that it is said to be.
    fn fits(&self, number: u64) -> bool {
        let ends = self.starts.iter().skip(1).map(|(_, next)| (*next as usize).checked_sub(1));
        let ends = ends.chain([Some(self.bytes.len())]);
        let mut expected = 0;
        let mut last = None;
        for ((low, start), end) in self.starts.iter().zip(ends) {
            let (start, Some(end)) = (*start as usize, end) else { return false };
            let movie = self.bytes.get(start..end).unwrap_or_default();
            let id = format!("{{\"id\":{},", number << 8 | u64::from(*low));
            let follows = expected == 0 || self.bytes.get(start.wrapping_sub(1)) == Some(&b',');
            let rises = last.is_none_or(|last| last < *low);
            if start != expected
                || !follows
                || !rises
                || !movie.starts_with(id.as_bytes())
                || !movie.ends_with(b"}")
            {
                return false;
            }
            (expected, last) = (end + 1, Some(*low));
        }
        expected == self.bytes.len() + 1 || self.starts.is_empty() && self.bytes.is_empty()
    }
}

/// Writes the checksum into what is packed but for it.
pub(super) fn sign(key: &str, packed: &mut [u8]) -> Option<()> {
    let sum = checksum(key, packed.get(9..)?);
    packed.get_mut(1..9)?.copy_from_slice(&sum.to_le_bytes());
    Some(())
}

fn checksum(key: &str, rest: &[u8]) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(key.as_bytes());
    sum.update(rest);
    sum.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::coding::Coding;
    use crate::catalogue::segment::Form;
    use crate::catalogue::segment::tests::movie;
    use crate::domain::Movie;

    const NUMBER: u64 = 5;
    const KEY: &str = "marquee:7:1:5:9";

    fn packed(lows: &[u64]) -> (EncodedSegment, Vec<u8>, SegmentRef) {
        let movies: Vec<Movie> = lows.iter().map(|low| movie(NUMBER << 8 | low)).collect();
        let segment = EncodedSegment::encode(&movies);
        let bytes = segment.pack(KEY).unwrap();
        (segment, bytes, SegmentRef { number: NUMBER, stamp: 9, movies: u32::try_from(lows.len()).unwrap() })
    }

    /// The same with another body, under a checksum that is right.
    fn forged(packed: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut forged = packed.to_vec();
        change(&mut forged);
        sign(KEY, &mut forged).unwrap();
        forged
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        for lows in [vec![], vec![0], vec![255], vec![0, 1, 7, 254, 255], (0..256).collect()] {
            let (segment, packed, of) = packed(&lows);
            let unpacked = EncodedSegment::unpack(&packed, KEY, of).unwrap();
            assert_eq!(unpacked.bytes(), segment.bytes());
            assert_eq!((&unpacked.starts, unpacked.plain_len), (&segment.starts, segment.plain_len));
            for coding in Coding::ALL {
                let made = |of: &EncodedSegment| of.to(Form::Lines, coding).bytes().clone();
                assert_eq!(made(&unpacked), made(&segment));
            }
        }
    }

    #[test]
    fn it_is_much_shorter() {
        let (segment, packed, _) = packed(&(0..256).collect::<Vec<_>>());
        assert!(packed.len() * 4 < segment.bytes().len(), "{} of {}", packed.len(), segment.bytes().len());
    }

    #[test]
    fn nothing_else_is_taken() {
        let (_, whole, of) = packed(&[0, 3, 9]);
        let taken = |bytes: &[u8], key: &str, of| EncodedSegment::unpack(bytes, key, of).is_some();
        assert!(taken(&whole, KEY, of));
        assert!(!taken(&whole, "marquee:8:1:5:9", of), "another key");
        assert!(!taken(&whole, KEY, SegmentRef { movies: 4, ..of }), "another count");
        assert!(!taken(&forged(&whole, |_| ()), KEY, SegmentRef { number: 6, ..of }), "other movies");
        for cut in 0..whole.len() {
            assert!(!taken(&whole[..cut], KEY, of), "cut after {cut}");
            let mut damaged = whole.clone();
            damaged[cut] ^= 0x10;
            assert!(!taken(&damaged, KEY, of), "damaged at {cut}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(!taken(&longer, KEY, of));
    }

    /// A checksum keeps no malice out: whatever else is wrong is found as well, and nothing panics or allocates what
    /// it is told to.
    #[test]
    fn a_right_checksum_is_not_enough() {
        let (_, whole, of) = packed(&[0, 3, 9]);
        let taken = |bytes: &[u8], of| EncodedSegment::unpack(bytes, KEY, of).is_some();
        assert!(taken(&forged(&whole, |_| ()), of));
        let length = HEAD + 3 * PLACE;
        for (what, place, value) in [
            ("the form", 0, 2),
            ("the first low byte", HEAD, 1),
            ("the second low byte, which no longer rises", HEAD + PLACE, 9),
            ("the place of the first", HEAD + 1, 1),
            ("the place of the second", HEAD + PLACE + 1, 0xfe),
            ("the place of the third, beyond the end", HEAD + 2 * PLACE + 4, 0x7f),
            ("a length that nothing has", length + 3, 0xff),
            ("a length that is too small", length, 1),
            ("the number of movies", 9, 2),
        ] {
            assert!(!taken(&forged(&whole, |bytes| bytes[place] = value), of), "{what}");
        }
        let mut bits = 1u32;
        for _ in 0..20_000 {
            let forged = forged(&whole, |bytes| {
                for _ in 0..2 {
                    bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let place = bits as usize % bytes.len();
                    bytes[place] = (bits >> 16) as u8;
                }
                bytes.truncate(9 + bits as usize % 500);
            });
            for movies in [0, 3, 256] {
                EncodedSegment::unpack(&forged, KEY, SegmentRef { movies, ..of });
            }
        }
    }
}
