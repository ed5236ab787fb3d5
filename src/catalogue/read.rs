//! The way of a read: from the manifest to the cache, and on a miss to the database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;

use super::cache::{GenreList, Key};
use super::coding::Coding;
use super::join::{Change, Framing, Numbered, Outline};
use super::manifest::{Assembly, Inherited, Manifest};
use super::segment::{EncodedSegment, Form};
use super::spool::{SpoolError, SpooledBody};
use super::{Body, Error, LoadCost, Shared, Source};
use crate::domain::Movie;
use crate::store::{Changes, Changeset, History, SegmentRef, StoreError};
use crate::telemetry::Purpose;

/// Bodies up to this length are kept as one run of bytes; larger ones are sent segment by segment.
pub(super) const WHOLE_UP_TO: u64 = 1 << 20;
/// How many segments one reader loads at a time.
const LOADS_AT_ONCE: usize = 4;
/// The pause before a read whose connection broke begins again.
const BREATH: Duration = Duration::from_millis(10);

/// Whether the shelf is asked for a segment that the cache lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Before the database is.
    First,
    /// It was asked already.
    NoMore,
}

/// Why a load gives no segment under the key that it was asked for.
#[derive(Debug, Clone)]
pub(super) enum Miss {
    /// The database has moved on. This is the manifest that it moved to, published by now, and the segment
    /// as it is there (`None` when it is no longer there).
    Moved { manifest: Arc<Manifest>, segment: Arc<EncodedSegment>, from: Source },
    /// The collection is heavier than the cache may be.
    Outgrown,
    /// The database failed.
    Failed(Error),
}

impl Miss {
    /// The same for one of those who waited for it: who did not load was served by another's load.
    fn told_to_one_who_loaded(&self, loaded: bool) -> Self {
        let mut told = self.clone();
        if let Self::Moved { from, .. } = &mut told
            && !loaded
        {
            *from = Source::Collapsed;
        }
        told
    }
}

/// A collection in a file, the state that it is, and how it was come by.
type Spooled = (Arc<Manifest>, SpooledBody, Source);
/// A loaded segment and what it cost.
type Loaded = (Arc<EncodedSegment>, Source);

/// Those of `all`, which are in the order of their ids, that are of segment `number`.
fn of_segment<T>(all: &[T], number: u64, id: impl Fn(&T) -> u64) -> &[T] {
    let first = all.partition_point(|one| id(one) >> 8 < number);
    let end = all.partition_point(|one| id(one) >> 8 <= number);
    all.get(first..end).unwrap_or_default()
}

impl Shared {
    /// Encodes the movies of one segment.
    pub(super) fn encode(&self, movies: &[Movie]) -> EncodedSegment {
        self.counted(EncodedSegment::encode(movies))
    }

    /// Encodes segment `number` as `changes` make it of what it was `before`.
    pub(super) fn change(&self, before: &EncodedSegment, number: u64, changes: &Changeset) -> EncodedSegment {
        let gone = of_segment(&changes.remove, number, |id| *id);
        let put = of_segment(&changes.put, number, |put| put.movie.id);
        self.counted(before.changed(gone, put.iter().map(|put| &put.movie)))
    }

    fn counted(&self, segment: EncodedSegment) -> EncodedSegment {
        self.metrics.segments_encoded.inc();
        self.metrics.bytes_encoded.inc_by(segment.plain_len() as u64);
        segment
    }

    /// Makes another form and coding of a segment, from its array.
    pub(super) fn make(&self, array: &EncodedSegment, form: Form, coding: Coding) -> EncodedSegment {
        self.metrics.segments_coded(coding.name()).inc();
        array.to(form, coding)
    }

    /// Publishes what `changes`, read as changes since `known`, lead to; returns it, even where something
    /// newer is current.
    pub(super) fn advance(&self, known: Option<&Arc<Manifest>>, changes: Changes) -> Arc<Manifest> {
        let next = Manifest::advanced(known, changes);
        self.published.publish_read(known, Arc::clone(&next));
        next
    }

