//! The schemas of what clients send say what the readers do: what one takes, the other takes.

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::{movies_from_json, patch_from_json, replacement_from_json};

fn validator(name: &str) -> Validator {
    let schemas: serde_json::Map<String, Value> = all()
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), serde_json::to_value(schema).unwrap()))
        .collect();
    let document =
        json!({ "$ref": format!("#/components/schemas/{name}"), "components": { "schemas": schemas } });
    jsonschema::options().should_validate_formats(true).build(&document).unwrap()
}

/// That the schema takes `document` just if the reader does.
fn agree(schema: &Validator, document: &Value, reads: impl Fn(&[u8]) -> bool) {
    let read = reads(document.to_string().as_bytes());
    assert_eq!(schema.is_valid(document), read, "{document}: the reader says {read}");
}

fn reads_movies(text: &[u8]) -> bool {
    movies_from_json(text, 10_000).is_ok()
}

/// Values that stand at the bounds of something.
fn edges() -> Vec<Value> {
    let mut edges = vec![
        json!(null),
        json!(true),
        json!({}),
        json!([]),
        json!([[]]),
        json!([1]),
        json!([null]),
        json!("tt0032138"),
        json!("tt003213"),
        json!("tt12345678901"),
        json!("tt0032138\n"),
        json!("tt003213８"),
        json!(1e300),
        json!(18_446_744_073_709_551_615_u64),
    ];
    for number in [
        -1.0,
        0.0,
        0.5,
        1.0,
        1869.0,
        1870.0,
        2100.0,
        2101.0,
        1999.5,
        10.0,
        10.1,
        100.0,
        100.1,
        60_000.0,
        60_001.0,
        2_147_483_647.0,
        2_147_483_648.0,
    ] {
        edges.push(json!(number));
    }
    for whole in [-1, 0, 1, 10, 11, 100, 101, 1869, 1870, 2100, 2101, 60_000, 60_001] {
        edges.push(json!(whole));
    }
    for max in [64, 256, 512] {
        for length in [max - 1, max, max + 1] {
            for text in [
                "x".repeat(length),
                "é".repeat(length),
                format!(" {}\n", "👩".repeat(length)),
                format!("a{}b", " ".repeat(length - 2)),
            ] {
                edges.push(json!(text));
                edges.push(json!(["Drama", text]));
            }
        }
    }
    for text in [
        "",
        " ",
        "\n\u{a0}\u{85}\u{3000}",
        "a\u{0}",
        "a\u{85}b",
        "\u{85}b\u{1c}",
        "\u{1f}",
        "\u{feff}",
        "\u{200b}",
        "e\u{301} שלום \u{202e}",
        "a\tb",
        "\u{7f}",
    ] {
        edges.push(json!(text));
        edges.push(json!([text]));
    }
    for items in [31, 32, 33, 63, 64, 65, 66] {
        edges.push(json!(vec!["Drama"; items]));
        edges.push((0..items).map(|n| format!("G{n}")).collect());
    }
    edges
}

const OURS: [&str; 9] =
    ["imdb_id", "title", "year", "runtime_minutes", "directors", "genres", "rating", "votes", "popularity"];
const THEIRS: [&str; 5] = ["name", "director", "genre", "imdb_score", "99popularity"];

#[test]
fn every_member_has_the_bounds_of_its_reader() {
    let (new, whole, patch) = (validator(NEW_MOVIES), validator(REPLACEMENT), validator(PATCH));
    for edge in edges() {
        agree(&new, &edge, reads_movies);
        agree(&new, &json!([edge]), reads_movies);
        for (title, members) in [("title", &OURS[..]), ("name", &THEIRS)] {
            for member in members.iter().chain(&["titel", "slug"]) {
                let mut movie = json!({ title: "x" });
                movie[member] = edge.clone();
                agree(&new, &movie, reads_movies);
                agree(&new, &json!([{ "title": "y" }, movie]), reads_movies);
                agree(&whole, &movie, |text| replacement_from_json(text).is_ok());
                let only = json!({ *member: edge });
                agree(&new, &only, reads_movies);
                agree(&patch, &only, |text| patch_from_json(text).is_ok());
            }
        }
    }
}

#[test]
fn the_members_that_marquee_gives_are_taken_back_only_where_there_is_a_movie() {
    let (new, whole, patch) = (validator(NEW_MOVIES), validator(REPLACEMENT), validator(PATCH));
    let time = json!("2026-11-23T22:49:34Z");
    for (member, value) in
        [("id", json!(1)), ("version", json!(7)), ("created_at", time.clone()), ("updated_at", time)]
    {
        for bad in [json!(null), json!("x"), json!([]), json!(-1)] {
            agree(&patch, &json!({ member: bad }), |text| patch_from_json(text).is_ok());
        }
        let movie = json!({ "title": "x", member: value });
        agree(&new, &movie, reads_movies);
        agree(&whole, &movie, |text| replacement_from_json(text).is_ok());
        agree(&patch, &movie, |text| patch_from_json(text).is_ok());
    }
}

fn any_movie() -> impl Strategy<Value = Value> {
    let name = prop_oneof!["\\PC{0,70}", ".{0,70}", "[ \u{a0}]{0,3}x{60,66}[ \n]{0,2}"];
    let value = prop_oneof![
        Just(json!(null)),
        (-5.0..2200.0_f64).prop_map(Value::from),
        (-5..70_000_i64).prop_map(Value::from),
        name.clone().prop_map(Value::from),
        "tt[0-9]{6,11}".prop_map(Value::from),
        prop::collection::vec(name, 0..35).prop_map(Value::from),
    ];
    let member = prop_oneof![prop::sample::select(OURS.to_vec()), prop::sample::select(THEIRS.to_vec())];
    prop::collection::btree_map(member, value, 0..4).prop_map(|members| {
        let mut movie = json!({ "title": "x" });
        for (name, value) in members {
            movie[name] = value;
        }
        movie
    })
}

proptest! {
    #[test]
    fn any_movie_is_taken_by_both_or_by_none(movies in prop::collection::vec(any_movie(), 8)) {
        thread_local! {
            static NEW: Validator = validator(NEW_MOVIES);
        }
        NEW.with(|new| {
            for movie in &movies {
                agree(new, movie, reads_movies);
            }
            agree(new, &json!(movies), reads_movies);
        });
    }
}
