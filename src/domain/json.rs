//! Movies as clients spell them in JSON.
//!
//! Two spellings are read: our own, and that of the well-known `imdb.json` data set. A member that is
//! neither is refused, because a misspelt one must not vanish.

use serde::de::DeserializeSeed;

use super::read::{Document, DocumentSeed, Element};
use super::{
    DirectorName, GenreName, ImdbId, Invalid, MAX_DIRECTORS, MAX_GENRES, Member, NewMovie, Popularity,
    Rating, RuntimeMinutes, Title, Violation, Votes, Year,
};

/// The most violations that are told at once.
const TOLD_VIOLATIONS: usize = 100;

/// Movies as they were sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// One object.
    One(Box<NewMovie>),
    /// An array, or lines.
    Many(Vec<NewMovie>),
}

/// Why an input holds no movies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputError {
    /// Not JSON; the text says where and why.
    Syntax(String),
    /// More than `limit` movies.
    TooMany {
        /// The most that are taken.
        limit: usize,
    },
    /// JSON, but not of movies. At most 100 violations are told.
    Invalid(Vec<Violation>),
}

/// Reads one movie or an array of at most `limit`.
///
/// # Errors
/// When `text` is not JSON, holds more than `limit` movies, or any of them is not acceptable.
pub fn movies_from_json(text: &[u8], limit: usize) -> Result<Input, InputError> {
    match document(text, limit)? {
        Document::One(element) => one(element).map(|movie| Input::One(Box::new(movie))),
        Document::Many(elements) if elements.len() > limit => Err(InputError::TooMany { limit }),
        Document::Many(elements) => many(elements).map(Input::Many),
    }
}

/// Reads movies from lines of JSON (NDJSON), at most `limit`; blank lines are passed over.
///
/// # Errors
/// As [`movies_from_json`]; pointers count the movies from 0.
pub fn movies_from_lines(text: &[u8], limit: usize) -> Result<Vec<NewMovie>, InputError> {
    let mut elements = Vec::new();
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if elements.len() == limit {
            return Err(InputError::TooMany { limit });
        }
        let element = serde_json::from_slice(line)
            .map_err(|e| InputError::Syntax(format!("line {}: {}", number + 1, without_line(&e))))?;
        elements.push(element);
    }
    many(elements)
}

/// Reads one movie, as a line of an import holds it.
///
/// # Errors
/// As [`movies_from_json`]; an array is not acceptable.
pub fn movie_from_json(text: &[u8]) -> Result<NewMovie, InputError> {
    match document(text, 0)? {
        Document::One(element) => one(element),
        Document::Many(_) => Err(InputError::Invalid(vec![Violation::new("", "must be an object")])),
    }
}

fn document(text: &[u8], limit: usize) -> Result<Document, InputError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let document = DocumentSeed { limit }.deserialize(&mut reader);
    document
        .and_then(|document| reader.end().map(|()| document))
        .map_err(|e| InputError::Syntax(e.to_string()))
}

/// serde_json's message without its own "at line 1", which would contradict the line of the file.
fn without_line(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or_default();
    format!("{reason} at column {}", error.column())
}

fn one(element: Element) -> Result<NewMovie, InputError> {
    let mut violations = Vec::new();
    match new_movie(element, "", &mut violations) {
        Some(movie) if violations.is_empty() => Ok(movie),
        _ => Err(InputError::Invalid(violations)),
    }
}

fn many(elements: Vec<Element>) -> Result<Vec<NewMovie>, InputError> {
    let mut violations = Vec::new();
    let mut movies = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        movies.extend(new_movie(element, &format!("/{index}"), &mut violations));
        if violations.len() >= TOLD_VIOLATIONS {
            violations.truncate(TOLD_VIOLATIONS);
            break;
        }
    }
    if violations.is_empty() { Ok(movies) } else { Err(InputError::Invalid(violations)) }
}

/// The name that we give to a member, whichever spelling was sent.
fn canonical(member: &str) -> Option<&'static str> {
    Some(match member {
        "imdb_id" => "imdb_id",
        "title" | "name" => "title",
        "year" => "year",
        "runtime_minutes" => "runtime_minutes",
        "directors" | "director" => "directors",
        "genres" | "genre" => "genres",
        "rating" | "imdb_score" => "rating",
        "votes" => "votes",
        "popularity" | "99popularity" => "popularity",
        _ => return None,
    })
}

