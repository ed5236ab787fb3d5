//! Whatever the bytes are, a run ends, panics nowhere, and accounts for every row.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::{
    DirectorName, GenreName, ImdbId, Popularity, Rating, RuntimeMinutes, Title, Votes, Year, movie_from_json,
};

const BEGINNINGS: [&str; 8] = [
    "",
    "[",
    "[{\"title\":",
    "{\"title\":\"a\"}\n{",
    "\u{feff}",
    "tconst\ttitleType\tprimaryTitle\tisAdult\tstartYear\truntimeMinutes\tgenres\n",
    "tconst\taverageRating\tnumVotes\n",
    "\u{1f}",
];

/// Bytes that mean something to the readers more often than chance would have it.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        vec(any::<u8>(), 0..8),
        prop::sample::select(vec![
            "\t",
            "\n",
            "\r\n",
            "\\N",
            "tt0000001",
            "movie",
            "0",
            "1999",
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"title\"",
            "\"a\"",
            "null",
            "{\"title\":\"x\"}",
            "nm0000001",
            "8.3",
            "\u{1f}\u{8b}\u{8}",
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
    ];
    vec(words, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic(beginning in prop::sample::select(BEGINNINGS.to_vec()), rest in noise(), packed: bool, cut in 0usize..64) {
        let mut bytes = [beginning.as_bytes(), &rest].concat();
        if packed {
            bytes = gz(&bytes);
            bytes.truncate(bytes.len().saturating_sub(cut));
        }
        if let Ok(summary) = import_with(&Memory::default(), &[&bytes], |_| {}) {
            assert_adds_up(&summary);
        }
    }

    #[test]
    fn joined_files_neither(rest in noise(), crew in noise()) {
        let basics = b"tconst\ttitleType\tprimaryTitle\tisAdult\tstartYear\truntimeMinutes\tgenres\n\
                       tt0000001\tmovie\tA\t0\t\\N\t\\N\t\\N\n";
        let ratings = [b"tconst\taverageRating\tnumVotes\n", rest.as_slice()].concat();
        let names = [b"nconst\tprimaryName\n", rest.as_slice()].concat();
        let crew = [b"tconst\tdirectors\n", crew.as_slice()].concat();
        let summary = import_with(&Memory::default(), &[basics, &ratings, &names, &crew], |_| {}).unwrap();
        prop_assert_eq!(summary.created, 1);
    }

    #[test]
    fn movies_survive_json(movie in movie()) {
        let text = as_json(&movie);
        prop_assert_eq!(movie_from_json(text.as_bytes()).unwrap(), movie.clone());
        let sink = Memory::default();
        let array = format!("[{text}]");
        let summary = import_with(&sink, &[array.as_bytes()], |_| {}).unwrap();
        prop_assert_eq!(summary.created, 1);
        let kept = sink.created.lock().unwrap().first().cloned();
        let merged = sink.movies.lock().unwrap().values().next().cloned();
        prop_assert_eq!(kept.or(merged).unwrap(), movie);
    }
}

fn as_json(movie: &NewMovie) -> String {
    json!({
        "imdb_id": movie.imdb_id, "title": movie.title, "year": movie.year,
        "runtime_minutes": movie.runtime_minutes, "directors": movie.directors, "genres": movie.genres,
        "rating": movie.rating, "votes": movie.votes, "popularity": movie.popularity,
    })
    .to_string()
}

fn movie() -> impl Strategy<Value = NewMovie> {
    let title = "\\PC{1,40}".prop_filter_map("a title", |text| Title::parse(&text).ok());
    let names = vec("[a-z\"\\\\é🎬]{1,12}", 0..4);
    let numbers = (
        prop::option::of(1870..=2100i32),
        prop::option::of(1..=60000i32),
        prop::option::of(0..=100u8),
        prop::option::of(0..=i32::MAX),
        prop::option::of(0..=1000u16),
    );
    let id = prop::option::of("tt[0-9]{7,10}");
    (title, names.clone(), names, numbers, id).prop_map(|(title, directors, genres, numbers, id)| {
        let (year, runtime, tenths, votes, popularity) = numbers;
        let mut directors: Vec<_> = directors.iter().filter_map(|n| DirectorName::parse(n).ok()).collect();
        directors.sort_by_key(DirectorName::key);
        directors.dedup_by_key(|name| name.key());
        let mut genres: Vec<_> = genres.iter().filter_map(|n| GenreName::parse(n).ok()).collect();
        genres.sort_by_key(GenreName::key);
        genres.dedup_by_key(|name| name.key());
        NewMovie {
            imdb_id: id.and_then(|id| ImdbId::parse(&id).ok()),
            title,
            year: year.and_then(|n| Year::parse(n.into()).ok()),
            runtime_minutes: runtime.and_then(|n| RuntimeMinutes::parse(n.into()).ok()),
            directors,
            genres,
            rating: tenths.and_then(|n| Rating::parse(f64::from(n) / 10.0).ok()),
            votes: votes.and_then(|n| Votes::parse(n.into()).ok()),
            popularity: popularity.and_then(|n| Popularity::parse(f64::from(n) / 10.0).ok()),
        }
    })
}