    /// What a failed read is told.
    pub(super) fn failed(&self, error: &StoreError) -> Error {
        self.link.observe::<()>(&Err(error.clone()));
        match error {
            StoreError::Away(_) | StoreError::TimedOut(_) | StoreError::PoolExhausted(_) => {
                log::warn!("a load failed: {error}");
                Error::Away
            }
            StoreError::Contended(_) | StoreError::Misconfigured(_) => {
                log::error!("a load failed: {error}");
                Error::Away
            }
            _ => {
                log::error!("a load failed: {error}");
                Error::Internal
            }
        }
    }

    /// One segment of `manifest`: cached, or made by a task of its own that goes on when the request that began
    /// it is dropped. It never runs on a thread that serves: to compress is too long for those who wait there.
    pub(super) async fn segment(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        segment: SegmentRef,
        form: Form,
        coding: Coding,
        shelf: Ask,
    ) -> Result<Loaded, Miss> {
        let key = Key::new(segment, form, coding);
        if let Some(cached) = self.cache.get(key).await {
            return Ok((cached, Source::Cache));
        }
        let (shared, manifest) = (Arc::clone(self), Arc::clone(manifest));
        let task = self.runtime.spawn(async move {
            if key == Key::of_array(segment) {
                shared.array_or_load(&manifest, segment, shelf).await
            } else {
                shared.made_or_make(&manifest, segment, form, coding, shelf).await
            }
        });
        task.await.unwrap_or_else(|error| {
            log::error!("a load was lost: {error}");
            Err(Miss::Failed(Error::Internal))
        })
    }

    async fn array_or_load(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        segment: SegmentRef,
        shelf: Ask,
    ) -> Result<Loaded, Miss> {
        let mut cost = LoadCost::default();
        let load = async {
            if shelf == Ask::First && self.shelf.is_some() {
                let began = Instant::now();
                let borrowed = self.borrow(segment).await;
                cost.redis = began.elapsed();
                if let Some(borrowed) = borrowed {
                    cost.segments = 1;
                    return Ok(borrowed);
                }
            }
            self.load(manifest, segment, &mut cost).await
        };
        match self.cache.get_or_load(Key::of_array(segment), load).await {
            Ok((encoded, true)) => Ok((encoded, Source::Load(cost))),
            Ok((encoded, false)) => Ok((encoded, Source::Collapsed)),
            Err(miss) => Err(miss.told_to_one_who_loaded(cost.segments > 0)),
        }
    }

    /// Every other form and coding is made of the array, once, when it is first asked for: the database is asked
    /// only where the array is missing too.
    async fn made_or_make(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        segment: SegmentRef,
        form: Form,
        coding: Coding,
        shelf: Ask,
    ) -> Result<Loaded, Miss> {
        let (mut source, mut began_it) = (Source::Cache, false);
        let make = async {
            began_it = true;
            let (array, from) = match self.cache.get(Key::of_array(segment)).await {
                Some(array) => (array, Source::Cache),
                None => self.array_or_load(manifest, segment, shelf).await?,
            };
            let began = Instant::now();
            let made = Arc::new(self.make(&array, form, coding));
            source = from.and(Source::Load(LoadCost { encode: began.elapsed(), ..LoadCost::default() }));
            Ok::<_, Miss>(made)
        };
        match self.cache.get_or_load(Key::new(segment, form, coding), make).await {
            Ok((encoded, true)) => Ok((encoded, source)),
            Ok((encoded, false)) => Ok((encoded, Source::Collapsed)),
            Err(miss) => Err(miss.told_to_one_who_loaded(began_it)),
        }
    }

