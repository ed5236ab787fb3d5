//! The manifest: the catalogue at one revision, as the stamps of its segments; and which one is current.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::coding::Coding;
use super::each::Each;
use super::join::Outline;
use super::segment::Form;
use crate::store::{Changes, Head, History, SegmentRef};

/// A body of the whole collection as it was put together, kept as long as its manifest.
#[derive(Debug)]
pub enum Assembly {
    /// Small: one run of bytes.
    Whole(Bytes),
    /// Large: what it is made of, which the cache holds, and answers on their way.
    Pieces(ArcSwap<Outline>),
}

/// What a body in pieces was made of under an earlier manifest, and which segments have changed since, by number.
#[derive(Debug, Clone)]
pub struct Inherited {
    /// As it was.
    pub outline: Arc<Outline>,
    /// In ascending order.
    pub changed: Vec<u64>,
}

/// Beyond so many segments that changed, a body that nobody asked for meanwhile is made anew.
const INHERITED_CHANGES: usize = 128;

/// The catalogue at one revision, complete in itself. It never changes.
#[derive(Debug)]
pub struct Manifest {
    /// Counts the histories that this process has seen: a database that was restored begins another, in
    /// which revisions may be lower.
    epoch: u64,
    head: Head,
    /// By number; some may be empty.
    segments: Vec<SegmentRef>,
    movies: u64,
    assemblies: Each<OnceLock<Assembly>>,
    /// For the bodies that the manifests before it had.
    inherited: Each<Option<Inherited>>,
    /// Set when a newer one takes its place: what nobody asks for once this one is dropped.
    superseded: OnceLock<(Vec<SegmentRef>, UnboundedSender<Vec<SegmentRef>>)>,
}

impl Manifest {
    fn new(epoch: u64, head: Head, segments: Vec<SegmentRef>) -> Self {
        let movies = segments.iter().map(|segment| u64::from(segment.movies)).sum();
        let (assemblies, inherited) = (Each::default(), Each::default());
        Self { epoch, head, segments, movies, assemblies, inherited, superseded: OnceLock::new() }
    }

    /// The next one of the same history.
    fn followed(&self, head: Head, changed: &[SegmentRef]) -> Arc<Self> {
        let inherited = Each::from_fn(|form, coding| {
            let mut inherited = match self.assembly(form, coding).get() {
                Some(Assembly::Pieces(outline)) => {
                    Inherited { outline: outline.load_full(), changed: Vec::new() }
                }
                Some(Assembly::Whole(_)) => return None,
                None => self.inherited(form, coding)?.clone(),
            };
            inherited.changed.extend(changed.iter().map(|segment| segment.number));
            inherited.changed.sort_unstable();
            inherited.changed.dedup();
            (inherited.changed.len() <= INHERITED_CHANGES).then_some(inherited)
        });
        let mut next = Self::new(self.epoch, head, replaced(&self.segments, changed));
        next.inherited = inherited;
        Arc::new(next)
    }

    /// The manifest that `changes`, which were read as changes since `known`, lead to; `known` itself when
    /// there are none.
    pub fn advanced(known: Option<&Arc<Self>>, changes: Changes) -> Arc<Self> {
        match (known, changes.history) {
            (Some(known), History::Same) => Arc::clone(known),
            (Some(known), History::Follows(changed)) => known.followed(changes.head, &changed),
            (Some(known), History::Another(all)) => Arc::new(Self::new(known.epoch + 1, changes.head, all)),
            (None, History::Another(all) | History::Follows(all)) => {
                Arc::new(Self::new(0, changes.head, all))
            }
            (None, History::Same) => Arc::new(Self::new(0, changes.head, Vec::new())),
        }
    }

    /// The manifest that a write on top of this one makes.
    pub fn written(&self, head: Head, changed: &[SegmentRef]) -> Arc<Self> {
        self.followed(head, changed)
    }

    /// Its revision and stamp.
    pub fn head(&self) -> Head {
        self.head
    }

    /// How many movies it has.
    pub fn movies(&self) -> u64 {
        self.movies
    }

    /// Those that have movies: what an answer of the whole collection is made of.
    pub(super) fn filled(&self) -> impl Iterator<Item = SegmentRef> {
        self.segments.iter().filter(|segment| segment.movies > 0).copied()
    }

    /// One segment, when it was ever written.
    pub fn segment(&self, number: u64) -> Option<SegmentRef> {
        let index = self.segments.binary_search_by_key(&number, |segment| segment.number).ok()?;
        self.segments.get(index).copied()
    }

    /// Where the body in `form` and `coding` is kept.
    pub fn assembly(&self, form: Form, coding: Coding) -> &OnceLock<Assembly> {
        self.assemblies.of(form, coding)
    }

