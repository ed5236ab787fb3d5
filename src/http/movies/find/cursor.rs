//! Cursors: a place in an order, in a form that is not to be looked into.
//!
//! A cursor holds the sort keys and the id of the movie that a page ended with (or began with), so that it goes
//! on from there whatever is written meanwhile: no movie comes twice, and none is skipped, whose keys stay as
//! they are. It is of one filter and one order, and is told from one of another by a hash of both. The check at
//! its end finds what was changed on the way or by hand; it is no secret, since a forged place shows nothing
//! that a filter would not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::{Position, Query, SortBy, Start, Title, Value};

/// What a cursor begins with. Another way to write it takes another number.
const VERSION: u8 = 1;

/// No cursor is longer, in bytes: a title's key has at most 2048 and there are few other sort keys, and base64 makes
/// four of three.
pub(super) const LONGEST: usize = 3 << 10;

const AFTER: u8 = b'a';
const BEFORE: u8 = b'b';
const NONE: u8 = 0;
const SOME: u8 = 1;

/// The cursor of what comes after (or, with `before`, before) a place in the order of `query`.
pub(super) fn write(place: &Position, before: bool, query: &Query) -> String {
    let mut bytes = vec![VERSION, if before { BEFORE } else { AFTER }];
    bytes.extend(question(query).to_le_bytes());
    bytes.extend(place.id.to_le_bytes());
    for value in &place.values {
        match value {
            Value::Number(None) => bytes.push(NONE),
            Value::Number(Some(number)) => {
                bytes.push(SOME);
                bytes.extend(number.to_le_bytes());
            }
            Value::Text(text) => {
                // A title's key has at most 2048 bytes.
                bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where a page of `query` begins that is asked for with this cursor; `None` when it is none of ours, or of
/// another filter or order.
pub(super) fn read(text: &str, query: &Query) -> Option<Start> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (body, check) = bytes.split_last_chunk::<8>()?;
    if xxh3_64(body) != u64::from_le_bytes(*check) {
        return None;
    }
    let mut rest = body;
    if take::<1>(&mut rest)? != [VERSION] {
        return None;
    }
    let [direction] = take(&mut rest)?;
    if u64::from_le_bytes(take(&mut rest)?) != question(query) {
        return None;
    }
    let id = u64::from_le_bytes(take(&mut rest)?);
    let mut values = Vec::new();
    for key in query.sort.keys() {
        match key.by {
            SortBy::Id => {}
            SortBy::Title => {
                let length = u16::from_le_bytes(take(&mut rest)?);
                let (text, after) = rest.split_at_checked(usize::from(length))?;
                rest = after;
                let text =
                    std::str::from_utf8(text).ok().filter(|text| text.chars().count() <= Title::MAX)?;
                values.push(Value::Text(text.to_owned()));
            }
            SortBy::Measure(measure) => values.push(match take(&mut rest)? {
                [NONE] => Value::Number(None),
                [SOME] => {
                    let number = f64::from_le_bytes(take(&mut rest)?);
                    let (least, greatest) = measure.bounds();
                    Value::Number(Some(Some(number).filter(|n| (least..=greatest).contains(n))?))
                }
                _ => return None,
            }),
        }
    }
    let place = Position { values, id };
    match direction {
        _ if !rest.is_empty() => None,
        AFTER => Some(Start::After(place)),
        BEFORE => Some(Start::Before(place)),
        _ => None,
    }
}

/// Tells questions of different filters or orders apart. How many movies and which members are asked for may
/// change on the way.
fn question(query: &Query) -> u64 {
    xxh3_64(format!("{}{}", query.filter, query.sort).as_bytes())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Sort;

    fn query(sort: &str) -> Query {
        Query { sort: Sort::parse(sort).unwrap(), ..Query::default() }
    }

    fn place(id: u64, title: &str, rating: Option<f64>) -> Position {
        Position { values: vec![Value::Text(title.to_owned()), Value::Number(rating)], id }
    }

    #[test]
    fn a_cursor_is_of_one_question() {
        let asked = query("title,-rating");
        let cursor = write(&place(7, "oz", None), false, &asked);
        assert!(read(&cursor, &asked).is_some());
        assert!(read(&cursor, &Query { limit: 3, ..asked.clone() }).is_some());
        for other in ["title", "title,rating", "-title,-rating", "title,-votes", "id"] {
            assert_eq!(read(&cursor, &query(other)), None, "{other}");
        }
        let mut filtered = asked.clone();
        filtered.filter.add_genre("drama").unwrap();
        assert_eq!(read(&cursor, &filtered), None);
        for text in [
            "",
            "A",
            "====",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            &cursor[1..],
            &format!("{cursor}A"),
            &format!("{cursor}="),
        ] {
            assert_eq!(read(text, &asked), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn places_are_read_back_and_every_change_is_seen(
            id: u64, title in "\\PC{0,60}", rating in proptest::option::of(0.0..=10.0f64), before: bool, at: prop::sample::Index,
            to in "[A-Za-z0-9_-]",
        ) {
            let asked = query("title,-rating");
            let place = place(id, &title, rating);
            let cursor = write(&place, before, &asked);
            prop_assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            let start = if before { Start::Before(place) } else { Start::After(place) };
            prop_assert_eq!(read(&cursor, &asked), Some(start));
            let at = at.index(cursor.len());
            let mut changed = cursor.clone();
            changed.replace_range(at..=at, &to);
            prop_assert_eq!(read(&changed, &asked).is_some(), changed == cursor);
        }
    }
}