    /// Reads a segment and, in the same moment, whether the database has moved on.
    async fn load(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        segment: SegmentRef,
        cost: &mut LoadCost,
    ) -> Result<Arc<EncodedSegment>, Miss> {
        let began = Instant::now();
        let read = || async {
            let mut snapshot = self.store.snapshot(Purpose::Load).await?;
            let changes = snapshot.changes_since(Some(manifest.head())).await?;
            let movies = snapshot.segment(segment.number).await?;
            snapshot.finish().await;
            Ok((changes, movies))
        };
        let (changes, movies) = persist(read).await.map_err(|error| Miss::Failed(self.failed(&error)))?;
        self.link.observe::<()>(&Ok(()));
        cost.db = began.elapsed();
        let began = Instant::now();
        let encoded = Arc::new(self.encode(&movies));
        cost.encode = began.elapsed();
        cost.segments = 1;
        if changes.history == History::Same {
            self.lend_loaded(segment, &encoded);
            return Ok(encoded);
        }
        let moved = self.advance(Some(manifest), changes);
        let from = Source::Load(*cost);
        match moved.segment(segment.number) {
            Some(now) if now.stamp == segment.stamp => {
                self.lend_loaded(now, &encoded);
                Ok(encoded)
            }
            Some(now) => {
                self.lend_loaded(now, &encoded);
                self.cache.insert(Key::of_array(now), Arc::clone(&encoded)).await;
                Err(Miss::Moved { manifest: moved, segment: encoded, from })
            }
            None => Err(Miss::Moved { manifest: moved, segment: encoded, from }),
        }
    }

    /// The body that is kept with `manifest`, or whose segments are all in memory.
    pub(super) fn cached_body(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        form: Form,
        coding: Coding,
    ) -> Option<Body> {
        match manifest.assembly(form, coding).get()? {
            Assembly::Whole(bytes) => Some(Body::Whole(bytes.clone())),
            Assembly::Pieces(outline) => {
                let outline = outline.load();
                let pieces = outline.pieces()?;
                if outline.is_to_be_looked_up() {
                    self.look_up(manifest, form, coding);
                }
                Some(Body::Pieces(pieces))
            }
        }
    }

    /// Tells the cache that all segments of a body are of use, while nobody waits for that.
    fn look_up(self: &Arc<Self>, manifest: &Arc<Manifest>, form: Form, coding: Coding) {
        let (shared, manifest) = (Arc::clone(self), Arc::clone(manifest));
        self.runtime.spawn(async move {
            for segment in manifest.filled() {
                shared.cache.get(Key::new(segment, form, coding)).await;
            }
        });
    }

    /// Puts a body together, loading what is missing. All its segments are held before it is given out.
    pub(super) async fn assemble(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        form: Form,
        coding: Coding,
    ) -> Result<(Body, Source), Miss> {
        let outgrown = self.spool.outgrown.of(form, coding);
        if manifest.movies() >= outgrown.load(Ordering::Relaxed) {
            return Err(Miss::Outgrown);
        }
        if let Some(inherited) = manifest.inherited(form, coding)
            && let Some(body) = self.follow(manifest, inherited, form, coding).await?
        {
            return Ok(body);
        }
        let wanted: Vec<SegmentRef> = manifest.filled().collect();
        let (mut source, shelf) = self.borrow_many(&wanted, form, coding).await;
        let mut loads = stream::iter(wanted)
            .map(|wanted| async move {
                Ok((wanted.number, self.segment(manifest, wanted, form, coding, shelf).await?))
            })
            .buffered(LOADS_AT_ONCE);
        let mut segments: Vec<Numbered> = Vec::new();
        let mut weight = 0;
        while let Some((number, (segment, from))) = loads.try_next().await? {
            source = source.and(from);
            weight += segment.weight() as u64;
            if (form, coding) != (Form::Array, Coding::Identity) {
                // What it was made of has its place beside it.
                weight += segment.plain_len() as u64;
            }
            if weight > self.cache.capacity() {
                outgrown.fetch_min(manifest.movies(), Ordering::Relaxed);
                return Err(Miss::Outgrown);
            }
            segments.push((number, segment));
        }
        // They are held until the pieces hold them, too: whatever the cache forgets meanwhile.
        let outline = Outline::of(form, coding, &segments);
        let Some(pieces) = outline.pieces() else {
            log::error!("segments that are held are not in memory");
            return Err(Miss::Failed(Error::Internal));
        };
        drop(segments);
        if pieces.total_len() > WHOLE_UP_TO {
            manifest.keep_outline(form, coding, outline);
            return Ok((Body::Pieces(pieces), source));
        }
        match manifest.assembly(form, coding).get_or_init(|| Assembly::Whole(pieces.clone().concat())) {
            Assembly::Whole(bytes) => Ok((Body::Whole(bytes.clone()), source)),
            Assembly::Pieces(_) => Ok((Body::Pieces(pieces), source)),
        }
    }

