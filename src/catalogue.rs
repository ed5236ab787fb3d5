//! The use cases: view all, view one, find, list genres, create, merge, delete. The invariants live here.
//!
//! - *Fresh:* a reply to a write leaves after the write is published, and a read looks at what is
//!   published after it began; whoever sees a revision in the database publishes it before it answers.
//! - *One moment:* a body is made of one manifest, and all its segments are held before it is given out.
//! - *One load:* a miss is loaded by a task of its own; all who miss the same key wait for that one.
//! - *One encoding:* likewise, of a form or coding that was not asked for yet.
//! - *Flat:* a write encodes the segments that it touched, and reads at most those.
//! - *Available:* what is cached is served whether the database is there or not.
//!
//! All database work runs on the runtime that the catalogue is given, never inside a request's future: a
//! client that hangs up must not leave a connection in the middle of an answer.

mod cache;
mod coding;
mod each;
mod error;
mod find;
mod follower;
mod join;
#[cfg(test)]
#[path = "../tests/support/library.rs"]
mod library;
mod link;
mod mailbox;
mod manifest;
mod page;
mod plan;
#[cfg(test)]
mod race_eviction_during_join;
#[cfg(test)]
mod race_publish_against_publish;
mod read;
mod results;
mod segment;
mod shelf;
mod spool;
mod tokens;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

pub use coding::{Coding, compressed, stored};
pub use each::Each;
pub use error::Error;
pub use find::FoundPage;
pub use join::{Frame, Framing, Numbered, Outline, Pieces};
pub use page::Page;
pub use plan::{Condition, Known, Merged, Written};
pub use results::{
    Body, Collection, CreatedGenre, DeletedMany, Genres, Health, LoadCost, OneMovie, Served, Source, Wrote,
};
pub use segment::{ENCODER_VERSION, EncodedSegment, Form, fingerprint};
pub use spool::SpooledBody;
pub use tokens::{KnownToken, KnownTokens, MAX_TOKENS, TokenError, add_token, bootstrap, revoke_token};
pub use writer::BatchLimits;

pub use crate::store::{Digest, Head, RetryKey};

use crate::domain::{Change, Genre, GenreName, NewMovie, Parts};
use crate::relay::Relay;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use cache::{Key, SegmentCache};
use link::Link;
use mailbox::{Mailbox, Receipt};
use manifest::{Assembly, Manifest, Published};
use plan::{Outcome, Work};
use read::{Ask, Miss};
use shelf::Shelf;
use spool::Spool;
use tokens::Tokens;

/// How often a read begins anew because the database moved on, before it reads everything in one snapshot.
const READ_TRIES: u32 = 5;

/// What bounds a catalogue.
#[derive(Debug, Clone)]
pub struct Options {
    /// What encoded segments may weigh in memory, in bytes.
    pub cache_bytes: u64,
    /// What temporary files may hold together, in bytes.
    pub spool_bytes: u64,
    /// The most writes that wait.
    pub mailbox: usize,
    /// What writes that wait may weigh together, in bytes.
    pub mailbox_bytes: usize,
    /// What bounds one write transaction.
    pub batch: BatchLimits,
    /// How often other replicas' writes are looked for.
    pub poll: Duration,
    /// The longest that a write is waited for.
    pub patience: Duration,
    /// For how long cached answers are given while the database is away; `None` is without limit.
    pub stale: Option<Duration>,
    /// About what the answers that are kept for retries may take in the database, in bytes.
    pub kept_bytes: u64,
}

/// The parts that reads and writes share.
struct Shared {
    store: Store,
    cache: SegmentCache,
    /// What replicas lend each other, where there is a Redis.
    shelf: Option<Shelf>,
    published: Published,
    /// Rung by who waits for other replicas' writes.
    doorbell: Notify,
    /// Rung by other replicas, by way of Redis.
    rung: Notify,
    link: Link,
    tokens: Tokens,
    spool: Arc<Spool>,
    /// How many lists may be looked for in the database at a time: half of what the pool has.
    finds: Semaphore,
    /// The runtime that does all database work.
    runtime: Handle,
    metrics: Metrics,
    /// About what the answers that are kept for retries may take, in bytes.
    kept_bytes: u64,
}

struct Inner {
    shared: Arc<Shared>,
    mailbox: Mailbox,
    poll: Duration,
    patience: Duration,
    stale: Option<Duration>,
}

/// The catalogue of one replica: cheap to clone.
#[derive(Clone)]
pub struct Catalogue(Arc<Inner>);

