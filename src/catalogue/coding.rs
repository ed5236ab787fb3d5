//! Codings: how the bytes of an answer are compressed, whole or segment by segment.
//!
//! Compressing costs more than anything else that is done with bytes here, so it is done once for what is
//! kept and never for a single request.

pub(super) mod gzip;
pub(super) mod zstandard;

use bytes::Bytes;

/// How the bytes of an answer are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As they are.
    Identity,
    /// One gzip member (RFC 1952).
    Gzip,
    /// Frames of Zstandard (RFC 8878), none of which needs a window of more than 8 MiB (RFC 9659).
    Zstd,
}

impl Coding {
    /// Every coding there is.
    pub const ALL: [Self; 3] = [Self::Identity, Self::Gzip, Self::Zstd];

    /// Its name in HTTP (RFC 9110, section 8.4.1; RFC 8878, section 7.2).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// `bytes` in `coding`, compressed: to be kept by who asks, since it takes about 10 ms for a mebibyte.
pub fn compressed(bytes: &Bytes, coding: Coding) -> Bytes {
    match coding {
        Coding::Identity => bytes.clone(),
        Coding::Gzip => exact(gzip::member(bytes)),
        Coding::Zstd => exact(zstandard::frame(bytes)),
    }
}

/// `bytes` in the wrapping of `coding`, not compressed: for what is small and kept only as it is, where a
/// client refuses it so. It costs a copy, and some 20 bytes.
pub fn stored(bytes: &Bytes, coding: Coding) -> Bytes {
    match coding {
        Coding::Identity => bytes.clone(),
        Coding::Gzip => gzip::stored(bytes).into(),
        Coding::Zstd => zstandard::stored(bytes).into(),
    }
}

/// What is kept takes the memory that it is long: a vector's spare room would be kept with it, uncounted.
pub(super) fn exact(bytes: Vec<u8>) -> Bytes {
    bytes.into_boxed_slice().into()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use super::*;

    /// What a decoder that takes nothing but whole streams makes of `bytes`.
    pub(in crate::catalogue) fn decoded(bytes: &[u8], coding: Coding) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            Coding::Identity => plain.extend_from_slice(bytes),
            // Checks the CRC and the length, and that there is one member.
            Coding::Gzip => {
                let mut member = flate2::bufread::GzDecoder::new(bytes);
                member.read_to_end(&mut plain).unwrap();
                assert!(member.into_inner().is_empty(), "bytes follow the member");
            }
            Coding::Zstd => {
                assert!(!bytes.is_empty(), "no frame");
                let mut frames = zstd::stream::read::Decoder::new(bytes).unwrap();
                frames.window_log_max(23).unwrap();
                frames.read_to_end(&mut plain).unwrap();
            }
        }
        plain
    }

    /// Bytes that compress somewhat.
    fn text(length: usize) -> Bytes {
        (0..length).map(|n| b"0123456789abcdef"[(n * n / 7) % 16]).collect()
    }

    #[test]
    fn whole_bodies_are_read_back() {
        for length in [0, 1, 255, 256, 257, 0xffff, 0x10000, 1 << 17, (1 << 17) + 1, 400_000] {
            let bytes = text(length);
            for coding in Coding::ALL {
                assert!(decoded(&compressed(&bytes, coding), coding) == bytes, "{coding:?} {length}");
                let stored = stored(&bytes, coding);
                assert!(decoded(&stored, coding) == bytes, "stored {coding:?} {length}");
                assert!(stored.len() <= length + 23 + length / 1000, "stored {coding:?} {length}");
            }
        }
    }

    #[test]
    fn what_is_worth_it_is_compressed() {
        let bytes = Bytes::from("marquee ".repeat(1000));
        for coding in [Coding::Gzip, Coding::Zstd] {
            assert!(compressed(&bytes, coding).len() < 100);
        }
    }
}
