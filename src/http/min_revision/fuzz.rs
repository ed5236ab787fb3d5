//! Revisions that a request may name.

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// A revision is read where nothing but its digits stands there, and once; all else is refused.
#[test]
fn min_revision() {
    target("min_revision", 5_000, |line| {
        let Some(headers) = header(&MIN_REVISION, line) else { return };
        let digits = String::from_utf8_lossy(line.trim_ascii()).into_owned();
        let is_one = !digits.starts_with('+') && !line.contains(&b'\n');
        let expected = digits.parse::<u64>().ok().filter(|_| is_one);
        assert_eq!(named(&headers).ok(), expected.map(Some));
        if let Some(revision) = expected {
            let anew = header(&MIN_REVISION, revision.to_string().as_bytes()).unwrap();
            assert_eq!(named(&anew).ok(), Some(expected));
        }
    });
}
