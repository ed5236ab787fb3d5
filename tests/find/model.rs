//! Random questions about random movies, answered as a model in memory answers them.

use std::cmp::Ordering;

use marquee::domain::fold;
use serde_json::{Value, json};

use crate::kit::{any, chance, ids, movies, start};

const GENRES: [&str; 5] = ["Drama", "Comédie", "Sci-Fi", "WAR", "Straße"];
const DIRECTORS: [&str; 4] = ["Ang Lee", "JOEL COEN", "Agnès Varda", "小津 安二郎"];
const WORDS: [&str; 8] = ["Night", "night", "É", "Oz", "2", "Straße", "of", "ÜBER"];
pub(crate) const NUMBERS: [&str; 5] = ["year", "runtime_minutes", "rating", "votes", "popularity"];

/// A number within the bounds of a member, of few that are apart: many movies tie.
pub(crate) fn number(member: &str) -> Value {
    let n = rand::random_range(0..6u32);
    match member {
        "year" => json!([1870, 1990, 1991, 1999, 2000, 2100][n as usize]),
        "runtime_minutes" => json!([1, 90, 91, 100, 120, 60000][n as usize]),
        "rating" => json!([0.0, 0.1, 5.5, 5.6, 9.9, 10.0][n as usize]),
        "votes" => json!([0, 1, 7, 1000, 1001, 2_147_483_647u32][n as usize]),
        _ => json!([0.0, 0.3, 33.3, 50.0, 99.9, 100.0][n as usize]),
    }
}

pub(crate) fn movie() -> Value {
    let some = |of: &[&str]| -> Vec<String> {
        of.iter().filter(|_| chance(3)).map(|name| (*name).to_owned()).collect()
    };
    let title: Vec<&str> = (0..rand::random_range(1..4)).map(|_| any(&WORDS)).collect();
    let mut movie =
        json!({ "title": title.join(" "), "genres": some(&GENRES), "directors": some(&DIRECTORS) });
    if chance(2) {
        movie["imdb_id"] = json!(format!("tt{:010}", rand::random_range(0..9_000_000_000u64)));
    }
    for member in NUMBERS {
        if !chance(3) {
            movie[member] = number(member);
        }
    }
    movie
}

/// Whether a movie is what one parameter asks for.
type Holds = Box<dyn Fn(&Value) -> bool>;

/// A question, as a query string and as a filter of the model.
struct Question {
    query: Vec<String>,
    holds: Vec<Holds>,
    sort: Vec<(String, bool)>,
    /// The members that are told; all of them where this is empty.
    fields: Vec<&'static str>,
}

/// Every member, in the order that they are told in.
const MEMBERS: [&str; 13] = [
    "id",
    "imdb_id",
    "title",
    "year",
    "runtime_minutes",
    "directors",
    "genres",
    "rating",
    "votes",
    "popularity",
    "version",
    "created_at",
    "updated_at",
];

/// About movies that `all` are, some of which are asked for by their ids.
fn question(all: &[Value]) -> Question {
    let mut question =
        Question { query: Vec::new(), holds: Vec::new(), sort: Vec::new(), fields: Vec::new() };
    // Under one name, under its slug, under several, and under the same twice.
    for _ in 0..any(&[0, 0, 0, 1, 2]) {
        let genre = any(&GENRES);
        named(&mut question, "genre", "genres", genre);
        if chance(4) {
            question.query.push(format!("genre={genre}"));
        }
    }
    if chance(10) {
        // Every sign that is no ASCII letter or digit parts the words of a slug.
        let (slug, name) = any(&[
            ("drama", "Drama"),
            ("com-die", "Comédie"),
            ("sci-fi", "Sci-Fi"),
            ("war", "WAR"),
            ("strasse", "Straße"),
        ]);
        question.query.push(format!("genre={slug}"));
        has(&mut question, "genres", name);
    }
    if chance(12) {
        let of: Vec<u64> = (0..rand::random_range(1..200)).map(|_| rand::random_range(1..500)).collect();
        question.query.push(format!("id={}", of.iter().map(u64::to_string).collect::<Vec<_>>().join(",")));
        question.holds.push(Box::new(move |movie| of.contains(&movie["id"].as_u64().unwrap())));
    }
    if chance(12) {
        let of: Vec<String> = (0..rand::random_range(1..60))
            .map(|_| {
                all[rand::random_range(0..all.len())]["imdb_id"].as_str().unwrap_or("tt99999999").to_owned()
            })
            .collect();
        question.query.push(format!("imdb_id={}", of.join(",")));
        question.holds.push(Box::new(move |movie| of.iter().any(|id| movie["imdb_id"] == id.as_str())));
    }
    if chance(5) {
        named(&mut question, "director", "directors", any(&DIRECTORS));
    }
    if chance(4) {
        let (word, begins) = any(&[
            ("NIGHT", false),
            ("e", false),
            ("oz", false),
            ("2", false),
            ("strasse", false),
            ("Uber", false),
            ("of", false),
            ("n", true),
            ("Nig", true),
            ("stra", true),
            ("O", true),
            ("ub", true),
            ("night", true),
        ]);
        question.query.push(format!("q={word}{}", if begins { "*" } else { "" }));
        let word = word.to_lowercase();
        question.holds.push(Box::new(move |movie| {
            let plain = fold(movie["title"].as_str().unwrap()).replace('é', "e").replace('ü', "u");
            plain.split(' ').any(|other| other == word || begins && other.starts_with(&word))
        }));
    }
    for member in NUMBERS {
        if chance(4) {
            range(&mut question, member);
        }
    }
    for member in NUMBERS.iter().chain(&["title", "id"]) {
        if chance(4) && question.sort.len() < 4 {
            question.sort.push(((*member).to_owned(), chance(2)));
        }
    }
    if !question.sort.is_empty() {
        let turned = rand::random_range(0..question.sort.len());
        question.sort.rotate_left(turned);
        let keys = question.sort.iter().map(|(key, down)| format!("{}{key}", if *down { "-" } else { "" }));
        question.query.push(format!("sort={}", keys.collect::<Vec<_>>().join(",")));
    }
    if chance(4) {
        question.fields = MEMBERS.into_iter().filter(|_| chance(3)).collect();
        let mut named = question.fields.clone();
        named.reverse();
        question.query.extend((!named.is_empty()).then(|| format!("fields={}", named.join(","))));
    }
    question
}

