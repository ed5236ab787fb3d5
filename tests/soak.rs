//! Mixed load for a long time, while what is around marquee fails again and again.
//!
//! ```text
//! readers: GET all (plain, gzip, only if it changed), GET one, pages ─▶ A ─┐         ┌─▶ database
//! writers: POST under a key, PATCH, DELETE ───────────────────────────▶ B ─┴─ wires ─┴─▶ Redis
//! every few seconds a wire is cut, or stalls, for up to three seconds
//! ```
//!
//! Memory stays where it is, the slowest hits stay as fast as they were, and there is no failure that the contract
//! does not name: 503 with Retry-After, and what it means. `MARQUEE_TEST_SOAK_S` says how long; `target/soak.svg` shows it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise, and tell what they did"
)]

#[macro_use]
mod support;

#[path = "soak/plot.rs"]
mod plot;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plot::Sample;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use support::{Marquee, Proxy, Redis, TestDatabase};

/// Where MARQUEE_TEST_SOAK_S says nothing.
const SECONDS: u64 = 1800;
const SAMPLE: Duration = Duration::from_secs(5);
const READERS: usize = 8;
const WRITERS: usize = 4;
/// Movies that each writer leaves in the collection.
const KEPT: usize = 150;
/// What a failure may be.
const NAMED: [&str; 4] = ["/problems/database-away", "/problems/timeout", "/problems/not-executed", UNKNOWN];
/// What a write may have come to that nobody should simply send again: no Retry-After is with it.
const UNKNOWN: &str = "/problems/outcome-unknown";
/// No request is to take longer, whatever fails: its limit is 10 s, and the machine has other things to do.
const LIMIT: Duration = Duration::from_secs(60);

