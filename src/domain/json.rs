//! Movies as clients spell them in JSON.
//!
//! Two spellings are read: our own, and that of the well-known `imdb.json` data set. A member that is
//! neither is refused, because a misspelt one must not vanish.

#[cfg(test)]
mod fuzz;
mod members;

use std::collections::HashSet;

use serde::de::DeserializeSeed;

use super::change::{Change, Claims};
use super::read::{Document, DocumentSeed, Element};
use super::{NewMovie, Violation};
use members::{Given, given};

/// The most violations that are told at once.
const TOLD_VIOLATIONS: usize = 100;

/// The most genres and directors that the movies of one array may have, each counted once: each may have to be made, while
/// all other writes wait. It is three for each movie of the longest array.
pub const MAX_NAMES: usize = 1 << 15;

/// The most that they may have together, each counted as often as it is there: ten for each movie.
pub const MAX_LINKS: usize = 100_000;

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
    /// More than [`MAX_LINKS`] genres and directors, or than [`MAX_NAMES`] different ones.
    TooManyNames,
    /// JSON, but not of movies. At most 100 violations are told.
    Invalid(Vec<Violation>),
}

/// Reads one movie or an array of at most `limit`.
///
/// # Errors
/// When `text` is not JSON, holds more than `limit` movies, or any of them is not acceptable.
pub fn movies_from_json(text: &[u8], limit: usize) -> Result<Input, InputError> {
    let mut movies = Movies::default();
    match document(text, limit, |element| movies.take(element))? {
        Document::One(element) => one(element).map(|movie| Input::One(Box::new(movie))),
        Document::Many(elements) if elements > limit => Err(InputError::TooMany { limit }),
        Document::Many(_) => movies.finish().map(Input::Many),
    }
}

/// Reads movies from lines of JSON (NDJSON), at most `limit`; blank lines are passed over.
///
/// # Errors
/// As [`movies_from_json`]; pointers count the movies from 0.
pub fn movies_from_lines(text: &[u8], limit: usize) -> Result<Vec<NewMovie>, InputError> {
    let mut movies = Movies::default();
    let (mut lines, mut wanted) = (0, true);
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if lines == limit {
            return Err(InputError::TooMany { limit });
        }
        lines += 1;
        let element = serde_json::from_slice(line)
            .map_err(|e| InputError::Syntax(format!("line {}: {}", number + 1, without_line(&e))))?;
        wanted = wanted && movies.take(element);
    }
    movies.finish()
}

/// Reads one movie, as a line of an import holds it.
///
/// # Errors
/// As [`movies_from_json`]; an array is not acceptable.
pub fn movie_from_json(text: &[u8]) -> Result<NewMovie, InputError> {
    match document(text, 0, |_| false)? {
        Document::One(element) => one(element),
        Document::Many(_) => Err(InputError::Invalid(vec![Violation::new("", "must be an object")])),
    }
}

/// Reads what a PUT brings: a movie that takes the place of one that is there. What marquee gives (`id`,
/// `version` and the times) may be sent back as it was told.
///
/// # Errors
/// As [`movie_from_json`].
pub fn replacement_from_json(text: &[u8]) -> Result<Change, InputError> {
    change(text, |given, claims| {
        let (movie, untitled) = given.whole("");
        (Change::replacement(movie, claims), untitled)
    })
}

/// Reads a merge patch (RFC 7396) of a movie: the members that it names are changed, and `null` removes one.
///
/// A movie has no objects within it, so that a patch is a movie of which any member may be missing, and can be
/// checked before the movie is known that it will change.
///
/// # Errors
/// As [`movie_from_json`].
pub fn patch_from_json(text: &[u8]) -> Result<Change, InputError> {
    change(text, |given, claims| (Change::patch(given.movie, given.seen, claims), None))
}

fn change(
    text: &[u8],
    make: impl FnOnce(Given, Claims) -> (Change, Option<Violation>),
) -> Result<Change, InputError> {
    let Document::One(element) = document(text, 0, |_| false)? else {
        return Err(InputError::Invalid(vec![Violation::new("", "must be an object")]));
    };
    let (mut violations, mut claims) = (Vec::new(), Claims::default());
    let Some(given) = given(element, "", Some(&mut claims), &mut violations) else {
        return Err(InputError::Invalid(violations));
    };
    let (change, violation) = make(given, claims);
    violations.extend(violation);
    if violations.is_empty() { Ok(change) } else { Err(InputError::Invalid(violations)) }
}

fn document(text: &[u8], limit: usize, take: impl FnMut(Element) -> bool) -> Result<Document, InputError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let document = DocumentSeed { limit, take }.deserialize(&mut reader);
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

fn new_movie(element: Element, at: &str, violations: &mut Vec<Violation>) -> Option<NewMovie> {
    let (movie, untitled) = given(element, at, None, violations)?.whole(at);
    violations.extend(untitled);
    Some(movie)
}

/// Movies that are read one after the other: what was read of one is a movie, or gone, before the next is.
#[derive(Default)]
struct Movies {
    taken: usize,
    movies: Vec<NewMovie>,
    violations: Vec<Violation>,
}

