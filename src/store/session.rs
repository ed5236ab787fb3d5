//! Connections, snapshots and write transactions. Compiled for each backend, as `queries.rs` is: `super`
//! names the connection and the statements that begin a transaction.
//!
//! A connection goes back to the pool only from a call that ended well ([`Lease::release`]). Whatever
//! ends otherwise, a time-out and a dropped future among them, closes its connection: one that was left
//! in the middle of an answer would give it to the next question.

#[expect(clippy::duplicate_mod, reason = "compiled for each backend, as this file is")]
#[path = "session/kept.rs"]
mod kept;
#[expect(clippy::duplicate_mod, reason = "compiled for each backend, as this file is")]
#[path = "session/tokens.rs"]
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, PoolError, TimeoutType, Timeouts};
use diesel::QueryResult;
use diesel::connection::InstrumentationEvent;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::{AsyncConnection, SimpleAsyncConnection};
use tokio::time::timeout;

use super::{BEGIN_READ, BEGIN_WAITS, BEGIN_WRITE, Conn, LIST, queries};
use crate::domain::{DirectorName, Genre, GenreName, Movie, slug};
use crate::store::derive::{KeysRow, word_rows};
use crate::store::model::{
    Changes, Changeset, Facts, GenreRow, Head, History, Known, NextIds, Polled, SegmentRef, Wanted,
};
use crate::store::numbering::Numbering;
use crate::store::rows::{self, CatalogueRow, LinkTuple, NewDirectorRow, NewGenreRow, SegmentRow};
use crate::store::{PoolStatus, StoreError, error};
use crate::telemetry::{Metrics, Purpose};

/// How many commits the log keeps. A replica that slept through more of them loads its manifest anew.
const KEPT_COMMITS: u64 = 10_000;
/// The log is cut once in so many commits, not at each.
const CUT_EVERY: u64 = 256;

/// The longest that what waits for nobody may take, a look at one row or a server's begin of a transaction, before its connection
/// is taken to be silent and another one is tried: long for that, and short for those who wait to write again.
const QUICK: Duration = Duration::from_secs(2);

/// What the sum of the pool's steps may take beyond one of them, so that a wait which takes all of its time
/// is told as one.
const SLACK: Duration = Duration::from_millis(250);

/// Where locks are one node's, another node's commit undoes a transaction between two of its statements, and not every
/// statement that follows is told (MariaDB keeps it from one that is only prepared). So none may commit by itself, what
/// follows is in a transaction too; and a savepoint tells that one from the one that took the lock.
const TOGETHER: &str = "SET autocommit = 0; SAVEPOINT marquee";
/// Fails where the transaction is not the one that was begun.
const THE_SAME: &str = "RELEASE SAVEPOINT marquee; SAVEPOINT marquee";
/// COMMIT, of that transaction alone: behind a statement that fails the next one is not executed.
const COMMIT_THE_SAME: &str = "RELEASE SAVEPOINT marquee; COMMIT";
/// As every connection is when it is in no such transaction.
const EACH_ALONE: &str = "SET autocommit = 1";

pub(in crate::store) type Pool = deadpool::managed::Pool<AsyncDieselConnectionManager<Conn>>;

/// A pool of connections, and how long one step may take.
#[derive(Clone)]
pub(in crate::store) struct Sessions {
    pub(in crate::store) pool: Pool,
    pub(in crate::store) step: Duration,
    /// Whether a lock is one node's of a cluster: known once there is a connection.
    local_locks: Arc<AtomicBool>,
    metrics: Metrics,
}

/// A connection in use.
pub(super) struct Lease {
    object: Option<Object<AsyncDieselConnectionManager<Conn>>>,
    step: Duration,
    /// Whether it is in a transaction that another node can undo, begun by [`TOGETHER`].
    together: bool,
}

impl Lease {
    fn release(mut self) {
        drop(self.object.take());
    }

