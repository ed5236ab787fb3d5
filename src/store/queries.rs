//! Every query, once, in plain diesel. Compiled for each backend: `super` names the connection
//! ([`Conn`]) and brings the two macros for what differs, writing many rows at once.
//!
//! Ids and revisions are `i64` here, as the databases have them. Lists are cut by the caller to
//! [`super::LIST`] items, so that no statement has more parameters than a backend takes.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Conn, insert_many, replace_many};
use crate::store::rows::{
    CatalogueRow, CommitRow, DirectorLinkRow, GenreLinkRow, GenreTuple, LinkTuple, MovieRow, NewDirectorRow,
    NewGenreRow, NewMovieRow, SegmentRow, SegmentTuple,
};
use crate::store::schema::{
    catalogue, commits, directors, genres, movie_directors, movie_genres, movies, segments,
};

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
    catalogue::table.find(1).first(conn).await
}

/// Makes the first state, unless there is one.
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
    found.select(commits::revision).first::<i64>(conn).await.optional().map(|row| row.is_some())
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

pub(super) async fn slugs_taken(conn: &mut Conn, slugs: &[String]) -> QueryResult<Vec<String>> {
    genres::table.filter(genres::slug.eq_any(slugs)).select(genres::slug).load(conn).await
}

/// Slugs that begin with `prefix`, which must hold none of LIKE's own signs.
pub(super) async fn slugs_beginning(conn: &mut Conn, prefix: &str) -> QueryResult<Vec<String>> {
    genres::table.filter(genres::slug.like(format!("{prefix}%"))).select(genres::slug).load(conn).await
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
