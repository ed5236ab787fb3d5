//! A query string, taken apart strictly: what is misspelt is refused and named.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;

use super::{cursor, links};
use crate::domain::{Fields, Invalid, Measure, Query, Sort, Start};
use crate::http::LONGEST_URI;
use crate::http::problem::Problem;

/// The greatest offset: whole numbers up to it are exact in every client.
const GREATEST_OFFSET: u64 = (1 << 53) - 1;

/// Every parameter there is.
const NAMES: [&str; 15] = [
    "id",
    "imdb_id",
    "genre",
    "director",
    "q",
    "year",
    "runtime_minutes",
    "rating",
    "votes",
    "popularity",
    "sort",
    "limit",
    "offset",
    "cursor",
    "fields",
];

/// What a query string asks for.
pub(super) fn read(text: &str) -> Result<Query, Problem> {
    let too_long = || Err(Problem::uri_too_long(LONGEST_URI));
    // A cursor does not count: where a page was told, the next one can be asked for.
    let is_cursor = |pair: &&str| pair.strip_prefix("cursor=").is_some_and(|c| c.len() <= cursor::LONGEST);
    let cursors: usize = text.split('&').filter(is_cursor).map(|pair| pair.len() + 1).sum();
    if text.len() - cursors.min(text.len()) > LONGEST_URI {
        return too_long();
    }
    let mut query = Query::default();
    let mut seen = BTreeSet::new();
    let (mut cursor, mut offset) = (None, None);
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Told as it was sent when it cannot be decoded.
        let must = "must be percent-encoded UTF-8";
        let name = decoded(name).ok_or_else(|| Problem::invalid_parameter(name, must))?;
        if !NAMES.contains(&name.as_str()) {
            return Err(Problem::unknown_parameter(&name));
        }
        let value = decoded(value).ok_or_else(|| Problem::invalid_parameter(&name, must))?;
        let repeated = !seen.insert(name.clone()) && !matches!(name.as_str(), "genre" | "director");
        if repeated {
            return Err(Problem::invalid_parameter(&name, "may be given once"));
        }
        let taken = match name.as_str() {
            "cursor" => {
                cursor = Some(value);
                Ok(())
            }
            "offset" => whole(&value, 0, GREATEST_OFFSET).map(|n| offset = Some(n)),
            _ => take(&mut query, &name, &value)?,
        };
        taken.map_err(|Invalid(must)| Problem::invalid_parameter(&name, &must))?;
    }
    query.start = match (cursor, offset) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid_parameter(
                "cursor",
                "and offset exclude each other: give one of them",
            ));
        }
        (Some(cursor), None) => cursor::read(&cursor, &query).ok_or_else(|| {
            let must = "must be of a Link of a page with the same filters and the same sort, as it was given";
            Problem::invalid_parameter("cursor", must)
        })?,
        (None, Some(offset)) => Start::Offset(offset),
        (None, None) => Start::First,
    };
    // Links name the question in its normal form, which can be longer than the client's: at most three times.
    if text.len() > LONGEST_URI / 4 && links::longest(&query) > LONGEST_URI {
        return too_long();
    }
    Ok(query)
}

/// Takes a parameter that says what is asked for, not from where.
fn take(query: &mut Query, name: &str, value: &str) -> Result<Result<(), Invalid>, Problem> {
    let filter = &mut query.filter;
    Ok(match name {
        "id" => filter.set_ids(value),
        "imdb_id" => filter.set_imdb_ids(value),
        "genre" => filter.add_genre(value),
        "director" => filter.add_director(value),
        "q" => filter.set_words(value),
        "sort" => Sort::parse(value).map(|sort| query.sort = sort),
        "fields" => Fields::parse(value).map(|fields| query.fields = fields),
        "limit" => {
            whole(value, 1, u64::from(Query::MAX_LIMIT)).map(|n| query.limit = u32::try_from(n).unwrap_or(1))
        }
        _ => match Measure::ALL.into_iter().find(|measure| measure.name() == name) {
            Some(measure) => filter.set_span(measure, value),
            None => return Err(Problem::unknown_parameter(name)),
        },
    })
}

fn whole(text: &str, least: u64, greatest: u64) -> Result<u64, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (least..=greatest).contains(&number) => Ok(number),
        _ => Err(Invalid::new(format!("must be a whole number between {least} and {greatest}"))),
    }
}

