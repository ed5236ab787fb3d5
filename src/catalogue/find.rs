//! The way of a list that is filtered, sorted or paged: by the database's indexes, cached under what was asked
//! and the state that it was read in.
//!
//! The promise of the whole collection does not cover these lists: what one costs is what its indexes cost. But
//! nothing else is different: a page is never older than the manifest that was current when it was asked for,
//! many who ask for one page cause one load, and what is cached goes on while the database is away.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::cache::PageKey;
use super::coding::Coding;
use super::manifest::Manifest;
use super::page::Page;
use super::read::persist;
use super::segment::Form;
use super::{Catalogue, Error, LoadCost, Served, Shared, Source};
use crate::domain::Query;
use crate::telemetry::Purpose;

/// A page, and how it was come by.
#[derive(Debug, Clone)]
pub struct FoundPage {
    /// The page.
    pub page: Arc<Page>,
    /// How it was come by.
    pub served: Served,
}

impl Catalogue {
    /// One page of the movies that `query` asks for.
    ///
    /// # Errors
    /// As [`Self::collection`], except that nothing found is too large.
    pub async fn find(&self, query: Query, form: Form) -> Result<FoundPage, Error> {
        let (manifest, away) = self.manifest()?;
        let (page, from) = self.0.shared.page(&manifest, query, form).await?;
        self.count(from);
        Ok(FoundPage { page, served: Served { from, away } })
    }

    /// The bytes of `page` in `coding`: made when they are first asked for, and kept with the page.
    ///
    /// # Errors
    /// [`Error::Internal`]
    pub async fn page_body(&self, page: &Arc<Page>, coding: Coding) -> Result<Bytes, Error> {
        if let Some(body) = page.body(coding) {
            return Ok(body.clone());
        }
        // Not on the thread of a client: it takes as long as many hits.
        let page = Arc::clone(page);
        let made = self.0.shared.runtime.spawn_blocking(move || page.make(coding).clone());
        made.await.map_err(|_| Error::Internal)
    }
}

impl Shared {
    /// The page at the state of `manifest` or a later one: cached, or loaded by a task of its own that goes on
    /// when the request that began it is dropped.
    async fn page(
        self: &Arc<Self>,
        manifest: &Arc<Manifest>,
        query: Query,
        form: Form,
    ) -> Result<(Arc<Page>, Source), Error> {
        let key = PageKey::new(manifest.head().stamp, &query, form);
        if let Some(page) = self.cache.page(&key).await {
            return Ok((page, Source::Cache));
        }
        let (shared, manifest) = (Arc::clone(self), Arc::clone(manifest));
        let (done, loaded) = oneshot::channel();
        self.runtime.spawn(async move {
            // Whoever finds must leave connections to the writer, the follower and the loads of segments.
            let Ok(_turn) = shared.finds.acquire().await else {
                return;
            };
            if done.is_closed() {
                // Nobody waits for it any more: those who hang up must not keep those who stay.
                return;
            }
            let mut cost = LoadCost::default();
            let load = shared.load_page(&manifest, &query, form, &key, &mut cost);
            let _ = done.send(match shared.cache.page_or_load(key.clone(), load).await {
                Ok((page, fresh)) => Ok((page, if fresh { Source::Load(cost) } else { Source::Collapsed })),
                Err(error) => Err((*error).clone()),
            });
        });
        loaded.await.unwrap_or_else(|_| {
            log::error!("a load was lost");
            Err(Error::Internal)
        })
    }

    async fn load_page(
        &self,
        manifest: &Arc<Manifest>,
        query: &Query,
        form: Form,
        key: &PageKey,
        cost: &mut LoadCost,
    ) -> Result<Arc<Page>, Error> {
        let began = Instant::now();
        let filter = query.filter.to_string();
        let read = || async {
            let mut snapshot = self.store.snapshot(Purpose::Load).await?;
            let changes = snapshot.changes_since(Some(manifest.head())).await?;
            // Published before it is answered from. What else is read is of the same moment.
            let now = self.advance(Some(manifest), changes);
            let total = match filter.as_str() {
                "" => Some(now.movies()),
                filter => self.cache.total(now.head().stamp, filter).await,
            };
            let found = snapshot.find(query, total).await?;
            snapshot.finish().await;
            Ok((now, found))
        };
        let (now, found) = persist(read).await.map_err(|error| self.failed(&error))?;
        self.link.observe::<()>(&Ok(()));
        cost.db = began.elapsed();
        let began = Instant::now();
        let page = Arc::new(Page::encode(query, form, now.head(), &found));
        cost.encode = began.elapsed();
        if !filter.is_empty() {
            self.cache.insert_total(now.head().stamp, filter, found.total).await;
        }
        if now.head() != manifest.head() {
            // What was read is newer than what was asked for: as good an answer, and stored where those who come
            // next will look.
            self.cache.insert_page(key.at(now.head().stamp), Arc::clone(&page)).await;
        }
        Ok(page)
    }
}
