//! What the catalogue and the store say to each other.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{DirectorName, GenreName, Movie};

/// A state of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The number of write transactions committed so far: a total order over all replicas.
    pub revision: u64,
    /// Random, drawn anew for each of them: two states with one stamp are the same bytes, and a database
    /// restored from a backup repeats revisions but never stamps.
    pub stamp: u64,
}

/// The state that somebody knows already, when there is one.
pub type Known = Option<Head>;

/// One segment of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRef {
    /// `id >> 8` of its movies.
    pub number: u64,
    /// The stamp of the write that last changed it.
    pub stamp: u64,
    /// How many movies it has, at most 256.
    pub movies: u32,
}

/// What was committed since a known state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The state that they lead to.
    pub head: Head,
    /// How it relates to the known one.
    pub history: History,
}

/// How a state relates to one that was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum History {
    /// It is the known one.
    Same,
    /// It follows from the known one by these changed segments.
    Follows(Vec<SegmentRef>),
    /// It does not follow from the known one (or none was known): these are all its segments.
    Another(Vec<SegmentRef>),
}

/// The ids that the next new rows get. Dense, never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextIds {
    /// Of a movie.
    pub movie: u64,
    /// Of a genre.
    pub genre: u64,
    /// Of a director.
    pub director: u64,
}

/// The things that a batch names, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `imdb_id`s of movies that are to be created or merged.
    pub imdb_ids: BTreeSet<String>,
    /// Whether the movies that have them are needed whole: a merge compares.
    pub whole: bool,
    /// Movies that are to be deleted or changed.
    pub ids: BTreeSet<u64>,
    /// Folded names of genres.
    pub genres: BTreeSet<String>,
    /// Folded names of directors.
    pub directors: BTreeSet<String>,
}

/// A genre as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenreRow {
    /// Its id.
    pub id: u64,
    /// Its name in the spelling that was seen first.
    pub name: GenreName,
}

/// What the database knows of the things that a batch names.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Which movie has an `imdb_id`.
    pub by_imdb_id: HashMap<String, u64>,
    /// Movies, whole: those asked for by id, and those of `by_imdb_id` when they were wanted whole.
    pub movies: HashMap<u64, Movie>,
    /// Genres by folded name: those asked for, and those of `movies`.
    pub genres: HashMap<String, GenreRow>,
    /// Directors by folded name: those asked for, and those of `movies`.
    pub directors: HashMap<String, (u64, DirectorName)>,
    /// Slugs that are taken and could meet those of the genres that were not found.
    pub slugs: BTreeSet<String>,
}

/// A genre to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGenre {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: GenreName,
    /// Its slug.
    pub slug: String,
}

/// A director to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDirector {
    /// The id.
    pub id: u64,
    /// The name.
    pub name: DirectorName,
}

/// A movie's row and links to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The movie, its names in the spelling that stays.
    pub movie: Movie,
    /// The ids of its genres, in order.
    pub genres: Vec<u64>,
    /// The ids of its directors, in order.
    pub directors: Vec<u64>,
}

/// All that one write transaction changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Changeset {
    /// The state that it makes.
    pub head: Head,
    /// The ids to give after it.
    pub next_ids: NextIds,
    /// Movies whose row and links go: deleted ones, and changed ones before they are put anew.
    pub remove: Vec<u64>,
    /// Genres that are new.
    pub genres: Vec<NewGenre>,
    /// Directors that are new.
    pub directors: Vec<NewDirector>,
    /// Movies that are written, by id.
    pub put: Vec<Put>,
    /// By how much the count of a genre changes, by the genre's id; no zeros.
    pub genre_counts: Vec<(u64, i64)>,
    /// The touched segments as they will be.
    pub segments: Vec<SegmentRef>,
}
