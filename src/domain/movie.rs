//! A movie, before and after it is stored.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{DirectorName, GenreName, ImdbId, Popularity, Rating, RuntimeMinutes, Title, Votes, Year};

/// What a client says of a movie. Every value is within its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMovie {
    /// Unique in the collection when present.
    pub imdb_id: Option<ImdbId>,
    /// The title.
    pub title: Title,
    /// The year in which it came out.
    pub year: Option<Year>,
    /// Its length in minutes.
    pub runtime_minutes: Option<RuntimeMinutes>,
    /// At most [`super::MAX_DIRECTORS`], none twice, in order.
    pub directors: Vec<DirectorName>,
    /// At most [`super::MAX_GENRES`], none twice, in order.
    pub genres: Vec<GenreName>,
    /// Its rating.
    pub rating: Option<Rating>,
    /// How many votes the rating rests on.
    pub votes: Option<Votes>,
    /// Its popularity.
    pub popularity: Option<Popularity>,
}

impl NewMovie {
    /// A movie of which only the title is known.
    pub fn titled(title: Title) -> Self {
        Self {
            imdb_id: None,
            title,
            year: None,
            runtime_minutes: None,
            directors: Vec::new(),
            genres: Vec::new(),
            rating: None,
            votes: None,
            popularity: None,
        }
    }

    /// The movie that it becomes: its first version, made at `now`.
    pub fn first(self, id: u64, now: Timestamp) -> Movie {
        Movie {
            id,
            imdb_id: self.imdb_id,
            title: self.title,
            year: self.year,
            runtime_minutes: self.runtime_minutes,
            directors: self.directors,
            genres: self.genres,
            rating: self.rating,
            votes: self.votes,
            popularity: self.popularity,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// About how many bytes of memory it holds: what the writer's mailbox counts.
    pub fn weight(&self) -> usize {
        let names = self.directors.iter().map(|d| d.as_str().len() + 32).sum::<usize>()
            + self.genres.iter().map(|g| g.as_str().len() + 32).sum::<usize>();
        size_of::<Self>() + self.title.as_str().len() + names
    }
}

/// A movie as it is stored and served. The order of the members here is their order in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Movie {
    /// Given by marquee; never given again after a delete.
    pub id: u64,
    /// Unique in the collection when present.
    pub imdb_id: Option<ImdbId>,
    /// The title.
    pub title: Title,
    /// The year in which it came out.
    pub year: Option<Year>,
    /// Its length in minutes.
    pub runtime_minutes: Option<RuntimeMinutes>,
    /// In the order that they were given, in the spelling that was seen first.
    pub directors: Vec<DirectorName>,
    /// In the order that they were given, in the spelling that was seen first.
    pub genres: Vec<GenreName>,
    /// Its rating.
    pub rating: Option<Rating>,
    /// How many votes the rating rests on.
    pub votes: Option<Votes>,
    /// Its popularity.
    pub popularity: Option<Popularity>,
    /// Starts at 1 and grows by one with each change of this movie.
    pub version: u64,
    /// When it was created, to the second.
    #[serde(serialize_with = "to_the_second")]
    pub created_at: Timestamp,
    /// When it was last changed, to the second.
    #[serde(serialize_with = "to_the_second")]
    pub updated_at: Timestamp,
}

pub(super) fn to_the_second<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.0}"))
}

/// Which parts of a movie a source speaks of: a merge leaves the others as they are.
///
/// IMDb's `title.basics` says nothing of ratings, for one, and importing it must not remove them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// `directors`.
    pub directors: bool,
    /// `rating` and `votes`.
    pub ratings: bool,
    /// `popularity`.
    pub popularity: bool,
}

impl Parts {
    /// A source that speaks of everything: what it leaves out is to be empty.
    pub const ALL: Self = Self { directors: true, ratings: true, popularity: true };
}

/// A genre with the number of movies that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Genre {
    /// Its name in the spelling that was seen first.
    pub name: GenreName,
    /// Its name for paths and queries.
    pub slug: String,
    /// How many movies have it.
    pub movies: u64,
}

/// The id of a movie as it is spelt in a path or a list: digits alone, without a sign or leading zeros, above 0 and at
/// most 2^63-1, which is what the databases keep.
pub fn movie_id(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse::<i64>().ok().filter(|_| canonical).map(i64::cast_unsigned)
}
