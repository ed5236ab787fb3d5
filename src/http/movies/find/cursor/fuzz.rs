//! Cursors that somebody made: the hash of the question and the check at the end are no secrets.

use super::*;
use crate::domain::Sort;
use crate::fuzz::target;

const SORTS: [&str; 6] =
    ["id", "title", "-rating,title", "year", "votes,-popularity,-title", "-runtime_minutes,-id"];

/// A forged cursor is refused, or is a place within the bounds of its order which is written in just that way.
#[test]
fn cursors() {
    target("cursors", 20_000, |bytes| {
        let Some((choice, rest)) = bytes.split_first() else { return };
        let sort = Sort::parse(SORTS[usize::from(*choice) % SORTS.len()]).unwrap();
        let query = Query { sort, ..Query::default() };
        if let Some(start) = std::str::from_utf8(rest).ok().and_then(|text| read(text, &query)) {
            assert_is(&start, rest, &query);
        }
        // The version, the question and the check are right.
        let (direction, place) = rest.split_at(rest.len().min(1));
        let mut body = [&[VERSION], direction, &question(&query).to_le_bytes(), place].concat();
        body.extend(xxh3_64(&body).to_le_bytes());
        let forged = URL_SAFE_NO_PAD.encode(&body);
        if let Some(start) = read(&forged, &query) {
            assert_is(&start, forged.as_bytes(), &query);
            assert!(forged.len() <= LONGEST);
            let other = Query { sort: Sort::parse("rating,year").unwrap(), ..query };
            assert_eq!(read(&forged, &other), None);
        }
    });
}

fn assert_is(start: &Start, cursor: &[u8], query: &Query) {
    let (place, before) = match start {
        Start::After(place) => (place, false),
        Start::Before(place) => (place, true),
        other => panic!("{other:?}"),
    };
    assert_eq!(write(place, before, query).as_bytes(), cursor);
    let measures = query.sort.keys().iter().filter(|key| key.by != SortBy::Id);
    assert_eq!(measures.clone().count(), place.values.len());
    for (key, value) in measures.zip(&place.values) {
        match (key.by, value) {
            (SortBy::Measure(measure), Value::Number(number)) => {
                let (least, greatest) = measure.bounds();
                assert!(number.is_none_or(|number| least <= number && number <= greatest));
            }
            (SortBy::Title, Value::Text(text)) => assert!(text.chars().count() <= Title::MAX),
            other => panic!("{other:?}"),
        }
    }
}