    /// Whether it is still in the transaction that took the lock. It is, but in a cluster where a lock is one node's: what
    /// another node committed may have undone that, and what is read or refused afterwards is of a later state.
    async fn is_the_same(&mut self) -> bool {
        !self.together || self.run(async |conn| conn.batch_execute(THE_SAME).await).await.is_ok()
    }

    /// Ends a transaction that took a lock, and gives the connection back when that went well.
    async fn commit(mut self) -> Result<(), StoreError> {
        let commit = if self.together { COMMIT_THE_SAME } else { "COMMIT" };
        match self.run(async |conn| conn.batch_execute(commit).await).await {
            Ok(()) => {
                self.give_back().await;
                Ok(())
            }
            // The server said no.
            Err(error @ StoreError::Contended(_)) => Err(error),
            Err(StoreError::ReadOnly(message)) if !message.contains("I/O") => {
                Err(StoreError::ReadOnly(message))
            }
            // It said nothing that settles it. An error that is not known does not, either: a binary log that
            // fails to sync may have the transaction already.
            Err(error) => Err(StoreError::Unknown(error.to_string())),
        }
    }

    /// Undoes it instead.
    async fn rollback(mut self) -> Result<(), StoreError> {
        self.run(async |conn| conn.batch_execute("ROLLBACK").await).await?;
        self.give_back().await;
        Ok(())
    }

    async fn give_back(mut self) {
        if !self.together || self.run(async |conn| conn.batch_execute(EACH_ALONE).await).await.is_ok() {
            self.release();
        }
    }

