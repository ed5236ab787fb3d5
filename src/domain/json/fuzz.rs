//! The readers of JSON against a model that is made of `serde_json`'s own values, member by member.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::*;
use crate::domain::{ImdbId, MAX_DIRECTORS, MAX_GENRES, fold};
use crate::fuzz::target;

/// The most movies of an array, or of lines.
const LIMIT: usize = 6;

/// What a text is.
enum Json {
    Is(Value),
    /// Its shape is right, but it has what cannot be read, such as half of a surrogate pair. Whether that is seen
    /// depends on where it stands.
    Shape,
    Not,
}

fn json(text: &[u8]) -> Json {
    match serde_json::from_slice(text) {
        Ok(value) => Json::Is(value),
        Err(_) if serde_json::from_slice::<IgnoredAny>(text).is_ok() => Json::Shape,
        Err(_) => Json::Not,
    }
}

/// An object's members in their order, repeated ones included: [`Value`] keeps the last of them alone.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reads)
    }
}

/// The movie that an object is, as marquee spells it; `None` where it is none.
fn movie_in(text: &[u8]) -> Option<Value> {
    let Ok(Pairs(pairs)) = serde_json::from_slice(text) else { return None };
    let mut movie = Map::new();
    for (name, value) in pairs {
        let name = match name.as_str() {
            "name" => "title",
            "director" => "directors",
            "genre" => "genres",
            "imdb_score" => "rating",
            "99popularity" => "popularity",
            other => other,
        };
        let told = match name {
            "title" => json!(words(value.as_str()?, 512)?),
            "imdb_id" | "year" | "runtime_minutes" | "rating" | "votes" | "popularity" if value.is_null() => {
                Value::Null
            }
            "imdb_id" => json!(ImdbId::parse(value.as_str()?).ok()?),
            "year" => whole(&value, 1870, 2100)?,
            "runtime_minutes" => whole(&value, 1, 60_000)?,
            "votes" => whole(&value, 0, i32::MAX)?,
            "rating" => decimal(&value, 10.0)?,
            "popularity" => decimal(&value, 100.0)?,
            "directors" => names(value, MAX_DIRECTORS, 256)?,
            "genres" => names(value, MAX_GENRES, 64)?,
            _ => return None,
        };
        if movie.insert(name.to_owned(), told).is_some() {
            return None;
        }
    }
    movie.contains_key("title").then_some(Value::Object(movie))
}

fn words(text: &str, most: usize) -> Option<&str> {
    let text = text.trim();
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then_some(text)
}

fn whole(value: &Value, least: i32, greatest: i32) -> Option<Value> {
    let number = value.as_f64()?;
    (f64::from(least)..=f64::from(greatest)).contains(&number).then_some(())?;
    (number.trunc() == number).then(|| json!(number as i64))
}

fn decimal(value: &Value, greatest: f64) -> Option<Value> {
    value.as_f64().filter(|number| (0.0..=greatest).contains(number)).map(|number| json!(number + 0.0))
}

fn names(value: Value, many: usize, long: usize) -> Option<Value> {
    let items = match value {
        Value::Null => Vec::new(),
        Value::String(_) => vec![value],
        Value::Array(items) => items,
        _ => return None,
    };
    let mut names: Vec<String> = Vec::new();
    if items.len() > many {
        return None;
    }
    for item in items {
        let name = words(item.as_str()?, long)?;
        if names.iter().all(|other| fold(other) != fold(name)) {
            names.push(name.to_owned());
        }
    }
    Some(json!(names))
}

/// That a movie is the one that the model has.
fn assert_is(movie: &NewMovie, model: &Value) {
    let told = movie.clone().first(1, jiff::Timestamp::UNIX_EPOCH);
    let told = serde_json::to_value(&told).unwrap();
    for (name, value) in told.as_object().unwrap() {
        let absent = if matches!(name.as_str(), "directors" | "genres") { json!([]) } else { Value::Null };
        if !matches!(name.as_str(), "id" | "version" | "created_at" | "updated_at") {
            assert_eq!(value, model.get(name).unwrap_or(&absent), "{name}");
        }
    }
}

/// That what marquee tells of a movie is read again as the same one.
fn assert_survives(movie: &NewMovie) {
    let whole = movie.clone().first(7, jiff::Timestamp::UNIX_EPOCH);
    let text = serde_json::to_vec(&whole).unwrap();
    for read in [replacement_from_json, patch_from_json] {
        let change = read(&text).unwrap();
        assert_eq!(change.given(), movie);
        assert!(!change.is_stale(&whole) && change.contradictions(&whole).is_empty());
        assert_eq!(change.apply(&whole), whole);
    }
}

/// That each violation says what it is, and where: in what was sent, or where the title should be. What is repeated
/// stands in two places of one name, of which [`Value`] knows the last.
fn assert_told(violations: &[Violation], value: &Value) {
    assert!((1..=200).contains(&violations.len()));
    for Violation { pointer, detail } in violations {
        assert!(!detail.is_empty());
        let member = pointer.rsplit_once('/').map_or("", |(before, last)| {
            if last.parse::<usize>().is_ok() && value.pointer(before).is_some() { before } else { pointer }
        });
        let is_cut = member.chars().count() >= 64;
        assert!(value.pointer(member).is_some() || detail == "is required" || is_cut, "{pointer} {detail}");
    }
}

