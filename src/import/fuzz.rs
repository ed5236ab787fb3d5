//! The readers of files: in whatever pieces the bytes come, and row by row as all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Cursor, Read};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use serde_json::value::RawValue;

use super::error::ImportError;
use super::feed::{Chunk, ChunkBounds, Feed};
use super::ids::Key;
use super::joins::{Budget, Crew, Joined, People, Ratings};
use super::kind::recognise;
use super::rejects::Rejects;
use super::source::{Text, text};
use super::tests::{Shared, gz};
use super::titles::{self, Joins, Wanted};
use super::{objects, progress};
use crate::domain::{GenreName, NewMovie, movie_from_json};
use crate::fuzz::target;

const FILE: &str = "file";
/// How many bytes come at a time.
const PIECES: [usize; 3] = [1, 5, 64];

/// Bytes that come so many at a time.
struct Pieces(Cursor<Vec<u8>>, usize);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

fn pieces(bytes: &[u8], size: usize) -> Text {
    Box::new(BufReader::with_capacity(size, Pieces(Cursor::new(bytes.to_vec()), size)))
}

/// What came of reading a file.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    rows: u64,
    /// Movies that have an `imdb_id`, and those that have none.
    movies: [Vec<NewMovie>; 2],
    /// Lines and reasons.
    rejects: Vec<(u64, String)>,
    /// What else there is to say, the numbers of rows aside.
    skipped: String,
    broken: Vec<String>,
    error: Option<String>,
}

type Reader = fn(Text, &mut Feed) -> Result<(), ImportError>;

fn read(reader: Reader, text: Text) -> Outcome {
    let movies = Arc::new(Mutex::new([vec![], vec![]]));
    let emitted = Arc::clone(&movies);
    let emit = move |chunk| {
        let [merged, created] = &mut *emitted.lock().unwrap();
        match chunk {
            Chunk::Merge(movies, _) => merged.extend(movies),
            Chunk::Create(movies) => created.extend(movies),
        }
        Ok(())
    };
    let written = Shared::default();
    let rejects = Rejects::new(Some(Box::new(written.clone())));
    let bounds = ChunkBounds { movies: 3, bytes: 1 << 20 };
    let counters = Arc::new(progress::Counters::default());
    let mut feed = Feed::new(rejects, Budget::new(1 << 24), bounds, counters, Box::new(emit));
    let ended = reader(text, &mut feed).and_then(|()| feed.finish());
    let rejects = written.text();
    let rejects = rejects.lines().map(|line| {
        let reject: Value = serde_json::from_str(line).unwrap();
        (reject["line"].as_u64().unwrap(), reject["reason"].as_str().unwrap().to_owned())
    });
    let tally = feed.tally.clone();
    let movies = std::mem::take(&mut *movies.lock().unwrap());
    Outcome {
        rows: tally.rows,
        movies,
        rejects: rejects.collect(),
        skipped: format!("{} {:?}", tally.skipped_adult, tally.skipped_types),
        broken: tally.broken,
        error: ended.err().map(|e| e.to_string()),
    }
}

/// What comes of bytes, which is the same in whatever pieces they come.
fn whole(reader: Reader, bytes: &[u8]) -> Outcome {
    let whole = read(reader, Box::new(Cursor::new(bytes.to_vec())));
    for size in PIECES {
        assert_eq!(read(reader, pieces(bytes, size)), whole, "{size} at a time");
    }
    let [merged, created] = &whole.movies;
    assert!(merged.iter().all(|m| m.imdb_id.is_some()) && created.iter().all(|m| m.imdb_id.is_none()));
    whole
}

/// What comes of rows that are read each on its own; an id that was there before makes a reject of its row.
#[derive(Default)]
struct OneByOne {
    sum: Outcome,
    ids: BTreeSet<String>,
}

impl OneByOne {
    fn add(&mut self, line: u64, alone: Outcome) {
        let Outcome { rows, movies: [merged, created], rejects, broken, .. } = alone;
        self.sum.rows += rows;
        self.sum.movies[1].extend(created);
        for movie in merged {
            if self.ids.insert(movie.imdb_id.as_ref().unwrap().as_str().to_owned()) {
                self.sum.movies[0].push(movie);
            } else {
                let reason = "repeats the imdb_id of an earlier row of this run; the first one counts";
                self.sum.rejects.push((line, reason.to_owned()));
            }
        }
        self.sum.rejects.extend(rejects.into_iter().map(|(_, reason)| (line, reason)));
        assert!(broken.is_empty());
    }