    /// Runs one step on the connection within its time limit.
    pub(super) async fn run<T>(
        &mut self,
        step: impl AsyncFnOnce(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.run_within(self.step, step).await
    }

    /// The same within another limit.
    async fn run_within<T>(
        &mut self,
        limit: Duration,
        step: impl AsyncFnOnce(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let Some(object) = self.object.as_mut() else {
            return Err(StoreError::Away("the connection was given back".to_owned()));
        };
        match timeout(limit, step(object)).await {
            Ok(result) => result.map_err(|error| {
                let error = error::of_query(error);
                // Where one connection broke, its idle neighbours may have too: whoever tries again gets a
                // new one.
                if let (StoreError::Away(_), Some(pool)) = (&error, Object::pool(object)) {
                    pool.retain(|_, _| false);
                }
                error
            }),
            // It is in the middle of an answer: not even a ROLLBACK may be asked of it.
            Err(_) => {
                drop(self.object.take().map(Object::take));
                Err(StoreError::TimedOut(limit))
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            // Taken out of the pool, and closed.
            drop(Object::take(object));
        }
    }
}

impl Sessions {
    /// At most `size` connections made by `manager`; each step of the pool, and of its users, ends after `step`.
    pub(in crate::store) fn new(
        manager: AsyncDieselConnectionManager<Conn>,
        size: usize,
        step: Duration,
        local_locks: Arc<AtomicBool>,
        metrics: &Metrics,
    ) -> Result<Self, StoreError> {
        let pool = Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|e| StoreError::Misconfigured(e.to_string()))?;
        Ok(Self { pool, step, local_locks, metrics: metrics.clone() })
    }

    async fn lease(&self, purpose: Purpose) -> Result<Lease, StoreError> {
        // The pool limits each of its own steps; the limit around them holds for their sum.
        let limits = Timeouts { wait: Some(self.step), create: Some(self.step), recycle: Some(self.step) };
        let object = match timeout(self.step + SLACK, self.pool.timeout_get(&limits)).await {
            Ok(Ok(object)) => object,
            Ok(Err(PoolError::Timeout(TimeoutType::Wait))) => {
                self.metrics.connection_timeouts.inc();
                return Err(StoreError::PoolExhausted(self.step));
            }
            Ok(Err(PoolError::Backend(error))) => return Err(error::of_connect(error)),
            Ok(Err(PoolError::Timeout(_))) => return Err(StoreError::TimedOut(self.step)),
            Ok(Err(error)) => return Err(StoreError::Away(error.to_string())),
            Err(_) => return Err(StoreError::TimedOut(self.step)),
        };
        let mut lease = Lease { object: Some(object), step: self.step, together: false };
        let queries = self.metrics.queries(purpose);
        if let Some(object) = lease.object.as_mut() {
            object.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                    queries.inc();
                }
            });
        }
        Ok(lease)
    }

    /// Runs one step on a connection of its own.
    pub(in crate::store) async fn once<T>(
        &self,
        purpose: Purpose,
        step: impl AsyncFnOnce(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let mut lease = self.lease(purpose).await?;
        let value = lease.run(step).await?;
        lease.release();
        Ok(value)
    }

    /// The limit of a step that waits for nobody. There is none on a node of a cluster, where each waits for what the others
    /// committed.
    fn quick(&self, waits: bool) -> Option<Duration> {
        (!waits && !self.local_locks.load(Ordering::Relaxed)).then(|| self.step.min(QUICK))
    }

    /// Leases a connection and runs the first step on it, which may wait for a lock. A pooled connection may have died since its
    /// last use, with or without a word, and so its idle neighbours: then all of them go, and a new one is tried.
    async fn begin<T>(
        &self,
        purpose: Purpose,
        waits: bool,
        step: impl AsyncFn(&mut Conn) -> QueryResult<T>,
    ) -> Result<(Lease, T), StoreError> {
        let quick = self.quick(waits);
        let limit = quick.unwrap_or(self.step);
        let mut lease = self.lease(purpose).await?;
        match lease.run_within(limit, &step).await {
            Ok(value) => return Ok((lease, value)),
            Err(StoreError::Away(_)) => {}
            Err(error @ StoreError::TimedOut(_)) => {
                self.pool.retain(|_, _| false);
                if quick.is_none() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        };
        drop(lease);
        let mut lease = self.lease(purpose).await?;
        let value = lease.run_within(limit, &step).await?;
        Ok((lease, value))
    }

    pub(in crate::store) async fn poll(&self) -> Result<Polled, StoreError> {
        let look = Self { step: self.quick(false).unwrap_or(self.step), ..self.clone() };
        let polled = look.begin(Purpose::Poll, false, queries::polled).await;
        let (lease, row) = polled.map_err(error::without_locks)?;
        lease.release();
        Ok(rows::polled(row))
    }

    pub(in crate::store) async fn snapshot(&self, purpose: Purpose) -> Result<Snapshot, StoreError> {
        let begin = async |conn: &mut Conn| conn.batch_execute(BEGIN_READ).await;
        let (lease, ()) = self.begin(purpose, BEGIN_WAITS, begin).await.map_err(error::without_locks)?;
        Ok(Snapshot { lease, metrics: self.metrics.clone() })
    }

    pub(in crate::store) async fn begin_write(&self) -> Result<WriteTx, StoreError> {
        let (lease, row) = self.begin_locked(super::catalogue_row_locked).await?;
        Ok(WriteTx { lease, row, metrics: self.metrics.clone() })
    }

    /// Begins a transaction, whose first step takes the lock that orders it: [`Lease::commit`] or [`Lease::rollback`] ends it.
    async fn begin_locked<T>(
        &self,
        lock: impl AsyncFn(&mut Conn) -> QueryResult<T>,
    ) -> Result<(Lease, T), StoreError> {
        let begin = async |conn: &mut Conn| conn.batch_execute(BEGIN_WRITE).await;
        let (mut lease, ()) = self.begin(Purpose::Write, BEGIN_WAITS, begin).await?;
        let locked = lease.run(lock).await?;
        if self.local_locks.load(Ordering::Relaxed) {
            lease.run(async |conn| conn.batch_execute(TOGETHER).await).await?;
            lease.together = true;
        }
        Ok((lease, locked))
    }

    pub(in crate::store) fn pool_status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            in_use: status.size.saturating_sub(status.available),
            idle: status.available,
            wanted: status.waiting,
            limit: status.max_size,
        }
    }

    pub(in crate::store) fn close(&self) {
        self.pool.close();
    }
}

