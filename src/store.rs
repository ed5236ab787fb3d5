//! The database: one catalogue in MySQL, MariaDB or SQLite.
//!
//! A [`Store`] hands out two kinds of work, each on a pooled connection of its own:
//! a [`Snapshot`] reads one moment, a [`WriteTx`] holds the lock of the revision row and with it the
//! place of its transaction in the order of all replicas. What a read or a write means is not known
//! here: that is the catalogue's.
//!
//! The queries are written once, in `queries.rs`, and compiled for each backend (`mysql.rs`,
//! `sqlite.rs`). Everything here must run on the runtime that does all database work, because pooled
//! sockets belong to the runtime that opened them.

mod derive;
mod error;
mod find;
mod model;
mod mysql;
mod numbering;
mod pending;
mod rows;
mod schema;
mod sqlite;
mod statement;

use std::time::Duration;

pub use error::StoreError;
pub use model::{
    Changes, Changeset, Digest, Facts, Found, GenreRow, Head, History, Kept, KeptAnswer, Known, NewDirector,
    NewGenre, NextIds, Polled, Put, RetryKey, SegmentRef, TokenChange, TokenTable, Wanted,
};

use crate::config::Location;
use crate::domain::{Genre, Movie, Query};
use crate::telemetry::{Metrics, Purpose};

/// How many movies are made findable in one transaction.
const DERIVE_BATCH: usize = 1000;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the database is.
    pub location: Location,
    /// The most connections that are opened; `None` is 100 on MySQL and 8 on SQLite.
    pub pool_size: Option<usize>,
    /// The longest that one step may take: waiting for a connection, opening one, or one round of queries.
    pub step: Duration,
}

/// What [`Store::prepare`] found out about the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The database's own description of itself.
    pub server: String,
    /// What is set to promise less than durability on COMMIT, as sentences for the log.
    pub warnings: Vec<String>,
}

/// What the connections of a pool are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolStatus {
    /// Connections that somebody uses.
    pub in_use: usize,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Callers that wait for one.
    pub wanted: usize,
    /// The most connections that there may be.
    pub limit: usize,
}

/// A thing of one backend or of the other.
enum Backend<M, S> {
    Mysql(M),
    Sqlite(S),
}

/// Calls the same method of whichever backend it is.
macro_rules! on_backend {
    ($of:expr, $backend:ident => $call:expr) => {
        match $of {
            Backend::Mysql($backend) => $call,
            Backend::Sqlite($backend) => $call,
        }
    };
}

/// A pool of connections to one database.
pub struct Store(Backend<mysql::Database, sqlite::Database>);

impl Store {
    /// A store that has not connected yet.
    ///
    /// # Errors
    /// When the options cannot be used, before anything is tried: a CA file that cannot be read, say.
    pub fn new(options: &StoreOptions, metrics: &Metrics) -> Result<Self, StoreError> {
        match &options.location {
            Location::Mysql(url) => mysql::open(url, options, metrics).map(Backend::Mysql),
            Location::Sqlite(path) => sqlite::open(path, options, metrics).map(Backend::Sqlite),
        }
        .map(Self)
    }

    /// Whether the database is a file of this machine that marquee made for itself.
    pub fn is_embedded(&self) -> bool {
        matches!(self.0, Backend::Sqlite(_))
    }

