//! A crash under load: what was acknowledged is there, and what is there is whole.
//!
//! ```text
//! clients: arrays of three movies, deletes ──▶ marquee ── SIGKILL, in the middle of whatever it does
//!                                              marquee, anew, on the same database; MARQUEE_TEST_KILLS times
//! ```
//!
//! A client that got no answer knows nothing: its write may be there, all of it, or not, none of it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise, and tell what they did"
)]

#[macro_use]
mod support;

#[path = "crash/power.rs"]
mod power;
#[path = "crash/retries.rs"]
mod retries;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use support::{Marquee, TestDatabase};
use tokio::sync::watch;

/// Where MARQUEE_TEST_KILLS says nothing.
const KILLS: usize = 12;
const CLIENTS: usize = 6;
/// How many writes are acknowledged before the kill, at least; some more are drawn.
const WRITES: u64 = 40;

/// What the clients know.
#[derive(Default)]
struct Known {
    /// By tag: the ids of a trio that was acknowledged.
    created: Mutex<BTreeMap<String, Vec<u64>>>,
    deleted: Mutex<BTreeSet<u64>>,
    /// Deletes that were sent; those without an answer may have happened.
    doomed: Mutex<BTreeSet<u64>>,
    revision: AtomicU64,
    acknowledged: AtomicU64,
}

on_every_database! {
    async fn killed_under_load(db) {
        let known = Arc::new(Known::default());
        let mut counted = 0;
        for round in 0..kills() {
            let mut marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
            marquee.wait_ready().await;
            let served = marquee.get("/v1/movies").await;
            let revision: u64 = served.headers()["marquee-revision"].to_str().unwrap().parse().unwrap();
            assert!(revision >= known.revision.load(Ordering::SeqCst), "the revision went back to {revision}");

            let stop_after = known.acknowledged.load(Ordering::SeqCst) + WRITES + rand::random_range(0..20);
            let (progress, mut acknowledged) = watch::channel(0);
            let progress = Arc::new(progress);
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let url = marquee.url("/v1/movies");
                    let tag = format!("{round}-{client}");
                    tokio::spawn(write(url, tag, Arc::clone(&known), Arc::clone(&progress)))
                })
                .collect();
            acknowledged.wait_for(|n| *n >= stop_after).await.unwrap();
            // An acknowledgement is the moment between two transactions: one in the middle of the next is wanted.
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..12_000))).await;
            marquee.kill();
            for client in clients {
                client.await.unwrap();
            }
            counted += check(&db, &known).await;
        }
        // The last kill too is survived by a marquee that shows all this over HTTP.
        let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
        marquee.wait_ready().await;
        let movies: Vec<Value> = marquee.get("/v1/movies").await.json().await.unwrap();
        assert_eq!(movies.len() as i64, db.number("SELECT COUNT(*) FROM movies").await);
        assert!(movies.iter().all(|movie| movie["genres"].as_array().unwrap().len() == 2));
        let acknowledged = known.acknowledged.load(Ordering::SeqCst);
        println!("{acknowledged} acknowledged writes over {} kills; {counted} movies checked", kills());
    }
}

