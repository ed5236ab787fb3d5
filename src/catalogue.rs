//! The use cases: view all, view one, create, delete. The invariants of the service live here.
// SKELETON: the signatures are settled, the bodies come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::{GenreName, NewMovie, Parts};

/// How the bytes of an answer are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As they are.
    Identity,
    /// One gzip member (RFC 1952).
    Gzip,
}

/// How the movies of a collection are strung together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A JSON array.
    Array,
    /// One movie a line (NDJSON).
    Lines,
}

/// A state of the catalogue: which revision, and the stamp that no other state shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head {
    /// The number of write transactions committed so far.
    pub revision: u64,
    /// Random, drawn anew for each of them.
    pub stamp: u64,
}

/// How an answer was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// From the cache, or not.
    pub from: From,
    /// For how long the database has been away, when it is.
    pub away: Option<Duration>,
}

/// Whether the cache had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Everything was cached.
    Cache,
    /// Loaded for this request, with what it cost.
    Load(LoadCost),
    /// Loaded for another request that was waiting already.
    Collapsed(LoadCost),
}

/// What a load cost: for `Server-Timing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadCost {
    /// Time in the database.
    pub db: Duration,
    /// Time encoding.
    pub encode: Duration,
    /// Segments loaded.
    pub segments: u32,
}

/// The whole collection at one revision, ready to be sent.
#[derive(Debug)]
pub struct Collection {
    /// The revision and stamp that it is.
    pub head: Head,
    /// How many movies it has.
    pub movies: u64,
    /// Its bytes.
    pub body: Body,
    /// How it was come by.
    pub served: Served,
}

/// The bytes of a collection.
#[derive(Debug)]
pub enum Body {
    /// All in one.
    Whole(Bytes),
    /// Piece by piece; every piece is held in memory already.
    Pieces(Pieces),
    /// From a temporary file: larger than the cache may be.
    File(SpooledBody),
}

/// A body in pieces: an iterator of `Bytes` whose total length is known.
#[derive(Debug)]
pub struct Pieces(());

impl Pieces {
    /// The sum of all pieces in bytes.
    pub fn len(&self) -> u64 {
        todo!()
    }
}

impl Iterator for Pieces {
    type Item = Bytes;
    fn next(&mut self) -> Option<Bytes> {
        todo!()
    }
}

/// A body in a temporary file that its readers share.
#[derive(Debug, Clone)]
pub struct SpooledBody {
    /// Open for reading at any offset (`read_at`); already unlinked.
    pub file: Arc<std::fs::File>,
    /// Its length in bytes.
    pub len: u64,
}

/// One movie as it is served.
#[derive(Debug, Clone)]
pub struct OneMovie {
    /// The revision that the answer reflects.
    pub head: Head,
    /// Its JSON.
    pub json: Bytes,
    /// A hash of that JSON: what its `ETag` is made of.
    pub hash: u64,
    /// How it was come by.
    pub served: Served,
}

/// All genres, as a JSON array, by name.
#[derive(Debug, Clone)]
pub struct Genres {
    /// The revision and stamp that they are.
    pub head: Head,
    /// How many there are.
    pub count: u64,
    /// `[{"name","slug","movies"},…]`.
    pub json: Bytes,
    /// How they were come by.
    pub served: Served,
}

/// Movies that were created.
#[derive(Debug, Clone)]
pub struct Created {
    /// The revision and stamp that created them.
    pub head: Head,
    /// Their ids, in the order that they were sent.
    pub ids: Vec<u64>,
    /// The JSON of each, in the same order; slices of shared bytes.
    pub json: Vec<Bytes>,
}

/// A genre that was created.
#[derive(Debug, Clone)]
pub struct CreatedGenre {
    /// The revision that created it.
    pub head: Head,
    /// `{"name","slug","movies":0}`.
    pub json: Bytes,
}