/// Reads one moment: nothing that is committed meanwhile is seen.
pub(in crate::store) struct Snapshot {
    pub(super) lease: Lease,
    metrics: Metrics,
}

impl Snapshot {
    pub(in crate::store) async fn changes_since(&mut self, known: Known) -> Result<Changes, StoreError> {
        let head = self.lease.run(queries::catalogue_row).await?.head();
        changes_since(&mut self.lease, head, known).await
    }

    pub(in crate::store) async fn segment(&mut self, number: u64) -> Result<Vec<Movie>, StoreError> {
        segment(&mut self.lease, number, &self.metrics).await
    }

    pub(in crate::store) async fn genres(&mut self) -> Result<Vec<Genre>, StoreError> {
        self.lease.run(queries::genres_all).await?.into_iter().map(rows::genre).collect()
    }

    pub(in crate::store) async fn finish(mut self) {
        if self.lease.run(async |conn| conn.batch_execute("ROLLBACK").await).await.is_ok() {
            self.lease.release();
        }
    }
}

/// Holds the lock of the revision row.
pub(in crate::store) struct WriteTx {
    pub(super) lease: Lease,
    row: CatalogueRow,
    metrics: Metrics,
}

impl WriteTx {
    pub(in crate::store) fn head(&self) -> Head {
        self.row.head()
    }

    pub(in crate::store) fn next_ids(&self) -> NextIds {
        self.row.next_ids()
    }

    pub(in crate::store) async fn has_the_lock(&mut self) -> bool {
        self.lease.is_the_same().await
    }

    pub(in crate::store) async fn changes_since(&mut self, known: Known) -> Result<Changes, StoreError> {
        changes_since(&mut self.lease, self.row.head(), known).await
    }

    pub(in crate::store) async fn segment(&mut self, number: u64) -> Result<Vec<Movie>, StoreError> {
        segment(&mut self.lease, number, &self.metrics).await
    }

    pub(in crate::store) async fn was_committed(&mut self, head: Head) -> Result<bool, StoreError> {
        self.lease.run(async |conn| queries::commit_exists(conn, head.into()).await).await
    }

    pub(in crate::store) async fn facts(&mut self, wanted: &Wanted) -> Result<Facts, StoreError> {
        let mut facts = Facts::default();
        let mut ids: Vec<i64> = wanted.ids.iter().map(|id| id.cast_signed()).collect();
        let imdb_ids: Vec<String> = wanted.imdb_ids.iter().cloned().collect();
        for list in imdb_ids.chunks(LIST) {
            for (imdb_id, id) in
                self.lease.run(async |conn| queries::ids_with_imdb_ids(conn, list).await).await?
            {
                facts.by_imdb_id.extend(imdb_id.map(|imdb_id| (imdb_id, id.cast_unsigned())));
                if wanted.whole {
                    ids.push(id);
                }
            }
        }
        for list in ids.chunks(LIST) {
            self.facts_of_movies(list, &mut facts).await?;
        }
        let keys: Vec<String> = wanted.genres.iter().cloned().collect();
        for list in keys.chunks(LIST) {
            for (key, id, name) in
                self.lease.run(async |conn| queries::genres_with_keys(conn, list).await).await?
            {
                facts.genres.insert(key, genre_row(id, &name)?);
            }
        }
        let keys: Vec<String> = wanted.directors.iter().cloned().collect();
        for list in keys.chunks(LIST) {
            for (key, id, name) in
                self.lease.run(async |conn| queries::directors_with_keys(conn, list).await).await?
            {
                facts.directors.insert(key, (id.cast_unsigned(), director_name(id, &name)?));
            }
        }
        self.facts_of_slugs(wanted, &mut facts).await?;
        Ok(facts)
    }

