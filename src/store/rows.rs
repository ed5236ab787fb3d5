//! Rows, and how they become movies.
//!
//! What is inserted says `treat_none_as_default_value = false`: a row that might hold a DEFAULT costs a
//! statement of its own on SQLite, in a transaction that Diesel begins for it.

use diesel::QueryResult;
use diesel::prelude::{Insertable, Queryable};
use jiff::Timestamp;

use super::StoreError;
use super::model::{Head, NextIds, Polled, Put, SegmentRef};
use super::schema::{
    commits, directors, genres, idempotency_keys, movie_directors, movie_genres, movies, segments,
};
use crate::domain::{
    DirectorName, Genre, GenreName, ImdbId, Invalid, Movie, Popularity, Rating, RuntimeMinutes, Title, Votes,
    Year,
};

/// The one row of `catalogue`.
#[derive(Debug, Clone, Copy, Queryable)]
pub(super) struct CatalogueRow {
    _id: i32,
    revision: i64,
    stamp: i64,
    next_movie_id: i64,
    next_genre_id: i64,
    next_director_id: i64,
}

impl CatalogueRow {
    pub(super) fn head(&self) -> Head {
        Head { revision: self.revision.cast_unsigned(), stamp: self.stamp.cast_unsigned() }
    }

    pub(super) fn next_ids(&self) -> NextIds {
        NextIds {
            movie: self.next_movie_id.cast_unsigned(),
            genre: self.next_genre_id.cast_unsigned(),
            director: self.next_director_id.cast_unsigned(),
        }
    }
}

/// The one row of an answer, or the first, after all of it was read: a server can end an answer with an error behind its last
/// row (a node of a Galera cluster whose transaction was undone), which diesel's `first` drops with all that follows the
/// first row.
pub(super) fn only<T>(rows: QueryResult<Vec<T>>) -> QueryResult<T> {
    rows?.into_iter().next().ok_or(diesel::result::Error::NotFound)
}

/// (revision, stamp, stamp of the tokens, identity of the database), as it is read.
pub(super) type PolledTuple = (i64, i64, i64, Option<i64>);

pub(super) fn polled((revision, stamp, tokens, database): PolledTuple) -> Polled {
    let head = Head { revision: revision.cast_unsigned(), stamp: stamp.cast_unsigned() };
    Polled { head, tokens: tokens.cast_unsigned(), database: database.map(i64::cast_unsigned) }
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = commits, treat_none_as_default_value = false)]
pub(super) struct CommitRow {
    pub(super) revision: i64,
    pub(super) stamp: i64,
}

impl From<Head> for CommitRow {
    fn from(head: Head) -> Self {
        Self { revision: head.revision.cast_signed(), stamp: head.stamp.cast_signed() }
    }
}

/// (segment, stamp, movies), as it is read.
pub(super) type SegmentTuple = (i64, i64, i32);

pub(super) fn segment_ref((number, stamp, movies): SegmentTuple) -> SegmentRef {
    SegmentRef {
        number: number.cast_unsigned(),
        stamp: stamp.cast_unsigned(),
        movies: u32::try_from(movies).unwrap_or_default(),
    }
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = segments, treat_none_as_default_value = false)]
pub(super) struct SegmentRow {
    segment: i64,
    revision: i64,
    stamp: i64,
    movies: i32,
}

impl SegmentRow {
    pub(super) fn new(segment: SegmentRef, revision: u64) -> Self {
        Self {
            segment: segment.number.cast_signed(),
            revision: revision.cast_signed(),
            stamp: segment.stamp.cast_signed(),
            movies: i32::try_from(segment.movies).unwrap_or(i32::MAX),
        }
    }
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = genres, treat_none_as_default_value = false)]
pub(super) struct NewGenreRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) name_key: String,
    pub(super) slug: String,
    pub(super) movies: i64,
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = directors, treat_none_as_default_value = false)]
pub(super) struct NewDirectorRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) name_key: String,
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = movies, treat_none_as_default_value = false)]
pub(super) struct NewMovieRow {
    id: i64,
    imdb_id: Option<String>,
    title: String,
    title_key: String,
    year: Option<i32>,
    runtime_minutes: Option<i32>,
    rating: Option<f64>,
    votes: Option<i32>,
    popularity: Option<f64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl From<&Movie> for NewMovieRow {
    fn from(movie: &Movie) -> Self {
        Self {
            id: movie.id.cast_signed(),
            imdb_id: movie.imdb_id.as_ref().map(|id| id.as_str().to_owned()),
            title: movie.title.as_str().to_owned(),
            title_key: movie.title.key(),
            year: movie.year.map(Year::get),
            runtime_minutes: movie.runtime_minutes.map(RuntimeMinutes::get),
            rating: movie.rating.map(Rating::get),
            votes: movie.votes.map(Votes::get),
            popularity: movie.popularity.map(Popularity::get),
            version: movie.version.cast_signed(),
            created_at: movie.created_at.as_second(),
            updated_at: movie.updated_at.as_second(),
        }
    }
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = movie_genres, treat_none_as_default_value = false)]
pub(super) struct GenreLinkRow {
    movie_id: i64,
    position: i32,
    genre_id: i64,
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = movie_directors, treat_none_as_default_value = false)]
pub(super) struct DirectorLinkRow {
    movie_id: i64,
    position: i32,
    director_id: i64,
}

