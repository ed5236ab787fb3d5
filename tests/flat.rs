//! Flat: what is cached costs no query, and a write costs what it touches, not what there is.
//!
//! No race here but a count, taken on /metrics before and after: 10,000 views of the whole collection send
//! nothing to the database but the follower's poll; one new movie in a collection of 58,788 (230 segments)
//! makes marquee encode one segment, and read it only where the cache does not have it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use support::{Marquee, TestDatabase};

const VIEWS: usize = 10_000;
/// As many as IMDb's well-known sample of movies has.
const LARGE: u64 = 58_788;

on_every_database! {
    async fn ten_thousand_views_ask_nothing(db) {
        let marquee = filled(&db, 40).await;
        assert_eq!(marquee.get("/v1/movies").await.status(), 200);
        // A look that began before the write finds another revision than the one that is known, and asks what it is.
        marquee.one_more_poll().await;
        let before = marquee.metrics().await;
        let views = stream::iter(0..VIEWS).map(|_| async {
            let answer = marquee.get("/v1/movies").await;
            assert_eq!(answer.headers()["x-total-count"], "40");
            assert!(answer.bytes().await.unwrap().len() > 1000);
        });
        assert_eq!(views.buffer_unordered(16).count().await, VIEWS);
        let after = marquee.metrics().await;
        let grown = |name: &str| grown(&before, &after, name);
        for purpose in ["load", "write", "other"] {
            assert_eq!(grown(&queries(purpose)), 0.0, "{purpose}");
        }
        assert_eq!(grown("marquee_segments_read_total"), 0.0);
        assert_eq!(grown("marquee_segments_encoded_total"), 0.0);
        assert_eq!(grown("marquee_cache_hits_total"), VIEWS as f64);
        // The counters count: a write is seen in them.
        assert_eq!(marquee.post("/v1/movies", &json!({"title": "one"})).await.status(), 201);
        let later = marquee.metrics().await;
        assert!(later[&queries("write")] > after[&queries("write")]);
    }

    async fn a_write_costs_one_segment(db) {
        let marquee = filled(&db, LARGE).await;
        let whole = marquee.get("/v1/movies").await;
        let old = whole.bytes().await.unwrap();
        let before = marquee.metrics().await;

        assert_eq!(marquee.post("/v1/movies", &json!({"title": "one more"})).await.status(), 201);
        let whole = marquee.get("/v1/movies").await;
        assert_eq!(whole.headers()["x-total-count"], (LARGE + 1).to_string().as_str());
        let new = whole.bytes().await.unwrap();
        // The view is complete: what was there, byte for byte, and the new one.
        assert_eq!(new[..old.len() - 1], old[..old.len() - 1]);
        let last: Value = serde_json::from_slice(&new[old.len()..new.len() - 1]).unwrap();
        assert_eq!((&last["id"], &last["title"]), (&json!(LARGE + 1), &json!("one more")));

        let after = marquee.metrics().await;
        let grown = |name: &str| grown(&before, &after, name);
        assert_eq!(grown("marquee_segments_read_total"), 0.0);
        assert_eq!(grown("marquee_segments_encoded_total"), 1.0);
        assert!(grown(&queries("write")) < 40.0, "{}", grown(&queries("write")));

        // A delete in another segment, likewise.
        let deleted = marquee.request(reqwest::Method::DELETE, "/v1/movies/300").send().await.unwrap();
        assert_eq!(deleted.status(), 204);
        assert_eq!(marquee.get("/v1/movies").await.headers()["x-total-count"], LARGE.to_string().as_str());
        let last = marquee.metrics().await;
        assert_eq!(last["marquee_segments_read_total"], after["marquee_segments_read_total"]);
        assert_eq!(last["marquee_segments_encoded_total"] - after["marquee_segments_encoded_total"], 1.0);

        // Where nothing is cached, it is one segment that is read.
        let another = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
        another.wait_ready().await;
        let before = another.metrics().await;
        let posted = another.post("/v1/movies", &json!({"title": "the last"})).await;
        assert_eq!(posted.status(), 201);
        let after = another.metrics().await;
        assert_eq!(after["marquee_segments_read_total"] - before["marquee_segments_read_total"], 1.0);
        let read = after["marquee_movies_read_total"] - before["marquee_movies_read_total"];
        assert!((1.0..=256.0).contains(&read), "{read}");
        // Both tell the same, byte for byte: what was made of bytes and what was made of rows.
        let mut told = Vec::new();
        for marquee in [&marquee, &another] {
            let asked = marquee.request(reqwest::Method::GET, "/v1/movies");
            let asked = asked.header("marquee-min-revision", &posted.headers()["marquee-revision"]);
            told.push(asked.send().await.unwrap().bytes().await.unwrap());
        }
        assert!(told[0] == told[1], "{} and {} bytes", told[0].len(), told[1].len());
    }
}

fn queries(purpose: &str) -> String {
    format!("marquee_database_queries_total{{purpose=\"{purpose}\"}}")
}

fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, name: &str) -> f64 {
    // A family shows a label once it has been counted.
    let of = |metrics: &BTreeMap<String, f64>| metrics.get(name).copied().unwrap_or_default();
    of(after) - of(before)
}

async fn filled(db: &TestDatabase, movies: u64) -> Marquee {
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_SAMPLE", "off")
        .env("MARQUEE_REQUEST_TIMEOUT_MS", "60000")
        .start()
        .await;
    marquee.wait_ready().await;
    let all: Vec<Value> = (1..=movies)
        .map(|n| json!({"title": format!("Movie {n}"), "year": 1900 + n % 100, "genres": ["Drama"]}))
        .collect();
    for array in all.chunks(10_000) {
        assert_eq!(marquee.post("/v1/movies", &json!(array)).await.status(), 201);
    }
    marquee
}
