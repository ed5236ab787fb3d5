//! The use cases: view all, view one, list genres, create, merge, delete. The invariants live here.
//!
//! - *Fresh:* a reply to a write leaves after the write is published, and a read looks at what is
//!   published after it began; whoever sees a revision in the database publishes it before it answers.
//! - *One moment:* a body is made of one manifest, and all its segments are held before it is given out.
//! - *One load:* a miss is loaded by a task of its own; all who miss the same key wait for that one.
//! - *Flat:* a write reads back and encodes the segments that it touched.
//! - *Available:* what is cached is served whether the database is there or not.
//!
//! All database work runs on the runtime that the catalogue is given, never inside a request's future: a
//! client that hangs up must not leave a connection in the middle of an answer.

mod cache;
mod error;
mod follower;
mod join;
mod link;
mod mailbox;
mod manifest;
mod plan;
mod read;
mod segment;
mod spool;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

pub use error::Error;
pub use join::{Coding, Frame, Framing, Pieces, coded};
pub use plan::Merged;
pub use segment::{ENCODER_VERSION, EncodedSegment, Form};
pub use spool::SpooledBody;
pub use writer::BatchLimits;

pub use crate::store::Head;

use crate::domain::{Genre, GenreName, NewMovie, Parts};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use cache::SegmentCache;
use link::Link;
use mailbox::{Mailbox, Receipt};
use manifest::{Assembly, Manifest, Published};
use plan::{Outcome, Work};
use read::Miss;
use spool::Spool;

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
}

/// How an answer was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// From the cache, or not.
    pub from: Source,
    /// For how long the database has been away, when it is.
    pub away: Option<Duration>,
}

/// Whether the cache had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Everything was cached.
    Cache,
    /// Loaded for this request, at this cost.
    Load(LoadCost),
    /// Loaded for another request, which this one waited for.
    Collapsed,
}

impl Source {
    /// Of a body that is made of parts that were come by in two ways.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Load(a), Self::Load(b)) => Self::Load(LoadCost {
                db: a.db + b.db,
                encode: a.encode + b.encode,
                segments: a.segments + b.segments,
            }),
            (load @ Self::Load(_), _) | (_, load @ Self::Load(_)) => load,
            (Self::Collapsed, _) | (_, Self::Collapsed) => Self::Collapsed,
            (Self::Cache, Self::Cache) => Self::Cache,
        }
    }
}

/// What a load cost: the sums over its segments, which may have been loaded at the same time.
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

/// One movie as it is served.
#[derive(Debug, Clone)]
pub struct OneMovie {
    /// The state that the answer reflects.
    pub head: Head,
    /// Its JSON.
    pub json: Bytes,
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
    /// The state that they were created in.
    pub head: Head,
    /// Their ids, in the order that they were sent.
    pub ids: Vec<u64>,
    /// The JSON of each, in the same order; slices of shared bytes. Empty where nothing is encoded
    /// ([`BatchLimits::encoded`] is 0).
    pub json: Vec<Bytes>,
}

/// A genre that was created.
#[derive(Debug, Clone)]
pub struct CreatedGenre {
    /// The state that it was created in.
    pub head: Head,
    /// The genre.
    pub genre: Genre,
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
    /// What encoded segments weigh in memory, in bytes.
    pub cached_bytes: u64,
    /// How many encoded segments there are in memory.
    pub cached_segments: u64,
    /// Connections to the database that are open.
    pub connections: usize,
}