    fn assert_is(self, whole: &Outcome) {
        assert_eq!(self.sum.rows, whole.rows);
        assert_eq!(self.sum.movies, whole.movies);
        assert_eq!(self.sum.rejects, whole.rejects);
    }
}

/// The lines of a text with their ends, and their numbers.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n'))
}

/// NDJSON: all lines at once are what each is on its own, at its number, and what clients may POST is read as the same.
#[test]
fn import_lines() {
    const LINES: Reader = |text, feed| objects::read_lines(FILE, text, feed);
    target("import_lines", 2_000, |bytes| {
        let whole = whole(LINES, bytes);
        let mut one_by_one = OneByOne::default();
        for (number, line) in lines(bytes) {
            let alone = read(LINES, Box::new(Cursor::new(line.to_vec())));
            assert_eq!(alone.rows, u64::from(!line.trim_ascii().is_empty()));
            if let Ok(movie) = movie_from_json(line) {
                assert_eq!(alone.movies.concat(), [movie]);
            }
            one_by_one.add(number, alone);
        }
        one_by_one.assert_is(&whole);
        assert_eq!((whole.broken.len(), whole.error), (0, None));
    });
}

/// An array: its elements are those that `serde_json` sees, each with the line that it begins in; where that sees no
/// array, the file is said to be broken.
#[test]
fn import_array() {
    const ARRAY: Reader = |text, feed| objects::read_array(FILE, text, feed);
    target("import_array", 2_000, |bytes| {
        let whole = whole(ARRAY, bytes);
        assert_eq!(whole.error, None);
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) else {
            return assert_eq!(whole.broken.len(), 1);
        };
        assert!(whole.broken.is_empty(), "{:?}", whole.broken);
        let mut one_by_one = OneByOne::default();
        for element in elements {
            let before = element.get().as_ptr() as usize - text.as_ptr() as usize;
            let line = bytes[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
            let alone = format!("[{}]", element.get());
            let alone = read(ARRAY, Box::new(Cursor::new(alone.into_bytes())));
            assert_eq!(alone.rows, 1);
            one_by_one.add(line as u64, alone);
        }
        one_by_one.assert_is(&whole);
    });
}

/// A row as IMDb would write it.
fn row(movie: &NewMovie) -> Option<String> {
    let or_none = |number: Option<i32>| number.map_or(r"\N".to_owned(), |number| number.to_string());
    let genres: Vec<&str> = movie.genres.iter().map(GenreName::as_str).collect();
    // A genre of this name alone is none.
    let genres = if genres.is_empty() { r"\N".to_owned() } else { genres.join(",") };
    (movie.genres.is_empty() || genres != r"\N").then(|| {
        let id = movie.imdb_id.as_ref().unwrap().as_str();
        let (title, year) = (movie.title.as_str(), or_none(movie.year.map(|y| y.get())));
        let runtime = or_none(movie.runtime_minutes.map(|r| r.get()));
        format!("{id}\tmovie\t{title}\t\\N\t{year}\t{runtime}\t{genres}")
    })
}

/// `title.basics`: all rows at once are what each is on its own below the same header; a movie written as a row is read
/// as the same movie.
#[test]
fn import_titles() {
    const TITLES: Reader = |text, feed| titles::read(FILE, text, &Wanted::default(), &Joins::default(), feed);
    const HEADER: &[u8] = b"tconst\ttitleType\tprimaryTitle\tisAdult\tstartYear\truntimeMinutes\tgenres\n";
    target("import_titles", 2_000, |bytes| {
        let whole = whole(TITLES, bytes);
        assert_eq!(whole.broken.len(), 0);
        let Some((_, header)) = lines(bytes).next() else { return };
        if whole.error.is_some() {
            return assert_eq!(whole.rows, 0);
        }
        let mut one_by_one = OneByOne::default();
        for (number, row) in lines(bytes).skip(1) {
            let alone = read(TITLES, Box::new(Cursor::new([header, row].concat())));
            assert_eq!(alone.rows, 1);
            one_by_one.add(number, alone);
        }
        one_by_one.assert_is(&whole);
        for movie in whole.movies.concat() {
            if let Some(row) = row(&movie) {
                let again = read(TITLES, Box::new(Cursor::new([HEADER, row.as_bytes()].concat())));
                assert_eq!(again.movies.concat(), [movie]);
            }
        }
    });
}

