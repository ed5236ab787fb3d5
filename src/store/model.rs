//! What the catalogue and the store say to each other.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::domain::{DirectorName, GenreName, Movie, Token};

/// A state of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The number of write transactions committed so far: a total order over all replicas.
    pub revision: u64,
    /// Random, drawn anew for each of them: two states with one stamp are the same bytes, and a database
    /// restored from a backup repeats revisions but never stamps.
    pub stamp: u64,
}

/// What a look at the database tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polled {
    /// The newest state of the catalogue.
    pub head: Head,
    /// The stamp of the last change of tokens.
    pub tokens: u64,
    /// What tells this database from any other; `None` where a backup was put back that has no such
    /// name yet.
    pub database: Option<u64>,
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

/// One page of the movies that match.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// How many match.
    pub total: u64,
    /// Those of the page, in its order.
    pub movies: Vec<Movie>,
    /// Whether there are others beyond it, in the direction in which it was asked for.
    pub more: bool,
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
    /// From which number on those are numbered that meet another, where that is not 2. As far as the batch can need
    /// them, the numbers from there on are free unless `slugs` has them.
    pub numbers: HashMap<String, u64>,
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

/// A SHA-256.
pub type Digest = [u8; 32];

/// What makes a write one that is not done twice: a second one of the same `id` is answered as the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RetryKey {
    /// The key that the client chose, and all that it is scoped to.
    pub id: Digest,
    /// What is asked: another request under the same `id` is a mistake of the client's.
    pub request: Digest,
}

/// What a write with a key was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its key.
    pub key: RetryKey,
    /// The state that the answer is of.
    pub head: Head,
    /// What came of it, in the form that the catalogue gave it.
    pub answer: Vec<u8>,
}

/// What is kept for retries, as far as a batch must know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The answers that were asked for, as far as they are there and have not expired.
    pub answers: Vec<KeptAnswer>,
    /// About how many bytes all answers take that have not expired.
    pub bytes: u64,
    /// Where the next one goes.
    pub(super) end: i64,
    /// Rows that have expired, not all.
    pub(super) expired: Vec<i64>,
    /// Those that were asked for and have expired.
    pub(super) stale: Vec<Digest>,
}

/// All tokens at one moment, by id.
#[derive(Debug, Clone)]
pub struct TokenTable {
    /// Drawn at random for each change, so that a database that was restored is told from what it was; 0 before
    /// the first.
    pub stamp: u64,
    /// The id that the next one gets; 1 where there never was any.
    pub next_id: u64,
    /// The tokens, revoked ones included.
    pub tokens: Vec<Token>,
}

/// One change of tokens.
#[derive(Debug, Clone)]
pub enum TokenChange {
    /// One more, under [`TokenTable::next_id`].
    Add(Token),
    /// One less.
    Revoke {
        /// Which.
        id: u64,
        /// When.
        at: Timestamp,
        /// Tokens that were revoked so long ago that nobody need know of them.
        forget: Vec<u64>,
    },
}