/// The parts that reads and writes share.
struct Shared {
    store: Store,
    cache: SegmentCache,
    published: Published,
    link: Link,
    spool: Arc<Spool>,
    /// The runtime that does all database work.
    runtime: Handle,
    metrics: Metrics,
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
    /// after [`Self::close`], when what was in its mailbox is done.
    pub fn new(
        store: Store,
        options: &Options,
        runtime: &Handle,
        metrics: &Metrics,
    ) -> (Self, JoinHandle<()>) {
        let (janitor, mut superseded) =
            tokio::sync::mpsc::unbounded_channel::<Vec<crate::store::SegmentRef>>();
        let cache = SegmentCache::new(options.cache_bytes, metrics);
        let shared = Arc::new(Shared {
            store,
            cache: cache.clone(),
            published: Published::new(janitor),
            link: Link::new(metrics),
            spool: Spool::new(options.spool_bytes),
            runtime: runtime.clone(),
            metrics: metrics.clone(),
        });
        runtime.spawn(async move {
            while let Some(segments) = superseded.recv().await {
                cache.remove(&segments).await;
            }
        });
        let (mailbox, commands) = Mailbox::new(options.mailbox, options.mailbox_bytes);
        let writer = runtime.spawn(writer::run(Arc::clone(&shared), commands, options.batch));
        let inner =
            Inner { shared, mailbox, poll: options.poll, patience: options.patience, stale: options.stale };
        (Self(Arc::new(inner)), writer)
    }