struct World {
    urls: [String; 2],
    done: AtomicBool,
    /// Since the last sample: how long each hit took, in ms.
    hits: Mutex<Vec<f64>>,
    requests: Mutex<u64>,
    /// By what they are, from the beginning.
    failures: Mutex<BTreeMap<String, u64>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour: ./test soak"]
async fn mixed_load_with_chaos() {
    let seconds = std::env::var("MARQUEE_TEST_SOAK_S").map_or(SECONDS, |seconds| seconds.parse().unwrap());
    let (db, redis) = (TestDatabase::mysql().await, Redis::start().await);
    let wires =
        [Proxy::to(db.address().await).await, Proxy::of_any(([127, 0, 0, 1], redis.port()).into()).await];
    let (database, redis) = (db.url_through(wires[0].address()), format!("redis://{}", wires[1].address()));
    let start = async || {
        let prepared = Marquee::prepare(&database).env("MARQUEE_SAMPLE", "off").env("REDIS_URL", &redis);
        let marquee = prepared.env("MARQUEE_REQUEST_TIMEOUT_MS", "10000").start().await;
        marquee.wait_ready().await;
        marquee
    };
    let marquees = [start().await, start().await];
    let world = World {
        urls: [marquees[0].url("/v1/movies"), marquees[1].url("/v1/movies")],
        done: AtomicBool::new(false),
        hits: Mutex::default(),
        requests: Mutex::default(),
        failures: Mutex::default(),
    };
    let readers = futures_util::future::join_all((0..READERS).map(|_| world.read()));
    let writers = futures_util::future::join_all((0..WRITERS).map(|n| world.write(n)));
    let watch = async {
        let samples = world.sample(&marquees, Duration::from_secs(seconds)).await;
        world.done.store(true, Ordering::SeqCst);
        samples
    };
    let (samples, faults, ..) = tokio::join!(watch, world.trouble(&wires), readers, writers);
    let failures = world.failures.lock().unwrap();
    let requests: u64 = samples.iter().map(|sample| sample.requests).sum();
    println!("{requests} requests in {seconds} s, {faults} faults; failures: {failures:?}");
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/target/soak.svg"), plot::svg(&samples)).unwrap();

    assert!(failures.keys().all(|failure| NAMED.contains(&&**failure)), "{failures:?}");
    // What fills at first, caches and pools, is full after a quarter.
    let quarter = samples.len() / 4;
    let (then, now) = (&samples[quarter..quarter * 2], &samples[samples.len() - quarter..]);
    for replica in 0..2 {
        let most = |part: &[Sample]| part.iter().map(|sample| sample.memory[replica]).fold(0.0, f64::max);
        println!(
            "replica {replica}: {:.0} MiB in the second quarter, {:.0} MiB in the last",
            most(then),
            most(now)
        );
        assert!(most(now) < most(then) * 1.15 + 16.0, "memory grows");
    }
    let usual = |part: &[Sample]| {
        let mut all: Vec<f64> = part.iter().map(|sample| sample.p99).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!("p99 of hits: {:.1} ms in the second quarter, {:.1} ms in the last", usual(then), usual(now));
    assert!(usual(now) < usual(then) * 3.0 + 20.0, "hits become slower");
}

impl World {
    /// Cuts wires and heals them. How often.
    async fn trouble(&self, wires: &[Proxy]) -> u64 {
        let mut faults = 0;
        while !self.done.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(rand::random_range(3000..10_000))).await;
            let wire = &wires[rand::random_range(0..wires.len())];
            if rand::random() {
                wire.cut().await;
            } else {
                wire.stall();
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..3000))).await;
            wire.pass();
            faults += 1;
        }
        faults
    }

    async fn sample(&self, marquees: &[Marquee; 2], time: Duration) -> Vec<Sample> {
        let (began, mut samples, mut failed) = (Instant::now(), Vec::new(), 0);
        while began.elapsed() < time {
            tokio::time::sleep(SAMPLE).await;
            let mut hits = std::mem::take(&mut *self.hits.lock().unwrap());
            hits.sort_by(f64::total_cmp);
            let failures = self.failures.lock().unwrap().values().sum::<u64>();
            let at = |part: usize| hits.get(hits.len() * part / 100).copied().unwrap_or_default();
            samples.push(Sample {
                second: began.elapsed().as_secs_f64(),
                requests: std::mem::take(&mut *self.requests.lock().unwrap()),
                failures: failures - failed,
                memory: [memory(&marquees[0]), memory(&marquees[1])],
                p50: at(50),
                p99: at(99),
            });
            failed = failures;
        }
        samples
    }

    fn any_url(&self) -> &str {
        &self.urls[rand::random_range(0..2)]
    }

    /// Sends, and notes what became of it. What was answered with success.
    async fn send(&self, request: RequestBuilder) -> Option<Response> {
        *self.requests.lock().unwrap() += 1;
        let failure = match request.send().await {
            Ok(answer) if answer.status().is_success() => return Some(answer),
            Ok(answer) if matches!(answer.status(), StatusCode::NOT_MODIFIED | StatusCode::NOT_FOUND) => {
                return Some(answer);
            }
            Ok(answer) => {
                let (status, later) = (answer.status(), answer.headers().contains_key("retry-after"));
                let problem: Value = answer.json().await.unwrap_or_default();
                let kind = problem["type"].as_str().unwrap_or("no problem");
                let is_told = status == 503 && later == (kind != UNKNOWN);
                if is_told { kind.to_owned() } else { format!("{status}, Retry-After {later}, {kind}") }
            }
            Err(error) => format!("no answer: {error:?}"),
        };
        *self.failures.lock().unwrap().entry(failure).or_default() += 1;
        None
    }

    async fn read(&self) {
        let client = Client::builder().no_proxy().no_gzip().timeout(LIMIT).build().unwrap();
        let mut tag = "\"none\"".to_owned();
        while !self.done.load(Ordering::SeqCst) {
            let (url, since) = (self.any_url(), Instant::now());
            let kind = rand::random_range(0..6);
            let request = match kind {
                0 => client.get(url),
                1 => client.get(url).header("accept-encoding", "gzip"),
                2 | 3 => client.get(url).header("if-none-match", &tag),
                4 => client.get(format!("{url}/{}", rand::random_range(1..2000))),
                _ => client.get(format!("{url}?genre=Drama&sort=-year&limit=20")),
            };
            if let Some(answer) = self.send(request).await {
                let hit = answer
                    .headers()
                    .get("cache-status")
                    .is_some_and(|it| it.as_bytes().starts_with(b"marquee; hit"));
                if kind == 0 {
                    answer.headers()["etag"].to_str().unwrap().clone_into(&mut tag);
                }
                // A body that does not come is a failure too.
                if let Err(error) = answer.bytes().await {
                    *self.failures.lock().unwrap().entry(format!("no body: {error:?}")).or_default() += 1;
                } else if hit && kind < 5 {
                    self.hits.lock().unwrap().push(since.elapsed().as_secs_f64() * 1000.0);
                }
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(5..25))).await;
        }
    }

    async fn write(&self, number: usize) {
        let client = Client::builder().no_proxy().no_gzip().timeout(LIMIT).build().unwrap();
        let mut own = VecDeque::new();
        for n in 0.. {
            if self.done.load(Ordering::SeqCst) {
                return;
            }
            let title = format!("{number}-{n}");
            let movie =
                json!({ "title": title, "year": 1900 + n % 200, "genres": ["Drama", format!("G{}", n % 7)] });
            let create = client.post(self.any_url()).header("idempotency-key", &title).json(&movie);
            if let Some(answer) = self.send(create).await
                && let Ok(movie) = answer.json::<Value>().await
            {
                own.push_back(movie["id"].as_u64().unwrap());
            }
            if own.len() > KEPT {
                let url = self.any_url();
                self.send(
                    client.request(Method::PATCH, format!("{url}/{}", own[1])).json(&json!({ "votes": n })),
                )
                .await;
                self.send(client.delete(format!("{url}/{}", own.pop_front().unwrap()))).await;
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(10..50))).await;
        }
    }
}

/// What a process holds, in MiB.
fn memory(marquee: &Marquee) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", marquee.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