    /// Runs the migrations that are missing, and fills what movies are found by for those that were there
    /// before. Safe when several processes start at once, and when others write meanwhile.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        on_backend!(&self.0, db => db.migrate().await)?;
        self.derive().await
    }

    /// Each batch is a transaction of its own under the lock of the revision row, so that no write waits long.
    /// No revision is raised: the movies stay as they are.
    async fn derive(&self) -> Result<(), StoreError> {
        let mut batches = 0;
        loop {
            let mut tx = self.begin_write().await?;
            let more = tx.derive(DERIVE_BATCH).await?;
            tx.commit().await?;
            if !more {
                return Ok(());
            }
            batches += 1;
            if batches % 100 == 1 {
                log::info!(
                    "making movies findable that are older than this release: {} so far",
                    batches * DERIVE_BATCH
                );
            }
        }
    }

    /// Undoes all migrations: **everything is lost**. For the tests of the migrations.
    ///
    /// # Errors
    /// When the database cannot be reached or refuses.
    pub async fn unmigrate(&self) -> Result<(), StoreError> {
        on_backend!(&self.0, db => db.unmigrate().await)
    }

    /// Checks that the schema is there, and reads the settings that decide what a COMMIT promises.
    ///
    /// # Errors
    /// When the database cannot be reached or has not been migrated.
    pub async fn prepare(&self) -> Result<Prepared, StoreError> {
        let prepared = on_backend!(&self.0, db => db.prepare().await)?;
        if on_backend!(&self.0, db => db.sessions.all_derived().await)? {
            return Ok(prepared);
        }
        Err(StoreError::Misconfigured(
            "movies that were there before this release cannot be found yet; run `marquee migrate`, or start with \
             MARQUEE_MIGRATE=auto"
                .to_owned(),
        ))
    }

    /// The newest committed state: one read by primary keys, for the follower's poll.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn poll(&self) -> Result<Polled, StoreError> {
        on_backend!(&self.0, db => db.sessions.poll().await)
    }

    /// The tokens at one moment.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn tokens(&self) -> Result<TokenTable, StoreError> {
        on_backend!(&self.0, db => db.sessions.tokens().await)
    }

    /// Changes the tokens as `decide` says, under a lock that all processes take turns at: what it is shown is
    /// what it changes. When it says no, nothing is changed. No revision is raised.
    ///
    /// # Errors
    /// When the database fails; [`StoreError::Unknown`] when the answer to the COMMIT was lost.
    pub async fn change_tokens<E>(
        &self,
        decide: impl FnOnce(&TokenTable) -> Result<TokenChange, E>,
    ) -> Result<Result<(), E>, StoreError> {
        on_backend!(&self.0, db => db.sessions.change_tokens(decide).await)
    }

    /// One moment of the database to read from. It must be [finished](Snapshot::finish).
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn snapshot(&self, purpose: Purpose) -> Result<Snapshot, StoreError> {
        Ok(Snapshot(match &self.0 {
            Backend::Mysql(db) => Backend::Mysql(db.sessions.snapshot(purpose).await?),
            Backend::Sqlite(db) => Backend::Sqlite(db.sessions.snapshot(purpose).await?),
        }))
    }

    /// Begins a write: takes the lock of the revision row, waiting for whoever holds it.
    ///
    /// # Errors
    /// When the database cannot be reached, or the lock cannot be had in time.
    pub async fn begin_write(&self) -> Result<WriteTx, StoreError> {
        Ok(WriteTx(match &self.0 {
            Backend::Mysql(db) => Backend::Mysql(db.sessions.begin_write().await?),
            Backend::Sqlite(db) => Backend::Sqlite(db.sessions.begin_write().await?),
        }))
    }

    /// How the pool is doing.
    pub fn pool_status(&self) -> PoolStatus {
        on_backend!(&self.0, db => db.sessions.pool_status())
    }

    /// Closes the pool; whoever waits for a connection is refused.
    pub fn close(&self) {
        on_backend!(&self.0, db => db.sessions.close());
    }
}

/// One moment of the database. A snapshot that is dropped unfinished costs its connection.
pub struct Snapshot(Backend<mysql::Snapshot, sqlite::Snapshot>);