fn new_movie(element: Element, at: &str, violations: &mut Vec<Violation>) -> Option<NewMovie> {
    let Element::Object(members) = element else {
        violations.push(Violation::new(at, "must be an object"));
        return None;
    };
    let mut title = None;
    let mut seen: Vec<&'static str> = Vec::with_capacity(members.len());
    let mut movie = NewMovie::titled(Title::parse("-").ok()?);
    for (member, value) in members {
        let place = format!("{at}/{}", escaped(&member));
        let result = match canonical(&member) {
            None if matches!(member.as_str(), "id" | "version" | "created_at" | "updated_at") => {
                Err(Invalid::new("is given by marquee and must be left out"))
            }
            None => Err(Invalid::new("is not a member of a movie")),
            Some(name) if seen.contains(&name) => Err(Invalid::new(format!("gives {name} a second time"))),
            Some(name) => {
                seen.push(name);
                match name {
                    "imdb_id" => optional_text(value, ImdbId::parse).map(|v| movie.imdb_id = v),
                    "title" => text(value, Title::parse).map(|v| title = Some(v)),
                    "year" => optional_number(value, Year::parse).map(|v| movie.year = v),
                    "runtime_minutes" => {
                        optional_number(value, RuntimeMinutes::parse).map(|v| movie.runtime_minutes = v)
                    }
                    "rating" => optional_number(value, Rating::parse).map(|v| movie.rating = v),
                    "votes" => optional_number(value, Votes::parse).map(|v| movie.votes = v),
                    "popularity" => optional_number(value, Popularity::parse).map(|v| movie.popularity = v),
                    "directors" => names(
                        value,
                        MAX_DIRECTORS,
                        DirectorName::parse,
                        DirectorName::key,
                        &place,
                        violations,
                    )
                    .map(|v| movie.directors = v),
                    _ => names(value, MAX_GENRES, GenreName::parse, GenreName::key, &place, violations)
                        .map(|v| movie.genres = v),
                }
            }
        };
        if let Err(Invalid(detail)) = result {
            violations.push(Violation::new(place, detail));
        }
    }
    match title {
        Some(title) => movie.title = title,
        None if seen.contains(&"title") => {}
        None => violations.push(Violation::new(format!("{at}/title"), "is required")),
    }
    Some(movie)
}

/// A member's name within a JSON Pointer (RFC 6901, section 3), cut where a hostile one goes on for ever.
fn escaped(member: &str) -> String {
    let short: String = member.chars().take(64).collect();
    short.replace('~', "~0").replace('/', "~1")
}

fn text<V>(value: Member, parse: fn(&str) -> Result<V, Invalid>) -> Result<V, Invalid> {
    match value {
        Member::Text(text) => parse(&text),
        _ => Err(Invalid::new("must be a string")),
    }
}

fn optional_text<V>(value: Member, parse: fn(&str) -> Result<V, Invalid>) -> Result<Option<V>, Invalid> {
    match value {
        Member::Null => Ok(None),
        value => text(value, parse).map(Some),
    }
}

fn optional_number<V>(value: Member, parse: fn(f64) -> Result<V, Invalid>) -> Result<Option<V>, Invalid> {
    match value {
        Member::Null => Ok(None),
        Member::Number(number) => parse(number).map(Some),
        _ => Err(Invalid::new("must be a number")),
    }
}