    /// The body as it was, with what has changed since: what that costs does not grow with the collection but by its root.
    /// `None` when that does not lead to a body in pieces whose segments are all in memory.
    async fn follow(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        inherited: &Inherited,
        form: Form,
        coding: Coding,
    ) -> Result<Option<(Body, Source)>, Miss> {
        let mut source = Source::Cache;
        let mut changed: Vec<Change> = Vec::with_capacity(inherited.changed.len());
        for number in &inherited.changed {
            let now = match manifest.segment(*number).filter(|segment| segment.movies > 0) {
                Some(segment) => {
                    let (now, from) = self.segment(manifest, segment, form, coding, Ask::First).await?;
                    source = source.and(from);
                    Some(now)
                }
                None => None,
            };
            changed.push((*number, now));
        }
        let Some(outline) = inherited.outline.with(&changed) else { return Ok(None) };
        let Some(pieces) = outline.pieces().filter(|pieces| pieces.total_len() > WHOLE_UP_TO) else {
            return Ok(None);
        };
        manifest.keep_outline(form, coding, outline);
        Ok(Some((Body::Pieces(pieces), source)))
    }

    /// What is missing of many segments, taken from the shelf in a few questions rather than one for each. A single one as well:
    /// it may be the last that another reader, whose turn it is, has on its way.
    async fn borrow_many(
        self: &Arc<Self>,
        wanted: &[SegmentRef],
        form: Form,
        coding: Coding,
    ) -> (Source, Ask) {
        if self.shelf.is_none() || self.missing(wanted, form, coding).await.is_empty() {
            return (Source::Cache, Ask::First);
        }
        let began = Instant::now();
        let (shared, wanted) = (Arc::clone(self), wanted.to_vec());
        let task = self.runtime.spawn(async move { shared.borrow_missing(wanted, form, coding).await });
        let segments = task.await.unwrap_or_default();
        let cost = LoadCost { redis: began.elapsed(), segments, ..LoadCost::default() };
        (if segments > 0 { Source::Load(cost) } else { Source::Cache }, Ask::NoMore)
    }

    /// The whole collection at `arrival` or a later state, in a temporary file. Written by a task of its own,
    /// unless one that is new enough is there when its turn comes.
    pub(super) async fn spooled(
        self: &Arc<Self>,
        arrival: Arc<Manifest>,
        form: Form,
        coding: Coding,
    ) -> Result<Spooled, Error> {
        let shared = Arc::clone(self);
        let (done, spooled) = oneshot::channel();
        self.runtime.spawn(async move {
            let mut last = shared.spool.last.lock().await;
            if done.is_closed() {
                // Nobody waits for it any more.
                return;
            }
            let result = match last.get(&(form, coding)) {
                Some((manifest, file)) if manifest.order() >= arrival.order() => {
                    let from =
                        if Arc::ptr_eq(manifest, &arrival) { Source::Cache } else { Source::Collapsed };
                    Ok((Arc::clone(manifest), file.clone(), from))
                }
                _ => {
                    // Its room first, unless somebody reads it still.
                    last.remove(&(form, coding));
                    let spooled = shared.spool(form, coding).await;
                    if let Ok((manifest, file, _)) = &spooled {
                        last.insert((form, coding), (Arc::clone(manifest), file.clone()));
                    }
                    spooled
                }
            };
            let _ = done.send(result);
        });
        spooled.await.unwrap_or(Err(Error::Internal))
    }