impl Snapshot {
    /// What was committed since `known`; everything when that is `None` or of another history.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes_since(&mut self, known: Known) -> Result<Changes, StoreError> {
        on_backend!(&mut self.0, snapshot => snapshot.changes_since(known).await)
    }

    /// The movies of one segment, by id.
    ///
    /// # Errors
    /// When the database fails or holds a movie that is out of bounds.
    pub async fn segment(&mut self, number: u64) -> Result<Vec<Movie>, StoreError> {
        on_backend!(&mut self.0, snapshot => snapshot.segment(number).await)
    }

    /// All genres, by name (folded).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn genres(&mut self) -> Result<Vec<Genre>, StoreError> {
        on_backend!(&mut self.0, snapshot => snapshot.genres().await)
    }

    /// One page of what `query` asks for. `total` is the number of movies that match, where it is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&mut self, query: &Query, total: Option<u64>) -> Result<Found, StoreError> {
        on_backend!(&mut self.0, snapshot => snapshot.find(query, total).await)
    }

    /// Lets the moment go and gives the connection back.
    pub async fn finish(self) {
        on_backend!(self.0, snapshot => snapshot.finish().await);
    }
}

/// A write transaction that holds the lock of the revision row. Dropped, it is rolled back.
pub struct WriteTx(Backend<mysql::WriteTx, sqlite::WriteTx>);

impl WriteTx {
    /// The state that the transaction builds on.
    pub fn head(&self) -> Head {
        on_backend!(&self.0, tx => tx.head())
    }

    /// The ids to give next.
    pub fn next_ids(&self) -> NextIds {
        on_backend!(&self.0, tx => tx.next_ids())
    }

    /// Whether it still has the lock. It always has, but in a Galera cluster, where a lock is one node's: what another node
    /// committed undoes this transaction, and what is read or refused afterwards is of a later state. To be asked
    /// before anything is believed that no [`Self::apply`] confirms.
    pub async fn has_the_lock(&mut self) -> bool {
        on_backend!(&mut self.0, tx => tx.has_the_lock().await)
    }

    /// What others committed since `known`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes_since(&mut self, known: Known) -> Result<Changes, StoreError> {
        on_backend!(&mut self.0, tx => tx.changes_since(known).await)
    }

    /// What the database knows of the things that a batch names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn facts(&mut self, wanted: &Wanted) -> Result<Facts, StoreError> {
        on_backend!(&mut self.0, tx => tx.facts(wanted).await)
    }

    /// Writes `changes` and the new head. Nothing of it is seen by others before [`Self::commit`].
    ///
    /// # Errors
    /// When the database fails or refuses.
    pub async fn apply(&mut self, changes: &Changeset) -> Result<(), StoreError> {
        on_backend!(&mut self.0, tx => tx.apply(changes).await)
    }

    /// What is kept under `ids`, for retries, and what all that is kept takes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept(&mut self, ids: &[Digest]) -> Result<Kept, StoreError> {
        on_backend!(&mut self.0, tx => tx.kept(ids).await)
    }

    /// Keeps `answers` for 24 hours, on top of what was `kept`, which holds none of them; removes some that have
    /// expired.
    ///
    /// # Errors
    /// When the database fails or refuses.
    pub async fn keep(&mut self, kept: &Kept, answers: &[KeptAnswer]) -> Result<(), StoreError> {
        on_backend!(&mut self.0, tx => tx.keep(kept, answers).await)
    }

    /// The movies of one segment as this transaction leaves them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn segment(&mut self, number: u64) -> Result<Vec<Movie>, StoreError> {
        on_backend!(&mut self.0, tx => tx.segment(number).await)
    }

    /// Makes up to `movies` movies findable that were there before that was; whether there may be more.
    async fn derive(&mut self, movies: usize) -> Result<bool, StoreError> {
        on_backend!(&mut self.0, tx => tx.derive(movies).await)
    }

    /// Whether a state was committed: asks the log of commits, under the lock, so that the transaction in
    /// doubt is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn was_committed(&mut self, head: Head) -> Result<bool, StoreError> {
        on_backend!(&mut self.0, tx => tx.was_committed(head).await)
    }

    /// Makes it durable and visible.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when the answer was lost: the outcome must then be found out with
    /// [`Self::was_committed`] on a new transaction. Any other error: nothing was committed.
    pub async fn commit(self) -> Result<(), StoreError> {
        on_backend!(self.0, tx => tx.commit().await)
    }

    /// Undoes everything and gives the connection back.
    pub async fn rollback(self) {
        on_backend!(self.0, tx => tx.rollback().await)
    }
}