impl Catalogue {
    /// A catalogue over `store` that knows nothing yet, and its writer at work on `runtime`. The writer ends
    /// after [`Self::close`], when what was in its mailbox is done. With a `relay` it hears of other replicas' writes
    /// by it, and they lend each other what they encoded.
    pub fn new(
        store: Store,
        relay: Option<Relay>,
        options: &Options,
        runtime: &Handle,
        metrics: &Metrics,
    ) -> (Self, JoinHandle<()>) {
        let (janitor, mut superseded) =
            tokio::sync::mpsc::unbounded_channel::<Vec<crate::store::SegmentRef>>();
        let cache = SegmentCache::new(options.cache_bytes, metrics);
        let finds = Semaphore::new((store.pool_status().limit / 2).max(1));
        let shared = Arc::new(Shared {
            store,
            cache: cache.clone(),
            shelf: relay.map(Shelf::new),
            published: Published::new(janitor),
            doorbell: Notify::new(),
            rung: Notify::new(),
            link: Link::new(metrics),
            tokens: Tokens::default(),
            spool: Spool::new(options.spool_bytes),
            finds,
            runtime: runtime.clone(),
            metrics: metrics.clone(),
            kept_bytes: options.kept_bytes,
        });
        runtime.spawn(async move {
            while let Some(segments) = superseded.recv().await {
                cache.remove(&segments).await;
            }
        });
        shared.listen();
        let (mailbox, commands) = Mailbox::new(options.mailbox, options.mailbox_bytes);
        let writer = runtime.spawn(writer::run(Arc::clone(&shared), commands, options.batch));
        let inner =
            Inner { shared, mailbox, poll: options.poll, patience: options.patience, stale: options.stale };
        (Self(Arc::new(inner)), writer)
    }

