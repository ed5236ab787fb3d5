//! The way of a read: from the manifest to the cache, and on a miss to the database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;

use super::cache::{GenreList, Key};
use super::join::{Coding, Frame, Framing, Pieces, coded};
use super::manifest::{Assembly, Manifest};
use super::segment::{EncodedSegment, Form};
use super::spool::{SpoolError, SpooledBody};
use super::{Body, Error, LoadCost, Shared, Source};
use crate::domain::Movie;
use crate::store::{Changes, History, SegmentRef, StoreError};
use crate::telemetry::Purpose;

/// Bodies up to this length are kept as one run of bytes; larger ones are sent segment by segment.
pub(super) const WHOLE_UP_TO: u64 = 1 << 20;
/// How many segments one reader loads at a time.
const LOADS_AT_ONCE: usize = 4;
/// The pause before a read whose connection broke begins again.
const BREATH: Duration = Duration::from_millis(10);

/// Why a load gives no segment under the key that it was asked for.
#[derive(Debug, Clone)]
pub(super) enum Miss {
    /// The database has moved on. This is the manifest that it moved to, published by now, and the segment
    /// as it is there (`None` when it is no longer there).
    Moved { manifest: Arc<Manifest>, segment: Arc<EncodedSegment> },
    /// The collection is heavier than the cache may be.
    Outgrown,
    /// The database failed.
    Failed(Error),
}

/// A collection in a file, the state that it is, and how it was come by.
type Spooled = (Arc<Manifest>, SpooledBody, Source);
/// A loaded segment and what it cost.
type Loaded = (Arc<EncodedSegment>, Source);

impl Shared {
    /// Encodes the movies of one segment.
    pub(super) fn encode(&self, movies: &[Movie]) -> EncodedSegment {
        let segment = EncodedSegment::encode(movies);
        self.metrics.segments_encoded.inc();
        self.metrics.bytes_encoded.inc_by(segment.json().len() as u64);
        segment
    }

    /// Publishes what `changes`, read as changes since `known`, lead to; returns it, even where something
    /// newer is current.
    pub(super) fn advance(&self, known: Option<&Arc<Manifest>>, changes: Changes) -> Arc<Manifest> {
        let next = Manifest::advanced(known, changes);
        self.published.publish_read(known, Arc::clone(&next));
        next
    }

    /// What a failed read is told.
    fn failed(&self, error: &StoreError) -> Error {
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

    /// One segment of `manifest`: cached, or loaded by a task of its own that goes on when the request that
    /// began it is dropped.
    pub(super) async fn segment(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        segment: SegmentRef,
        form: Form,
    ) -> Result<Loaded, Miss> {
        if let Some(cached) = self.cache.get(Key::new(segment, form)).await {
            return Ok((cached, Source::Cache));
        }
        let (shared, manifest) = (Arc::clone(self), Arc::clone(manifest));
        let task = self.runtime.spawn(async move {
            match form {
                Form::Array => shared.segment_or_load(&manifest, segment).await,
                Form::Lines => shared.lines_or_load(&manifest, segment).await,
            }
        });
        task.await.unwrap_or_else(|error| {
            log::error!("a load was lost: {error}");
            Err(Miss::Failed(Error::Internal))
        })
    }

    async fn segment_or_load(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        segment: SegmentRef,
    ) -> Result<Loaded, Miss> {
        let mut cost = LoadCost::default();
        let load = self.load(manifest, segment, &mut cost);
        match self.cache.get_or_load(Key::new(segment, Form::Array), load).await {
            Ok((encoded, true)) => Ok((encoded, Source::Load(cost))),
            Ok((encoded, false)) => Ok((encoded, Source::Collapsed)),
            Err(miss) => Err((*miss).clone()),
        }
    }

    /// Lines are made from the array's bytes: the database is asked only where those are missing too.
    async fn lines_or_load(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        segment: SegmentRef,
    ) -> Result<Loaded, Miss> {
        let mut source = Source::Cache;
        let load = async {
            let (array, from) = match self.cache.get(Key::new(segment, Form::Array)).await {
                Some(array) => (array, Source::Load(LoadCost::default())),
                None => self.segment_or_load(manifest, segment).await?,
            };
            source = from;
            Ok::<_, Miss>(Arc::new(array.to_lines()))
        };
        match self.cache.get_or_load(Key::new(segment, Form::Lines), load).await {
            Ok((encoded, true)) => Ok((encoded, source)),
            Ok((encoded, false)) => Ok((encoded, Source::Collapsed)),
            Err(miss) => Err(match (*miss).clone() {
                Miss::Moved { manifest, segment } => {
                    Miss::Moved { manifest, segment: Arc::new(segment.to_lines()) }
                }
                other => other,
            }),
        }
    }

    /// Reads a segment and, in the same moment, whether the database has moved on.
    async fn load(
        &self,
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
            return Ok(encoded);
        }
        let moved = self.advance(Some(manifest), changes);
        match moved.segment(segment.number) {
            Some(now) if now.stamp == segment.stamp => Ok(encoded),
            Some(now) => {
                self.cache.insert(Key::new(now, Form::Array), Arc::clone(&encoded)).await;
                Err(Miss::Moved { manifest: moved, segment: encoded })
            }
            None => Err(Miss::Moved { manifest: moved, segment: encoded }),
        }
    }

