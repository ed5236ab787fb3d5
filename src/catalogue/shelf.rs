//! The shelf: encoded segments that replicas lend each other, by way of Redis.
//!
//! What lies there under (database, encoder's version, segment, stamp) never changes, as in the cache: whoever asks
//! names the stamp of a manifest, so nothing older than that can be got. It is looked through before it is used, and
//! whatever is missing, damaged or slow is read from the database instead.
//!
//! Only the array that is not coded lies there: all other forms and codings are made of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::cache::Key;
use super::coding::Coding;
use super::manifest::Manifest;
use super::segment::{ENCODER_VERSION, EncodedSegment, Form};
use crate::relay::{Heard, Relay};
use crate::store::{Head, SegmentRef};
use crate::telemetry::RedisWork;

/// How many segments are asked for, or left, at once: some hundred kB, which a limit of some tens of milliseconds must
/// be enough for.
const AT_ONCE: usize = 32;
/// How long the shelf may be asked for all that one reader misses, waiting for others who ask included: where it is
/// slow, the database is asked for what is left.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many loads leave what they loaded at a time, each some 60 kB.
const LENDERS: usize = 256;

/// Segments, each with what it is.
pub(super) type Segments = Vec<(SegmentRef, Arc<EncodedSegment>)>;

/// The way to the shelf.
pub(super) struct Shelf {
    relay: Relay,
    /// Who misses many segments takes them while others, who miss the same, wait.
    turn: Mutex<()>,
    lenders: Arc<Semaphore>,
}

impl Shelf {
    pub(super) fn new(relay: Relay) -> Self {
        Self { relay, turn: Mutex::new(()), lenders: Arc::new(Semaphore::new(LENDERS)) }
    }

    /// The names of segments there, once it is known which database they are of.
    fn keys(&self, segments: impl Iterator<Item = SegmentRef>) -> Option<Vec<String>> {
        let prefix = self.relay.prefix()?;
        let name =
            |SegmentRef { number, stamp, .. }| format!("{prefix}:{ENCODER_VERSION}:{number}:{stamp:016x}");
        Some(segments.map(name).collect())
    }
}

impl Shared {
    /// Whether Redis answers, where there is one.
    pub(super) fn redis_up(&self) -> Option<bool> {
        self.shelf.as_ref().map(|shelf| shelf.relay.is_up())
    }

    /// Comes when it is known whether Redis answers, or soon.
    pub(super) async fn meet_redis(&self) {
        if let Some(shelf) = &self.shelf {
            shelf.relay.met().await;
        }
    }

    /// Begins to hear of other replicas' commits.
    pub(super) fn listen(self: &Arc<Self>) {
        let Some(shelf) = &self.shelf else { return };
        // Not held: what hears must not keep alive what it tells.
        let shared = Arc::downgrade(self);
        shelf.relay.keep(&self.runtime, move |heard| {
            if let Some(shared) = shared.upgrade() {
                shared.hear(heard);
            }
        });
    }

    fn hear(&self, heard: Heard) {
        let news = match (heard, self.published.look(Manifest::head)) {
            (Heard::Commit { revision, stamp }, Some(known)) => {
                // Its own commits come back to a replica, and others' may have been seen in the database before.
                revision > known.revision || revision == known.revision && stamp != known.stamp
            }
            (Heard::Commit { .. } | Heard::Listening, _) => true,
        };
        if news {
            if matches!(heard, Heard::Commit { .. }) {
                self.metrics.redis_rings.inc();
            }
            self.rung.notify_one();
        }
    }

    /// Tells which database this is.
    pub(super) fn serves(&self, database: Option<u64>) {
        if let Some(shelf) = &self.shelf {
            shelf.relay.serves(database);
        }
    }

    /// Segments from the shelf, each where it is there and right. None when nobody answers.
    async fn borrowed(&self, segments: &[SegmentRef]) -> Option<Vec<Option<EncodedSegment>>> {
        let shelf = self.shelf.as_ref()?;
        let keys = shelf.keys(segments.iter().copied())?;
        let values = shelf.relay.get(&keys).await?;
        let mut said = false;
        let found = segments.iter().zip(&keys).zip(values).map(|((segment, key), value)| {
            let Some(value) = value else {
                self.metrics.redis_misses.inc();
                return None;
            };
            let unpacked = EncodedSegment::unpack(&value, key, *segment);
            if unpacked.is_some() {
                self.metrics.redis_hits.inc();
            } else {
                self.metrics.redis_errors(RedisWork::Value).inc();
                if !std::mem::replace(&mut said, true) {
                    log::warn!(
                        "what Redis has under {key} is not that segment: it is read from the database"
                    );
                }
            }
            unpacked
        });
        Some(found.collect())
    }

    /// One segment from the shelf.
    pub(super) async fn borrow(&self, segment: SegmentRef) -> Option<Arc<EncodedSegment>> {
        self.borrowed(&[segment]).await?.pop()?.map(Arc::new)
    }