    /// Learns the state of the database, which must have been migrated. Redis, where there is one, is asked before the
    /// database from then on, if it answers at once.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.0.shared);
        let task = self.0.shared.runtime.spawn(async move {
            follower::poll(&shared).await?;
            shared.meet_redis().await;
            Ok(())
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Away(error.to_string())))
    }

    /// Learns the tokens that the database has. Before that none is known, and nobody can be told from anybody.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn learn_tokens(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.0.shared);
        let task = self.0.shared.runtime.spawn(async move { shared.learn_tokens(None).await });
        task.await.unwrap_or_else(|error| Err(StoreError::Away(error.to_string())))
    }

    /// The tokens that are known, once the database was read.
    pub fn tokens(&self) -> Option<Arc<KnownTokens>> {
        self.0.shared.tokens.load()
    }

    /// Begins to follow what other processes commit, until the returned task is aborted.
    pub fn follow(&self) -> JoinHandle<()> {
        self.0.shared.runtime.spawn(follower::run(Arc::clone(&self.0.shared), self.0.poll))
    }

    /// The database, for what is not a use case: migrations, export.
    pub fn store(&self) -> &Store {
        &self.0.shared.store
    }

    /// What may be served now.
    fn manifest(&self) -> Result<(Arc<Manifest>, Option<Duration>), Error> {
        let manifest = self.0.shared.published.load().ok_or(Error::Cold)?;
        Ok((manifest, self.away()?))
    }

    /// For how long the database has been away, if what is cached may be served all the same.
    fn away(&self) -> Result<Option<Duration>, Error> {
        match (self.0.shared.link.away(), self.0.stale) {
            (Some(away), Some(stale)) if away > stale => Err(Error::Away),
            (away, _) => Ok(away),
        }
    }

    /// The newest state that this replica may serve, and its number of movies: enough for a 304.
    ///
    /// # Errors
    /// [`Error::Cold`], [`Error::Away`].
    pub fn current(&self) -> Result<(Head, u64, Served), Error> {
        let state = self.0.shared.published.look(|manifest| (manifest.head(), manifest.movies()));
        let (head, movies) = state.ok_or(Error::Cold)?;
        Ok((head, movies, Served { from: Source::Cache, away: self.away()? }))
    }

    /// Comes when this replica knows `revision` or a later one. Other replicas' writes are looked for at once.
    ///
    /// # Errors
    /// [`Error::Cold`].
    pub async fn reached(&self, revision: u64) -> Result<(), Error> {
        let shared = &self.0.shared;
        let known = shared.published.load().ok_or(Error::Cold)?.head();
        if known.revision < revision {
            shared.doorbell.notify_one();
            shared.published.reached(revision).await;
        }
        Ok(())
    }

    /// The whole collection, when its body is at hand in one piece: the common case, without a future.
    /// Everything else, errors among it, is [`Self::collection`]'s.
    pub fn at_hand(&self, form: Form, coding: Coding) -> Option<Collection> {
        let found = self.0.shared.published.look(|manifest| match manifest.assembly(form, coding).get()? {
            Assembly::Whole(bytes) => Some((manifest.head(), manifest.movies(), bytes.clone())),
            Assembly::Pieces(..) => None,
        });
        let (head, movies, bytes) = found.flatten()?;
        let served = Served { from: Source::Cache, away: self.away().ok()? };
        self.count(Source::Cache);
        Some(Collection { head, movies, body: Body::Whole(bytes), served })
    }

    /// The whole collection.
    ///
    /// # Errors
    /// [`Error::Cold`], [`Error::Away`], [`Error::TooLarge`], [`Error::Internal`].
    pub async fn collection(&self, form: Form, coding: Coding) -> Result<Collection, Error> {
        let shared = &self.0.shared;
        // What was loaded in vain was loaded for this answer, too.
        let mut before = Source::Cache;
        let answer = |manifest: &Manifest, body, from, away| {
            self.count(from);
            let (head, movies) = (manifest.head(), manifest.movies());
            Ok(Collection { head, movies, body, served: Served { from, away } })
        };
        let (mut manifest, mut away) = self.manifest()?;
        for _ in 0..READ_TRIES {
            if let Some(body) = shared.cached_body(&manifest, form, coding) {
                return answer(&manifest, body, before, away);
            }
            match shared.assemble(&manifest, form, coding).await {
                Ok((body, from)) => return answer(&manifest, body, before.and(from), away),
                Err(Miss::Moved { from, .. }) => {
                    before = before.and(from);
                    (manifest, away) = self.manifest()?;
                }
                Err(Miss::Outgrown) => break,
                Err(Miss::Failed(error)) => return Err(error),
            }
        }
        // Too large for the cache, or moving faster than it can be loaded piece by piece.
        let (manifest, file, from) = shared.spooled(manifest, form, coding).await?;
        answer(&manifest, Body::File(file), before.and(from), shared.link.away())
    }

    /// One movie, when it is at hand; everything else, errors among it, is [`Self::movie`]'s.
    pub fn movie_at_hand(&self, id: u64) -> Option<OneMovie> {
        let shared = &self.0.shared;
        let found = shared.published.look(|manifest| Some((manifest.head(), manifest.segment(id >> 8)?)));
        let (head, segment) = found??;
        let json = shared.cache.at_hand(Key::of_array(segment))?.movie(id)?;
        let served = Served { from: Source::Cache, away: self.away().ok()? };
        self.count(Source::Cache);
        Some(OneMovie { head, json, served })
    }

    /// One movie.
    ///
    /// # Errors
    /// [`Error::NoMovie`], and as [`Self::collection`].
    pub async fn movie(&self, id: u64) -> Result<OneMovie, Error> {
        let (manifest, away) = self.manifest()?;
        let nobody = |head| Err(Error::NoMovie { id, head });
        let Some(segment) = manifest.segment(id >> 8).filter(|segment| segment.movies > 0) else {
            return nobody(manifest.head());
        };
        let (encoded, head, from) = match self
            .0
            .shared
            .segment(&manifest, segment, Form::Array, Coding::Identity, Ask::First)
            .await
        {
            Ok((encoded, from)) => (encoded, manifest.head(), from),
            // What was read instead is newer: as good an answer.
            Err(Miss::Moved { manifest, segment, from }) => (segment, manifest.head(), from),
            Err(Miss::Failed(error)) => return Err(error),
            Err(Miss::Outgrown) => return Err(Error::Internal),
        };
        self.count(from);
        match encoded.movie(id) {
            Some(json) => Ok(OneMovie { head, json, served: Served { from, away } }),
            None => nobody(head),
        }
    }

    /// All genres.
    ///
    /// # Errors
    /// As [`Self::collection`].
    pub async fn genres(&self) -> Result<Genres, Error> {
        let (manifest, away) = self.manifest()?;
        let (list, from) = self.0.shared.genre_list(&manifest).await?;
        self.count(from);
        Ok(Genres {
            head: list.head,
            count: list.count,
            json: list.json.clone(),
            served: Served { from, away },
        })
    }

    /// Counts an answer for which what [`Self::current`] told was all that was needed: a 304.
    pub fn count_known(&self) {
        self.count(Source::Cache);
    }

    fn count(&self, from: Source) {
        let metrics = &self.0.shared.metrics;
        match from {
            Source::Cache => metrics.hits.inc(),
            Source::Load(_) => metrics.misses.inc(),
            Source::Collapsed => metrics.collapsed.inc(),
        };
    }

    /// Creates all of `movies` or none. With a `key` that was used within 24 hours, here or on another replica,
    /// nothing is done, and the answer is the one that was given then.
    ///
    /// # Errors
    /// [`Error::DuplicateImdbId`], [`Error::KeyReused`], [`Error::Busy`], [`Error::NotExecuted`],
    /// [`Error::OutcomeUnknown`], …
    pub async fn create(&self, movies: Vec<NewMovie>, key: Option<RetryKey>) -> Result<Wrote, Error> {
        self.write_movies(Work::Create(movies), key, 0).await
    }

    /// Creates those of `movies` whose `imdb_id` is not there yet and replaces the others whole: all or none. A
    /// `key` is as in [`Self::create`].
    ///
    /// # Errors
    /// As [`Self::create`]; [`Error::DuplicateImdbId`] is of one that stands twice among `movies`.
    pub async fn upsert(&self, movies: Vec<NewMovie>, key: Option<RetryKey>) -> Result<Wrote, Error> {
        self.write_movies(Work::Upsert(movies), key, 0).await
    }

    /// Makes `change` of one movie, as it is when its turn comes, if `condition` holds of it then. Where that
    /// changes nothing, the movie keeps its version.
    ///
    /// # Errors
    /// [`Error::NoMovie`], [`Error::Stale`], [`Error::Contradicts`], and as [`Self::create`].
    pub async fn change(&self, id: u64, change: Change, condition: Condition) -> Result<Wrote, Error> {
        self.write_movies(Work::Change(id, Box::new(change), condition), None, id).await
    }

    async fn write_movies(&self, work: Work, key: Option<RetryKey>, id: u64) -> Result<Wrote, Error> {
        let Receipt { head, outcome } = self.write(work, key).await?;
        match outcome {
            Outcome::Created(movies) => Ok(Wrote { head, movies, created: true }),
            Outcome::Upserted(movies, merged) => Ok(Wrote { head, movies, created: merged.created > 0 }),
            Outcome::Changed(movie) => Ok(Wrote { head, movies: vec![movie], created: false }),
            outcome => Err(refused(outcome, head, id)),
        }
    }

    /// As [`Self::upsert`], of which only the count is told: replaces `parts` of the movies that are there, and a
    /// repeated `imdb_id` is merged again. For imports.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn merge(&self, movies: Vec<NewMovie>, parts: Parts) -> Result<Merged, Error> {
        match self.write(Work::Merge(movies, parts), None).await?.outcome {
            Outcome::Merged(merged) => Ok(merged),
            _ => Err(Error::Internal),
        }
    }

    /// Creates `movies` where there are none; with `only_new`, only in a database that was never written to.
    /// How many were created.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn load_sample(&self, movies: Vec<NewMovie>, only_new: bool) -> Result<usize, Error> {
        let sample = Work::Sample { only_new, movies };
        match self.0.mailbox.send(sample, None, self.0.patience).await?.outcome {
            Outcome::Loaded(movies) => Ok(movies),
            _ => Err(Error::Internal),
        }
    }

    /// Deletes one movie, if `condition` holds of it; the state in which it is gone.
    ///
    /// # Errors
    /// [`Error::NoMovie`], [`Error::Stale`], and as [`Self::create`].
    pub async fn delete(&self, id: u64, condition: Condition) -> Result<Head, Error> {
        match self.write(Work::Delete(id, condition), None).await? {
            Receipt { head, outcome: Outcome::Deleted } => Ok(head),
            Receipt { head, outcome } => Err(refused(outcome, head, id)),
        }
    }

    /// Deletes those of the movies that are there, in one transaction.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn delete_many(&self, ids: Vec<u64>) -> Result<DeletedMany, Error> {
        match self.write(Work::DeleteMany(ids), None).await? {
            Receipt { head, outcome: Outcome::DeletedMany { deleted, missing } } => {
                Ok(DeletedMany { head, deleted, missing })
            }
            _ => Err(Error::Internal),
        }
    }

    /// Creates a genre that has no movies. A `key` is as in [`Self::create`].
    ///
    /// # Errors
    /// [`Error::DuplicateGenre`], and as [`Self::create`].
    pub async fn create_genre(&self, name: GenreName, key: Option<RetryKey>) -> Result<CreatedGenre, Error> {
        let Receipt { head, outcome } = self.write(Work::CreateGenre(name.clone()), key).await?;
        match outcome {
            Outcome::GenreCreated { slug } => {
                Ok(CreatedGenre { head, genre: Genre { name, slug, movies: 0 } })
            }
            outcome => Err(refused(outcome, head, 0)),
        }
    }

    /// Hands a write to the writer. While the database is away it is refused at once.
    async fn write(&self, work: Work, key: Option<RetryKey>) -> Result<Receipt, Error> {
        let result = match self.takes_writes() {
            Ok(()) => self.0.mailbox.send(work, key, self.0.patience).await,
            Err(refused) => Err(refused),
        };
        result.inspect_err(|error| self.count_refused(error))
    }

    /// Whether a write that comes now would be begun: to be asked before anything is made of what it brings, since under
    /// more writes than can be done a refusal must cost little. Whoever refuses one for that says so: [`Self::count_refused`].
    ///
    /// # Errors
    /// [`Error::NotExecuted`] or [`Error::Busy`]: nothing happened, whatever the reason.
    pub fn takes_writes(&self) -> Result<(), Error> {
        if self.0.shared.published.look(|_| ()).is_none() {
            return Err(Error::NotExecuted("the collection has not been loaded from the database yet"));
        }
        if self.0.shared.link.away().is_some() {
            return Err(Error::NotExecuted("the database does not answer"));
        }
        if self.0.mailbox.is_full() {
            return Err(Error::Busy);
        }
        Ok(())
    }

    /// A write was refused with such an error.
    pub fn count_refused(&self, error: &Error) {
        if *error == Error::Busy {
            self.0.shared.metrics.mailbox_refusals.inc();
        }
    }

    /// Sets the gauges of [`Metrics`] to what is now: they are looked at only when somebody asks.
    pub async fn gauge(&self) {
        self.0.shared.cache.settle().await;
        let health = self.health();
        let metrics = &self.0.shared.metrics;
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.revision.set(gauge(health.head.map_or(0, |head| head.revision)));
        metrics.mailbox.set(gauge(health.waiting_writes as u64));
        metrics.mailbox_bytes.set(gauge(self.0.mailbox.waiting_bytes() as u64));
        metrics.cache_bytes.set(gauge(health.cached_bytes));
        metrics.cache_entries.set(gauge(health.cached_segments));
        metrics.cache_capacity.set(gauge(self.0.shared.cache.capacity()));
        metrics.kept_capacity.set(gauge(self.0.shared.kept_bytes));
        let pool = self.0.shared.store.pool_status();
        metrics.set_connections(pool.in_use, pool.idle);
        metrics.connections_limit.set(gauge(pool.limit as u64));
        metrics.connections_wanted.set(gauge(pool.wanted as u64));
        metrics.follower_lag.set(health.lag.as_secs_f64());
        metrics.follower_behind.set(gauge(health.behind));
        metrics.redis_up.set(i64::from(health.redis == Some(true)));
    }

    /// Takes no more writes. The writer ends when it has done what waits.
    pub fn close(&self) {
        self.0.mailbox.close();
    }

    /// How the parts are doing.
    pub fn health(&self) -> Health {
        let shared = &self.0.shared;
        let (cached_bytes, cached_segments) = shared.cache.held();
        let pool = shared.store.pool_status();
        let head = shared.published.load().map(|manifest| manifest.head());
        let (lag, seen) = shared.link.lag();
        Health {
            head,
            away: shared.link.away(),
            waiting_writes: self.0.mailbox.waiting(),
            cached_bytes,
            cached_segments,
            connections: pool.in_use + pool.idle,
            lag,
            behind: seen.saturating_sub(head.map_or(0, |head| head.revision)),
            poll: self.0.poll,
            redis: shared.redis_up(),
        }
    }
}

/// Why a command about the movie `id`, or about new ones, came to nothing.
fn refused(outcome: Outcome, head: Head, id: u64) -> Error {
    match outcome {
        Outcome::NoMovie => Error::NoMovie { id, head },
        Outcome::Stale => Error::Stale { id, head },
        Outcome::Contradicts(violations) => Error::Contradicts { violations, head },
        Outcome::DuplicateImdbId { index, imdb_id } => Error::DuplicateImdbId { imdb_id, index, head },
        Outcome::DuplicateGenre { name } => Error::DuplicateGenre { name, head },
        Outcome::KeyReused => Error::KeyReused { head },
        Outcome::Refused(reason) => Error::NotExecuted(reason),
        _ => Error::Internal,
    }
}