    /// The body that is kept with `manifest`, or whose segments are all cached.
    pub(super) async fn cached_body(&self, manifest: &Manifest, form: Form, coding: Coding) -> Option<Body> {
        match manifest.assembly(form, coding).get()? {
            Assembly::Whole(bytes) => Some(Body::Whole(bytes.clone())),
            Assembly::Pieces(frame) => {
                let mut segments = Vec::with_capacity(manifest.segments().len());
                for segment in manifest.segments().iter().filter(|segment| segment.movies > 0) {
                    segments.push(self.cache.get(Key::new(*segment, form)).await?);
                }
                Some(Body::Pieces(Pieces::new(frame.clone(), segments)))
            }
        }
    }

    /// Puts a body together, loading what is missing. All its segments are held before it is given out.
    pub(super) async fn assemble(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        form: Form,
        coding: Coding,
    ) -> Result<(Body, Source), Miss> {
        if manifest.movies() >= self.spool.outgrown.load(Ordering::Relaxed) {
            return Err(Miss::Outgrown);
        }
        let wanted: Vec<SegmentRef> =
            manifest.segments().iter().filter(|segment| segment.movies > 0).copied().collect();
        let mut loads =
            stream::iter(wanted).map(|segment| self.segment(manifest, segment, form)).buffered(LOADS_AT_ONCE);
        let mut segments = Vec::new();
        let (mut source, mut weight) = (Source::Cache, 0);
        while let Some((segment, from)) = loads.try_next().await? {
            source = source.and(from);
            weight += segment.weight() as u64;
            if weight > self.cache.capacity() {
                self.spool.outgrown.fetch_min(manifest.movies(), Ordering::Relaxed);
                return Err(Miss::Outgrown);
            }
            segments.push(segment);
        }
        let frame = Frame::of(form, coding, segments.iter().map(AsRef::as_ref));
        let pieces = Pieces::new(frame.clone(), segments);
        if frame.total_len() > WHOLE_UP_TO {
            let _ = manifest.assembly(form, coding).set(Assembly::Pieces(frame));
            return Ok((Body::Pieces(pieces), source));
        }
        let whole = manifest.assembly(form, coding).get_or_init(|| Assembly::Whole(pieces.clone().concat()));
        match whole {
            Assembly::Whole(bytes) => Ok((Body::Whole(bytes.clone()), source)),
            Assembly::Pieces(_) => Ok((Body::Pieces(pieces), source)),
        }
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
        writer.write(&framing.begin().into()).map_err(no_room)?;
        let mut count = 0;
        for segment in manifest.segments().iter().filter(|segment| segment.movies > 0) {
            let movies = snapshot.segment(segment.number).await.map_err(failed)?;
            let encoded = match form {
                Form::Array => self.encode(&movies),
                Form::Lines => self.encode(&movies).to_lines(),
            };
            writer.write(&framing.add(&encoded).into()).map_err(no_room)?;
            writer.write(coded(&encoded, coding)).map_err(no_room)?;
            count += 1;
        }
        snapshot.finish().await;
        writer.write(framing.finish().end()).map_err(no_room)?;
        let file = writer.finish().map_err(no_room)?;
        let cost = LoadCost { db: began.elapsed(), encode: Duration::ZERO, segments: count };
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
        let json = serde_json::to_vec(&genres).map_err(|_| Error::Internal)?;
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