    async fn facts_of_movies(&mut self, ids: &[i64], facts: &mut Facts) -> Result<(), StoreError> {
        let (movies, genres, directors) = self
            .lease
            .run(async |conn| {
                let movies = queries::movies_with_ids(conn, ids).await?;
                let genres = queries::genre_links_with_ids(conn, ids).await?;
                Ok((movies, genres, queries::director_links_with_ids(conn, ids).await?))
            })
            .await?;
        for (_, id, name) in &genres {
            let genre = genre_row(*id, name)?;
            facts.genres.insert(genre.name.key(), genre);
        }
        for (_, id, name) in &directors {
            let name = director_name(*id, name)?;
            facts.directors.insert(name.key(), (id.cast_unsigned(), name));
        }
        let movies = rows::movies(movies, genres, directors)?;
        facts.movies.extend(movies.into_iter().map(|movie| (movie.id, movie)));
        Ok(())
    }

    /// Slugs that genres which are not there yet could meet.
    async fn facts_of_slugs(&mut self, wanted: &Wanted, facts: &mut Facts) -> Result<(), StoreError> {
        // A name and its folded form have the same slug.
        let mut times: BTreeMap<String, u64> = BTreeMap::new();
        for key in wanted.genres.iter().filter(|key| !facts.genres.contains_key(*key)) {
            *times.entry(slug(key)).or_default() += 1;
        }
        self.slugs_taken(&times.keys().cloned().collect::<Vec<_>>(), facts).await?;
        // Numbers are given to those that meet one in the database, or each other, or one that was given a number.
        let is_numbered = |slug: &str| {
            let base = slug.rsplit_once('-').filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
            base.is_some_and(|(base, _)| times.contains_key(base))
        };
        let meet = times
            .iter()
            .filter(|(slug, times)| **times > 1 || facts.slugs.contains(*slug) || is_numbered(slug));
        let mut numberings: Vec<Numbering> = meet.map(|(slug, times)| Numbering::new(slug, *times)).collect();
        loop {
            let asks: Vec<String> = numberings.iter().flat_map(Numbering::asks).collect();
            if asks.is_empty() {
                break;
            }
            self.slugs_taken(&asks, facts).await?;
            // Those that the batch itself brings count as taken, though they are not yet.
            let is_taken = |slug: &str| facts.slugs.contains(slug) || times.contains_key(slug);
            numberings.iter_mut().for_each(|numbering| numbering.told(is_taken));
        }
        facts.numbers = numberings.into_iter().map(Numbering::first).collect();
        Ok(())
    }

    async fn slugs_taken(&mut self, slugs: &[String], facts: &mut Facts) -> Result<(), StoreError> {
        for list in slugs.chunks(LIST) {
            facts.slugs.extend(self.lease.run(async |conn| queries::slugs_taken(conn, list).await).await?);
        }
        Ok(())
    }

    pub(in crate::store) async fn apply(&mut self, changes: &Changeset) -> Result<(), StoreError> {
        let remove: Vec<i64> = changes.remove.iter().map(|id| id.cast_signed()).collect();
        for list in remove.chunks(LIST) {
            self.lease.run(async |conn| queries::movies_delete(conn, list).await).await?;
        }
        self.apply_names(changes).await?;
        for put in changes.put.chunks(LIST) {
            let movies = put.iter().map(|put| (&put.movie).into()).collect();
            let (genres, directors) = (rows::genre_links(put), rows::director_links(put));
            let keys = put.iter().map(|put| KeysRow::from(&put.movie)).collect();
            let words = word_rows(put.iter().map(|put| &put.movie));
            self.lease
                .run(async |conn| {
                    queries::movies_insert(conn, movies).await?;
                    queries::keys_insert(conn, keys).await?;
                    queries::words_insert(conn, words).await?;
                    queries::genre_links_insert(conn, genres).await?;
                    queries::director_links_insert(conn, directors).await
                })
                .await?;
        }
        let Head { revision, .. } = changes.head;
        let segments = changes.segments.iter().map(|segment| SegmentRow::new(*segment, revision)).collect();
        if revision % CUT_EVERY == 0 {
            self.forget_expired().await?;
        }
        let NextIds { movie, genre, director } = changes.next_ids;
        let next = [movie, genre, director].map(u64::cast_signed);
        self.lease
            .run(async |conn| {
                queries::segments_replace(conn, segments).await?;
                queries::commit_insert(conn, changes.head.into()).await?;
                if revision % CUT_EVERY == 0 && revision > KEPT_COMMITS {
                    queries::commits_delete_up_to(conn, (revision - KEPT_COMMITS).cast_signed()).await?;
                }
                queries::catalogue_update(conn, changes.head.into(), next).await
            })
            .await?;
        Ok(())
    }