/// A name or a value as it was meant (`application/x-www-form-urlencoded`); `None` when a `%` is not followed
/// by two hexadecimal digits, or when it is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut after_percent = text.split('%').skip(1);
    let sound = after_percent
        .all(|rest| rest.get(..2).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())));
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok().filter(|_| sound)?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Position, Title, Value};

    #[test]
    fn one_question_in_any_spelling_is_one_query() {
        let queries = [
            "genre=Drama&genre=war&id=3,1,2&q=the+wizard&year=1990..1999&fields=title,id",
            "year=01990..1999&q=WIZARD%20the%20the&id=1,2,3,3&fields=id,title,id&genre=%57AR&genre=%20drama",
            "&genre=WAR&&fields=id%2Ctitle&q=The%09Wizard&genre=drama&genre=Drama&id=2,1,3&year=1990..1999&limit=050",
        ];
        let [first, others @ ..] = queries.map(|text| read(text).unwrap());
        for other in others {
            assert_eq!(other, first);
        }
        assert_eq!(first.filter.to_string(), "id=1,2,3&genre=drama&genre=war&q=the+wizard&year=1990..1999&");
    }

    /// Whatever can be asked for can be asked for on every page.
    #[test]
    fn a_walk_that_begins_can_go_on() {
        let title = "\u{10ffff}".repeat(Title::MAX);
        let all = "sort=title,-year,runtime_minutes,-rating";
        let mut begun = 0;
        for ids in 800..950 {
            // Of 8 digits; a name of Latin letters and one that grows to three times its length.
            for (director, times) in [("a", 40), ("\u{e9}", 40), ("'", 40), ("'", 250)] {
                let ids: Vec<String> = (0..ids).map(|n| (10_000_000 + n).to_string()).collect();
                let text = format!("{all}&id={}&director={}", ids.join(","), director.repeat(times));
                let Ok(query) = read(&text) else { continue };
                begun += 1;
                let values = vec![
                    Value::Text(title.clone()),
                    Value::Number(Some(2000.0)),
                    Value::Number(None),
                    Value::Number(Some(1.0)),
                ];
                let place = Position { values, id: u64::MAX >> 1 };
                let cursor = cursor::write(&place, false, &query);
                assert!(cursor.len() <= cursor::LONGEST, "{}", cursor.len());
                let (_, next) =
                    links::base(&query).split_once('?').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
                let gone_on =
                    read(&format!("{next}&cursor={cursor}")).map_err(|problem| problem.detail().to_owned());
                assert_eq!(gone_on.map(|query| query.start), Ok(Start::After(place)), "{} bytes", text.len());
                assert!(read(&format!("{next}&offset={GREATEST_OFFSET}")).is_ok(), "{} bytes", text.len());
            }
        }
        assert!((150..400).contains(&begun), "{begun} began");
        assert!(
            read(&format!("cursor={}", "A".repeat(9000)))
                .is_err_and(|problem| problem.detail().contains("bytes"))
        );
    }

    #[test]
    fn what_is_refused_is_named() {
        for (text, name) in [
            ("titel=Oz", "titel"),
            ("genre=Drama&Genre=War", "Genre"),
            ("=1", ""),
            ("a%zz=1", "a%zz"),
            ("genre=%", "genre"),
            ("genre=%4", "genre"),
            ("genre=%e9", "genre"),
            ("genre=%ff%fe", "genre"),
            ("genre", "genre"),
            ("q=", "q"),
            ("q=a&q=b", "q"),
            ("id=1&id=2", "id"),
            ("id=1%00", "id"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=5.0", "limit"),
            ("offset=-1", "offset"),
            ("offset=9007199254740992", "offset"),
            ("offset=18446744073709551616", "offset"),
            ("offset=1&cursor=x", "cursor"),
            ("cursor=", "cursor"),
            ("cursor=x", "cursor"),
            ("sort=genre", "sort"),
            ("sort=%2Byear", "sort"),
            ("fields=budget", "fields"),
            ("year=..", "year"),
            ("rating=good", "rating"),
            ("votes=1.5", "votes"),
            ("imdb_id=nm0032138", "imdb_id"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.detail().contains(name), "{text}: {}", refused.detail());
        }
    }
}
