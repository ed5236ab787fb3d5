//! The cache: encoded segments in moka, keyed by (segment, stamp), form and coding.
//!
//! A value under such a key never changes, so nothing here is ever invalidated by a write: the manifest
//! moves on, and nobody asks for the old key again. With plain keys a load that began before a commit
//! could be stored after it: `invalidate` does not fence an initialiser in flight.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::coding::Coding;
use super::page::Page;
use super::segment::{EncodedSegment, Form};
use crate::domain::Query;
use crate::store::{Head, SegmentRef};
use crate::telemetry::Metrics;

/// What a value is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    number: u64,
    stamp: u64,
    form: Form,
    coding: Coding,
}

impl Key {
    /// The key of `segment` in `form` and `coding`.
    pub fn new(segment: SegmentRef, form: Form, coding: Coding) -> Self {
        Self { number: segment.number, stamp: segment.stamp, form, coding }
    }

    /// The key of what all forms and codings of `segment` are made of, and its movies are slices of.
    pub fn of_array(segment: SegmentRef) -> Self {
        Self::new(segment, Form::Array, Coding::Identity)
    }
}

/// What a page is found by: a state, and all that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageKey {
    stamp: u64,
    query: Arc<str>,
    form: Form,
}

impl PageKey {
    /// The key of what `query` asks for in the state with this stamp.
    pub fn new(stamp: u64, query: &Query, form: Form) -> Self {
        let Query { filter, sort, limit, start, fields } = query;
        Self { stamp, query: format!("{filter}{sort}&{limit}&{fields}&{start:?}").into(), form }
    }

    /// The key of the same question in another state.
    pub fn at(&self, stamp: u64) -> Self {
        Self { stamp, ..self.clone() }
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
/// Pages may weigh this part of what segments may, beside them: many that are asked for once must not push out
/// the collection.
const PAGES_PART: u64 = 8;
/// Numbers of matching movies may weigh this part of what pages may, out of it.
const TOTALS_PART: u64 = 8;

/// The cache of one replica. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SegmentCache {
    /// By a hash that is made to be fast: nobody outside chooses a key, and an answer looks hundreds of them up.
    segments: Cache<Key, Arc<EncodedSegment>, RandomState>,
    /// Lists by the stamp of the state that they were asked for.
    lists: Cache<u64, Arc<GenreList>>,
    pages: Cache<PageKey, Arc<Page>>,
    /// How many movies match, by stamp and filter: the pages of one walk need not count them each.
    totals: Cache<(u64, String), u64>,
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
            .build_with_hasher(RandomState::default());
        let lists = Cache::builder()
            .name("lists")
            .max_capacity(LISTS_BYTES)
            .weigher(|_, list: &Arc<GenreList>| weight(list.json.len() + 64))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let of_totals = capacity / PAGES_PART / TOTALS_PART;
        let pages = Cache::builder()
            .name("pages")
            .max_capacity(capacity / PAGES_PART - of_totals)
            .weigher(|key: &PageKey, page: &Arc<Page>| weight(page.weight() + key.query.len() + 64))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let totals = Cache::builder()
            .name("totals")
            .max_capacity(of_totals)
            // Filters can be as long as a target.
            .weigher(|(_, filter): &(u64, String), _| weight(filter.len() + 128))
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { segments, lists, pages, totals, capacity, metrics: metrics.clone() }
    }

    /// What the segments may weigh together, in bytes.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// What the segments weigh now, in bytes, and how many they are. Counted with some delay.
    pub fn held(&self) -> (u64, u64) {
        (self.segments.weighted_size(), self.segments.entry_count())
    }

    /// Brings what [`Self::held`] tells up to date.
    pub async fn settle(&self) {
        self.segments.run_pending_tasks().await;
    }

    /// The value at `key`, when it is there.
    pub async fn get(&self, key: Key) -> Option<Arc<EncodedSegment>> {
        self.segments.get(&key).await
    }

    /// The value at `key`, when it is there and nothing has to be waited for.
    pub fn at_hand(&self, key: Key) -> Option<Arc<EncodedSegment>> {
        self.segments.get(&key).now_or_never()?
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

    /// Removes segments that nobody will ask for again, in every form and coding.
    pub async fn remove(&self, segments: &[SegmentRef]) {
        for segment in segments {
            for form in Form::ALL {
                for coding in Coding::ALL {
                    self.segments.invalidate(&Key::new(*segment, form, coding)).await;
                }
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

    /// The page at `key`, when it is there.
    pub async fn page(&self, key: &PageKey) -> Option<Arc<Page>> {
        self.pages.get(key).await
    }

    /// As [`Self::get_or_load`], for the page at `key`.
    ///
    /// # Errors
    /// What `load` failed with.
    pub async fn page_or_load<E: Send + Sync + 'static>(
        &self,
        key: PageKey,
        load: impl Future<Output = Result<Arc<Page>, E>>,
    ) -> Result<(Arc<Page>, bool), Arc<E>> {
        let entry = self.pages.entry(key).or_try_insert_with(load).await?;
        let fresh = entry.is_fresh();
        Ok((entry.into_value(), fresh))
    }

    /// Stores a page.
    pub async fn insert_page(&self, key: PageKey, page: Arc<Page>) {
        self.pages.insert(key, page).await;
    }

    /// How many movies match `filter` in the state with this stamp, when that is known.
    pub async fn total(&self, stamp: u64, filter: &str) -> Option<u64> {
        self.totals.get(&(stamp, filter.to_owned())).await
    }

    /// Notes how many match.
    pub async fn insert_total(&self, stamp: u64, filter: String, total: u64) {
        self.totals.insert((stamp, filter), total).await;
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    /// What is found by long filters takes no more room than what is found by short ones.
    #[tokio::test]
    async fn totals_weigh_what_their_filters_do() {
        let cache = SegmentCache::new(64 << 20, &Metrics::registered(&mut Registry::default()));
        for n in 0..1000 {
            cache.insert_total(1, format!("{n}{}", "x".repeat(8 << 10)), n).await;
        }
        cache.totals.run_pending_tasks().await;
        let kept: usize = cache.totals.iter().map(|(key, _)| key.1.len()).sum();
        assert!((512 << 10..1 << 20).contains(&kept), "{kept}");
        assert_eq!(cache.total(1, &format!("999{}", "x".repeat(8 << 10))).await, Some(999));
    }
}