pub(super) fn genre_links(put: &[Put]) -> Vec<GenreLinkRow> {
    let links = put.iter().flat_map(|put| {
        (0..).zip(&put.genres).map(|(position, genre)| GenreLinkRow {
            movie_id: put.movie.id.cast_signed(),
            position,
            genre_id: genre.cast_signed(),
        })
    });
    links.collect()
}

pub(super) fn director_links(put: &[Put]) -> Vec<DirectorLinkRow> {
    let links = put.iter().flat_map(|put| {
        (0..).zip(&put.directors).map(|(position, director)| DirectorLinkRow {
            movie_id: put.movie.id.cast_signed(),
            position,
            director_id: director.cast_signed(),
        })
    });
    links.collect()
}

/// A part of an answer that is kept.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = idempotency_keys, treat_none_as_default_value = false)]
pub(super) struct KeptRow {
    pub(super) position: i64,
    pub(super) id: Vec<u8>,
    pub(super) part: i32,
    pub(super) request: Vec<u8>,
    pub(super) revision: i64,
    pub(super) stamp: i64,
    pub(super) expires_at: i64,
    pub(super) answer: Vec<u8>,
}

/// A movie's row as it is read: everything but the key that it is sorted by.
#[derive(Debug, Clone, Queryable)]
pub(super) struct MovieRow {
    pub(super) id: i64,
    imdb_id: Option<String>,
    title: String,
    year: Option<i32>,
    runtime_minutes: Option<i32>,
    rating: Option<f64>,
    votes: Option<i32>,
    popularity: Option<f64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

/// (movie, id of the genre or director, its name), by movie and position.
pub(super) type LinkTuple = (i64, i64, String);

/// Puts movies and their links, all by movie id, together.
///
/// # Errors
/// When a row is out of the bounds that marquee keeps: somebody else wrote it.
pub(super) fn movies(
    rows: Vec<MovieRow>,
    genres: Vec<LinkTuple>,
    directors: Vec<LinkTuple>,
) -> Result<Vec<Movie>, StoreError> {
    let mut genres = genres.into_iter().peekable();
    let mut directors = directors.into_iter().peekable();
    rows.into_iter()
        .map(|row| {
            let id = row.id;
            let mut names = Vec::new();
            while let Some((_, _, name)) = genres.next_if(|(movie, _, _)| *movie <= id) {
                names.push(name);
            }
            let mut people = Vec::new();
            while let Some((_, _, name)) = directors.next_if(|(movie, _, _)| *movie <= id) {
                people.push(name);
            }
            movie(row, &names, &people)
                .map_err(|Invalid(reason)| StoreError::Corrupt(format!("movie {id}: a value {reason}")))
        })
        .collect()
}

fn movie(row: MovieRow, genres: &[String], directors: &[String]) -> Result<Movie, Invalid> {
    let second = |s: i64| Timestamp::from_second(s).map_err(|e| Invalid::new(e.to_string()));
    Ok(Movie {
        id: row.id.cast_unsigned(),
        imdb_id: row.imdb_id.as_deref().map(ImdbId::parse).transpose()?,
        title: Title::parse(&row.title)?,
        year: row.year.map(|v| Year::parse(f64::from(v))).transpose()?,
        runtime_minutes: row.runtime_minutes.map(|v| RuntimeMinutes::parse(f64::from(v))).transpose()?,
        directors: directors.iter().map(|name| DirectorName::parse(name)).collect::<Result<_, _>>()?,
        genres: genres.iter().map(|name| GenreName::parse(name)).collect::<Result<_, _>>()?,
        rating: row.rating.map(Rating::parse).transpose()?,
        votes: row.votes.map(|v| Votes::parse(f64::from(v))).transpose()?,
        popularity: row.popularity.map(Popularity::parse).transpose()?,
        version: row.version.cast_unsigned(),
        created_at: second(row.created_at)?,
        updated_at: second(row.updated_at)?,
    })
}

/// (name, slug, movies), as it is read.
pub(super) type GenreTuple = (String, String, i64);

pub(super) fn genre((name, slug, movies): GenreTuple) -> Result<Genre, StoreError> {
    let name = GenreName::parse(&name).map_err(|e| StoreError::Corrupt(format!("genre {name:?}: {e}")))?;
    Ok(Genre { name, slug, movies: movies.cast_unsigned() })
}
