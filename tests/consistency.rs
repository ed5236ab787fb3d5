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
//! - *one replica on a database that fails* is linearizable as well: its database is cut off, hangs, drips, is late, loses
//!   COMMITs and the answers to them, and its clients ask again until they are told
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
use load::{Load, Writes};
use support::{Marquee, Mode, OnCommit, Preparation, Proxy, Redis, TestDatabase};
use tokio::runtime::Handle;
use tokio::task::{block_in_place, spawn_blocking};
use twin::{Key, Twin};
use words::Service;

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// At least, where MARQUEE_TEST_OPERATIONS says nothing.
const OPERATIONS: u64 = 50_000;
/// Where each costs more: one for so many.
const COSTLY: u64 = 10;
/// Where the collection grows all the while: one for so many.
const GROWING: u64 = 100;
/// At least, where MARQUEE_TEST_HISTORIES says nothing.
const HISTORIES: u64 = 60;
/// At least, or hardly anything met.
const WRITES: u64 = 100;
const CUTS: u64 = 5;
/// Twice in each of the ways that there are.
const FAULTS: u64 = 12;
const CLIENTS: usize = 8;
/// Histories that are made at once, and clients in each.
const LANES: usize = 3;
const IN_A_HISTORY: usize = 3;

on_every_database! {
    async fn one_replica(db) {
        let marquee = ready(prepare(&db)).await;
        let services = (0..CLIENTS).map(|_| vec![Connection::to(marquee.address())]).collect();
        block_in_place(|| run(load(services, Writes::All), operations(), || true));
    }

    /// The cache has no room for all of it: what is asked for is loaded, again and again, while it changes.
    async fn one_replica_with_little_room(db) {
        let marquee = ready(prepare(&db).env("MARQUEE_CACHE_BYTES", "6KiB")).await;
        let services = (0..CLIENTS).map(|_| vec![Connection::to(marquee.address())]).collect();
        let before = marquee.metrics().await["marquee_segments_read_total"];
        block_in_place(|| run(load(services, Writes::All), operations() / COSTLY, || true));
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
        let load = spawn_blocking(move || {
            run(load(services, Writes::All), operations() / COSTLY, || count.load(Ordering::SeqCst) >= CUTS).0
        });
        while !load.is_finished() {
            // Only what was of use can be missed; and half of the time nobody waits for it.
            let is_up = rand::random();
            for marquee in replicas.iter().filter(|_| is_up) {
                let since = Instant::now();
                while marquee.metrics().await["marquee_redis_up"] == 0.0 {
                    assert!(since.elapsed() < PATIENCE, "Redis is not found again:\n{}", marquee.log());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..1500))).await;
            wire.cut().await;
            cuts.fetch_add(u64::from(is_up), Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
            wire.pass();
        }
        let newest = load.await.unwrap();
        println!("Redis was cut off {} times while all had it", cuts.load(Ordering::SeqCst));
        for marquee in &replicas {
            let metrics = marquee.metrics().await;
            let [rings, puts, hits] = ["rings", "puts", "hits"].map(|what| metrics[&format!("marquee_redis_{what}_total")]);
            println!("{rings} rings were heard, {puts} segments lent and {hits} borrowed");
            assert!(rings > 0.0 && puts > 0.0 && hits > 0.0, "it did without Redis:\n{}", marquee.log());
        }
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
        load((0..CLIENTS).map(|_| vec![twin.clone()]).collect(), Writes::All)
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

on_every_server! {
    async fn one_replica_on_a_database_that_fails(db) {
        let wire = Proxy::to(db.address().await).await;
        let prepared = Marquee::prepare(&db.url_through(wire.address())).env("MARQUEE_SAMPLE", "off");
        let marquee = ready(kept(prepared).env("MARQUEE_REQUEST_TIMEOUT_MS", "1000")).await;
        let services = (0..CLIENTS).map(|_| vec![Connection::patient(marquee.address())]).collect();
        let load = block_in_place(|| load(services, Writes::Creations));
        let faults = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&faults);
        let operations = (operations() / GROWING).max(OPERATIONS / COSTLY);
        let load = spawn_blocking(move || run(load, operations, || count.load(Ordering::SeqCst) >= FAULTS).1);
        while !load.is_finished() {
            let fault = faults.load(Ordering::SeqCst);
            let fired = wire.fired();
            match fault % 6 {
                0 => wire.cut().await,
                1 => wire.stall(),
                2 => wire.trickle(),
                3 => wire.delay(Duration::from_millis(20)),
                4 => wire.on_commit(OnCommit::LoseAnswer, Mode::Pass),
                _ => wire.on_commit(OnCommit::Prevent, Mode::Pass),
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..1500))).await;
            let since = Instant::now();
            while fault % 6 > 3 && wire.fired() == fired && !load.is_finished() {
                assert!(since.elapsed() < PATIENCE, "nobody commits:\n{}", marquee.log());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            faults.fetch_add(1, Ordering::SeqCst);
            wire.pass();
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..1000))).await;
        }
        let again = load.await.unwrap();
        println!("{} faults, {again} requests were sent again", faults.load(Ordering::SeqCst));
        assert!(again > 0, "nobody was refused: nothing is shown");
    }
}

/// What is to be run, each client with a service for each replica.
fn load<S: Service>(services: Vec<Vec<S>>, writes: Writes) -> Load<S> {
    let seed = rand::random();
    println!("seed {seed}");
    Load::prepare(services, writes, seed)
}

/// The newest revision of a run with nothing to complain of, and how many requests were sent again.
fn run(mut load: Load<Connection>, operations: u64, enough: impl Fn() -> bool) -> (u64, u64) {
    let since = Instant::now();
    load.run(|load| load.operations >= operations && load.writes >= WRITES && enough()).unwrap();
    let newest = load.newest();
    let again = load.clients.iter().flat_map(|client| &client.services).map(|service| service.again).sum();
    let Load { operations, writes, revisions, .. } = load;
    println!(
        "{operations} operations, {writes} of them writes, {revisions} revisions, in {:?}: 0 violations",
        since.elapsed()
    );
    (newest, again)
}

fn operations() -> u64 {
    number("MARQUEE_TEST_OPERATIONS", OPERATIONS)
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().expect(variable))
}

fn prepare(db: &TestDatabase) -> Preparation {
    kept(Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off"))
}

/// Nobody hangs up while it is checked what was done.
fn kept(prepared: Preparation) -> Preparation {
    prepared.env("MARQUEE_KEEP_ALIVE_MS", "3600000")
}

async fn ready(prepared: Preparation) -> Marquee {
    let marquee = prepared.start().await;
    marquee.wait_ready().await;
    marquee
}
