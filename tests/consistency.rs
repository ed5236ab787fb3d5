//! Every answer held against what it must be, by two checkers.
//!
//! ```text
//! clients: POST, PATCH, DELETE, GET one, GET all,      ──▶ marquee ──▶ database
//!          plain, as gzip, only if it changed
//!    │
//!    └─ what was asked when, what was told ──▶ checker.rs: of each answer, by its revision; runs of any length
//!                                              short.rs:   stateright's, which knows of no revisions
//! ```
//!
//! - *one replica* is linearizable: an answer is of a moment between its request and its end
//! - *three replicas* are causally consistent with `Marquee-Min-Revision`, while Redis is cut off and comes back: an
//!   answer is no older than anything that its client knew of
//! - *the twins* show that both checkers see it where a cache has plain keys; teeth.rs, what else the first one sees
//!
//! `MARQUEE_TEST_OPERATIONS` (of one replica; a tenth where they cost more) and `MARQUEE_TEST_HISTORIES` say how many of
//! each, at least.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise, and tell what they did"
)]

#[macro_use]
mod support;

#[path = "consistency/checker.rs"]
mod checker;
#[path = "consistency/http.rs"]
mod http;
#[path = "consistency/load.rs"]
mod load;
#[path = "consistency/short.rs"]
mod short;
#[path = "consistency/teeth.rs"]
mod teeth;
#[path = "consistency/twin.rs"]
mod twin;
#[path = "consistency/words.rs"]
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Connection;
use load::Load;
use support::{Marquee, Preparation, Proxy, Redis, TestDatabase};
use tokio::runtime::Handle;
use tokio::task::{block_in_place, spawn_blocking};
use twin::{Key, Twin};

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// At least, where MARQUEE_TEST_OPERATIONS says nothing.
const OPERATIONS: u64 = 50_000;
/// Where each costs more: one for so many.
const COSTLY: u64 = 10;
/// At least, where MARQUEE_TEST_HISTORIES says nothing.
const HISTORIES: u64 = 60;
/// At least, or hardly anything met.
const WRITES: u64 = 100;
const CUTS: u64 = 5;
const CLIENTS: usize = 8;
/// Histories that are made at once, and clients in each.
const LANES: usize = 3;
const IN_A_HISTORY: usize = 3;

on_every_database! {
    async fn one_replica(db) {
        let marquee = ready(prepare(&db)).await;
        let services = (0..CLIENTS).map(|_| vec![Connection::to(marquee.address())]).collect();
        block_in_place(|| run(services, operations(), || true));
    }

    /// The cache has no room for all of it: what is asked for is loaded, again and again, while it changes.
    async fn one_replica_with_little_room(db) {
        let marquee = ready(prepare(&db).env("MARQUEE_CACHE_BYTES", "6KiB")).await;
        let services = (0..CLIENTS).map(|_| vec![Connection::to(marquee.address())]).collect();
        let before = marquee.metrics().await["marquee_segments_read_total"];
        block_in_place(|| run(services, operations() / COSTLY, || true));
        let loaded = marquee.metrics().await["marquee_segments_read_total"] - before;
        println!("{loaded} segments were loaded");
        assert!(loaded > 0.0, "there was room");
    }

    async fn three_replicas(db) {
        let redis = Redis::start().await;
        let wire = Proxy::of_any(([127, 0, 0, 1], redis.port()).into()).await;
        let url = format!("redis://{}", wire.address());
        let replica = async || ready(prepare(&db).env("REDIS_URL", &url).env("MARQUEE_REDIS_TIMEOUT_MS", "500")).await;
        let replicas = [replica().await, replica().await, replica().await];
        let connect = || replicas.iter().map(|marquee| Connection::to(marquee.address())).collect();
        let services = (0..CLIENTS).map(|_| connect()).collect();
        let cuts = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&cuts);
        let load = spawn_blocking(move || run(services, operations() / COSTLY, || count.load(Ordering::SeqCst) >= CUTS));
        while !load.is_finished() {
            wire.cut().await;
            cuts.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
            wire.pass();
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..1500))).await;
        }
        let newest = load.await.unwrap();
        println!("Redis was cut off {} times", cuts.load(Ordering::SeqCst));
        // All come to know it, also where nobody asks for it.
        for marquee in &replicas {
            let since = Instant::now();
            while marquee.get("/v1/movies").await.headers()["marquee-revision"].to_str().unwrap() != newest.to_string() {
                assert!(since.elapsed() < PATIENCE, "revision {newest} does not come:\n{}", marquee.log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn short_histories(db) {
        let marquee = ready(prepare(&db)).await;
        let since = Instant::now();
        let histories = number("MARQUEE_TEST_HISTORIES", HISTORIES);
        let next = AtomicU64::new(0);
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let operations: usize = block_in_place(|| std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(|| {
                let mut clients: Vec<_> = (0..IN_A_HISTORY).map(|_| Connection::to(marquee.address())).collect();
                let mut operations = 0;
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= histories {
                        return operations;
                    }
                    operations += short::history(&mut clients, &format!("h{number}"), seed ^ number).unwrap();
                }
            })).collect();
            lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
        }));
        println!("{histories} histories of {operations} operations in {:?}: 0 violations", since.elapsed());
    }
}

