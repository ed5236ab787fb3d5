//! Examples: movies as they are told and sent, and one of each failure.

use serde_json::{Value, json};
use utoipa::openapi::example::{Example, ExampleBuilder};

use crate::http::problem::kinds::{self, Kind};

pub(super) fn movie() -> Value {
    json!({
        "id": 12,
        "imdb_id": "tt0032138",
        "title": "The Wizard of Oz",
        "year": 1939,
        "runtime_minutes": 102,
        "directors": ["Victor Fleming"],
        "genres": ["Adventure", "Family", "Fantasy", "Musical"],
        "rating": 8.3,
        "votes": 123_456,
        "popularity": 83.0,
        "version": 1,
        "created_at": "2026-11-23T22:49:34Z",
        "updated_at": "2026-11-23T22:49:34Z",
    })
}

pub(super) fn new_movie() -> Value {
    json!({
        "imdb_id": "tt0032138",
        "title": "The Wizard of Oz",
        "year": 1939,
        "runtime_minutes": 102,
        "directors": ["Victor Fleming"],
        "genres": ["Adventure", "Family", "Fantasy", "Musical"],
        "rating": 8.3,
        "votes": 123_456,
        "popularity": 83.0,
    })
}

pub(super) fn imdb_movie() -> Value {
    json!({
        "99popularity": 83.0,
        "director": "Victor Fleming",
        "genre": ["Adventure", "Family", "Fantasy", "Musical"],
        "imdb_score": 8.3,
        "name": "The Wizard of Oz",
    })
}

pub(super) fn change() -> Value {
    json!({ "rating": 9.5, "votes": null })
}

/// Movies as lines.
pub(super) fn lines(movies: &[Value]) -> Value {
    movies.iter().map(|movie| format!("{movie}\n")).collect::<String>().into()
}

/// One example for each type of problem, by its slug.
pub(super) fn all() -> Vec<(&'static str, Example)> {
    let example = |kind: &&'static Kind| {
        (kind.slug, ExampleBuilder::new().summary(kind.title).value(Some(problem(kind))).build())
    };
    kinds::KINDS.iter().map(example).collect()
}

fn problem(kind: &Kind) -> Value {
    let mut problem = json!({
        "type": format!("/problems/{}", kind.slug),
        "title": kind.title,
        "status": kind.status,
        "detail": detail(kind),
        "instance": "/v1/movies",
    });
    if *kind == kinds::INVALID_MOVIE
        && let Some(members) = problem.as_object_mut()
    {
        let errors = json!([
            { "pointer": "/titel", "detail": "is not a member of a movie" },
            { "pointer": "/rating", "detail": "must be between 0 and 10" },
        ]);
        members.insert("errors".to_owned(), errors);
    }
    problem
}

/// What a client may read in `detail`.
fn detail(kind: &Kind) -> &str {
    match kind.slug {
        "unknown-parameter" => "there is no query parameter \"yaer\" here",
        "not-found" => "there is no movie 99",
        "precondition-failed" => {
            "movie 12 is not as the request takes it to be: read it again and decide anew"
        }
        "duplicate-imdb-id" => "a movie with imdb_id tt0032138 exists already: nothing was written",
        "invalid-movie" => "2 members are not acceptable: see errors",
        _ => kind.meaning,
    }
}