fn named(question: &mut Question, parameter: &str, member: &'static str, name: &'static str) {
    let spelt = if chance(2) { name.to_lowercase() } else { name.to_owned() };
    question.query.push(format!("{parameter}={}", spelt.replace(' ', "+")));
    has(question, member, name);
}

fn has(question: &mut Question, member: &'static str, name: &'static str) {
    let has = move |movie: &Value| movie[member].as_array().unwrap().iter().any(|other| other == name);
    question.holds.push(Box::new(has));
}

fn range(question: &mut Question, member: &'static str) {
    let (a, b) = (number(member), number(member));
    let (a, b) = if a.as_f64() <= b.as_f64() || chance(10) { (a, b) } else { (b, a) };
    let (text, low, high) = match rand::random_range(0..4) {
        0 => (format!("{a}"), a.as_f64(), a.as_f64()),
        1 => (format!("{a}.."), a.as_f64(), Some(f64::MAX)),
        2 => (format!("..{b}"), Some(f64::MIN), b.as_f64()),
        _ => (format!("{a}..{b}"), a.as_f64(), b.as_f64()),
    };
    question.query.push(format!("{member}={text}"));
    let within = move |movie: &Value| {
        let number = movie[member].as_f64();
        number.is_some() && low <= number && number <= high
    };
    question.holds.push(Box::new(within));
}

/// A movie with these members alone.
fn selected(movie: &Value, fields: &[&str]) -> Value {
    let members = movie.as_object().unwrap().iter();
    members
        .filter(|(name, _)| fields.is_empty() || fields.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// As the contract has it: by each key, unknown ones last, and at last by id.
pub(crate) fn compare(a: &Value, b: &Value, sort: &[(String, bool)]) -> Ordering {
    for (key, down) in sort {
        let turned = |ordering: Ordering| if *down { ordering.reverse() } else { ordering };
        let ordering = if key == "title" {
            let key = |movie: &Value| fold(movie["title"].as_str().unwrap());
            turned(key(a).cmp(&key(b)))
        } else {
            match (a[key].as_f64(), b[key].as_f64()) {
                (Some(a), Some(b)) => turned(a.total_cmp(&b)),
                (a, b) => a.is_none().cmp(&b.is_none()),
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    a["id"].as_u64().cmp(&b["id"].as_u64())
}

on_every_database! {
    async fn random_questions_have_the_models_answers(db) {
        let marquee = start(&db).await;
        let made: Vec<Value> = (0..400).map(|_| movie()).collect();
        assert_eq!(marquee.post("/v1/movies", &json!(made)).await.status(), 201);
        let all = movies(marquee.get("/v1/movies").await).await;
        let mut found = 0;
        for _ in 0..300 {
            let Question { query, holds, sort, fields } = question(&all);
            let mut expected: Vec<&Value> = all.iter().filter(|movie| holds.iter().all(|holds| holds(movie))).collect();
            expected.sort_by(|a, b| compare(a, b, &sort));
            found += expected.len();
            let (limit, offset) = (rand::random_range(1..=40), rand::random_range(0..=expected.len() + 2));
            let query = format!("{}&limit={limit}&offset={offset}", query.join("&"));
            let answer = marquee.get(&format!("/v1/movies?{query}")).await;
            assert_eq!(answer.headers()["x-total-count"], expected.len().to_string(), "{query}");
            let page = movies(answer).await;
            let expected: Vec<Value> = expected.into_iter().skip(offset).take(limit).map(|movie| selected(movie, &fields)).collect();
            if fields.is_empty() {
                assert_eq!(ids(&page), ids(&expected), "{query}");
            }
            assert_eq!(page, expected, "{query}");
        }
        assert!(found > 1000, "the questions find next to nothing: {found}");
    }
}