/// Names in their order, a repeated one (without regard to case) kept only where it stands first.
///
/// What is wrong with an item is told at the item; the error returned is about the member as a whole.
fn names<N>(
    value: Member,
    max: usize,
    parse: fn(&str) -> Result<N, Invalid>,
    key: fn(&N) -> String,
    at: &str,
    violations: &mut Vec<Violation>,
) -> Result<Vec<N>, Invalid> {
    let items = match value {
        Member::Null => return Ok(Vec::new()),
        Member::Text(name) => return parse(&name).map(|name| vec![name]),
        Member::List(items) => items,
        _ => return Err(Invalid::new("must be an array of strings")),
    };
    if items.len() > max {
        return Err(Invalid::new(format!("must have at most {max} items")));
    }
    let mut names: Vec<N> = Vec::with_capacity(items.len());
    let mut keys: Vec<String> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let name = item.ok_or_else(|| Invalid::new("must be a string")).and_then(|item| parse(&item));
        match name {
            Ok(name) if keys.contains(&key(&name)) => {}
            Ok(name) => {
                keys.push(key(&name));
                names.push(name);
            }
            Err(Invalid(detail)) => violations.push(Violation::new(format!("{at}/{index}"), detail)),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<NewMovie, InputError> {
        movie_from_json(text.as_bytes())
    }

    fn pointers(text: &str) -> Vec<String> {
        match movies_from_json(text.as_bytes(), 10) {
            Err(InputError::Invalid(violations)) => violations.into_iter().map(|v| v.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_spellings_are_read() {
        let ours =
            one(r#"{"title":"Oz","directors":["Fleming"],"genres":["Family"],"rating":8.3,"popularity":83}"#);
        let theirs = one(
            r#"{"name":"Oz","director":"Fleming","genre":[" Family"],"imdb_score":8.3,"99popularity":83.0}"#,
        );
        assert_eq!(ours, theirs);
        assert_eq!(ours.unwrap().rating, Some(Rating::parse(8.3).unwrap()));
    }

    #[test]
    fn null_is_absent() {
        assert_eq!(one(r#"{"title":"Oz","year":null,"genres":null}"#), one(r#"{"title":"Oz"}"#));
        assert_eq!(pointers(r#"{"title":null}"#), ["/title"]);
    }

    #[test]
    fn every_violation_is_told_with_its_place() {
        assert_eq!(
            pointers(r#"{"titel":"Oz","rating":11,"year":"1939"}"#),
            ["/titel", "/rating", "/year", "/title"]
        );
        assert_eq!(
            pointers(r#"[{"title":"Oz"},{"title":"Oz","genres":["a",7,""]},3]"#),
            ["/1/genres/1", "/1/genres/2", "/2"]
        );
        assert_eq!(pointers(r#"{"title":"Oz","name":"Oz"}"#), ["/name"]);
        assert_eq!(pointers(r#"{"title":"Oz","title":"Oz"}"#), ["/title"]);
        assert_eq!(pointers(r#"{"title":"Oz","id":1}"#), ["/id"]);
        assert_eq!(pointers(r#"{"title":"Oz","a/b~":1}"#), ["/a~1b~0"]);
        assert_eq!(pointers(r#"{"title":"a\u0000b"}"#), ["/title"]);
        assert_eq!(pointers("7"), [""]);
    }

    #[test]
    fn too_many_genres_are_refused_and_repeated_ones_fold() {
        let many = |n: usize| {
            let genres: Vec<String> = (0..n).map(|i| format!("\"g{i}\"")).collect();
            format!(r#"{{"title":"Oz","genres":[{}]}}"#, genres.join(","))
        };
        assert!(one(&many(32)).is_ok());
        assert_eq!(pointers(&many(33)), ["/genres"]);
        assert_eq!(pointers(&many(10_000)), ["/genres"]);
        assert_eq!(one(r#"{"title":"Oz","genres":["Drama","DRAMA ","War"]}"#).unwrap().genres.len(), 2);
    }

    #[test]
    fn syntax_is_told_apart_from_content() {
        for text in
            ["", "{", "[1,", r#"{"title":"\ud800"}"#, "{\"title\":\"\u{1}\"}", "nul", r#"{"title":"a"} x"#]
        {
            assert!(matches!(movies_from_json(text.as_bytes(), 10), Err(InputError::Syntax(_))), "{text}");
        }
        assert!(matches!(movies_from_json(b"{\"title\":\"\xff\"}", 10), Err(InputError::Syntax(_))));
    }

    #[test]
    fn nesting_without_end_neither_overflows_nor_passes() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(pointers(&deep), ["/0"]);
        let within = format!(r#"{{"title":{deep}}}"#);
        assert!(matches!(movies_from_json(within.as_bytes(), 10), Err(InputError::Syntax(_))));
        assert!(matches!(movies_from_json("[".repeat(100_000).as_bytes(), 10), Err(InputError::Syntax(_))));
    }

    #[test]
    fn arrays_and_lines_have_a_limit() {
        let text = r#"[{"title":"a"},{"title":"b"},{"title":"c"}]"#;
        assert!(matches!(movies_from_json(text.as_bytes(), 3), Ok(Input::Many(m)) if m.len() == 3));
        assert_eq!(movies_from_json(text.as_bytes(), 2), Err(InputError::TooMany { limit: 2 }));
        let lines = b"{\"title\":\"a\"}\r\n\n{\"title\":\"b\"}\n";
        assert_eq!(movies_from_lines(lines, 2).unwrap().len(), 2);
        assert_eq!(movies_from_lines(lines, 1), Err(InputError::TooMany { limit: 1 }));
        assert!(
            matches!(movies_from_lines(b"{\"title\":\"a\"}\n{", 2), Err(InputError::Syntax(m)) if m.starts_with("line 2"))
        );
    }
}