impl Movies {
    /// Takes the next one; whether there is any use in further ones.
    fn take(&mut self, element: Element) -> bool {
        let movie = new_movie(element, &format!("/{}", self.taken), &mut self.violations);
        self.taken += 1;
        if self.violations.is_empty() {
            self.movies.extend(movie);
        } else {
            self.movies = Vec::new();
        }
        self.violations.len() < TOLD_VIOLATIONS
    }

    fn finish(mut self) -> Result<Vec<NewMovie>, InputError> {
        if !self.violations.is_empty() {
            self.violations.truncate(TOLD_VIOLATIONS);
            return Err(InputError::Invalid(self.violations));
        }
        if has_too_many_names(&self.movies) {
            return Err(InputError::TooManyNames);
        }
        Ok(self.movies)
    }
}

/// Whether movies have more than [`MAX_LINKS`] genres and directors, or more than [`MAX_NAMES`] different ones. Mostly it
/// need not be counted which are different.
fn has_too_many_names(movies: &[NewMovie]) -> bool {
    let links: usize = movies.iter().map(|movie| movie.genres.len() + movie.directors.len()).sum();
    if links <= MAX_NAMES || links > MAX_LINKS {
        return links > MAX_LINKS;
    }
    let mut names = HashSet::new();
    movies.iter().any(|movie| {
        names.extend(movie.genres.iter().map(|genre| (true, genre.key())));
        names.extend(movie.directors.iter().map(|director| (false, director.key())));
        names.len() > MAX_NAMES
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Member, Rating};

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

    /// A name that is there many times is one of fewer that may be there, and each time one of more.
    #[test]
    fn names_have_a_limit() {
        let read = |different: usize, times: usize| {
            let lines: Vec<String> = (0..different.div_ceil(32) * times)
                .map(|n| {
                    let of = |n: usize| format!("\"{}\"", n % different);
                    let (genres, directors): (Vec<_>, Vec<_>) =
                        (n * 32..n * 32 + 32).map(of).partition(|name| name.len() % 2 == 0);
                    format!(
                        r#"{{"title":"a","genres":[{}],"directors":[{}]}}"#,
                        genres.join(","),
                        directors.join(",")
                    )
                })
                .collect();
            movies_from_lines(lines.join("\n").as_bytes(), 10_000).map(|movies| movies.len())
        };
        assert_eq!(read(MAX_NAMES, 1), Ok(MAX_NAMES / 32));
        assert_eq!(read(64, 1000), Ok(2000));
        assert_eq!(read(64, 1563), Err(InputError::TooManyNames));
        assert_eq!(read(MAX_NAMES + 1, 1), Err(InputError::TooManyNames));
    }

    /// Of an array there is one element at a time, and of a member that is none nothing: what is sent weighs what its
    /// movies do.
    #[test]
    fn elements_are_handed_on_one_by_one() {
        let list = format!("[{}]", vec![r#""a""#; 65].join(","));
        let text = format!(r#"[{{"genres":{list},"x":{list}}},{{"genres":{list},"x":{list}}},7]"#);
        let mut seen = Vec::new();
        let read = document(text.as_bytes(), 3, |element| {
            if let Element::Object(members) = element {
                seen.push(members);
            }
            seen.len() < 2
        });
        assert!(matches!(read, Ok(Document::Many(3))), "what is not wanted is counted all the same");
        for members in seen {
            let [(genres, list), (x, nothing)] = members.try_into().unwrap();
            assert_eq!((genres.as_str(), x.as_str()), ("genres", "x"));
            assert!(matches!(list, Member::List(items) if items.len() == 65));
            assert_eq!(nothing, Member::Other);
        }
    }

    #[test]
    fn a_patch_names_what_it_changes_and_a_replacement_is_whole() {
        let patch = patch_from_json(br#"{"genre":"War","year":null}"#).unwrap();
        let before = one(r#"{"title":"Oz","year":1939}"#).unwrap().first(1, jiff::Timestamp::UNIX_EPOCH);
        let patched = patch.apply(&before);
        assert_eq!((patched.year, patched.genres[0].as_str(), &patched.title), (None, "War", &before.title));
        let put = replacement_from_json(br#"{"title":"Oz","id":1,"version":1}"#).unwrap();
        assert_eq!((put.apply(&before).title.as_str(), put.apply(&before).year), ("Oz", None));
        assert!(put.contradictions(&before).is_empty() && !put.is_stale(&before));

        type Read = fn(&[u8]) -> Result<Change, InputError>;
        let wrong = |read: Read, text: &str| match read(text.as_bytes()) {
            Err(InputError::Invalid(violations)) => {
                violations.into_iter().map(|v| v.pointer).collect::<Vec<_>>()
            }
            other => panic!("{text}: {other:?}"),
        };
        for (text, pointers) in [
            (r#"{"title":null}"#, ["/title"].as_slice()),
            (r#"{"title":"a","name":"b"}"#, &["/name"]),
            (r#"{"id":null,"version":"1","created_at":7}"#, &["/id", "/version", "/created_at"]),
            (r#"{"id":1.5}"#, &["/id"]),
            (r#"{"id":1,"id":1}"#, &["/id"]),
            (r#"{"year":{"a":null}}"#, &["/year"]),
            ("[]", &[""]),
            ("null", &[""]),
        ] {
            assert_eq!(wrong(patch_from_json, text), pointers, "{text}");
        }
        assert_eq!(wrong(replacement_from_json, r#"{"year":1939}"#), ["/title"]);
    }
}
