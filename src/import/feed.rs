//! What the readers hand their rows to: counts them, keeps repeats out, and strings movies into chunks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::ImportError;
use super::ids::{Key, Seen};
use super::joins::Budget;
use super::progress::Counters;
use super::rejects::{Place, Rejects};
use crate::domain::{NewMovie, Parts};

/// Movies that go to the collection together.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Each has an `imdb_id`, none twice.
    Merge(Vec<NewMovie>, Parts),
    /// None has an `imdb_id`.
    Create(Vec<NewMovie>),
}

/// How large a chunk may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkBounds {
    pub(super) movies: usize,
    pub(super) bytes: usize,
}

/// What the readers saw.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    /// Rows that might have been movies.
    pub(super) rows: u64,
    pub(super) skipped_adult: u64,
    pub(super) skipped_types: BTreeMap<Box<str>, u64>,
    pub(super) joined_rows: u64,
    pub(super) unknown_directors: u64,
    pub(super) surplus_directors: u64,
    /// Inputs that broke off, as `file:line: reason`.
    pub(super) broken: Vec<String>,
}

/// The most types that are told apart; IMDb has about ten.
const TOLD_TYPES: usize = 32;

/// Where chunks go.
pub(super) type Emit = Box<dyn FnMut(Chunk) -> Result<(), ImportError> + Send>;

pub(super) struct Feed {
    pub(super) rejects: Rejects,
    pub(super) budget: Budget,
    pub(super) tally: Tally,
    seen: Seen,
    merges: Buffer,
    parts: Parts,
    creates: Buffer,
    bounds: ChunkBounds,
    counters: Arc<Counters>,
    emit: Emit,
}

#[derive(Default)]
struct Buffer {
    movies: Vec<NewMovie>,
    bytes: usize,
}

impl Feed {
    pub(super) fn new(
        rejects: Rejects,
        budget: Budget,
        bounds: ChunkBounds,
        counters: Arc<Counters>,
        emit: Emit,
    ) -> Self {
        Self {
            rejects,
            budget,
            tally: Tally::default(),
            seen: Seen::default(),
            merges: Buffer::default(),
            parts: Parts::ALL,
            creates: Buffer::default(),
            bounds,
            counters,
            emit,
        }
    }

    /// A movie, of which `parts` are spoken of.
    pub(super) fn movie(
        &mut self,
        place: Place<'_>,
        raw: &[u8],
        movie: NewMovie,
        parts: Parts,
    ) -> Result<(), ImportError> {
        let Some(key) = movie.imdb_id.as_ref().and_then(|id| Key::parse("tt", id.as_str())) else {
            self.row();
            self.creates.push(movie);
            return if self.creates.is_full(self.bounds) { self.flush_creates() } else { Ok(()) };
        };
        if !self.seen.insert(key, &mut self.budget)? {
            let reason = "repeats the imdb_id of an earlier row of this run; the first one counts";
            return self.reject(place, reason, raw);
        }
        self.row();
        if self.parts != parts {
            self.flush_merges()?;
            self.parts = parts;
        }
        self.merges.push(movie);
        if self.merges.is_full(self.bounds) { self.flush_merges() } else { Ok(()) }
    }

    /// A row that is no movie.
    pub(super) fn reject(&mut self, place: Place<'_>, reason: &str, raw: &[u8]) -> Result<(), ImportError> {
        self.row();
        self.counters.rejected.fetch_add(1, Ordering::Relaxed);
        self.rejects.movie(place, reason, raw)
    }

    /// A row of a type that is not wanted.
    pub(super) fn skip_type(&mut self, name: &str) {
        self.row();
        let types = &mut self.tally.skipped_types;
        if let Some(count) = types.get_mut(name) {
            *count += 1;
            return;
        }
        let name = if types.len() < TOLD_TYPES && name.len() <= 64 { name } else { "other" };
        *types.entry(name.into()).or_default() += 1;
    }

    /// A row that is for adults.
    pub(super) fn skip_adult(&mut self) {
        self.row();
        self.tally.skipped_adult += 1;
    }

    /// An input that cannot be read further; what came before stays.
    pub(super) fn broken(&mut self, place: Place<'_>, reason: &str) {
        let Place { file, line } = place;
        self.tally.broken.push(format!("{file}:{line}: {reason}; the rows before it were taken"));
    }

    /// Sends what is left.
    pub(super) fn finish(&mut self) -> Result<(), ImportError> {
        self.flush_merges()?;
        self.flush_creates()?;
        self.rejects.flush()
    }

    /// Lets the collection know that nothing more comes.
    pub(super) fn close(&mut self) {
        self.emit = Box::new(|_| Err(ImportError::Stopped));
    }

    fn row(&mut self) {
        self.tally.rows += 1;
        self.counters.rows.fetch_add(1, Ordering::Relaxed);
    }

    fn flush_merges(&mut self) -> Result<(), ImportError> {
        match std::mem::take(&mut self.merges).movies {
            movies if movies.is_empty() => Ok(()),
            movies => (self.emit)(Chunk::Merge(movies, self.parts)),
        }
    }

    fn flush_creates(&mut self) -> Result<(), ImportError> {
        match std::mem::take(&mut self.creates).movies {
            movies if movies.is_empty() => Ok(()),
            movies => (self.emit)(Chunk::Create(movies)),
        }
    }
}

impl Buffer {
    fn push(&mut self, movie: NewMovie) {
        self.bytes += movie.weight();
        self.movies.push(movie);
    }

    fn is_full(&self, bounds: ChunkBounds) -> bool {
        self.movies.len() >= bounds.movies || self.bytes >= bounds.bytes
    }
}
