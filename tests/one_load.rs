//! One load: 100 readers ask for a segment that is not cached, and 99 of them hang up while it is loaded; or while
//! it is compressed.
//!
//! ```text
//! reader 1 ── misses ── begins the load ── hangs up
//! readers 2…99 ─── misses ── wait for it ── hang up          the load goes on
//! reader 100 ───────── misses ── waits for it ─────────────────────▶ the answer
//! ```
//!
//! A load inside the request that began it would die with it, and moka would hand it to one who waits, who
//! begins it again, and hangs up…: up to 100 loads, and connections left in the middle of an answer.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use marquee::catalogue::{Body, Catalogue, Coding, Form};
use marquee::domain::movie_from_json;
use marquee::telemetry::{Metrics, Purpose};
use mysql_async::prelude::Queryable;
use reqwest::Method;
use serde_json::{Value, json};
use support::{Marquee, TestDatabase, replica};
use tokio::task::yield_now;

const READERS: usize = 100;
const ROUNDS: usize = 20;
/// Of one load: BEGIN, the catalogue row, movies, genres, directors, ROLLBACK.
const QUERIES: u64 = 6;
const PATIENCE: Duration = Duration::from_secs(60);

on_every_database! {
    /// Without a wire that could hold the load: the readers are dropped at all its stages, drawn at random.
    async fn readers_that_are_dropped_at_random(db) {
        let (catalogue, _) = open(&db).await;
        let movies = (0..10).map(|n| movie_from_json(format!(r#"{{"title":"{n}"}}"#).as_bytes()).unwrap());
        catalogue.create(movies.collect(), None).await.unwrap();
        for round in 0..ROUNDS {
            // A new replica: it has the manifest, and nothing cached.
            let (catalogue, metrics) = open(&db).await;
            let before = metrics.queries(Purpose::Load).get();
            let read = |whole: bool| {
                let catalogue = catalogue.clone();
                async move {
                    if whole {
                        let collection = catalogue.collection(Form::Array, Coding::Identity).await.unwrap();
                        let bytes = match collection.body {
                            Body::Whole(bytes) => bytes,
                            Body::Pieces(_) | Body::File(_) => unreachable!("ten movies are a small body"),
                        };
                        let movies: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
                        movies[4].clone()
                    } else {
                        serde_json::from_slice(&catalogue.movie(5).await.unwrap().json).unwrap()
                    }
                }
            };
            let stays = rand::random_range(0..READERS);
            let mut readers: Vec<_> = (0..READERS).map(|n| tokio::spawn(read((n + round) % 2 == 0))).collect();
            let last = readers.remove(stays);
            for reader in readers {
                for _ in 0..rand::random_range(0..3) {
                    yield_now().await;
                }
                reader.abort();
            }
            let movie: Value = tokio::time::timeout(PATIENCE, last).await.unwrap().unwrap();
            assert_eq!(movie["title"], "4", "{movie}");
            assert_eq!(metrics.segments_read.get(), 1, "round {round}");
            assert_eq!(metrics.segments_encoded.get(), 1, "round {round}");
            assert_eq!(metrics.queries(Purpose::Load).get() - before, QUERIES, "round {round}: begun again");
            // Nobody left a connection that is out of step.
            catalogue.refresh().await.unwrap();
        }
    }
}

on_every_database! {
    /// The array is cached, Zstandard is not: however many ask for it, and hang up, each segment is compressed
    /// once, and the database is not asked.
    async fn readers_of_a_coding_that_nobody_asked_for_yet(db) {
        let (catalogue, _) = open(&db).await;
        let movies = (0..1000).map(|n| movie_from_json(format!(r#"{{"title":"{n}"}}"#).as_bytes()).unwrap());
        catalogue.create(movies.collect(), None).await.unwrap();
        for round in 0..ROUNDS {
            // A new replica, which has the four segments as they are.
            let (catalogue, metrics) = open(&db).await;
            catalogue.collection(Form::Array, Coding::Identity).await.unwrap();
            let (made, queries) = (metrics.segments_coded("zstd"), metrics.queries(Purpose::Load));
            let before = queries.get();
            assert_eq!(made.get(), 0);
            let asked = Arc::new(AtomicUsize::new(0));
            let mut readers: Vec<_> = (0..READERS)
                .map(|_| {
                    let (catalogue, asked) = (catalogue.clone(), Arc::clone(&asked));
                    tokio::spawn(async move {
                        let mut read = Box::pin(catalogue.collection(Form::Array, Coding::Zstd));
                        let first = futures_util::poll!(&mut read);
                        asked.fetch_add(1, Ordering::Relaxed);
                        match first {
                            Poll::Ready(collection) => collection.unwrap(),
                            Poll::Pending => read.await.unwrap(),
                        }
                    })
                })
                .collect();
            // All of them have asked before the first one hangs up.
            while asked.load(Ordering::Relaxed) < READERS {
                yield_now().await;
            }
            let last = readers.remove(rand::random_range(0..READERS));
            for reader in readers {
                for _ in 0..rand::random_range(0..3) {
                    yield_now().await;
                }
                reader.abort();
            }
            let collection = tokio::time::timeout(PATIENCE, last).await.unwrap().unwrap();
            let Body::Whole(bytes) = collection.body else { unreachable!("it is small, compressed") };
            let plain = zstd::decode_all(bytes.as_ref()).unwrap();
            let movies: Vec<Value> = serde_json::from_slice(&plain).unwrap();
            assert_eq!(movies.len(), 1000);
            assert_eq!(made.get(), 4, "round {round}");
            assert_eq!(queries.get(), before, "round {round}: loaded");
        }
    }
}

on_every_server! {
    /// The load is held in the middle by a lock on the last table that it reads, until 99 readers are gone.
    async fn readers_that_are_dropped_while_the_load_is_held(db) {
        let (catalogue, _) = open(&db).await;
        let movies = (0..10).map(|n| movie_from_json(format!(r#"{{"title":"{n}"}}"#).as_bytes()).unwrap());
        catalogue.create(movies.collect(), None).await.unwrap();
        let (catalogue, metrics) = open(&db).await;
        let before = metrics.queries(Purpose::Load).get();
        let lock = Lock::of(&db).await;
        let mut readers: Vec<_> = (0..READERS)
            .map(|_| {
                let catalogue = catalogue.clone();
                tokio::spawn(async move { catalogue.movie(5).await })
            })
            .collect();
        let last = readers.pop().unwrap();
        lock.holds_somebody(&db).await;
        for reader in readers {
            assert!(!reader.is_finished());
            reader.abort();
            assert!(reader.await.unwrap_err().is_cancelled());
            // None of those who wait begins it again.
            yield_now().await;
        }
        assert_eq!(lock.held(&db).await, 1);
        lock.release().await;
        let movie = tokio::time::timeout(PATIENCE, last).await.unwrap().unwrap().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&movie.json).unwrap()["title"], "4");
        assert_eq!(metrics.segments_read.get(), 1);
        assert_eq!(metrics.queries(Purpose::Load).get() - before, QUERIES, "begun again");
    }

    /// The same over HTTP, by the real binary: 99 clients close their connections.
    async fn clients_that_hang_up_while_the_load_is_held(db) {
        let titles: Vec<Value> = (0..10).map(|n| json!({"title": format!("{n}")})).collect();
        {
            let marquee = start(&db).await;
            assert_eq!(marquee.post("/v1/movies", &Value::from(titles)).await.status(), 201);
        }
        let marquee = start(&db).await;
        let before = marquee.metrics().await;
        let lock = Lock::of(&db).await;
        let mut readers: Vec<_> = (0..READERS)
            .map(|n| if n % 2 == 0 { "/v1/movies" } else { "/v1/movies/5" })
            .map(|path| tokio::spawn(marquee.request(Method::GET, path).send()))
            .collect();
        let last = readers.pop().unwrap();
        lock.holds_somebody(&db).await;
        for reader in readers {
            assert!(!reader.is_finished());
            reader.abort();
            assert!(reader.await.unwrap_err().is_cancelled());
        }
        assert_eq!(lock.held(&db).await, 1);
        lock.release().await;
        let answer = tokio::time::timeout(PATIENCE, last).await.unwrap().unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        let movie: Value = answer.json().await.unwrap();
        assert_eq!(movie["title"], "4", "{movie}");
        let after = marquee.metrics().await;
        for counter in ["marquee_segments_read_total", "marquee_segments_encoded_total"] {
            assert_eq!(after[counter] - before[counter], 1.0, "{counter}");
        }
    }
}

/// The lock of the last table that a load reads, held from outside.
struct Lock(mysql_async::Conn);

impl Lock {
    async fn of(db: &TestDatabase) -> Self {
        let mut conn = db.connect().await;
        conn.query_drop("LOCK TABLES movie_directors WRITE").await.unwrap();
        Self(conn)
    }

    /// How many connections wait for it.
    async fn held(&self, db: &TestDatabase) -> usize {
        let states = db.connections().await.into_iter();
        states.filter(|(_, state)| state.starts_with("Waiting for table metadata lock")).count()
    }

    async fn holds_somebody(&self, db: &TestDatabase) {
        let somebody = async {
            while self.held(db).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, somebody).await.unwrap();
    }

    async fn release(mut self) {
        self.0.query_drop("UNLOCK TABLES").await.unwrap();
        self.0.disconnect().await.unwrap();
    }
}

async fn start(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    marquee
}

/// A replica as a library.
async fn open(db: &TestDatabase) -> (Catalogue, Metrics) {
    replica(db.url(), 1 << 28).await
}