fn kills() -> usize {
    std::env::var("MARQUEE_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

/// Writes until nobody answers any more.
async fn write(url: String, tag: String, known: Arc<Known>, progress: Arc<watch::Sender<u64>>) {
    let client = Client::builder().no_proxy().build().unwrap();
    for n in 0.. {
        let title = format!("{tag}-{n}");
        let trio: Vec<Value> = (0..3)
            .map(|_| json!({"title": title, "genres": ["Drama", format!("G{}", n % 5)], "directors": ["D"]}))
            .collect();
        let Ok(answer) = client.post(&url).json(&trio).send().await else { return };
        assert_eq!(answer.status(), 201);
        let revision = answer.headers()["marquee-revision"].to_str().unwrap().parse().unwrap();
        let Ok(created) = answer.json::<Vec<Value>>().await else { return };
        let ids: Vec<u64> = created.iter().map(|movie| movie["id"].as_u64().unwrap()).collect();
        let first = ids[0];
        known.created.lock().unwrap().insert(title, ids);
        acknowledge(&known, &progress, revision);
        if n % 3 == 0 {
            known.doomed.lock().unwrap().insert(first);
            let Ok(answer) = client.request(Method::DELETE, format!("{url}/{first}")).send().await else {
                return;
            };
            assert_eq!(answer.status(), 204);
            known.deleted.lock().unwrap().insert(first);
            let revision = answer.headers()["marquee-revision"].to_str().unwrap().parse().unwrap();
            acknowledge(&known, &progress, revision);
        }
    }
}

fn acknowledge(known: &Known, progress: &watch::Sender<u64>, revision: u64) {
    known.revision.fetch_max(revision, Ordering::SeqCst);
    progress.send_replace(known.acknowledged.fetch_add(1, Ordering::SeqCst) + 1);
}

/// Holds what is in the database against what the clients know. How many movies there are.
async fn check(db: &TestDatabase, known: &Known) -> u64 {
    let rows = db.query("SELECT id, title FROM movies ORDER BY id").await;
    let mut there = BTreeMap::<u64, String>::new();
    let mut trios = BTreeMap::<String, BTreeSet<u64>>::new();
    for row in &rows {
        let (id, title) = (row[0].clone().unwrap().parse().unwrap(), row[1].clone().unwrap());
        trios.entry(title.clone()).or_default().insert(id);
        there.insert(id, title);
    }
    let (created, deleted) = (known.created.lock().unwrap().clone(), known.deleted.lock().unwrap().clone());
    let doomed = known.doomed.lock().unwrap().clone();
    // Durable.
    for (title, ids) in &created {
        for id in ids {
            match there.get(id) {
                Some(found) => {
                    assert_eq!(found, title);
                    assert!(!deleted.contains(id), "the deleted movie {id} is back");
                }
                None => assert!(doomed.contains(id), "movie {id} was acknowledged, and is gone"),
            }
        }
    }
    // Whole: an array is there or it is not. Only the first of a trio is ever deleted.
    for (title, ids) in &trios {
        let gone = if ids.len() == 2 { 1 } else { 0 };
        assert_eq!(ids.len() + gone, 3, "half of {title}");
        if gone == 1 {
            assert!(doomed.contains(&(ids.first().unwrap() - 1)), "half of {title}");
        }
    }
    for (what, broken) in [
        (
            "movies without their genres",
            "SELECT COUNT(*) FROM movies m WHERE (SELECT COUNT(*) FROM movie_genres g WHERE g.movie_id = m.id) <> 2",
        ),
        (
            "movies without their director",
            "SELECT COUNT(*) FROM movies m WHERE (SELECT COUNT(*) FROM movie_directors d WHERE d.movie_id = m.id) <> 1",
        ),
    ] {
        assert_eq!(db.number(broken).await, 0, "{what}");
    }
    assert_sound(db).await;
    let revision = db.number("SELECT revision FROM catalogue").await;
    assert!(revision as u64 >= known.revision.load(Ordering::SeqCst), "the revision went back");
    rows.len() as u64
}

/// Links, counts, segments and the log agree.
async fn assert_sound(db: &TestDatabase) {
    for (what, broken) in [
        (
            "genre links of no movie",
            "SELECT COUNT(*) FROM movie_genres g WHERE NOT EXISTS (SELECT 1 FROM movies m WHERE m.id = g.movie_id)",
        ),
        (
            "director links of no movie",
            "SELECT COUNT(*) FROM movie_directors d WHERE NOT EXISTS (SELECT 1 FROM movies m WHERE m.id = d.movie_id)",
        ),
        (
            "genres that count wrongly",
            "SELECT COUNT(*) FROM genres n WHERE n.movies <> (SELECT COUNT(*) FROM movie_genres g WHERE g.genre_id = n.id)",
        ),
        (
            "segments that count wrongly",
            "SELECT COUNT(*) FROM segments s WHERE s.movies <> (SELECT COUNT(*) FROM movies m WHERE m.id >> 8 = s.segment)",
        ),
        (
            "movies of no segment",
            "SELECT COUNT(*) FROM movies m WHERE NOT EXISTS (SELECT 1 FROM segments s WHERE s.segment = m.id >> 8)",
        ),
        (
            "segments of the future",
            "SELECT COUNT(*) FROM segments s, catalogue c WHERE s.revision > c.revision",
        ),
        ("movies of the future", "SELECT COUNT(*) FROM movies m, catalogue c WHERE m.id >= c.next_movie_id"),
        (
            "heads that are not in the log",
            "SELECT COUNT(*) FROM catalogue c WHERE NOT EXISTS (SELECT 1 FROM commits l WHERE l.revision = c.revision AND l.stamp = c.stamp)",
        ),
    ] {
        assert_eq!(db.number(broken).await, 0, "{what}");
    }
}
