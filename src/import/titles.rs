//! `title.basics`, row by row, with what is joined to it.

use std::collections::HashSet;

use super::columns::{Columns, digits, present};
use super::error::ImportError;
use super::feed::Feed;
use super::ids::Key;
use super::joins::{Crew, People, Ratings};
use super::lines::{Line, Lines};
use super::rejects::Place;
use super::source::{Text, cause};
use crate::domain::{
    DirectorName, GenreName, ImdbId, MAX_DIRECTORS, MAX_GENRES, NewMovie, Parts, RuntimeMinutes, Title, Year,
};

/// Which titles are movies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The values of `titleType` that are taken; none at all takes every type.
    pub types: Vec<String>,
    /// Whether titles with `isAdult` 1 are taken.
    pub adult: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { types: vec!["movie".to_owned()], adult: false }
    }
}

/// What is joined.
#[derive(Default)]
pub(super) struct Joins {
    pub(super) ratings: Option<Ratings>,
    pub(super) directors: Option<(Crew, People)>,
}

impl Joins {
    /// What a title speaks of once joined.
    fn parts(&self) -> Parts {
        Parts { directors: self.directors.is_some(), ratings: self.ratings.is_some(), popularity: false }
    }
}

const COLUMNS: [&str; 7] =
    ["tconst", "titleType", "primaryTitle", "isAdult", "startYear", "runtimeMinutes", "genres"];

/// Reads the file.
pub(super) fn read(
    file: &str,
    text: Text,
    wanted: &Wanted,
    joins: &Joins,
    feed: &mut Feed,
) -> Result<(), ImportError> {
    let mut lines = Lines::new(text);
    let columns = match lines.next() {
        Ok(Some(Line::Whole(header))) => Columns::find(header, COLUMNS)
            .map_err(|reason| ImportError::Kind { file: file.to_owned(), reason })?,
        Ok(_) => return Ok(()),
        Err(e) => {
            feed.broken(Place { file, line: 1 }, &cause(&e));
            return Ok(());
        }
    };
    loop {
        let place = Place { file, line: lines.number() + 1 };
        let row = match lines.next() {
            Ok(None) => return Ok(()),
            Ok(Some(Line::Whole(row))) => row,
            Ok(Some(Line::TooLong(start))) => {
                feed.reject(place, "is longer than 1 MiB", start)?;
                continue;
            }
            Err(e) => {
                feed.broken(place, &cause(&e));
                return Ok(());
            }
        };
        match columns.pick(row).and_then(|fields| title(fields, wanted)) {
            Ok(Made::Movie(mut movie)) => {
                join(&mut movie, joins, feed);
                feed.movie(place, row, *movie, joins.parts())?;
            }
            Ok(Made::OtherType(name)) => feed.skip_type(name),
            Ok(Made::Adult) => feed.skip_adult(),
            Err(reason) => feed.reject(place, &reason, row)?,
        }
    }
}

enum Made<'a> {
    Movie(Box<NewMovie>),
    OtherType(&'a str),
    Adult,
}

fn title<'a>(fields: [&'a str; 7], wanted: &Wanted) -> Result<Made<'a>, String> {
    let [tconst, title_type, title, is_adult, year, runtime, genres] = fields;
    if !wanted.types.is_empty() && !wanted.types.iter().any(|name| name == title_type) {
        return Ok(Made::OtherType(title_type));
    }
    match is_adult {
        "0" | r"\N" => {}
        "1" if wanted.adult => {}
        "1" => return Ok(Made::Adult),
        _ => return Err("isAdult must be 0 or 1".to_owned()),
    }
    let imdb_id = ImdbId::parse(tconst).map_err(|invalid| format!("tconst {invalid}"))?;
    let title = present(title).ok_or("primaryTitle is missing")?;
    let title = Title::parse(title).map_err(|invalid| format!("primaryTitle {invalid}"))?;
    let mut movie = NewMovie { imdb_id: Some(imdb_id), ..NewMovie::titled(title) };
    if let Some(year) = present(year) {
        let year = Year::parse(number("startYear", year)?);
        movie.year = Some(year.map_err(|invalid| format!("startYear {invalid}"))?);
    }
    match present(runtime).map(|runtime| number("runtimeMinutes", runtime)).transpose()? {
        None | Some(0.0) => {}
        Some(minutes) => {
            let runtime = RuntimeMinutes::parse(minutes);
            movie.runtime_minutes = Some(runtime.map_err(|invalid| format!("runtimeMinutes {invalid}"))?);
        }
    }
    if let Some(genres) = present(genres) {
        movie.genres = self::genres(genres)?;
    }
    Ok(Made::Movie(Box::new(movie)))
}