/// The files that are joined: of each key the last row that can be read counts, whatever stands around it, and however the
/// bytes come.
#[test]
fn import_joined() {
    fn joined<V>(
        header: &str,
        rows: &[u8],
        read: impl Fn(Joined, &mut Budget, &mut Rejects) -> Result<(V, u64), ImportError>,
    ) -> (V, u64, u64) {
        let bytes = [header.as_bytes(), rows].concat();
        let rows = |text: Text| {
            let (mut budget, mut rejects) = (Budget::new(1 << 24), Rejects::new(None));
            let (value, rows) = read(Joined { file: FILE.into(), text }, &mut budget, &mut rejects).unwrap();
            (value, rows, rejects.joined)
        };
        let whole = rows(Box::new(Cursor::new(bytes.clone())));
        for size in PIECES {
            let (_, count, rejected) = rows(pieces(&bytes, size));
            assert_eq!((count, rejected), (whole.1, whole.2));
        }
        whole
    }
    target("import_joined", 1_500, |bytes| {
        let keys = |prefix: &'static str| {
            let key = move |line: &[u8]| {
                Key::parse(prefix, String::from_utf8_lossy(line).split(['\t', '\r', '\n']).next()?)
            };
            lines(bytes).filter_map(move |(_, line)| Some((key(line)?, line)))
        };
        let ratings = |rows: &[u8]| joined("tconst\taverageRating\tnumVotes\n", rows, Ratings::read);
        let crew = |rows: &[u8]| joined("tconst\tdirectors\n", rows, Crew::read);
        let people = |rows: &[u8]| {
            let wanted: BTreeSet<Key> = keys("nm").map(|(key, _)| key).collect();
            let wanted: Vec<Key> = wanted.into_iter().collect();
            joined("nconst\tprimaryName\n", rows, |file, budget, rejects| {
                People::read(file, wanted.clone(), budget, rejects)
            })
        };
        let (mut rated, mut directed, mut named) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (key, line) in keys("tt") {
            let (ratings, _, rejected) = ratings(line);
            if rejected == 0 {
                rated.insert(key, ratings.get(key));
            }
            let (crew, _, rejected) = crew(line);
            if rejected == 0 && !crew.get(key).is_empty() {
                directed.insert(key, crew.get(key).to_vec());
            }
        }
        for (key, line) in keys("nm") {
            if let Some(name) = people(line).0.name(key) {
                named.insert(key, name.to_owned());
            }
        }
        let (ratings, crew, people) = (ratings(bytes), crew(bytes), people(bytes));
        let rows = lines(bytes).count() as u64;
        assert_eq!([ratings.1, crew.1, people.1], [rows; 3]);
        for (key, _) in keys("tt") {
            assert_eq!(ratings.0.get(key), rated.get(&key).copied().unwrap_or_default());
            assert_eq!(crew.0.get(key), directed.get(&key).map(Vec::as_slice).unwrap_or_default());
        }
        for (key, _) in keys("nm") {
            assert_eq!(people.0.name(key), named.get(&key).map(String::as_str));
        }
    });
}

/// A file of any sort: what it is and what it holds does not depend on how the bytes come, nor on whether it is packed.
#[test]
fn import_sources() {
    fn opened(raw: impl Read + Send + 'static) -> Result<(Vec<u8>, String), String> {
        let mut bytes = Vec::new();
        text(raw).and_then(|mut text| text.read_to_end(&mut bytes)).map_err(|e| e.to_string())?;
        let kind = match recognise(pieces(&bytes, 7)) {
            Ok((kind, mut again)) => {
                let mut whole = Vec::new();
                again.read_to_end(&mut whole).unwrap();
                assert_eq!(whole, bytes);
                format!("{kind:?}")
            }
            Err(unknown) => format!("{unknown:?}"),
        };
        let at_once = recognise(Box::new(Cursor::new(bytes.clone())));
        assert_eq!(at_once.map_or_else(|u| format!("{u:?}"), |(kind, _)| format!("{kind:?}")), kind);
        Ok((bytes, kind))
    }
    target("import_sources", 2_000, |bytes| {
        let whole = opened(Cursor::new(bytes.to_vec()));
        for size in PIECES {
            let by_pieces = opened(Pieces(Cursor::new(bytes.to_vec()), size));
            // Of damaged bytes, more or fewer may have been unpacked until that is seen.
            assert_eq!(by_pieces.ok(), whole.clone().ok());
        }
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            assert_eq!(opened(Cursor::new(gz(bytes))), whole);
            let half = gz(bytes);
            assert!(opened(Cursor::new(half[..half.len() - 1].to_vec())).is_err());
        }
    });
}
