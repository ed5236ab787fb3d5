//! Arrays and lines.

use super::*;
use crate::domain::{GenreName, movie_from_json};

/// In the shape that tasks for this kind of service pass around, with its quirks; the films are invented.
const QUIRKS: &str = r#"[
  {"99popularity": 71.0, "director": "Ilse Vogelsang", "genre": ["Adventure", " Family", " Fantasy"],
   "imdb_score": 7.1, "name": "The Paper \"Lighthouse\" 🗼"},
  {"99popularity": 12, "director": "Tomás Ó Briain", "genre": ["Drama"], "imdb_score": 1.2, "name": "שלום"}
]"#;

#[test]
fn the_well_known_shape_is_read() {
    let sink = Memory::default();
    let summary = import(&sink, &[QUIRKS.as_bytes()]);
    assert_eq!((summary.rows, summary.created, summary.rejected), (2, 2, 0));
    assert_eq!(sink.titles(), ["The Paper \"Lighthouse\" 🗼", "שלום"]);
    let created = sink.created.lock().unwrap();
    assert_eq!(
        created[0].genres.iter().map(GenreName::as_str).collect::<Vec<_>>(),
        ["Adventure", "Family", "Fantasy"]
    );
    assert_eq!(created[0].popularity.unwrap().get(), 71.0);
}

#[test]
fn elements_that_are_no_movies_are_rejects() {
    let sink = Memory::default();
    let text = "[{\"title\":\"a\"},\n7,{\"titel\":\"b\"},\n{\"title\":\"\\ud800\"},{\"title\":\"c\"}]";
    let summary = import(&sink, &[text.as_bytes()]);
    assert_eq!((summary.created, summary.rejected, summary.exit_code()), (2, 3, 0));
    assert!(summary.samples[0].contains(":2: ") && summary.samples[1].contains("/titel"), "{summary}");
    assert_adds_up(&summary);
}

#[test]
fn broken_json_ends_an_array_and_says_where() {
    for (text, rejected) in [
        ("[{\"title\":\"a\"},\n{\"title\":tru},{\"title\":\"c\"}]", 1),
        ("[{\"title\":\"a\"}\n{\"title\":\"c\"}]", 0),
        ("[{\"title\":\"a\"},\n{\"title\":", 0),
    ] {
        let sink = Memory::default();
        let summary = import(&sink, &[text.as_bytes()]);
        assert_eq!((summary.created, summary.rejected, summary.exit_code()), (1, rejected, 1), "{text}");
        assert!(summary.broken[0].contains(":2: "), "{summary}");
    }
}

#[test]
fn a_bad_line_ends_nothing() {
    let sink = Memory::default();
    let mut text = b"\n{\"title\":\"a\"}\r\n{\"title\":\nnonsense\n{\"title\":\"\xff\"}\n".to_vec();
    text.extend_from_slice("{\"title\":\"b\",\"imdb_id\":\"tt0000001\"}".as_bytes());
    let summary = import(&sink, &[&gz(&text)]);
    assert_eq!((summary.created, summary.rejected), (2, 3));
    let lines: Vec<bool> =
        [3, 4, 5].iter().zip(&summary.samples).map(|(n, s)| s.contains(&format!(":{n}: "))).collect();
    assert_eq!(lines, [true; 3], "{summary}");
}

#[test]
fn a_file_of_which_nothing_is_understood_fails() {
    let summary = import(&Memory::default(), &[b"a,b\n1,2\n"]);
    assert_eq!((summary.rows, summary.rejected, summary.exit_code()), (2, 2, 1));
}

#[test]
fn json_with_an_imdb_id_speaks_of_everything() {
    let sink = Memory::default();
    import(&sink, &[br#"{"title":"a","imdb_id":"tt0000001","rating":7,"directors":["D"]}"#]);
    let summary = import(&sink, &[br#"{"title":"a","imdb_id":"tt0000001"}"#]);
    assert_eq!((summary.created, summary.changed), (0, 1));
    assert_eq!(sink.get("tt0000001").rating, None);
}

#[test]
fn the_sample_is_read_whole() {
    let sample = include_str!("../../../data/movies.ndjson");
    for (number, line) in sample.lines().enumerate() {
        assert!(movie_from_json(line.as_bytes()).is_ok(), "line {}: {line}", number + 1);
    }
    let sink = Memory::default();
    let summary = import(&sink, &[sample.as_bytes()]);
    assert_eq!((summary.rows, summary.created, summary.rejected), (3200, 3200, 0));
}
