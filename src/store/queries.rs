//! Every query, once, in plain diesel. Compiled for each backend: `super` names the connection
//! ([`Conn`]) and brings the two macros for what differs, writing many rows at once.
//!
//! Ids and revisions are `i64` here, as the databases have them. Lists are cut by the caller to
//! [`super::LIST`] items, so that no statement has more parameters than a backend takes.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Conn, insert_many, replace_many};
use crate::store::derive::{KeysRow, WordRow};
use crate::store::rows::{
    CatalogueRow, CommitRow, DirectorLinkRow, GenreLinkRow, GenreTuple, KeptRow, LinkTuple, MovieRow,
    NewDirectorRow, NewGenreRow, NewMovieRow, PolledTuple, SegmentRow, SegmentTuple, only,
};
use crate::store::schema::{
    __diesel_schema_migrations, catalogue, commits, derived, directors, genres, idempotency_keys, identity,
    movie_directors, movie_genres, movie_keys, movie_words, movies, segments, token_state,
};
use crate::store::statement::Statement;

/// The columns of a [`MovieRow`].
const MOVIE: (
    movies::id,
    movies::imdb_id,
    movies::title,
    movies::year,
    movies::runtime_minutes,
    movies::rating,
    movies::votes,
    movies::popularity,
    movies::version,
    movies::created_at,
    movies::updated_at,
) = (
    movies::id,
    movies::imdb_id,
    movies::title,
    movies::year,
    movies::runtime_minutes,
    movies::rating,
    movies::votes,
    movies::popularity,
    movies::version,
    movies::created_at,
    movies::updated_at,
);

pub(super) async fn catalogue_row(conn: &mut Conn) -> QueryResult<CatalogueRow> {
    only(catalogue::table.find(1).load(conn).await)
}

/// The versions of the migrations that were run.
pub(super) async fn migrations_applied(conn: &mut Conn) -> QueryResult<Vec<String>> {
    __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(conn).await
}

/// The newest state, the stamp of the tokens, and which database it is.
pub(super) async fn polled(conn: &mut Conn) -> QueryResult<PolledTuple> {
    match polled_by_name(conn).await {
        // A backup that is older than the table of names was put back: what it holds is followed all the same.
        Err(diesel::result::Error::DatabaseError(..)) => {
            let row = catalogue::table
                .inner_join(token_state::table.on(token_state::id.eq(catalogue::id)))
                .filter(catalogue::id.eq(1))
                .select((catalogue::revision, catalogue::stamp, token_state::stamp))
                .load(conn)
                .await;
            let (revision, stamp, tokens) = only(row)?;
            Ok((revision, stamp, tokens, None))
        }
        polled => polled,
    }
}

async fn polled_by_name(conn: &mut Conn) -> QueryResult<PolledTuple> {
    let row = catalogue::table
        .inner_join(token_state::table.on(token_state::id.eq(catalogue::id)))
        .left_join(identity::table.on(identity::id.eq(catalogue::id)))
        .filter(catalogue::id.eq(1))
        .select((catalogue::revision, catalogue::stamp, token_state::stamp, identity::number.nullable()))
        .load(conn)
        .await;
    only(row)
}

/// Makes the first state, unless there is one, and names the database, unless it has a name.
pub(super) async fn catalogue_begin(conn: &mut Conn, stamp: i64) -> QueryResult<()> {
    let first = (
        catalogue::id.eq(1),
        catalogue::revision.eq(0),
        catalogue::stamp.eq(stamp),
        catalogue::next_movie_id.eq(1),
        catalogue::next_genre_id.eq(1),
        catalogue::next_director_id.eq(1),
    );
    if diesel::insert_or_ignore_into(catalogue::table).values(first).execute(conn).await? == 1 {
        let log = CommitRow { revision: 0, stamp };
        diesel::insert_into(commits::table).values(log).execute(conn).await?;
    }
    let no_tokens = (token_state::id.eq(1), token_state::stamp.eq(0), token_state::next_id.eq(1));
    diesel::insert_or_ignore_into(token_state::table).values(no_tokens).execute(conn).await?;
    let number = (identity::id.eq(1), identity::number.eq(rand::random::<i64>()));
    diesel::insert_or_ignore_into(identity::table).values(number).execute(conn).await?;
    Ok(())
}

