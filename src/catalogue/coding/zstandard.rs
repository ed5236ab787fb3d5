//! Zstandard (RFC 8878) in frames. A body is one or more of them, each decoded on its own, so those of
//! segments follow each other as they are.
//!
//! Each tells the length of what it holds, so that a decoder can make room at once and notice what is cut;
//! none has a checksum, since TCP and TLS have theirs. No window is beyond the 8 MiB that every client must have
//! room for (RFC 9659): the levels up to 12 use at most 4.

/// Of the levels that compress a segment better than gzip does in less time, about where more time stops to
/// help (docs/ENCODING.md).
const LEVEL: i32 = 9;

const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
/// RFC 8878, section 3.1.1.2.4: the longest block.
const BLOCK: usize = 128 << 10;

/// A frame of one byte in a raw block (RFC 8878, section 3.1.1): a single segment, its length in one byte.
pub(in crate::catalogue) const fn one_byte(byte: u8) -> [u8; 10] {
    let [a, b, c, d] = MAGIC;
    let [e, f, g] = raw_block(1, true);
    [a, b, c, d, 0b0010_0000, 1, e, f, g, byte]
}

/// A frame that holds nothing: no frame at all would be no Zstandard.
pub(in crate::catalogue) const EMPTY: [u8; 9] = {
    let [a, b, c, d] = MAGIC;
    let [e, f, g] = raw_block(0, true);
    [a, b, c, d, 0b0010_0000, 0, e, f, g]
};

/// The header of a block that is not compressed (RFC 8878, section 3.1.1.2).
const fn raw_block(length: u32, last: bool) -> [u8; 3] {
    let [a, b, c, _] = (length << 3 | last as u32).to_le_bytes();
    [a, b, c]
}

/// `bytes` as one frame. Only an allocation can fail within; then it is not compressed.
pub(in crate::catalogue) fn frame(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, LEVEL).unwrap_or_else(|error| {
        log::error!("{} bytes are sent uncompressed: zstd: {error}", bytes.len());
        stored(bytes)
    })
}

/// `bytes` as one frame of blocks that are not compressed.
pub(super) fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / BLOCK * 3 + 17);
    out.extend(MAGIC);
    // The length in 8 bytes; a window of one block (2^(10 + 7) bytes).
    out.extend([0b1100_0000, 7 << 3]);
    out.extend((bytes.len() as u64).to_le_bytes());
    let mut blocks = bytes.chunks(BLOCK).peekable();
    if blocks.peek().is_none() {
        out.extend(raw_block(0, true));
    }
    while let Some(block) = blocks.next() {
        out.extend(raw_block(u32::try_from(block.len()).unwrap_or(u32::MAX), blocks.peek().is_none()));
        out.extend(block);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content size and the window that the header of a frame names (RFC 8878, section 3.1.1.1).
    fn header(frame: &[u8]) -> (u64, u64) {
        assert_eq!(frame[..4], MAGIC);
        let descriptor = frame[4];
        assert_eq!(descriptor & 0b0000_0111, 0, "a checksum or a dictionary");
        let single = descriptor & 0b0010_0000 != 0;
        let size_bytes = match descriptor >> 6 {
            0 => usize::from(single),
            flag => 1 << flag,
        };
        assert!(size_bytes > 0, "no content size");
        let at = if single { 5 } else { 6 };
        let mut size = [0; 8];
        size[..size_bytes].copy_from_slice(&frame[at..at + size_bytes]);
        let size = u64::from_le_bytes(size) + if size_bytes == 2 { 256 } else { 0 };
        let base = 1 << (10 + (frame[5] >> 3));
        let window = if single { size } else { base + base / 8 * u64::from(frame[5] & 7) };
        (size, window)
    }

    #[test]
    fn every_frame_tells_its_length_and_needs_no_large_window() {
        assert_eq!(header(&one_byte(b'[')), (1, 1));
        assert_eq!(header(&EMPTY), (0, 0));
        // Beyond the length at which a frame is its own window, too.
        for length in [0, 1, 255, 256, 65_791, 65_792, 1 << 20, (8 << 20) + 1, 20 << 20] {
            let bytes: Vec<u8> = (0..length).map(|n| b"0123456789abcdef"[(n / 3 * n) % 16]).collect();
            for frame in [frame(&bytes), stored(&bytes)] {
                let (size, window) = header(&frame);
                assert_eq!(size, length as u64);
                assert!(window <= 8 << 20, "{length}: a window of {window}");
            }
        }
    }
}
