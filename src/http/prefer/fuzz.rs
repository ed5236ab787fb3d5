//! Preferences of any spelling.

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// What is preferred is spoken of, and is preferred behind what is not known and what stands in quotes, too.
#[test]
fn prefer() {
    target("prefer", 10_000, |line| {
        let Some(headers) = header(&PREFER, line) else { return };
        let preferred = Resolution::preferred(&headers);
        if preferred == Resolution::Merge {
            let text = String::from_utf8_lossy(line).to_ascii_lowercase();
            assert!(text.contains("resolution") && text.contains("merge"));
        }
        let behind = [b"wait=1; a=\"\\\",\", x=\"resolution=merge\",", line].concat();
        assert_eq!(Resolution::preferred(&header(&PREFER, &behind).unwrap()), preferred);
    });
}