    /// Writes the whole collection to a temporary file, from one snapshot.
    async fn spool(&self, form: Form, coding: Coding) -> Result<Spooled, Error> {
        let known = self.published.load().ok_or(Error::Cold)?;
        let began = Instant::now();
        let failed = |error: StoreError| self.failed(&error);
        let mut snapshot = self.store.snapshot(Purpose::Load).await.map_err(failed)?;
        let changes = snapshot.changes_since(Some(known.head())).await.map_err(failed)?;
        let manifest = self.advance(Some(&known), changes);
        let mut writer = self.spool.begin().map_err(no_room)?;
        let mut framing = Framing::new(form, coding);
        let mut encode = Duration::ZERO;
        writer.write(&framing.begin().into()).map_err(no_room)?;
        let mut count = 0;
        for segment in manifest.filled() {
            let movies = snapshot.segment(segment.number).await.map_err(failed)?;
            let encoding = Instant::now();
            let encoded = self.make(&self.encode(&movies), form, coding);
            encode += encoding.elapsed();
            writer.write(&framing.add(&encoded).into()).map_err(no_room)?;
            writer.write(encoded.bytes()).map_err(no_room)?;
            count += 1;
        }
        snapshot.finish().await;
        writer.write(framing.finish().end()).map_err(no_room)?;
        let file = writer.finish().map_err(no_room)?;
        // Writing the file counts as the database's: its snapshot is held meanwhile.
        let db = began.elapsed().saturating_sub(encode);
        let cost = LoadCost { db, encode, segments: count, ..LoadCost::default() };
        Ok((manifest, file, Source::Load(cost)))
    }

    /// The genres at the current state or a later one.
    pub(super) async fn genre_list(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
    ) -> Result<(Arc<GenreList>, Source), Error> {
        let stamp = manifest.head().stamp;
        if let Some(list) = self.cache.list(stamp).await {
            return Ok((list, Source::Cache));
        }
        let (shared, manifest) = (Arc::clone(self), Arc::clone(manifest));
        let task = self.runtime.spawn(async move {
            let mut cost = LoadCost::default();
            let loaded = shared.cache.list_or_load(stamp, shared.load_genres(&manifest, &mut cost)).await;
            match loaded {
                Ok((list, fresh)) => Ok((list, if fresh { Source::Load(cost) } else { Source::Collapsed })),
                Err(error) => Err((*error).clone()),
            }
        });
        task.await.unwrap_or(Err(Error::Internal))
    }

    async fn load_genres(
        &self,
        manifest: &Arc<Manifest>,
        cost: &mut LoadCost,
    ) -> Result<Arc<GenreList>, Error> {
        let began = Instant::now();
        let read = || async {
            let mut snapshot = self.store.snapshot(Purpose::Load).await?;
            let changes = snapshot.changes_since(Some(manifest.head())).await?;
            let genres = snapshot.genres().await?;
            snapshot.finish().await;
            Ok((changes, genres))
        };
        let (changes, genres) = persist(read).await.map_err(|error| self.failed(&error))?;
        cost.db = began.elapsed();
        let began = Instant::now();
        let json = serde_json::to_vec(&genres).map_err(|_| Error::Internal)?;
        cost.encode = began.elapsed();
        let list = Arc::new(GenreList { head: changes.head, count: genres.len() as u64, json: json.into() });
        if changes.history != History::Same {
            // What was read is newer than what was asked for: as good an answer, and stored where those who
            // come next will look.
            self.advance(Some(manifest), changes);
            self.cache.insert_list(Arc::clone(&list)).await;
        }
        Ok(list)
    }
}

/// Reads, and once more when the connection broke meanwhile: one can break by itself; when a new one breaks
/// too, nobody is there.
pub(super) async fn persist<T, F>(read: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    match read().await {
        Err(StoreError::Away(_)) => {
            // Whoever closes connections may be at it still.
            tokio::time::sleep(BREATH).await;
            read().await
        }
        result => result,
    }
}

fn no_room(error: SpoolError) -> Error {
    match error {
        SpoolError::Full => {
            log::error!("the collection does not fit in MARQUEE_SPOOL_BYTES of temporary files");
            Error::TooLarge
        }
        SpoolError::Io(error) => {
            log::error!("a temporary file for the collection cannot be written: {error}; is TMPDIR full?");
            Error::TooLarge
        }
    }
}