    /// Keeps what a body in pieces is made of, in the place of one whose segments are in memory no more.
    pub fn keep_outline(&self, form: Form, coding: Coding, outline: Outline) {
        let outline = Arc::new(outline);
        let kept = || Assembly::Pieces(ArcSwap::new(Arc::clone(&outline)));
        if let Assembly::Pieces(kept) = self.assembly(form, coding).get_or_init(kept) {
            kept.store(outline);
        }
    }

    /// What the body in `form` and `coding` was made of before, if it was one in pieces.
    pub fn inherited(&self, form: Form, coding: Coding) -> Option<&Inherited> {
        self.inherited.of(form, coding).as_ref()
    }

    /// The forms and codings in which the collection was asked for since this manifest is current, but for the
    /// array that is not coded.
    pub fn asked(&self) -> Vec<(Form, Coding)> {
        let all = Form::ALL.iter().flat_map(|form| Coding::ALL.map(|coding| (*form, coding)));
        all.skip(1).filter(|(form, coding)| self.assembly(*form, *coding).get().is_some()).collect()
    }

    /// Newer ones compare greater.
    pub fn order(&self) -> (u64, u64) {
        (self.epoch, self.head.revision)
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        if let Some((segments, janitor)) = self.superseded.take() {
            // No janitor is left when the process stops.
            let _ = janitor.send(segments);
        }
    }
}

/// `old` with those of `changed` in their places; both by number.
fn replaced(old: &[SegmentRef], changed: &[SegmentRef]) -> Vec<SegmentRef> {
    let mut segments = Vec::with_capacity(old.len() + changed.len());
    let mut old = old.iter().peekable();
    for change in changed {
        while let Some(segment) = old.next_if(|segment| segment.number < change.number) {
            segments.push(*segment);
        }
        old.next_if(|segment| segment.number == change.number);
        segments.push(*change);
    }
    segments.extend(old);
    segments
}

/// The current manifest: one atomic load to read it, one compare-and-publish to change it.
#[derive(Debug)]
pub struct Published {
    current: ArcSwapOption<Manifest>,
    /// Publishers take turns; readers never wait for it.
    publishing: Mutex<()>,
    /// The revision of the current manifest, for those who wait for a later one.
    revision: watch::Sender<u64>,
    janitor: UnboundedSender<Vec<SegmentRef>>,
}