    /// Learns the state of the database, which must have been migrated.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.0.shared);
        let task = self.0.shared.runtime.spawn(async move { follower::refresh(&shared).await });
        task.await.unwrap_or_else(|error| Err(StoreError::Away(error.to_string())))
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
        let away = self.0.shared.link.away();
        match (away, self.0.stale) {
            (Some(away), Some(stale)) if away > stale => Err(Error::Away),
            _ => Ok((manifest, away)),
        }
    }

    /// The newest state that this replica may serve, and its number of movies: enough for a 304.
    ///
    /// # Errors
    /// [`Error::Cold`], [`Error::Away`].
    pub fn current(&self) -> Result<(Head, u64, Served), Error> {
        let (manifest, away) = self.manifest()?;
        Ok((manifest.head(), manifest.movies(), Served { from: Source::Cache, away }))
    }

    /// The whole collection, when its body is at hand in one piece: the common case, without a future.
    /// Everything else, errors among it, is [`Self::collection`]'s.
    pub fn at_hand(&self, form: Form, coding: Coding) -> Option<Collection> {
        let (manifest, away) = self.manifest().ok()?;
        let Assembly::Whole(bytes) = manifest.assembly(form, coding).get()? else {
            return None;
        };
        self.count(Source::Cache);
        let (head, movies, body) = (manifest.head(), manifest.movies(), Body::Whole(bytes.clone()));
        Some(Collection { head, movies, body, served: Served { from: Source::Cache, away } })
    }

    /// The whole collection.
    ///
    /// # Errors
    /// [`Error::Cold`], [`Error::Away`], [`Error::TooLarge`], [`Error::Internal`].
    pub async fn collection(&self, form: Form, coding: Coding) -> Result<Collection, Error> {
        let shared = &self.0.shared;
        let answer = |manifest: &Manifest, body, from, away| {
            self.count(from);
            let (head, movies) = (manifest.head(), manifest.movies());
            Ok(Collection { head, movies, body, served: Served { from, away } })
        };
        let (mut manifest, mut away) = self.manifest()?;
        for _ in 0..READ_TRIES {
            if let Some(body) = shared.cached_body(&manifest, form, coding).await {
                return answer(&manifest, body, Source::Cache, away);
            }
            match shared.assemble(&manifest, form, coding).await {
                Ok((body, from)) => return answer(&manifest, body, from, away),
                Err(Miss::Moved { .. }) => (manifest, away) = self.manifest()?,
                Err(Miss::Outgrown) => break,
                Err(Miss::Failed(error)) => return Err(error),
            }
        }
        // Too large for the cache, or moving faster than it can be loaded piece by piece.
        let (manifest, file, from) = shared.spooled(manifest, form, coding).await?;
        answer(&manifest, Body::File(file), from, shared.link.away())
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
        let (encoded, head, from) = match self.0.shared.segment(&manifest, segment, Form::Array).await {
            Ok((encoded, from)) => (encoded, manifest.head(), from),
            // What was read instead is newer: as good an answer.
            Err(Miss::Moved { manifest, segment }) => (segment, manifest.head(), Source::Collapsed),
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

    fn count(&self, from: Source) {
        let metrics = &self.0.shared.metrics;
        match from {
            Source::Cache => metrics.hits.inc(),
            Source::Load(_) => metrics.misses.inc(),
            Source::Collapsed => metrics.collapsed.inc(),
        };
    }

    /// Creates all of `movies` or none.
    ///
    /// # Errors
    /// [`Error::DuplicateImdbId`], [`Error::Busy`], [`Error::NotExecuted`], [`Error::OutcomeUnknown`], …
    pub async fn create(&self, movies: Vec<NewMovie>) -> Result<Created, Error> {
        let imdb_ids: Vec<_> = movies.iter().map(|movie| movie.imdb_id.clone()).collect();
        let Receipt { head, outcome, json } = self.write(Work::Create(movies)).await?;
        match outcome {
            Outcome::Created(ids) => Ok(Created { head, ids, json }),
            Outcome::DuplicateImdbId { index } => {
                let imdb_id = imdb_ids.into_iter().nth(index).flatten();
                let imdb_id = imdb_id.map(|id| id.as_str().to_owned()).unwrap_or_default();
                Err(Error::DuplicateImdbId { imdb_id, index, head })
            }
            _ => Err(Error::Internal),
        }
    }

    /// Creates those of `movies` whose `imdb_id` is not there yet and replaces `parts` of the others. One
    /// without an `imdb_id` is always created.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn merge(&self, movies: Vec<NewMovie>, parts: Parts) -> Result<Merged, Error> {
        match self.write(Work::Merge(movies, parts)).await?.outcome {
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
        match self.0.mailbox.send(sample, self.0.patience).await?.outcome {
            Outcome::Created(ids) => Ok(ids.len()),
            _ => Err(Error::Internal),
        }
    }

    /// Deletes one movie; the state in which it is gone.
    ///
    /// # Errors
    /// [`Error::NoMovie`], and as [`Self::create`].
    pub async fn delete(&self, id: u64) -> Result<Head, Error> {
        let Receipt { head, outcome, .. } = self.write(Work::Delete(id)).await?;
        match outcome {
            Outcome::Deleted => Ok(head),
            Outcome::NoMovie => Err(Error::NoMovie { id, head }),
            _ => Err(Error::Internal),
        }
    }

    /// Creates a genre that has no movies.
    ///
    /// # Errors
    /// [`Error::DuplicateGenre`], and as [`Self::create`].
    pub async fn create_genre(&self, name: GenreName) -> Result<CreatedGenre, Error> {
        let Receipt { head, outcome, .. } = self.write(Work::CreateGenre(name.clone())).await?;
        match outcome {
            Outcome::GenreCreated { slug } => {
                Ok(CreatedGenre { head, genre: Genre { name, slug, movies: 0 } })
            }
            Outcome::DuplicateGenre { name } => Err(Error::DuplicateGenre { name, head }),
            _ => Err(Error::Internal),
        }
    }

    /// Hands a write to the writer. While the database is away it is refused at once.
    async fn write(&self, work: Work) -> Result<Receipt, Error> {
        if self.0.shared.published.load().is_none() {
            return Err(Error::Cold);
        }
        if self.0.shared.link.away().is_some() {
            return Err(Error::NotExecuted("the database does not answer"));
        }
        self.0.mailbox.send(work, self.0.patience).await
    }

    /// Sets the gauges of [`Metrics`] to what is now: they are looked at only when somebody asks.
    pub fn gauge(&self) {
        let health = self.health();
        let metrics = &self.0.shared.metrics;
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.revision.set(gauge(health.head.map_or(0, |head| head.revision)));
        metrics.mailbox.set(gauge(health.waiting_writes as u64));
        metrics.cache_bytes.set(gauge(health.cached_bytes));
        metrics.connections.set(gauge(health.connections as u64));
    }

    /// Takes no more writes. The writer ends when it has done what waits.
    pub fn close(&self) {
        self.0.mailbox.close();
    }

    /// How the parts are doing.
    pub fn health(&self) -> Health {
        let shared = &self.0.shared;
        let (cached_bytes, cached_segments) = shared.cache.held();
        Health {
            head: shared.published.load().map(|manifest| manifest.head()),
            away: shared.link.away(),
            waiting_writes: self.0.mailbox.waiting(),
            cached_bytes,
            cached_segments,
            connections: shared.store.pool_status().0,
        }
    }
}