/// One movie, or an array of them.
#[test]
fn json_movies() {
    target("json_movies", 20_000, |text| {
        let read = movies_from_json(text, LIMIT);
        let value = match json(text) {
            Json::Not => {
                return assert!(matches!(read, Err(InputError::Syntax(m)) if m.contains(" at line ")));
            }
            Json::Shape => return,
            Json::Is(value) => value,
        };
        let Value::Array(elements) = &value else {
            assert_eq!(movie_from_json(text).map(|movie| Input::One(Box::new(movie))), read);
            return match (read, movie_in(text)) {
                (Ok(Input::One(movie)), Some(model)) => {
                    assert_is(&movie, &model);
                    assert_survives(&movie);
                }
                (Err(InputError::Invalid(violations)), None) => assert_told(&violations, &value),
                (read, model) => panic!("{read:?} where it is {model:?}"),
            };
        };
        assert!(matches!(movie_from_json(text), Err(InputError::Invalid(_))));
        let texts: Vec<&serde_json::value::RawValue> = serde_json::from_slice(text).unwrap();
        let models: Option<Vec<Value>> = texts.iter().map(|text| movie_in(text.get().as_bytes())).collect();
        match (read, models) {
            (Err(InputError::TooMany { limit: LIMIT }), _) => assert!(elements.len() > LIMIT),
            (Ok(Input::Many(movies)), Some(models)) => {
                assert!(movies.len() == models.len() && movies.len() <= LIMIT);
                movies.iter().zip(&models).for_each(|(movie, model)| assert_is(movie, model));
                // A movie a line is the same.
                let line = |text: &&serde_json::value::RawValue| text.get().replace(['\n', '\r'], " ");
                let lines: Vec<String> = texts.iter().map(line).collect();
                assert_eq!(movies_from_lines(lines.join("\n").as_bytes(), LIMIT), Ok(movies));
            }
            (Err(InputError::Invalid(violations)), None) => assert_told(&violations, &value),
            (read, models) => panic!("{read:?} where it is {models:?}"),
        }
    });
}

/// A movie a line.
#[test]
fn json_lines() {
    target("json_lines", 20_000, |text| {
        let read = movies_from_lines(text, LIMIT);
        let mut models = Vec::new();
        let mut wrong = false;
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            if models.len() == LIMIT {
                return assert_eq!(read, Err(InputError::TooMany { limit: LIMIT }));
            }
            match json(line) {
                Json::Not => {
                    let begins = format!("line {}: ", number + 1);
                    return assert!(
                        matches!(read, Err(InputError::Syntax(told)) if told.starts_with(&begins))
                    );
                }
                Json::Shape => return,
                Json::Is(_) => {}
            }
            let model = movie_in(line);
            wrong |= model.is_none();
            models.push(model);
        }
        match read {
            Ok(movies) => {
                assert_eq!(movies.len(), models.len());
                for (movie, model) in movies.iter().zip(models) {
                    assert_is(movie, &model.unwrap());
                }
            }
            Err(InputError::Invalid(violations)) => {
                // The pointers count the movies from 0; which of them are wrong, the model knows.
                let told = |n: usize| {
                    let at = format!("/{n}");
                    violations.iter().any(|v| v.pointer == at || v.pointer.starts_with(&format!("{at}/")))
                };
                assert!(wrong && !violations.is_empty());
                for (n, model) in models.iter().enumerate() {
                    assert!(told(n) == model.is_none() || violations.len() == TOLD_VIOLATIONS, "{n}");
                }
            }
            other => panic!("{other:?}"),
        }
    });
}

/// What a PUT and a PATCH bring, which may have what marquee gives, too.
#[test]
fn json_changes() {
    target("json_changes", 10_000, |text| {
        let (put, patch) = (replacement_from_json(text), patch_from_json(text));
        let told = |read: &Result<Change, InputError>| match read {
            Err(InputError::Invalid(violations)) => violations.clone(),
            _ => Vec::new(),
        };
        match json(text) {
            Json::Not => {
                assert!(matches!((&put, &patch), (Err(InputError::Syntax(_)), Err(InputError::Syntax(_)))));
            }
            Json::Is(value) => {
                // A PUT misses a title, where there is none, and else they see the same.
                let (by_put, by_patch) = (told(&put), told(&patch));
                let besides = by_put.iter().filter(|v| v.pointer != "/title" || v.detail != "is required");
                assert!(besides.eq(by_patch.iter()));
                for read in [&by_put, &by_patch] {
                    if !read.is_empty() {
                        assert_told(read, &value);
                    }
                }
                if let Some(model) = movie_in(text) {
                    assert_is(put.as_ref().unwrap().given(), &model);
                    assert_is(patch.as_ref().unwrap().given(), &model);
                }
            }
            Json::Shape => {}
        }
        if let Ok(change) = put {
            assert_survives(change.given());
        }
        if let Ok(change) = patch {
            let movie = change.given().clone().first(1, jiff::Timestamp::UNIX_EPOCH);
            assert_eq!(change.apply(&change.apply(&movie)), change.apply(&movie));
        }
    });
}
