//! gzip (RFC 1952) in parts: blocks of deflate that can be strung together, and what stands around them.

use flate2::{Compress, Compression, FlushCompress, Status};

/// RFC 1952, section 2.3: no name, no time, of an unknown system.
pub(in crate::catalogue) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block that holds nothing.
pub(in crate::catalogue) const LAST_BLOCK: [u8; 2] = [3, 0];

/// A stored block of one byte (RFC 1951, section 3.2.4).
pub(in crate::catalogue) const fn one_byte(byte: u8, last: bool) -> [u8; 6] {
    [last as u8, 1, 0, 0xfe, 0xff, byte]
}

/// What ends a member: the CRC-32 and the length of what it holds.
pub(in crate::catalogue) fn trailer(crc: u32, length: u64) -> [u8; 8] {
    let [a, b, c, d] = crc.to_le_bytes();
    // RFC 1952 wants the length modulo 2^32.
    let [e, f, g, h, ..] = length.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// `bytes` deflated (RFC 1951) and ended by a full flush, on the edge of a byte: other blocks can follow, and
/// none of them looks back beyond it. Nothing, where there are none.
pub(in crate::catalogue) fn blocks(bytes: &[u8]) -> Vec<u8> {
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

/// `bytes` as one member.
pub(super) fn member(bytes: &[u8]) -> Vec<u8> {
    let trailer = trailer(crc32fast::hash(bytes), bytes.len() as u64);
    [&HEADER, blocks(bytes).as_slice(), &LAST_BLOCK, &trailer].concat()
}

/// `bytes` as one member of blocks that are not compressed.
pub(super) fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    let mut blocks = bytes.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend(LAST_BLOCK);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(trailer(crc32fast::hash(bytes), bytes.len() as u64));
    out
}
