//! The end of a head in any bytes.

use super::*;
use crate::fuzz::target;

/// What is found in pieces of so many bytes, and where it ends in all of them.
fn found(bytes: &[u8], size: usize) -> Found {
    let (mut scan, mut before, mut passed) = (Scan::default(), 0, 0);
    for piece in bytes.chunks(size) {
        match scan.feed(before, piece) {
            Found::Part => {}
            Found::Whole(end) => return Found::Whole(passed + end),
            found => return found,
        }
        before = piece.last().copied().unwrap();
        passed += piece.len();
    }
    Found::Part
}

/// However the bytes come, the same is found at the same place: the first empty line behind one that is not.
#[test]
fn head() {
    target("head", 10_000, |bytes| {
        let whole = found(bytes, bytes.len().max(1));
        for size in [1, 2, 3, 7, 20] {
            assert_eq!(found(bytes, size), whole, "{size}");
        }
        if let Found::Whole(end) = whole {
            let head = bytes[..end].strip_suffix(b"\r\n\r\n").unwrap();
            let begins = head.iter().position(|byte| !b"\r\n".contains(byte)).unwrap();
            assert!(!head[begins..].windows(4).any(|part| part == b"\r\n\r\n"));
            // What follows a head is nothing to its end.
            assert_eq!(found(&bytes[..end], end), whole);
        }
    });
}
