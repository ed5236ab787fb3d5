//! The cache: encoded segments in moka, keyed by (segment, stamp).
//!
//! A value under such a key never changes, so nothing here is ever invalidated by a write: the manifest
//! moves on, and nobody asks for the old key again. With plain keys a load that began before a commit
//! could be stored after it: `invalidate` does not fence an initialiser in flight.

use std::sync::Arc;

use bytes::Bytes;
use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::segment::{EncodedSegment, Form};
use crate::store::{Head, SegmentRef};
use crate::telemetry::Metrics;

/// What a value is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    number: u64,
    stamp: u64,
    form: Form,
}

impl Key {
    /// The key of `segment` in `form`.
    pub fn new(segment: SegmentRef, form: Form) -> Self {
        Self { number: segment.number, stamp: segment.stamp, form }
    }
}

/// The genres as they are at one state.
#[derive(Debug)]
pub struct GenreList {
    /// That state.
    pub head: Head,
    /// How many they are.
    pub count: u64,
    /// A JSON array.
    pub json: Bytes,
}

/// What lists may weigh together: they are few and small beside the segments.
const LISTS_BYTES: u64 = 16 << 20;

/// The cache of one replica. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SegmentCache {
    segments: Cache<Key, Arc<EncodedSegment>>,
    /// Lists by the stamp of the state that they were asked for.
    lists: Cache<u64, Arc<GenreList>>,
    capacity: u64,
    metrics: Metrics,
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl SegmentCache {
    /// An empty cache of at most `capacity` bytes of segments.
    ///
    /// Least recently used ones go first. moka's own default policy refuses keys that it has not seen
    /// before when it is full, and here every write makes such a key. No time to idle: it would empty the
    /// cache before an outage.
    pub fn new(capacity: u64, metrics: &Metrics) -> Self {
        let segments = Cache::builder()
            .name("segments")
            .max_capacity(capacity)
            .weigher(|_, segment: &Arc<EncodedSegment>| weight(segment.weight()))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let lists = Cache::builder()
            .name("lists")
            .max_capacity(LISTS_BYTES)
            .weigher(|_, list: &Arc<GenreList>| weight(list.json.len() + 64))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { segments, lists, capacity, metrics: metrics.clone() }
    }

    /// What the segments may weigh together, in bytes.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// What the segments weigh now, in bytes, and how many they are. Counted with some delay.
    pub fn held(&self) -> (u64, u64) {
        (self.segments.weighted_size(), self.segments.entry_count())
    }

    /// The value at `key`, when it is there.
    pub async fn get(&self, key: Key) -> Option<Arc<EncodedSegment>> {
        self.segments.get(&key).await
    }

    /// The value at `key`, loaded by `load` unless it is there or another load of it is under way. Tells
    /// whether this call's `load` ran.
    ///
    /// To be called from a task of its own: a call that is dropped hands its load to one that waits, which
    /// begins it again.
    ///
    /// # Errors
    /// What `load` failed with, told to all who waited for it. Nothing is stored then.
    pub async fn get_or_load<E: Send + Sync + 'static>(
        &self,
        key: Key,
        load: impl Future<Output = Result<Arc<EncodedSegment>, E>>,
    ) -> Result<(Arc<EncodedSegment>, bool), Arc<E>> {
        let entry = self.segments.entry(key).or_try_insert_with(load).await?;
        let fresh = entry.is_fresh();
        let segment = entry.into_value();
        if fresh {
            self.count_oversize(&segment);
        }
        Ok((segment, fresh))
    }

    /// Stores a value. The one that may be there already is the same.
    pub async fn insert(&self, key: Key, segment: Arc<EncodedSegment>) {
        self.count_oversize(&segment);
        self.segments.insert(key, segment).await;
    }

    /// Removes segments that nobody will ask for again, in every form.
    pub async fn remove(&self, segments: &[SegmentRef]) {
        for segment in segments {
            for form in [Form::Array, Form::Lines] {
                self.segments.invalidate(&Key::new(*segment, form)).await;
            }
        }
    }

    /// moka keeps nothing that is heavier than all it may hold, and says nothing.
    fn count_oversize(&self, segment: &EncodedSegment) {
        if segment.weight() as u64 > self.capacity {
            self.metrics.oversize.inc();
        }
    }

    /// The list at `stamp`, when it is there.
    pub async fn list(&self, stamp: u64) -> Option<Arc<GenreList>> {
        self.lists.get(&stamp).await
    }

    /// As [`Self::get_or_load`], for the list at `stamp`.
    ///
    /// # Errors
    /// What `load` failed with.
    pub async fn list_or_load<E: Send + Sync + 'static>(
        &self,
        stamp: u64,
        load: impl Future<Output = Result<Arc<GenreList>, E>>,
    ) -> Result<(Arc<GenreList>, bool), Arc<E>> {
        let entry = self.lists.entry(stamp).or_try_insert_with(load).await?;
        let fresh = entry.is_fresh();
        Ok((entry.into_value(), fresh))
    }

    /// Stores a list.
    pub async fn insert_list(&self, list: Arc<GenreList>) {
        self.lists.insert(list.head.stamp, list).await;
    }
}
