//! Finding movies in a snapshot, and filling what they are found by. Compiled for each backend, as
//! `session.rs` is.

use diesel::QueryResult;

use super::session::{Lease, Sessions, Snapshot, WriteTx};
use super::{Conn, LIST, queries};
use crate::domain::{Filter, Movie, Query, Start};
use crate::store::derive::{KeysRow, word_rows};
use crate::store::find::{Lookup, count, page};
use crate::store::model::Found;
use crate::store::statement::Statement;
use crate::store::{StoreError, rows};
use crate::telemetry::Purpose;

impl Sessions {
    /// Whether every movie has its keys and words.
    pub(in crate::store) async fn all_derived(&self) -> Result<bool, StoreError> {
        Ok(self.once(Purpose::Other, queries::derived_from).await?.is_none())
    }
}

impl Snapshot {
    /// One page of what `query` asks for. `total` is the number of movies that match, when it is known.
    pub(in crate::store) async fn find(
        &mut self,
        query: &Query,
        total: Option<u64>,
    ) -> Result<Found, StoreError> {
        let Some(lookup) = self.look_up(&query.filter).await? else {
            return Ok(Found::default());
        };
        let total = match total {
            Some(total) => total,
            None => one_number(&mut self.lease, count(&lookup)).await?,
        };
        let beyond = matches!(query.start, Start::Offset(offset) if offset >= total);
        if total == 0 || beyond {
            return Ok(Found { total, ..Found::default() });
        }
        let limit = u64::from(query.limit);
        let mut ids = Vec::new();
        for step in page(&lookup, &query.sort, &query.start, limit + 1) {
            let there = ids.len() as u64;
            if there > limit {
                break;
            }
            ids.extend(numbers(&mut self.lease, step.statement(there)).await?);
        }
        let more = ids.len() as u64 > limit;
        ids.truncate(query.limit as usize);
        if matches!(query.start, Start::Before(_)) {
            ids.reverse();
        }
        Ok(Found { total, movies: self.movies(&ids).await?, more })
    }

    /// The filter with every name replaced by its id; `None` when it names what is not there, so that no movie
    /// can match.
    async fn look_up(&mut self, filter: &Filter) -> Result<Option<Lookup>, StoreError> {
        if filter.spans().iter().any(|span| span.ends().is_none()) {
            return Ok(None);
        }
        let mut lookup = Lookup {
            words: filter.words().iter().cloned().collect(),
            spans: filter.spans().to_vec(),
            ..Lookup::default()
        };
        if let Some(ids) = filter.ids() {
            lookup.ids = Some(ids.iter().filter_map(|id| i64::try_from(*id).ok()).collect());
        }
        if let Some(imdb_ids) = filter.imdb_ids() {
            let imdb_ids: Vec<String> = imdb_ids.iter().cloned().collect();
            let mut ids = Vec::new();
            for list in imdb_ids.chunks(LIST) {
                let found = self.lease.run(async |conn| queries::ids_with_imdb_ids(conn, list).await).await?;
                ids.extend(found.into_iter().map(|(_, id)| id));
            }
            ids.retain(|id| lookup.ids.as_ref().is_none_or(|others| others.contains(id)));
            lookup.ids = Some(ids);
        }
        if lookup.ids.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let keys: Vec<String> = filter.genres().into_iter().collect();
        if !keys.is_empty() {
            let (by_key, by_slug) = self
                .lease
                .run(async |conn| {
                    let by_key = queries::genres_with_keys(conn, &keys).await?;
                    Ok((by_key, queries::genres_with_slugs(conn, &keys).await?))
                })
                .await?;
            for key in &keys {
                // Where one genre's name is another's slug, the name is meant.
                let by_key = by_key.iter().find(|(name, ..)| name == key).map(|(_, id, _)| *id);
                let by_slug = by_slug.iter().find(|(slug, _)| slug == key).map(|(_, id)| *id);
                let Some(id) = by_key.or(by_slug) else { return Ok(None) };
                if !lookup.genres.contains(&id) {
                    lookup.genres.push(id);
                }
            }
        }
        let keys: Vec<String> = filter.directors().into_iter().collect();
        if !keys.is_empty() {
            let found = self.lease.run(async |conn| queries::directors_with_keys(conn, &keys).await).await?;
            if found.len() < keys.len() {
                return Ok(None);
            }
            lookup.directors = found.into_iter().map(|(_, id, _)| id).collect();
        }
        Ok(Some(lookup))
    }

    /// The movies with these ids, in the order of `ids`.
    async fn movies(&mut self, ids: &[i64]) -> Result<Vec<Movie>, StoreError> {
        let mut movies = Vec::with_capacity(ids.len());
        for list in ids.chunks(LIST) {
            movies.extend(movies_with_ids(&mut self.lease, list).await?);
        }
        // Sorted by id, so that each is found quickly; then put where the page has it.
        movies.sort_unstable_by_key(|movie| movie.id);
        let mut page = Vec::with_capacity(ids.len());
        for id in ids {
            let found = movies.binary_search_by_key(&id.cast_unsigned(), |movie| movie.id);
            let movie = found.ok().and_then(|at| movies.get(at)).cloned();
            page.push(movie.ok_or_else(|| StoreError::Corrupt(format!("movie {id} has keys but no row")))?);
        }
        Ok(page)
    }
}

impl WriteTx {
    /// Fills keys and words of up to `movies` movies that were there before these tables; whether there may be
    /// more.
    pub(in crate::store) async fn derive(&mut self, movies: usize) -> Result<bool, StoreError> {
        let Some(first) = self.lease.run(queries::derived_from).await? else {
            return Ok(false);
        };
        let limit = i64::try_from(movies).unwrap_or(i64::MAX);
        let rows = self.lease.run(async |conn| queries::movies_from(conn, first, limit).await).await?;
        let next = rows.last().filter(|_| rows.len() >= movies).map(|row| row.id + 1);
        let movies = rows::movies(rows, Vec::new(), Vec::new())?;
        let ids: Vec<i64> = movies.iter().map(|movie| movie.id.cast_signed()).collect();
        for list in ids.chunks(LIST) {
            self.lease.run(async |conn| queries::derived_delete(conn, list).await).await?;
        }
        let keys = movies.iter().map(KeysRow::from).collect();
        let words = word_rows(movies.iter());
        self.lease
            .run(async |conn| {
                queries::keys_insert(conn, keys).await?;
                queries::words_insert(conn, words).await?;
                queries::derived_up_to(conn, next.unwrap_or(i64::MAX)).await
            })
            .await?;
        Ok(next.is_some())
    }
}

async fn movies_with_ids(lease: &mut Lease, ids: &[i64]) -> Result<Vec<Movie>, StoreError> {
    let (movies, genres, directors) = lease
        .run(async |conn| {
            let movies = queries::movies_with_ids(conn, ids).await?;
            let genres = queries::genre_links_with_ids(conn, ids).await?;
            Ok((movies, genres, queries::director_links_with_ids(conn, ids).await?))
        })
        .await?;
    rows::movies(movies, genres, directors)
}

async fn numbers(lease: &mut Lease, statement: Statement) -> Result<Vec<i64>, StoreError> {
    log::debug!("{statement}");
    lease
        .run(async |conn: &mut Conn| -> QueryResult<Vec<i64>> { queries::numbers(conn, statement).await })
        .await
}

async fn one_number(lease: &mut Lease, statement: Statement) -> Result<u64, StoreError> {
    Ok(numbers(lease, statement).await?.first().map_or(0, |number| number.cast_unsigned()))
}
