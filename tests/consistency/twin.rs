//! A catalogue in memory that caches as marquee does, or as services do that put a plain key into their cache.
//!
//! ```text
//! reader                          cache                       writer
//! misses, begins to load
//! sees the old rows
//!                                                             commits the new rows
//!                                 forgets the old value  ◀──  publishes
//! brings the old rows        ──▶  keeps them?
//!                                                             is acknowledged
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;
use serde_json::json;
use tokio::runtime::Handle;

use super::words::{Ask, Content, Movie, Service, Told, join};

/// What the cache is asked by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Key {
    /// The name alone.
    Plain,
    /// The name and the version, as marquee's.
    Versioned,
}

#[derive(Clone)]
pub(crate) struct Twin {
    key: Key,
    runtime: Handle,
    rows: Arc<Mutex<Rows>>,
    published: Arc<AtomicU64>,
    cache: Cache<u64, Arc<Rows>>,
}

#[derive(Clone, Default)]
struct Rows {
    revision: u64,
    movies: BTreeMap<u64, Bytes>,
    highest: u64,
}

impl Twin {
    pub(crate) fn new(key: Key, runtime: Handle) -> Self {
        Self { key, runtime, rows: Arc::default(), published: Arc::default(), cache: Cache::new(1000) }
    }

    fn view(&self) -> Arc<Rows> {
        let published = self.published.load(Ordering::SeqCst);
        let key = if self.key == Key::Plain { 0 } else { published };
        let rows = Arc::clone(&self.rows);
        let load = async move {
            let seen = rows.lock().unwrap().clone();
            // The way from the database.
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..500))).await;
            Arc::new(seen)
        };
        let rows = self.runtime.block_on(self.cache.get_with(key, load));
        // Who saw a revision publishes it before it answers.
        self.published.fetch_max(rows.revision, Ordering::SeqCst);
        rows
    }

    /// Commits, publishes, forgets.
    fn change(&self, change: impl FnOnce(&mut Rows) -> Content) -> Told {
        let (old, told) = {
            let mut rows = self.rows.lock().unwrap();
            let content = change(&mut rows);
            let old = rows.revision;
            rows.revision += u64::from(content.is_change());
            (old, Told { revision: rows.revision, content })
        };
        self.published.fetch_max(told.revision, Ordering::SeqCst);
        let key = if self.key == Key::Plain { 0 } else { old };
        self.runtime.block_on(self.cache.invalidate(&key));
        told
    }
}

fn movie(id: u64, title: &str, version: u64) -> Bytes {
    json!({ "id": id, "title": title, "version": version }).to_string().into()
}

impl Service for Twin {
    fn ask(&mut self, ask: &Ask, _at_least: Option<u64>) -> Told {
        match ask {
            Ask::Whole(_) => {
                let rows = self.view();
                Told { revision: rows.revision, content: Content::Whole(join(rows.movies.values()).into()) }
            }
            Ask::One(id) => {
                let rows = self.view();
                Told { revision: rows.revision, content: Content::One(*id, rows.movies.get(id).cloned()) }
            }
            Ask::Create(titles) => self.change(|rows| {
                let created = titles.iter().map(|title| {
                    rows.highest += 1;
                    let movie = movie(rows.highest, title, 1);
                    rows.movies.insert(rows.highest, movie.clone());
                    movie
                });
                Content::Created(created.collect())
            }),
            Ask::Rename(id, title) => self.change(|rows| {
                let renamed = rows.movies.get_mut(id).map(|old| {
                    *old = movie(*id, title, Movie::of(old).version + 1);
                    old.clone()
                });
                Content::Renamed(*id, renamed)
            }),
            Ask::Delete(ids) => self.change(|rows| {
                let (deleted, missing) = ids.iter().partition(|id| rows.movies.remove(id).is_some());
                Content::Deleted { deleted, missing }
            }),
        }
    }
}