pub(super) async fn catalogue_update(conn: &mut Conn, head: CommitRow, next: [i64; 3]) -> QueryResult<usize> {
    let [movie, genre, director] = next;
    diesel::update(catalogue::table.find(1))
        .set((
            catalogue::revision.eq(head.revision),
            catalogue::stamp.eq(head.stamp),
            catalogue::next_movie_id.eq(movie),
            catalogue::next_genre_id.eq(genre),
            catalogue::next_director_id.eq(director),
        ))
        .execute(conn)
        .await
}

pub(super) async fn commit_insert(conn: &mut Conn, commit: CommitRow) -> QueryResult<usize> {
    diesel::insert_into(commits::table).values(commit).execute(conn).await
}

pub(super) async fn commits_delete_up_to(conn: &mut Conn, revision: i64) -> QueryResult<usize> {
    diesel::delete(commits::table.filter(commits::revision.le(revision))).execute(conn).await
}

pub(super) async fn commit_exists(conn: &mut Conn, commit: CommitRow) -> QueryResult<bool> {
    let found = commits::table.find(commit.revision).filter(commits::stamp.eq(commit.stamp));
    found.select(commits::revision).load::<i64>(conn).await.map(|rows| !rows.is_empty())
}

/// Segments that changed after `revision`; -1 gives all.
pub(super) async fn segments_after(conn: &mut Conn, revision: i64) -> QueryResult<Vec<SegmentTuple>> {
    segments::table
        .filter(segments::revision.gt(revision))
        .order(segments::segment)
        .select((segments::segment, segments::stamp, segments::movies))
        .load(conn)
        .await
}

pub(super) async fn segments_replace(conn: &mut Conn, rows: Vec<SegmentRow>) -> QueryResult<()> {
    replace_many!(conn, segments::table, rows)
}

pub(super) async fn movies_between(conn: &mut Conn, first: i64, last: i64) -> QueryResult<Vec<MovieRow>> {
    movies::table.filter(movies::id.between(first, last)).order(movies::id).select(MOVIE).load(conn).await
}

pub(super) async fn genre_links_between(
    conn: &mut Conn,
    first: i64,
    last: i64,
) -> QueryResult<Vec<LinkTuple>> {
    movie_genres::table
        .inner_join(genres::table)
        .filter(movie_genres::movie_id.between(first, last))
        .order((movie_genres::movie_id, movie_genres::position))
        .select((movie_genres::movie_id, movie_genres::genre_id, genres::name))
        .load(conn)
        .await
}

pub(super) async fn director_links_between(
    conn: &mut Conn,
    first: i64,
    last: i64,
) -> QueryResult<Vec<LinkTuple>> {
    movie_directors::table
        .inner_join(directors::table)
        .filter(movie_directors::movie_id.between(first, last))
        .order((movie_directors::movie_id, movie_directors::position))
        .select((movie_directors::movie_id, movie_directors::director_id, directors::name))
        .load(conn)
        .await
}