impl Published {
    /// Nothing is published yet. What nobody asks for any more goes to `janitor`.
    pub fn new(janitor: UnboundedSender<Vec<SegmentRef>>) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            publishing: Mutex::new(()),
            revision: watch::Sender::new(0),
            janitor,
        }
    }

    /// What `look` makes of the current manifest, without holding it: workers that look at the same time do not
    /// contend for its count of holders.
    pub fn look<T>(&self, look: impl FnOnce(&Manifest) -> T) -> Option<T> {
        self.current.load().as_deref().map(look)
    }

    /// The current manifest, to be held.
    pub fn load(&self) -> Option<Arc<Manifest>> {
        self.current.load_full()
    }

    /// Comes when the current manifest is of `revision` or a later one.
    pub async fn reached(&self, revision: u64) {
        // The sender lives as long as this does, so nothing but the revision ends the wait.
        let _ = self.revision.subscribe().wait_for(|current| *current >= revision).await;
    }

    /// Publishes `next`, which a writer made under the lock of the revision row, unless something as new or
    /// newer is published already. Returns what is current then.
    pub fn publish(&self, next: Arc<Manifest>) -> Arc<Manifest> {
        let turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(turn, next)
    }

    /// As [`Self::publish`], for what a reader found out when it knew `known`. That another history has begun
    /// is believed only of the current manifest: a reader that was slow may know one that is so old that the
    /// log of commits has forgotten it. The next look at the database settles it.
    pub fn publish_read(&self, known: Option<&Arc<Manifest>>, next: Arc<Manifest>) -> Arc<Manifest> {
        let turn = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.current.load_full(), known) {
            (Some(current), Some(known)) if next.epoch != known.epoch && !Arc::ptr_eq(&current, known) => {
                current
            }
            _ => self.replace(turn, next),
        }
    }

    fn replace(&self, _turn: MutexGuard<'_, ()>, next: Arc<Manifest>) -> Arc<Manifest> {
        let current = self.current.load_full();
        match &current {
            Some(current) if current.order() >= next.order() => return Arc::clone(current),
            _ => self.current.store(Some(Arc::clone(&next))),
        }
        self.revision.send_replace(next.head.revision);
        if let Some(current) = current {
            if next.epoch > current.epoch {
                log::warn!(
                    "revision {} is not in the database's log of commits: it has another history (was it restored?), or commits have \
                     been missed for long; all of it is read anew",
                    current.head.revision
                );
            }
            let gone = current
                .segments
                .iter()
                .filter(|old| next.segment(old.number).is_none_or(|new| new.stamp != old.stamp));
            // It was current until now, so this is set but once.
            let _ = current.superseded.set((gone.copied().collect(), self.janitor.clone()));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::segment::EncodedSegment;
    use crate::catalogue::segment::tests::movie;

    fn head(revision: u64, stamp: u64) -> Head {
        Head { revision, stamp }
    }

    fn segment(number: u64, stamp: u64, movies: u32) -> SegmentRef {
        SegmentRef { number, stamp, movies }
    }

    fn first() -> Arc<Manifest> {
        let all = vec![segment(0, 10, 256), segment(2, 11, 3)];
        Manifest::advanced(None, Changes { head: head(5, 50), history: History::Another(all) })
    }

    #[test]
    fn changes_take_the_place_of_what_they_change() {
        let changed = vec![segment(1, 60, 7), segment(2, 60, 0), segment(9, 60, 1)];
        let next = Manifest::advanced(
            Some(&first()),
            Changes { head: head(6, 60), history: History::Follows(changed) },
        );
        assert_eq!(
            next.segments,
            [segment(0, 10, 256), segment(1, 60, 7), segment(2, 60, 0), segment(9, 60, 1)]
        );
        assert_eq!(next.movies(), 264);
        assert_eq!(next.segment(2), Some(segment(2, 60, 0)));
        assert_eq!(next.segment(3), None);
    }

    #[test]
    fn only_newer_manifests_are_published() {
        let (janitor, _gone) = tokio::sync::mpsc::unbounded_channel();
        let published = Published::new(janitor);
        let old = published.publish(first());
        let new = old.written(head(7, 70), &[segment(0, 70, 255)]);
        let between = old.written(head(6, 60), &[segment(0, 60, 254)]);
        assert_eq!(published.publish(Arc::clone(&new)).head(), head(7, 70));
        assert_eq!(published.publish(between).head(), head(7, 70));
        assert_eq!(published.publish(old).head(), head(7, 70));
    }

    #[test]
    fn a_restored_database_is_newer_with_a_lower_revision() {
        let (janitor, _gone) = tokio::sync::mpsc::unbounded_channel();
        let published = Published::new(janitor);
        let old = published.publish(first());
        let restored = Changes { head: head(3, 31), history: History::Another(vec![segment(0, 31, 1)]) };
        published.publish(Manifest::advanced(Some(&old), restored));
        let late = old.written(head(6, 60), &[]);
        assert_eq!(published.publish(late).head(), head(3, 31));
    }

    #[test]
    fn an_outline_whose_segments_are_gone_gives_way_to_a_new_one() {
        let (form, coding) = (Form::Array, Coding::Identity);
        let numbered = || [(0, Arc::new(EncodedSegment::encode(&[movie(1)])))];
        let is_at_hand = |manifest: &Manifest| match manifest.assembly(form, coding).get() {
            Some(Assembly::Pieces(outline)) => outline.load().pieces().is_some(),
            _ => false,
        };
        let manifest = first();
        manifest.keep_outline(form, coding, Outline::of(form, coding, &numbered()));
        assert!(!is_at_hand(&manifest), "nobody holds its segment");
        let held = numbered();
        manifest.keep_outline(form, coding, Outline::of(form, coding, &held));
        assert!(is_at_hand(&manifest));
    }

    #[tokio::test]
    async fn who_waits_for_a_revision_is_woken_by_it() {
        let (janitor, _gone) = tokio::sync::mpsc::unbounded_channel();
        let published = Arc::new(Published::new(janitor));
        let old = published.publish(first());
        published.reached(5).await;
        let waiting = tokio::spawn({
            let published = Arc::clone(&published);
            async move { published.reached(7).await }
        });
        tokio::task::yield_now().await;
        published.publish(old.written(head(6, 60), &[]));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        published.publish(old.written(head(8, 80), &[]));
        waiting.await.unwrap();
    }

    #[test]
    fn a_slow_reader_does_not_begin_another_history() {
        let (janitor, _gone) = tokio::sync::mpsc::unbounded_channel();
        let published = Published::new(janitor);
        let old = published.publish(first());
        let newer = published.publish(old.written(head(20_000, 70), &[]));
        let forgotten =
            || Changes { head: head(19_999, 69), history: History::Another(vec![segment(0, 69, 1)]) };
        let found = Manifest::advanced(Some(&old), forgotten());
        assert_eq!(published.publish_read(Some(&old), found).head(), newer.head());
        let found = Manifest::advanced(Some(&newer), forgotten());
        assert_eq!(published.publish_read(Some(&newer), found).head(), head(19_999, 69));
    }

    #[test]
    fn what_was_superseded_is_told_once_nobody_holds_it() {
        let (janitor, mut gone) = tokio::sync::mpsc::unbounded_channel();
        let published = Published::new(janitor);
        let old = published.publish(first());
        published.publish(old.written(head(6, 60), &[segment(2, 60, 4)]));
        assert!(gone.try_recv().is_err());
        drop(old);
        assert_eq!(gone.try_recv().unwrap(), [segment(2, 11, 3)]);
    }
}