    /// Takes what the cache lacks of `segments` from the shelf, many at a time. How many it took.
    ///
    /// To be called from a task of its own, since others wait for what it takes.
    pub(super) async fn borrow_missing(&self, segments: Vec<SegmentRef>, form: Form, coding: Coding) -> u32 {
        let Some(shelf) = &self.shelf else { return 0 };
        let patience = Instant::now() + PATIENCE;
        let Ok(_turn) = timeout_at(patience, shelf.turn.lock()).await else { return 0 };
        let missing = self.missing(&segments, form, coding).await;
        let (mut taken, mut weight) = (0, 0);
        for some in missing.chunks(AT_ONCE) {
            let Some(found) = self.borrowed(some).await else { break };
            for (segment, found) in some.iter().zip(found) {
                let Some(found) = found else { continue };
                weight += found.weight() as u64;
                taken += 1;
                self.cache.insert(Key::of_array(*segment), Arc::new(found)).await;
            }
            // What goes beyond the cache would push out what was taken first.
            if weight > self.cache.capacity() || Instant::now() > patience {
                break;
            }
        }
        taken
    }

    /// Those of `segments` of which the cache has neither what is asked for nor what it is made of.
    pub(super) async fn missing(
        &self,
        segments: &[SegmentRef],
        form: Form,
        coding: Coding,
    ) -> Vec<SegmentRef> {
        let mut missing = Vec::new();
        for segment in segments {
            if self.cache.get(Key::new(*segment, form, coding)).await.is_none()
                && self.cache.get(Key::of_array(*segment)).await.is_none()
            {
                missing.push(*segment);
            }
        }
        missing
    }

    /// Puts segments on the shelf, in a task of its own; who waits for it waits no longer than Redis is waited for.
    pub(super) fn lend(
        self: &Arc<Self>,
        segments: &[(SegmentRef, Arc<EncodedSegment>)],
    ) -> Option<JoinHandle<()>> {
        if segments.is_empty() || self.redis_up() != Some(true) {
            return None;
        }
        let (shared, segments) = (Arc::clone(self), segments.to_vec());
        Some(self.runtime.spawn(async move { shared.put(&segments).await }))
    }

    /// Puts a segment that a read had to load on the shelf.
    pub(super) fn lend_loaded(self: &Arc<Self>, segment: SegmentRef, array: &Arc<EncodedSegment>) {
        if self.redis_up() != Some(true) {
            return;
        }
        // Where Redis is slower than loads are, some are not lent, rather than held until it is their turn.
        let Some(Ok(turn)) = self.shelf.as_ref().map(|shelf| Arc::clone(&shelf.lenders).try_acquire_owned())
        else {
            return;
        };
        let (shared, segments) = (Arc::clone(self), vec![(segment, Arc::clone(array))]);
        self.runtime.spawn(async move {
            shared.put(&segments).await;
            drop(turn);
        });
    }

    async fn put(&self, segments: &[(SegmentRef, Arc<EncodedSegment>)]) {
        let Some(shelf) = &self.shelf else { return };
        for some in segments.chunks(AT_ONCE) {
            let Some(keys) = shelf.keys(some.iter().map(|(segment, _)| *segment)) else { return };
            let mut entries = Vec::with_capacity(some.len());
            for ((_, array), key) in some.iter().zip(keys) {
                if let Some(packed) = array.pack(&key) {
                    entries.push((key, packed));
                }
                // Some 0.1 ms each, on a thread that others want as well.
                tokio::task::yield_now().await;
            }
            if !shelf.relay.put(&entries).await {
                return;
            }
            self.metrics.redis_puts.inc_by(entries.len() as u64);
        }
    }

    /// Rings for what was committed, once it is `lent`; and has go what it `superseded`.
    pub(super) fn ring(
        self: &Arc<Self>,
        head: Head,
        lent: Option<JoinHandle<()>>,
        superseded: Vec<SegmentRef>,
    ) {
        if self.redis_up().is_none() {
            return;
        }
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            if let Some(lent) = lent {
                // One that was lost left nothing: others read from the database.
                let _ = lent.await;
            }
            if let Some(shelf) = &shared.shelf
                && let Some(superseded) = shelf.keys(superseded.into_iter())
            {
                shelf.relay.ring(head.revision, head.stamp, &superseded).await;
            }
        });
    }

    /// Takes away what was `lent` of a write that was not committed. Nobody asks for it: it would only take room.
    pub(super) fn take_back(self: &Arc<Self>, lent: Option<JoinHandle<()>>, segments: Vec<SegmentRef>) {
        let Some(lent) = lent else { return };
        let shared = Arc::clone(self);
        self.runtime.spawn(async move {
            let _ = lent.await;
            if let Some(shelf) = &shared.shelf
                && let Some(keys) = shelf.keys(segments.into_iter())
            {
                shelf.relay.remove(&keys).await;
            }
        });
    }
}