pub(super) async fn movies_with_ids(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<MovieRow>> {
    movies::table.filter(movies::id.eq_any(ids)).order(movies::id).select(MOVIE).load(conn).await
}

pub(super) async fn genre_links_with_ids(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<LinkTuple>> {
    movie_genres::table
        .inner_join(genres::table)
        .filter(movie_genres::movie_id.eq_any(ids))
        .order((movie_genres::movie_id, movie_genres::position))
        .select((movie_genres::movie_id, movie_genres::genre_id, genres::name))
        .load(conn)
        .await
}

pub(super) async fn director_links_with_ids(conn: &mut Conn, ids: &[i64]) -> QueryResult<Vec<LinkTuple>> {
    movie_directors::table
        .inner_join(directors::table)
        .filter(movie_directors::movie_id.eq_any(ids))
        .order((movie_directors::movie_id, movie_directors::position))
        .select((movie_directors::movie_id, movie_directors::director_id, directors::name))
        .load(conn)
        .await
}

pub(super) async fn ids_with_imdb_ids(
    conn: &mut Conn,
    imdb_ids: &[String],
) -> QueryResult<Vec<(Option<String>, i64)>> {
    movies::table
        .filter(movies::imdb_id.eq_any(imdb_ids))
        .select((movies::imdb_id, movies::id))
        .load(conn)
        .await
}

/// Movies from an id on, by id.
pub(super) async fn movies_from(conn: &mut Conn, first: i64, limit: i64) -> QueryResult<Vec<MovieRow>> {
    movies::table.filter(movies::id.ge(first)).order(movies::id).limit(limit).select(MOVIE).load(conn).await
}

/// What a movie is found by goes with its row.
pub(super) async fn movies_delete(conn: &mut Conn, ids: &[i64]) -> QueryResult<()> {
    diesel::delete(movie_genres::table.filter(movie_genres::movie_id.eq_any(ids))).execute(conn).await?;
    diesel::delete(movie_directors::table.filter(movie_directors::movie_id.eq_any(ids)))
        .execute(conn)
        .await?;
    diesel::delete(movies::table.filter(movies::id.eq_any(ids))).execute(conn).await?;
    Ok(())
}

pub(super) async fn movies_insert(conn: &mut Conn, rows: Vec<NewMovieRow>) -> QueryResult<()> {
    insert_many!(conn, movies::table, rows)
}

pub(super) async fn keys_insert(conn: &mut Conn, rows: Vec<KeysRow>) -> QueryResult<()> {
    insert_many!(conn, movie_keys::table, rows)
}

pub(super) async fn words_insert(conn: &mut Conn, rows: Vec<WordRow>) -> QueryResult<()> {
    insert_many!(conn, movie_words::table, rows)
}

/// The first movie that may have no keys and words yet; `None` when all have.
pub(super) async fn derived_from(conn: &mut Conn) -> QueryResult<Option<i64>> {
    let next = only(derived::table.find(1).select(derived::next_movie_id).load(conn).await).optional()?;
    Ok(Some(next.unwrap_or(0)).filter(|next| *next < i64::MAX))
}

/// Notes that movies with ids below `next` have keys and words.
pub(super) async fn derived_up_to(conn: &mut Conn, next: i64) -> QueryResult<()> {
    let row = (derived::id.eq(1), derived::next_movie_id.eq(next));
    diesel::replace_into(derived::table).values(row).execute(conn).await.map(drop)
}

pub(super) async fn derived_delete(conn: &mut Conn, ids: &[i64]) -> QueryResult<()> {
    diesel::delete(movie_keys::table.filter(movie_keys::movie_id.eq_any(ids))).execute(conn).await?;
    diesel::delete(movie_words::table.filter(movie_words::movie_id.eq_any(ids))).execute(conn).await?;
    Ok(())
}

/// What a statement that was put together gives.
pub(super) async fn numbers(conn: &mut Conn, statement: Statement) -> QueryResult<Vec<i64>> {
    statement.load(conn).await
}

pub(super) async fn genre_links_insert(conn: &mut Conn, rows: Vec<GenreLinkRow>) -> QueryResult<()> {
    insert_many!(conn, movie_genres::table, rows)
}

pub(super) async fn director_links_insert(conn: &mut Conn, rows: Vec<DirectorLinkRow>) -> QueryResult<()> {
    insert_many!(conn, movie_directors::table, rows)
}

pub(super) async fn genres_all(conn: &mut Conn) -> QueryResult<Vec<GenreTuple>> {
    genres::table
        .order(genres::name_key)
        .select((genres::name, genres::slug, genres::movies))
        .load(conn)
        .await
}

pub(super) async fn genres_with_keys(
    conn: &mut Conn,
    keys: &[String],
) -> QueryResult<Vec<(String, i64, String)>> {
    genres::table
        .filter(genres::name_key.eq_any(keys))
        .select((genres::name_key, genres::id, genres::name))
        .load(conn)
        .await
}

pub(super) async fn genres_with_slugs(conn: &mut Conn, slugs: &[String]) -> QueryResult<Vec<(String, i64)>> {
    genres::table.filter(genres::slug.eq_any(slugs)).select((genres::slug, genres::id)).load(conn).await
}

pub(super) async fn slugs_taken(conn: &mut Conn, slugs: &[String]) -> QueryResult<Vec<String>> {
    genres::table.filter(genres::slug.eq_any(slugs)).select(genres::slug).load(conn).await
}

pub(super) async fn genres_insert(conn: &mut Conn, rows: Vec<NewGenreRow>) -> QueryResult<()> {
    insert_many!(conn, genres::table, rows)
}

pub(super) async fn genre_counts_add(conn: &mut Conn, delta: i64, ids: &[i64]) -> QueryResult<usize> {
    diesel::update(genres::table.filter(genres::id.eq_any(ids)))
        .set(genres::movies.eq(genres::movies + delta))
        .execute(conn)
        .await
}

pub(super) async fn directors_with_keys(
    conn: &mut Conn,
    keys: &[String],
) -> QueryResult<Vec<(String, i64, String)>> {
    directors::table
        .filter(directors::name_key.eq_any(keys))
        .select((directors::name_key, directors::id, directors::name))
        .load(conn)
        .await
}

pub(super) async fn directors_insert(conn: &mut Conn, rows: Vec<NewDirectorRow>) -> QueryResult<()> {
    insert_many!(conn, directors::table, rows)
}

pub(super) async fn kept_with_ids(conn: &mut Conn, ids: &[Vec<u8>]) -> QueryResult<Vec<KeptRow>> {
    idempotency_keys::table
        .filter(idempotency_keys::id.eq_any(ids))
        .order((idempotency_keys::id, idempotency_keys::part))
        .load(conn)
        .await
}

/// The positions and times of those that expire first.
pub(super) async fn kept_oldest(conn: &mut Conn, limit: i64) -> QueryResult<Vec<(i64, i64)>> {
    idempotency_keys::table
        .order((idempotency_keys::expires_at, idempotency_keys::position))
        .select((idempotency_keys::position, idempotency_keys::expires_at))
        .limit(limit)
        .load(conn)
        .await
}

/// The position of the first one that expires after `time`.
pub(super) async fn kept_first_after(conn: &mut Conn, time: i64) -> QueryResult<Option<i64>> {
    let first = idempotency_keys::table
        .filter(idempotency_keys::expires_at.gt(time))
        .order((idempotency_keys::expires_at, idempotency_keys::position))
        .select(idempotency_keys::position)
        .limit(1);
    only(first.load(conn).await).optional()
}

pub(super) async fn kept_end(conn: &mut Conn) -> QueryResult<i64> {
    let last = idempotency_keys::table.order(idempotency_keys::position.desc()).limit(1);
    Ok(only(last.select(idempotency_keys::position).load(conn).await).optional()?.unwrap_or(0))
}

pub(super) async fn kept_insert(conn: &mut Conn, rows: Vec<KeptRow>) -> QueryResult<()> {
    insert_many!(conn, idempotency_keys::table, rows)
}

pub(super) async fn kept_delete(conn: &mut Conn, positions: &[i64]) -> QueryResult<usize> {
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::position.eq_any(positions)))
        .execute(conn)
        .await
}

pub(super) async fn kept_delete_ids(conn: &mut Conn, ids: &[Vec<u8>]) -> QueryResult<usize> {
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::id.eq_any(ids))).execute(conn).await
}