    async fn apply_names(&mut self, changes: &Changeset) -> Result<(), StoreError> {
        let genres = changes.genres.iter().map(|genre| NewGenreRow {
            id: genre.id.cast_signed(),
            name: genre.name.as_str().to_owned(),
            name_key: genre.name.key(),
            slug: genre.slug.clone(),
            movies: 0,
        });
        let genres = genres.collect();
        let directors = changes.directors.iter().map(|director| NewDirectorRow {
            id: director.id.cast_signed(),
            name: director.name.as_str().to_owned(),
            name_key: director.name.key(),
        });
        let directors = directors.collect();
        self.lease
            .run(async |conn| {
                queries::genres_insert(conn, genres).await?;
                queries::directors_insert(conn, directors).await
            })
            .await?;
        // One statement for all genres that change by the same number: mostly by one.
        let mut counts = changes.genre_counts.clone();
        counts.sort_unstable_by_key(|(id, delta)| (*delta, *id));
        for same in counts.chunk_by(|(_, one), (_, other)| one == other) {
            let ids: Vec<i64> = same.iter().map(|(id, _)| id.cast_signed()).collect();
            let delta = same.first().map_or(0, |(_, delta)| *delta);
            for list in ids.chunks(LIST) {
                self.lease.run(async |conn| queries::genre_counts_add(conn, delta, list).await).await?;
            }
        }
        Ok(())
    }

    pub(in crate::store) async fn commit(self) -> Result<(), StoreError> {
        self.lease.commit().await
    }

    pub(in crate::store) async fn rollback(self) {
        // A connection that cannot is closed, which undoes it as well.
        let _ = self.lease.rollback().await;
    }
}

fn director_name(id: i64, name: &str) -> Result<DirectorName, StoreError> {
    DirectorName::parse(name).map_err(|e| StoreError::Corrupt(format!("director {id}: the name {e}")))
}

fn genre_row(id: i64, name: &str) -> Result<GenreRow, StoreError> {
    let name =
        GenreName::parse(name).map_err(|e| StoreError::Corrupt(format!("genre {id}: the name {e}")))?;
    Ok(GenreRow { id: id.cast_unsigned(), name })
}

async fn changes_since(lease: &mut Lease, head: Head, known: Known) -> Result<Changes, StoreError> {
    if known == Some(head) {
        return Ok(Changes { head, history: History::Same });
    }
    let follows = match known {
        Some(known) => lease.run(async |conn| queries::commit_exists(conn, known.into()).await).await?,
        None => false,
    };
    let after = match known {
        Some(known) if follows => known.revision.cast_signed(),
        _ => -1,
    };
    let segments = lease.run(async |conn| queries::segments_after(conn, after).await).await?;
    let segments: Vec<SegmentRef> = segments.into_iter().map(rows::segment_ref).collect();
    let history = if follows { History::Follows(segments) } else { History::Another(segments) };
    Ok(Changes { head, history })
}

async fn segment(lease: &mut Lease, number: u64, metrics: &Metrics) -> Result<Vec<Movie>, StoreError> {
    let first = (number << 8).cast_signed();
    let last = first | 0xff;
    let (movies, genres, directors): (_, Vec<LinkTuple>, _) = lease
        .run(async |conn| {
            let movies = queries::movies_between(conn, first, last).await?;
            let genres = queries::genre_links_between(conn, first, last).await?;
            Ok((movies, genres, queries::director_links_between(conn, first, last).await?))
        })
        .await?;
    metrics.segments_read.inc();
    metrics.movies_read.inc_by(movies.len() as u64);
    rows::movies(movies, genres, directors)
}
