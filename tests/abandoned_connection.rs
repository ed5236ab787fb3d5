//! A step that took too long is given up in the middle of its answer. That connection must go: the next
//! question on it would get the last one's answer.
//!
//! ```text
//! outside                     marquee (a pool of 1, steps of 6 s)      server
//! locks movie 1
//!                             DELETE /v1/movies/1 ──▶                  waits for outside
//!                             gives up after 6 s; 503
//! ends                                                                 answers the DELETE: to whom?
//!                             100 more questions, each answered rightly
//! ```
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use mysql_async::prelude::Queryable;
use reqwest::Method;
use serde_json::{Value, json};
use support::Marquee;

on_every_server! {
    async fn no_answer_goes_to_another_question(db) {
        let marquee = Marquee::prepare(db.url())
            .env("MARQUEE_SAMPLE", "off")
            .env("MARQUEE_POOL_SIZE", "1")
            // Before the server gives the lock up, after 8 s; and time enough for a write on a slow disk.
            .env("MARQUEE_REQUEST_TIMEOUT_MS", "6000")
            // The follower shares the one connection: let it come seldom.
            .env("MARQUEE_POLL_MS", "200")
            .start()
            .await;
        marquee.wait_ready().await;
        let movies: Vec<Value> = (1..=3).map(|n| json!({ "title": format!("Movie {n}") })).collect();
        assert_eq!(marquee.post("/v1/movies", &json!(movies)).await.status(), 201);

        let mut outside = db.connect().await;
        outside.query_drop("START TRANSACTION").await.unwrap();
        outside.query_drop("UPDATE movies SET votes = 7 WHERE id = 1").await.unwrap();
        let refused = marquee.request(Method::DELETE, "/v1/movies/1").send().await.unwrap();
        assert_eq!(refused.status(), 503);
        outside.query_drop("ROLLBACK").await.unwrap();

        // As soon as the database is taken to be there again, everything is as it should be.
        let mut written = Vec::new();
        while written.len() < 50 {
            let title = format!("After {}", written.len());
            let made = marquee.post("/v1/movies", &json!({ "title": title })).await;
            if made.status() == 503 {
                assert!(written.is_empty(), "refused in the middle");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            }
            assert_eq!(made.status(), 201);
            let made: Value = made.json().await.unwrap();
            assert_eq!(made["title"], title.as_str());
            let seen: Value = marquee.get(&format!("/v1/movies/{}", made["id"])).await.json().await.unwrap();
            assert_eq!(seen, made);
            written.push(made);
        }
        // Whether the first delete happened is told by the database alone, and the two agree.
        let there = db.number("SELECT COUNT(*) FROM movies WHERE id = 1").await == 1;
        assert_eq!(marquee.get("/v1/movies/1").await.status().is_success(), there);
        let all: Vec<Value> = marquee.get("/v1/movies").await.json().await.unwrap();
        assert_eq!(all.len(), 52 + usize::from(there));
    }
}