#[expect(clippy::cast_precision_loss, reason = "no bound reaches 2^53")]
fn number(column: &str, value: &str) -> Result<f64, String> {
    digits(column, value).map(|number| number as f64)
}

/// Genres in their order, a repeated one only where it stands first.
fn genres(list: &str) -> Result<Vec<GenreName>, String> {
    let mut genres: Vec<GenreName> = Vec::with_capacity(3);
    for name in list.split(',') {
        let name = GenreName::parse(name).map_err(|invalid| format!("genres: each {invalid}"))?;
        if genres.iter().all(|other| other.key() != name.key()) {
            genres.push(name);
        }
        if genres.len() > MAX_GENRES {
            return Err(format!("genres must be at most {MAX_GENRES}"));
        }
    }
    Ok(genres)
}

fn join(movie: &mut NewMovie, joins: &Joins, feed: &mut Feed) {
    let Some(key) = movie.imdb_id.as_ref().and_then(|id| Key::parse("tt", id.as_str())) else { return };
    if let Some(ratings) = &joins.ratings {
        (movie.rating, movie.votes) = ratings.get(key);
    }
    let Some((crew, people)) = &joins.directors else { return };
    let mut met = HashSet::new();
    for person in crew.get(key) {
        match people.name(*person).and_then(|name| DirectorName::parse(name).ok()) {
            None => feed.tally.unknown_directors += 1,
            // Two people of one name are one director here: names are what the collection knows.
            Some(name) if !met.insert(name.key()) => {}
            Some(_) if movie.directors.len() == MAX_DIRECTORS => feed.tally.surplus_directors += 1,
            Some(name) => movie.directors.push(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(fields: [&str; 7]) -> Result<NewMovie, String> {
        match title(fields, &Wanted::default())? {
            Made::Movie(movie) => Ok(*movie),
            Made::OtherType(name) => Err(format!("type {name}")),
            Made::Adult => Err("adult".to_owned()),
        }
    }

    #[test]
    fn a_row_becomes_a_movie() {
        let movie =
            made(["tt0000012", "movie", "\"Weh\" 🎬 \\ Ach", "0", "1897", "45", "Drama, Short ,drama"])
                .unwrap();
        assert_eq!(movie.title.as_str(), "\"Weh\" 🎬 \\ Ach");
        assert_eq!(movie.year.unwrap().get(), 1897);
        assert_eq!(movie.runtime_minutes.unwrap().get(), 45);
        assert_eq!(movie.genres.iter().map(GenreName::as_str).collect::<Vec<_>>(), ["Drama", "Short"]);
    }

    #[test]
    fn nothing_stays_nothing() {
        let n = r"\N";
        let movie = made(["tt0000012", "movie", "A", n, n, n, n]).unwrap();
        assert_eq!(
            movie,
            NewMovie { imdb_id: movie.imdb_id.clone(), ..NewMovie::titled(Title::parse("A").unwrap()) }
        );
        assert_eq!(made(["tt0000012", "movie", "A", "0", n, "0", n]).unwrap().runtime_minutes, None);
        assert!(made([n, n, n, n, n, n, n]).is_err());
        assert!(made(["tt0000012", "movie", n, "0", n, n, n]).is_err());
    }

    #[test]
    fn what_is_not_wanted_is_told_apart() {
        assert_eq!(made(["tt0000012", "short", "A", "0", "x", "x", ""]).unwrap_err(), "type short");
        assert_eq!(made(["tt0000012", "movie", "A", "1", "x", "x", ""]).unwrap_err(), "adult");
        let all = Wanted { types: Vec::new(), adult: true };
        let row = ["tt0000012", "short", "A", "1", r"\N", r"\N", r"\N"];
        assert!(matches!(title(row, &all), Ok(Made::Movie(_))));
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let good = ["tt0000012", "movie", "A", "0", "1999", "90", "Drama"];
        assert!(made(good).is_ok());
        for (column, value) in [
            (0, "tt12"),
            (2, ""),
            (2, "a\u{7}b"),
            (3, "2"),
            (4, "1492"),
            (4, "MCM"),
            (5, "60001"),
            (5, "-5"),
            (6, "a,,b"),
            (6, ""),
        ] {
            let mut row = good;
            row[column] = value;
            assert!(made(row).is_err(), "{column} {value}");
        }
    }
}
