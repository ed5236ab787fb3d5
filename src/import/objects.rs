//! Movies as JSON: arrays and lines, in every spelling that `POST /v1/movies` reads.
//!
//! What marquee itself exports is read too: the members that only marquee gives (`id`, `version` and the
//! times) are passed over, since this collection gives its own.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::array::{Broken, Element, Elements};
use super::error::ImportError;
use super::feed::Feed;
use super::lines::{Line, Lines};
use super::rejects::Place;
use super::source::{Text, cause};
use crate::domain::{InputError, NewMovie, Parts, movie_from_json};

/// Reads NDJSON. A line that is no movie is a reject, whatever is wrong with it.
pub(super) fn read_lines(file: &str, text: Text, feed: &mut Feed) -> Result<(), ImportError> {
    let mut lines = Lines::new(text);
    loop {
        let place = Place { file, line: lines.number() + 1 };
        match lines.next() {
            Ok(None) => return Ok(()),
            Ok(Some(Line::Whole(line))) if line.trim_ascii().is_empty() => {}
            Ok(Some(Line::Whole(line))) => match movie(line) {
                Ok(movie) => feed.movie(place, line, movie, Parts::ALL)?,
                Err(Bad { reason, .. }) => feed.reject(place, &reason, line)?,
            },
            Ok(Some(Line::TooLong(start))) => feed.reject(place, "is longer than 1 MiB", start)?,
            Err(e) => {
                feed.broken(place, &cause(&e));
                return Ok(());
            }
        }
    }
}

/// Reads an array. An element that is JSON but no movie is a reject; what is not JSON ends the file,
/// because from there on nobody can tell where elements begin.
pub(super) fn read_array(file: &str, text: Text, feed: &mut Feed) -> Result<(), ImportError> {
    let mut elements = Elements::new(text);
    loop {
        match elements.next() {
            Ok(None) => return Ok(()),
            Ok(Some(Element::Whole(line, element))) => match movie(element) {
                Ok(movie) => feed.movie(Place { file, line }, element, movie, Parts::ALL)?,
                Err(Bad { reason, is_json }) => {
                    feed.reject(Place { file, line }, &reason, element)?;
                    if !is_json {
                        feed.broken(Place { file, line }, "the JSON is broken from here on");
                        return Ok(());
                    }
                }
            },
            Ok(Some(Element::TooLong(line, start))) => {
                feed.reject(Place { file, line }, "is longer than 1 MiB", start)?;
            }
            Err(Broken { line, reason }) => {
                feed.broken(Place { file, line }, &reason);
                return Ok(());
            }
        }
    }
}

/// How many violations a reject tells.
const TOLD: usize = 3;

/// Why a text is no movie.
struct Bad {
    reason: String,
    /// Whether it is JSON at all.
    is_json: bool,
}

fn movie(text: &[u8]) -> Result<NewMovie, Bad> {
    if std::str::from_utf8(text).is_err() {
        return Err(Bad { reason: "is not valid UTF-8".to_owned(), is_json: true });
    }
    let error = match movie_from_json(text) {
        Ok(movie) => return Ok(movie),
        Err(InputError::Invalid(violations)) if violations.iter().all(|v| is_given(v.pointer.get(1..))) => {
            match without_given(text).map(|rest| movie_from_json(rest.as_bytes())) {
                Some(Ok(movie)) => return Ok(movie),
                Some(Err(error)) => error,
                None => InputError::Invalid(violations),
            }
        }
        Err(error) => error,
    };
    Err(match error {
        InputError::Syntax(reason) => {
            // Half of a surrogate pair, say, is not readable, but shows where the element ends.
            Bad { reason, is_json: serde_json::from_slice::<IgnoredAny>(text).is_ok() }
        }
        InputError::TooMany { .. } | InputError::TooManyNames => {
            Bad { reason: "must be one object".to_owned(), is_json: true }
        }
        InputError::Invalid(violations) => {
            let told: Vec<String> = violations.iter().take(TOLD).map(ToString::to_string).collect();
            let untold = violations.len() - told.len();
            let more = if untold > 0 { format!("; and {untold} more") } else { String::new() };
            Bad { reason: told.join("; ") + &more, is_json: true }
        }
    })
}

/// Whether only marquee gives a member of this name.
fn is_given(member: Option<&str>) -> bool {
    matches!(member, Some("id" | "version" | "created_at" | "updated_at"))
}

/// The object `text` without the members that only marquee gives; all others stay as they are written.
fn without_given(text: &[u8]) -> Option<String> {
    let Members(members) = serde_json::from_slice(text).ok()?;
    let mut rest = String::with_capacity(text.len());
    for (name, value) in members.iter().filter(|(name, _)| !is_given(Some(name))) {
        rest.push(if rest.is_empty() { '{' } else { ',' });
        rest.push_str(&serde_json::to_string(name).ok()?);
        rest.push(':');
        rest.push_str(value.get());
    }
    if rest.is_empty() {
        rest.push('{');
    }
    rest.push('}');
    Some(rest)
}

/// An object's members in their order, repeated ones included. The text is at most 1 MiB.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = map.next_entry()? {
            members.push(entry);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NewMovie, (String, bool)> {
        movie(text.as_bytes()).map_err(|bad| (bad.reason, bad.is_json))
    }

    #[test]
    fn our_own_export_is_read() {
        let plain = read(r#"{"title":"Ein \"Film\"","rating":7.3,"genres":["War"]}"#).unwrap();
        let exported = read(
            r#"{"id":7,"title":"Ein \"Film\"","rating":7.3,"genres":["War"],"version":2,
                "created_at":"2026-11-23T22:49:34Z","updated_at":"2026-11-23T22:49:34Z"}"#,
        );
        assert_eq!(exported.unwrap(), plain);
    }

    #[test]
    fn what_is_passed_over_hides_nothing_else() {
        assert!(read(r#"{"id":7,"title":"a","titel":"b"}"#).unwrap_err().0.contains("/titel"));
        assert!(read(r#"{"id":7,"title":"a","title":"b"}"#).unwrap_err().0.contains("second time"));
        let many = read(r#"{"a":1,"b":1,"c":1,"d":1}"#).unwrap_err().0;
        assert!(many.contains("/c ") && !many.contains("/d ") && many.ends_with("and 2 more"), "{many}");
        assert!(read(r#"{"id":7,"version":1}"#).unwrap_err().0.contains("/title is required"));
    }

    #[test]
    fn json_is_told_apart_from_what_is_none() {
        assert!(read("7").unwrap_err().1);
        assert!(read("[]").unwrap_err().1);
        assert!(read(r#"{"title":"\ud800"}"#).unwrap_err().1);
        assert!(read(&format!("{}{}", "[".repeat(500), "]".repeat(500))).unwrap_err().1);
        assert!(!read(r#"{"title":tru}"#).unwrap_err().1);
        assert!(!read(r#"{"title":"a"]"#).unwrap_err().1);
    }
}
