//! What a body may say that it is.

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// A type that is taken begins as one that is known; case changes nothing, nor does the charset that JSON has anyway;
/// another one is refused.
#[test]
fn content_type() {
    target("content_type", 10_000, |line| {
        let of = |line: &[u8]| media(&header(&header::CONTENT_TYPE, line).unwrap()).ok();
        if header(&header::CONTENT_TYPE, line).is_none() {
            return;
        }
        let read = of(line);
        assert_eq!(of(&line.to_ascii_uppercase()), read);
        // Only the first line of a header that may be there once counts.
        if let Some(media) = read.filter(|_| !line.contains(&b'\n')) {
            let text = std::str::from_utf8(line).unwrap().to_ascii_lowercase();
            let known: &[&str] = match media {
                Media::Json => &["application/json"],
                Media::Lines => &["application/x-ndjson", "application/ndjson", "application/jsonl"],
            };
            assert!(known.contains(&text.split(';').next().unwrap().trim()));
            assert_eq!(of(&[line, b"; charset = \"UTF-8\""].concat()), read);
            assert_eq!(of(&[line, b";charset=latin1"].concat()), None);
            assert_eq!(of(media.name().as_bytes()), read);
        }
    });
}