/// Why the catalogue has no answer. What it shows is fit for a client; causes go to the log where they arise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was read from the database yet.
    #[error("the collection has not been loaded from the database yet")]
    Cold,
    /// The database does not answer (in time), and the cache does not have it (or it is too old by `MARQUEE_STALE_S`).
    #[error("the database does not answer")]
    Away,
    /// There is no such movie at that revision.
    #[error("there is no movie {id}")]
    NoMovie {
        /// The id that was asked for.
        id: u64,
        /// The state in which there is none.
        head: Head,
    },
    /// A movie with that `imdb_id` exists (or stands earlier in the same array).
    #[error("a movie with imdb_id {imdb_id} exists already")]
    DuplicateImdbId {
        /// The id that exists.
        imdb_id: String,
        /// Which of the movies sent has it, from 0.
        index: usize,
        /// The state in which it exists.
        head: Head,
    },
    /// A genre of that name exists.
    #[error("the genre {name} exists already")]
    DuplicateGenre {
        /// Its name, as it is spelt in the collection.
        name: String,
        /// The state in which it exists.
        head: Head,
    },
    /// The writer's mailbox is full: nothing happened.
    #[error("too many writes are waiting")]
    Busy,
    /// marquee is stopping: nothing happened.
    #[error("marquee is stopping")]
    Stopping,
    /// The write was not executed; trying again is safe. The reason is fit for a client.
    #[error("the write was not executed: {0}")]
    NotExecuted(&'static str),
    /// The write may or may not have been executed.
    #[error("the connection to the database broke while it was committing the write")]
    OutcomeUnknown,
    /// The collection is larger than what may be written to a temporary file.
    #[error("the collection is larger than this server may send at once")]
    TooLarge,
    /// A fault of ours or of the database's; its cause is in the log.
    #[error("an internal error")]
    Internal,
}

/// What the parts that the catalogue depends on are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The newest state that this replica knows; `None` while it is cold.
    pub head: Option<Head>,
    /// For how long the database has been away, when it is.
    pub away: Option<Duration>,
    /// Writes that wait.
    pub waiting_writes: usize,
}

/// The catalogue of one replica: cheap to clone.
#[derive(Clone)]
pub struct Catalogue(());

impl Catalogue {
    /// The newest state that this replica may serve, and its number of movies: enough for a 304 or a HEAD.
    ///
    /// # Errors
    /// [`Error::Cold`], [`Error::Away`].
    pub fn current(&self) -> Result<(Head, u64, Served), Error> {
        todo!()
    }

    /// The whole collection.
    ///
    /// # Errors
    /// [`Error::Cold`], [`Error::Away`], [`Error::TooLarge`], [`Error::Internal`].
    pub async fn collection(&self, _form: Form, _coding: Coding) -> Result<Collection, Error> {
        todo!()
    }

    /// One movie.
    ///
    /// # Errors
    /// [`Error::NoMovie`], and as [`Self::collection`].
    pub async fn movie(&self, _id: u64) -> Result<OneMovie, Error> {
        todo!()
    }

    /// All genres.
    ///
    /// # Errors
    /// As [`Self::collection`].
    pub async fn genres(&self) -> Result<Genres, Error> {
        todo!()
    }

    /// Creates all of `movies` or none.
    ///
    /// # Errors
    /// [`Error::DuplicateImdbId`], [`Error::Busy`], [`Error::NotExecuted`], [`Error::OutcomeUnknown`], …
    pub async fn create(&self, _movies: Vec<NewMovie>) -> Result<Created, Error> {
        todo!()
    }

    /// Creates those of `movies` whose `imdb_id` is not there yet and replaces `parts` of the others.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn merge(&self, _movies: Vec<NewMovie>, _parts: Parts) -> Result<Merged, Error> {
        todo!()
    }

    /// Deletes one movie.
    ///
    /// # Errors
    /// [`Error::NoMovie`], and as [`Self::create`].
    pub async fn delete(&self, _id: u64) -> Result<Head, Error> {
        todo!()
    }

    /// Creates a genre that has no movies.
    ///
    /// # Errors
    /// [`Error::DuplicateGenre`], and as [`Self::create`].
    pub async fn create_genre(&self, _name: GenreName) -> Result<CreatedGenre, Error> {
        todo!()
    }

    /// How the parts are doing.
    pub fn health(&self) -> Health {
        todo!()
    }
}

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Movies that were not there.
    pub created: u64,
    /// Movies that were there and differed.
    pub changed: u64,
    /// Movies that were there just so. A merge of these alone raises no revision.
    pub unchanged: u64,
}
