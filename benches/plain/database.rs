//! Tables, and the three things that are done with them.

use std::collections::HashMap;
use std::time::Duration;

use diesel::dsl::insert_into;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use jiff::Timestamp;

use crate::model::{Movie, NewMovie};

diesel::table! {
    movies (id) {
        id -> BigInt,
        imdb_id -> Nullable<Text>,
        title -> Text,
        year -> Nullable<Integer>,
        runtime_minutes -> Nullable<Integer>,
        rating -> Nullable<Double>,
        votes -> Nullable<Integer>,
        popularity -> Nullable<Double>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}
diesel::table! { genres (id) { id -> BigInt, name -> Text, } }
diesel::table! { directors (id) { id -> BigInt, name -> Text, } }
diesel::table! { movie_genres (movie_id, position) { movie_id -> BigInt, position -> Integer, genre_id -> BigInt, } }
diesel::table! { movie_directors (movie_id, position) { movie_id -> BigInt, position -> Integer, director_id -> BigInt, } }
diesel::joinable!(movie_genres -> genres (genre_id));
diesel::joinable!(movie_directors -> directors (director_id));
diesel::allow_tables_to_appear_in_same_query!(movies, genres, directors, movie_genres, movie_directors);
diesel::define_sql_function! { fn last_insert_id() -> Unsigned<BigInt>; }

const TABLES: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS movies (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, imdb_id VARCHAR(12) UNIQUE, \
     title VARCHAR(512) NOT NULL, year INT, runtime_minutes INT, rating DOUBLE, votes INT, popularity DOUBLE, \
     version BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL) \
     ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS genres (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL UNIQUE) \
     ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS directors (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(256) NOT NULL UNIQUE) \
     ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS movie_genres (movie_id BIGINT NOT NULL, position INT NOT NULL, genre_id BIGINT NOT NULL, \
     PRIMARY KEY (movie_id, position), KEY (genre_id), FOREIGN KEY (movie_id) REFERENCES movies (id), \
     FOREIGN KEY (genre_id) REFERENCES genres (id)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS movie_directors (movie_id BIGINT NOT NULL, position INT NOT NULL, director_id BIGINT NOT NULL, \
     PRIMARY KEY (movie_id, position), KEY (director_id), FOREIGN KEY (movie_id) REFERENCES movies (id), \
     FOREIGN KEY (director_id) REFERENCES directors (id)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin",
];

type MovieRow = (
    i64,
    Option<String>,
    String,
    Option<i32>,
    Option<i32>,
    Option<f64>,
    Option<i32>,
    Option<f64>,
    i64,
    i64,
    i64,
);

/// A pool of connections, shared by all workers.
#[derive(Clone)]
pub(crate) struct Database {
    pool: Pool<AsyncMysqlConnection>,
    retries: usize,
}

impl Database {
    pub(crate) async fn open(url: &str, connections: usize, retries: usize) -> Self {
        let mut config = ManagerConfig::<AsyncMysqlConnection>::default();
        // No query for each checkout: that would double what a write costs.
        config.recycling_method = RecyclingMethod::Fast;
        let manager = AsyncDieselConnectionManager::new_with_config(url, config);
        let pool = Pool::builder(manager).max_size(connections).build().unwrap();
        let mut connection = pool.get().await.unwrap();
        for table in TABLES {
            connection.batch_execute(table).await.unwrap();
        }
        drop(connection);
        Self { pool, retries }
    }

    /// All movies, by id.
    pub(crate) async fn all(&self) -> Result<Vec<Movie>, Error> {
        let mut connection = self.connection().await;
        connection
            .transaction(async |conn| {
                let rows: Vec<MovieRow> = movies::table.order(movies::id).load(conn).await?;
                let genres: Vec<(i64, String)> = movie_genres::table
                    .inner_join(genres::table)
                    .order((movie_genres::movie_id, movie_genres::position))
                    .select((movie_genres::movie_id, genres::name))
                    .load(conn)
                    .await?;
                let directors: Vec<(i64, String)> = movie_directors::table
                    .inner_join(directors::table)
                    .order((movie_directors::movie_id, movie_directors::position))
                    .select((movie_directors::movie_id, directors::name))
                    .load(conn)
                    .await?;
                Ok(assemble(rows, genres, directors))
            })
            .await
    }

    /// A movie more, with the genres and directors that it needs, in one transaction.
    pub(crate) async fn create(&self, new: &NewMovie) -> Result<Movie, Error> {
        let mut tried = 0;
        loop {
            let mut connection = self.connection().await;
            match connection.transaction(async |conn| insert(conn, new).await).await {
                Err(error) if is_deadlock(&error) && tried < self.retries => tried += 1,
                done => return done,
            }
            drop(connection);
            tokio::time::sleep(Duration::from_millis(rand::random_range(1..=10))).await;
        }
    }

    /// Whether there was one to delete.
    pub(crate) async fn delete(&self, id: i64) -> Result<bool, Error> {
        let mut tried = 0;
        loop {
            let mut connection = self.connection().await;
            match connection.transaction(async |conn| remove(conn, id).await).await {
                Err(error) if is_deadlock(&error) && tried < self.retries => tried += 1,
                done => return done,
            }
            drop(connection);
            tokio::time::sleep(Duration::from_millis(rand::random_range(1..=10))).await;
        }
    }

    async fn connection(&self) -> Object<AsyncMysqlConnection> {
        self.pool.get().await.unwrap()
    }
}

async fn insert(conn: &mut AsyncMysqlConnection, new: &NewMovie) -> Result<Movie, Error> {
    let now = Timestamp::now().as_second();
    insert_into(movies::table)
        .values((
            movies::imdb_id.eq(&new.imdb_id),
            movies::title.eq(&new.title),
            movies::year.eq(new.year),
            movies::runtime_minutes.eq(new.runtime_minutes),
            movies::rating.eq(new.rating),
            movies::votes.eq(new.votes),
            movies::popularity.eq(new.popularity),
            movies::version.eq(1_i64),
            movies::created_at.eq(now),
            movies::updated_at.eq(now),
        ))
        .execute(conn)
        .await?;
    let id = diesel::select(last_insert_id()).get_result::<u64>(conn).await?.try_into().unwrap_or(i64::MAX);
    if !new.genres.is_empty() {
        let rows: Vec<_> = new.genres.iter().map(|name| genres::name.eq(name)).collect();
        diesel::insert_or_ignore_into(genres::table).values(rows).execute(conn).await?;
        let known: HashMap<String, i64> = genres::table
            .filter(genres::name.eq_any(&new.genres))
            .select((genres::name, genres::id))
            .load(conn)
            .await?
            .into_iter()
            .collect();
        let links: Vec<_> = (0..)
            .zip(&new.genres)
            .filter_map(|(position, name)| Some((position, *known.get(name)?)))
            .map(|(position, genre)| {
                (
                    movie_genres::movie_id.eq(id),
                    movie_genres::position.eq(position),
                    movie_genres::genre_id.eq(genre),
                )
            })
            .collect();
        insert_into(movie_genres::table).values(links).execute(conn).await?;
    }
    if !new.directors.is_empty() {
        let rows: Vec<_> = new.directors.iter().map(|name| directors::name.eq(name)).collect();
        diesel::insert_or_ignore_into(directors::table).values(rows).execute(conn).await?;
        let known: HashMap<String, i64> = directors::table
            .filter(directors::name.eq_any(&new.directors))
            .select((directors::name, directors::id))
            .load(conn)
            .await?
            .into_iter()
            .collect();
        let links: Vec<_> = (0..)
            .zip(&new.directors)
            .filter_map(|(position, name)| Some((position, *known.get(name)?)))
            .map(|(position, director)| {
                (
                    movie_directors::movie_id.eq(id),
                    movie_directors::position.eq(position),
                    movie_directors::director_id.eq(director),
                )
            })
            .collect();
        insert_into(movie_directors::table).values(links).execute(conn).await?;
    }
    Ok(Movie { id, facts: new.clone(), version: 1, created_at: now, updated_at: now })
}

async fn remove(conn: &mut AsyncMysqlConnection, id: i64) -> Result<bool, Error> {
    diesel::delete(movie_genres::table.filter(movie_genres::movie_id.eq(id))).execute(conn).await?;
    diesel::delete(movie_directors::table.filter(movie_directors::movie_id.eq(id))).execute(conn).await?;
    Ok(diesel::delete(movies::table.find(id)).execute(conn).await? > 0)
}

/// Joins three lists that are in the order of ids.
fn assemble(rows: Vec<MovieRow>, genres: Vec<(i64, String)>, directors: Vec<(i64, String)>) -> Vec<Movie> {
    let mut genres = genres.into_iter().peekable();
    let mut directors = directors.into_iter().peekable();
    let mut all = Vec::with_capacity(rows.len());
    for (
        id,
        imdb_id,
        title,
        year,
        runtime_minutes,
        rating,
        votes,
        popularity,
        version,
        created_at,
        updated_at,
    ) in rows
    {
        let mut of_this = Vec::new();
        while let Some((_, name)) = genres.next_if(|(movie, _)| *movie == id) {
            of_this.push(name);
        }
        let mut by_these = Vec::new();
        while let Some((_, name)) = directors.next_if(|(movie, _)| *movie == id) {
            by_these.push(name);
        }
        let facts = NewMovie {
            imdb_id,
            title,
            year,
            runtime_minutes,
            directors: by_these,
            genres: of_this,
            rating,
            votes,
            popularity,
        };
        all.push(Movie { id, facts, version, created_at, updated_at });
    }
    all
}

/// Both servers say it in words: diesel has no kind of its own for it.
pub(crate) fn is_deadlock(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(kind, told)
        if matches!(kind, DatabaseErrorKind::SerializationFailure) || told.message().contains("Deadlock found"))
}