/// What a cache with plain keys keeps after a race is seen by both checkers, and they have nothing to say against the
/// same with versioned keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_checkers_see_a_plain_key() {
    let load = |key| {
        let twin = Twin::new(key, Handle::current());
        let services = (0..CLIENTS).map(|_| vec![twin.clone()]).collect();
        Load::prepare(services, rand::random())
    };
    let histories = |key| {
        let twin = Twin::new(key, Handle::current());
        move |number: u64| {
            let mut clients = vec![twin.clone(); IN_A_HISTORY];
            short::history(&mut clients, &format!("h{number}"), rand::random())
        }
    };
    block_in_place(|| {
        load(Key::Versioned).run(|load| load.operations >= OPERATIONS && load.writes >= WRITES).unwrap();
        let versioned = histories(Key::Versioned);
        (0..HISTORIES).try_for_each(|number| versioned(number).map(drop)).unwrap();

        let since = Instant::now();
        let seen = load(Key::Plain).run(|_| since.elapsed() > PATIENCE).unwrap_err();
        println!("ours: {}", &seen[..seen.len().min(200)]);
        assert!(seen.contains("time went back"));
        let plain = histories(Key::Plain);
        let since = Instant::now();
        let seen = (0..).take_while(|_| since.elapsed() < PATIENCE).find(|number| plain(*number).is_err());
        println!("stateright's: history {}", seen.expect("it sees nothing"));
    });
}

/// The newest revision of a run with nothing to complain of.
fn run(services: Vec<Vec<Connection>>, operations: u64, enough: impl Fn() -> bool) -> u64 {
    let (since, seed) = (Instant::now(), rand::random());
    println!("seed {seed}");
    let mut load = Load::prepare(services, seed);
    load.run(|load| load.operations >= operations && load.writes >= WRITES && enough()).unwrap();
    let newest = load.newest();
    let Load { operations, writes, revisions, .. } = load;
    println!(
        "{operations} operations, {writes} of them writes, {revisions} revisions, in {:?}: 0 violations",
        since.elapsed()
    );
    newest
}

fn operations() -> u64 {
    number("MARQUEE_TEST_OPERATIONS", OPERATIONS)
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().expect(variable))
}

fn prepare(db: &TestDatabase) -> Preparation {
    // Nobody hangs up while it is checked what was done.
    Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_KEEP_ALIVE_MS", "3600000")
}

async fn ready(prepared: Preparation) -> Marquee {
    let marquee = prepared.start().await;
    marquee.wait_ready().await;
    marquee
}
