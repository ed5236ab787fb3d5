//! Query strings of any signs.

use super::*;
use crate::fuzz::target;

/// What is asked for, written as the links of its page have it, is the same question, and has one spelling. A `%` for any
/// sign changes nothing. What is refused says why.
#[test]
fn query() {
    target("query", 15_000, |text| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let query = match read(text) {
            Ok(query) => query,
            Err(problem) => return assert!(!problem.detail().is_empty()),
        };
        let base = links::base(&query);
        let (_, rest) = base.split_once('?').unwrap();
        let start = match &query.start {
            Start::First => String::new(),
            Start::Offset(offset) => format!("&offset={offset}"),
            Start::After(place) => format!("&cursor={}", cursor::write(place, false, &query)),
            Start::Before(place) => format!("&cursor={}", cursor::write(place, true, &query)),
        };
        let again = read(&format!("{rest}{start}")).unwrap_or_else(|problem| panic!("{}", problem.detail()));
        assert_eq!(again, query);
        assert_eq!(links::base(&again), base);

        let spelt = |byte: u8| match byte {
            b'&' | b'=' | b'%' | b'+' => char::from(byte).to_string(),
            _ => format!("%{byte:02x}"),
        };
        // Digits behind a % are taken already.
        if !text.contains('%') && text.len() * 3 < LONGEST_URI {
            let anew: String = text.bytes().map(spelt).collect();
            assert_eq!(read(&anew).ok(), Some(query));
        }
    });
}
