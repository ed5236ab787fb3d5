//! The races of the follower against the writer of the same replica.
//!
//! ```text
//! follower                          writer                           another replica
//!                                                                    commits 2
//! sees 2, and what changed
//!                                   plans on 2, commits 3, publishes 3
//! publishes 2?
//!
//!                                   commits 4
//! sees 4, publishes 4
//!                                   learns that it committed; publishes 4?
//! ```
//!
//! A wire holds the connection of the one until the other has gone by. What is current never falls back, and whoever is
//! acknowledged is seen.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use support::{Marquee, Moment, Wire, revision, see};

const PATIENCE: Duration = Duration::from_secs(60);
/// The least that is read once the race is over.
const READS: usize = 100;

on_every_server! {
    /// What the follower has read is older than what the writer has published meanwhile.
    async fn the_writer_overtakes_the_follower(db) {
        let wire = Wire::to(db.address().await).await;
        let marquee = start(&db.url_through(wire.address())).await;
        let other = start(db.url()).await;

        wire.arm(Moment::EndOfReading);
        let theirs = create(&other, "theirs").await;
        wire.is_held().await;
        assert_eq!(see(&marquee).await.0, theirs - 1, "the follower was not held");
        let ours = create(&marquee, "ours").await;
        assert_eq!(ours, theirs + 1);
        assert_eq!(see(&marquee).await, (ours, list(&["theirs", "ours"])));

        wire.release();
        for _ in 0..READS {
            assert_eq!(see(&marquee).await, (ours, list(&["theirs", "ours"])));
        }
        // It follows still, from there on.
        let last = create(&other, "last").await;
        until(&marquee, last).await;
        assert_eq!(see(&marquee).await, (last, list(&["theirs", "ours", "last"])));
    }

    /// The follower publishes what the writer has committed and does not know of yet.
    async fn the_follower_overtakes_the_writer(db) {
        let wire = Wire::to(db.address().await).await;
        let marquee = start(&db.url_through(wire.address())).await;
        let first = create(&marquee, "first").await;

        wire.arm(Moment::AnswerToCommit);
        let held = tokio::spawn(marquee.request(Method::POST, "/v1/movies").json(&json!({ "title": "held" })).send());
        wire.is_held().await;
        until(&marquee, first + 1).await;
        assert_eq!(see(&marquee).await, (first + 1, list(&["first", "held"])));
        assert!(!held.is_finished(), "the answer was not held");

        wire.release();
        let held = held.await.unwrap().unwrap();
        assert_eq!((held.status().as_u16(), revision(&held)), (201, first + 1));
        for _ in 0..READS {
            assert_eq!(see(&marquee).await, (first + 1, list(&["first", "held"])));
        }
        // And it writes still, on top of that.
        let last = create(&marquee, "last").await;
        assert_eq!(last, first + 2);
        assert_eq!(see(&marquee).await, (last, list(&["first", "held", "last"])));
    }
}

async fn start(url: &str) -> Marquee {
    let marquee = Marquee::prepare(url).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    marquee
}

/// The revision that a movie of this title is created in.
async fn create(marquee: &Marquee, title: &str) -> u64 {
    let answer = marquee.post("/v1/movies", &json!({ "title": title })).await;
    assert_eq!(answer.status(), 201, "{}", marquee.log());
    revision(&answer)
}

fn list(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

/// Waits until it serves `revision`.
async fn until(marquee: &Marquee, revision: u64) {
    let seen = async {
        while see(marquee).await.0 < revision {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, seen).await.is_ok(),
        "revision {revision} does not come:\n{}",
        marquee.log()
    );
}
