//! Many replicas on one database, with a Redis between them and without, and with one that fails in every way that
//! we could think of.
//!
//! ```text
//! writer                      Redis                      another replica
//! lends what it encoded   →   segments
//! COMMIT, publishes
//! rings                   →   a message             →    looks at the revision row: another one
//!                                                        asks for the segments that changed
//!                             segments              →    serves
//! ```
//!
//! Where a ring alone can have told, replicas look by themselves once an hour.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

#[path = "replicas/failing.rs"]
mod failing;
#[path = "replicas/ring.rs"]
mod ring;
#[path = "replicas/rolling.rs"]
mod rolling;
#[path = "replicas/shelf.rs"]
mod shelf;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use support::{Marquee, Mode, Preparation, Redis, TestDatabase, revision, see};

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A poll that no test waits for.
const NEVER: &str = "3600000";

/// A replica that looks at the database by itself only once, and waits for Redis as long as it takes: what it does not
/// get from there it was not given.
fn prepare(db: &TestDatabase, redis: &Redis) -> Preparation {
    on(db.url(), &redis.url()).env("MARQUEE_REDIS_TIMEOUT_MS", "20000").env("MARQUEE_POLL_MS", NEVER)
}

/// A replica with a Redis.
fn on(database: &str, redis: &str) -> Preparation {
    Marquee::prepare(database).env("MARQUEE_SAMPLE", "off").env("REDIS_URL", redis)
}

async fn ready(prepared: Preparation) -> Marquee {
    let marquee = prepared.start().await;
    marquee.wait_ready().await;
    marquee
}

/// A replica that Redis is of use to: asked before that, it asks the database.
async fn joined(db: &TestDatabase, redis: &Redis) -> Marquee {
    let marquee = ready(prepare(db, redis)).await;
    until_up(&marquee).await;
    marquee
}

/// Waits until it is so.
async fn until<F: Future<Output = bool>>(what: &str, marquee: &Marquee, is: impl Fn() -> F) {
    let since = Instant::now();
    while !is().await {
        assert!(since.elapsed() < PATIENCE, "{what} does not come:\n{}", marquee.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the metrics say so.
async fn until_metrics(what: &str, marquee: &Marquee, is: impl Fn(&BTreeMap<String, f64>) -> bool) {
    until(what, marquee, || async { is(&marquee.metrics().await) }).await;
}

/// Waits until Redis is of use to a replica.
async fn until_up(marquee: &Marquee) {
    until_metrics("Redis", marquee, |metrics| metrics["marquee_redis_up"] == 1.0).await;
}

async fn metric(marquee: &Marquee, name: &str) -> f64 {
    marquee.metrics().await[name]
}

/// Segments read from the database so far.
async fn read(marquee: &Marquee) -> f64 {
    metric(marquee, "marquee_segments_read_total").await
}

/// Segments left in Redis so far.
async fn put(marquee: &Marquee) -> f64 {
    metric(marquee, "marquee_redis_puts_total").await
}

/// How often Redis did not do `work`.
async fn errors(marquee: &Marquee, work: &str) -> f64 {
    metric(marquee, &format!("marquee_redis_errors_total{{work=\"{work}\"}}")).await
}

/// Creates a movie; the revision that it is in.
async fn create(marquee: &Marquee, title: &str) -> u64 {
    let answer = marquee.post("/v1/movies", &json!({ "title": title })).await;
    assert_eq!(answer.status(), 201, "{}", marquee.log());
    revision(&answer)
}

/// Creates many movies at once.
async fn create_many(marquee: &Marquee, movies: usize) {
    let movies: Vec<Value> =
        (0..movies).map(|n| json!({ "title": format!("{n}"), "genres": ["Drama"] })).collect();
    assert_eq!(marquee.post("/v1/movies", &movies.into()).await.status(), 201, "{}", marquee.log());
}

/// The bytes that a replica serves.
async fn bytes(marquee: &Marquee) -> Vec<u8> {
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.status(), 200, "{}", marquee.log());
    answer.bytes().await.unwrap().into()
}

/// Waits until a replica serves `revision` or a later one, without telling it to look.
async fn until_seen(marquee: &Marquee, revision: u64) {
    until(&format!("revision {revision}"), marquee, || async { see(marquee).await.0 >= revision }).await;
}

/// The state that `/readyz` tells of a part.
async fn health(marquee: &Marquee, part: &str) -> (u16, String, Value) {
    let answer = marquee.request(Method::GET, "/readyz").send().await.unwrap();
    let status = answer.status().as_u16();
    let document: Value = answer.json().await.unwrap();
    (status, document["status"].as_str().unwrap().to_owned(), document["checks"][part][0].clone())
}
