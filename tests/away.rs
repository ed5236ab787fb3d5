//! The database goes away and comes back: cached reads go on, writes are refused at once, and nobody has to
//! mend anything.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::{Marquee, Proxy, TestDatabase};

/// What MARQUEE_REQUEST_TIMEOUT_MS is set to: a write must have time to reach a slow disk.
const LIMIT: Duration = Duration::from_secs(6);
/// What is answered sooner did not wait for the limit.
const AT_ONCE: Duration = Duration::from_secs(3);
/// What a request may take beyond its limit, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(10);
/// How long recovery may take, on a disk that is slow as well.
const RECOVERY: Duration = Duration::from_secs(30);
/// How long it may take until somebody notices.
const PATIENCE: Duration = Duration::from_secs(60);
/// Each client is answered so often between two kills: another kill each time would be one that no write outlasts.
const BETWEEN: usize = 2;

on_every_server! {
    /// Connections are reset, and new ones refused.
    async fn cut_off(db) {
        let proxy = Proxy::to(db.address().await).await;
        let mut marquee = started(&db, &proxy).await;
        for round in 0..2 {
            proxy.cut().await;
            // From the first moment on, whether it is known by then or not.
            let since = Instant::now();
            while since.elapsed() < Duration::from_millis(500) {
                assert_eq!(marquee.get("/v1/movies").await.status(), 200, "round {round}");
            }
            while_away(&marquee).await;
            proxy.pass();
            recovered(&db, &marquee, round).await;
        }
        marquee.wait_for_log("the database answers again").await;
        assert!(marquee.terminate().await.success());
    }

    /// Nothing is closed, and nothing answers: only time-outs tell.
    async fn stalled(db) {
        let proxy = Proxy::to(db.address().await).await;
        let mut marquee = started(&db, &proxy).await;
        for round in 0..2 {
            proxy.stall();
            // Not known to be away yet: within its limit all the same, and never a false promise.
            let (reads, write) = tokio::join!(cached_reads(&marquee), timed(post(&marquee, "Stalled")));
            reads.unwrap();
            let (took, answer) = write;
            assert!(took < LIMIT + SLACK, "a write took {took:?}");
            let problem = problem(answer).await;
            assert!(["not-executed", "outcome-unknown"].contains(&&*problem), "{problem}");
            while_away(&marquee).await;
            proxy.pass();
            recovered(&db, &marquee, round).await;
        }
        assert!(marquee.terminate().await.success());
    }

    /// A database that is there and closes connections, as one does that is restarted or that times them
    /// out, costs no request.
    async fn idle_connections_may_be_killed(db) {
        let marquee = prepare(db.url()).env("MARQUEE_POLL_MS", "3600000").start().await;
        marquee.wait_ready().await;
        for n in 0..10 {
            // Several at once, so that there are several idle ones.
            let reads = (0..4).map(|_| marquee.get("/v1/genres"));
            for answer in futures_util::future::join_all(reads).await {
                assert_eq!(answer.status(), 200);
            }
            assert!(kill_all(&db).await > 0, "there was nothing to kill");
            let answer = post(&marquee, &format!("After kill {n}")).await;
            assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
            kill_all(&db).await;
            // Never read at this revision: it has to be loaded.
            let answer = marquee.get("/v1/genres").await;
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        }
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 10);
    }

    /// Also while they are in use, now and then.
    async fn connections_in_use_may_be_killed(db) {
        let marquee = Arc::new(prepare(db.url()).start().await);
        marquee.wait_ready().await;
        let over = Arc::new(AtomicBool::new(false));
        let answered: [Arc<AtomicUsize>; 4] = Default::default();
        let mut clients = Vec::new();
        for (client, answered) in answered.iter().enumerate() {
            let (marquee, over, answered) = (Arc::clone(&marquee), Arc::clone(&over), Arc::clone(answered));
            clients.push(tokio::spawn(async move {
                let (mut created, mut failed) = (0, Vec::new());
                while !over.load(Ordering::Relaxed) {
                    let answer = post(&marquee, &format!("From {client}")).await;
                    if answer.status() == 201 {
                        created += 1;
                    } else {
                        failed.push(answer.text().await.unwrap());
                    }
                    let answer = marquee.get("/v1/genres").await;
                    if answer.status() != 200 {
                        failed.push(answer.text().await.unwrap());
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                (created, failed)
            }));
        }
        let mut killed = 0;
        for _ in 0..20 {
            let goals: Vec<usize> = answered.iter().map(|answered| answered.load(Ordering::Relaxed) + BETWEEN).collect();
            let since = Instant::now();
            while answered.iter().zip(&goals).any(|(answered, goal)| answered.load(Ordering::Relaxed) < *goal) {
                assert!(since.elapsed() < PATIENCE, "nobody is answered:\n{}", marquee.log());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // In the middle of whatever they do then.
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..150))).await;
            killed += kill_all(&db).await;
        }
        over.store(true, Ordering::Relaxed);
        let mut total = 0;
        for client in clients {
            let (created, failed) = client.await.unwrap();
            assert!(failed.is_empty(), "{killed} kills: {failed:#?}\n{}", marquee.log());
            total += created;
        }
        assert!(killed > 0);
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, total);
    }
}

fn prepare(url: &str) -> support::Preparation {
    Marquee::prepare(url).env("MARQUEE_SAMPLE", "off")
}

/// Ready, with three movies that are cached, genres that are not, and a request limit of [`LIMIT`].
async fn started(db: &TestDatabase, proxy: &Proxy) -> Marquee {
    let marquee = prepare(&db.url_through(proxy.address()))
        .env("MARQUEE_REQUEST_TIMEOUT_MS", &LIMIT.as_millis().to_string())
        .start()
        .await;
    marquee.wait_ready().await;
    for n in 0..3 {
        assert_eq!(post(&marquee, &format!("Before {n}")).await.status(), 201);
    }
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.headers()["x-total-count"], "3");
    assert_eq!(marquee.get("/v1/movies").await.headers()["cache-status"], "marquee; hit");
    marquee
}

/// Reads what is cached, for half a second; each is answered at once.
async fn cached_reads(marquee: &Marquee) -> Result<(), String> {
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(500) {
        for path in ["/v1/movies", "/v1/movies/1"] {
            let (took, answer) = timed(marquee.get(path)).await;
            if answer.status() != 200 || took > AT_ONCE {
                return Err(format!("{path}: {} after {took:?}", answer.status()));
            }
        }
    }
    Ok(())
}

/// What holds while the database is known to be away.
async fn while_away(marquee: &Marquee) {
    let since = Instant::now();
    loop {
        let answer = marquee.get("/v1/movies").await;
        assert_eq!(answer.status(), 200);
        let said = answer.headers()["cache-status"].to_str().unwrap().to_owned();
        if let Some(age) = said.strip_prefix("marquee; hit; ttl=-") {
            assert!(age.parse::<u64>().unwrap() >= 1, "{said}");
            break;
        }
        assert_eq!(said, "marquee; hit");
        assert!(since.elapsed() < PATIENCE, "nobody notices that the database is away");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cached_reads(marquee).await.unwrap();
    let known = marquee.get("/v1/movies").await.headers()["etag"].clone();
    let again = marquee.request(Method::GET, "/v1/movies").header("if-none-match", known).send().await;
    assert_eq!(again.unwrap().status(), 304);

    let ready = marquee.get("/readyz").await;
    assert_eq!(ready.status(), 200, "a gateway must not take it out");
    let document: Value = ready.json().await.unwrap();
    assert_eq!(document["status"], "warn", "{document}");
    assert_eq!(document["checks"]["database"][0]["status"], "fail", "{document}");
    assert_eq!(marquee.get("/livez").await.status(), 200);
    assert_eq!(marquee.metrics().await.get("marquee_database_up"), Some(&0.0));

    for _ in 0..5 {
        let (took, answer) = timed(post(marquee, "Refused")).await;
        assert!(took < AT_ONCE, "a refusal took {took:?}");
        assert_eq!(answer.headers()["retry-after"], "1");
        assert_eq!(problem(answer).await, "not-executed");
        let sent = marquee.request(Method::DELETE, "/v1/movies/1").send().await.unwrap();
        assert_eq!(problem(sent).await, "not-executed");
    }
    let (took, answer) = timed(marquee.get("/v1/genres")).await;
    assert!(took < LIMIT + SLACK, "what is not cached took {took:?}");
    let problem = problem(answer).await;
    assert!(["database-away", "timeout"].contains(&&*problem), "{problem}");
}

/// All is as before, soon after the database's return.
async fn recovered(db: &TestDatabase, marquee: &Marquee, round: u64) {
    let since = Instant::now();
    loop {
        let answer = post(marquee, &format!("Recovered {round}")).await;
        if answer.status() == 201 {
            break;
        }
        assert!(since.elapsed() < RECOVERY, "{}\n{}", answer.text().await.unwrap(), marquee.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(since.elapsed() < RECOVERY, "recovery took {:?}", since.elapsed());
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers()["cache-status"].to_str().unwrap().contains("ttl=-"));
    let movies: Vec<Value> = answer.json().await.unwrap();
    let titled = |title: &str| movies.iter().filter(|movie| movie["title"] == title).count();
    assert_eq!(titled("Refused"), 0, "a write that was refused was executed");
    assert_eq!(titled(&format!("Recovered {round}")), 1);
    let ready: Value = marquee.get("/readyz").await.json().await.unwrap();
    assert_eq!(ready["status"], "pass");
    assert_eq!(db.number("SELECT COUNT(*) FROM movies WHERE title = 'Refused'").await, 0);
    // The next outage must find genres that were not read at this revision, as the first one did.
    assert_eq!(post(marquee, "One more").await.status(), 201);
    assert_eq!(marquee.get("/v1/movies").await.status(), 200);
}

async fn post(marquee: &Marquee, title: &str) -> Response {
    marquee.post("/v1/movies", &json!({ "title": title })).await
}

async fn timed<T>(request: impl Future<Output = T>) -> (Duration, T) {
    let since = Instant::now();
    let answer = request.await;
    (since.elapsed(), answer)
}

/// The slug of a 503.
async fn problem(answer: Response) -> String {
    let status = answer.status();
    assert_eq!(status, 503, "{}", answer.text().await.unwrap());
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let later = answer.headers().get("retry-after").cloned();
    let document: Value = answer.json().await.unwrap();
    let slug = document["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned();
    // Who does not know whether it happened must not be told to do it again.
    assert_eq!(later.is_some(), slug != "outcome-unknown", "{slug}");
    slug
}

/// Kills every connection to the database. How many there were.
async fn kill_all(db: &TestDatabase) -> u64 {
    let ids = db.connections().await;
    let mut conn = db.connect().await;
    let mut killed = 0;
    for (id, _) in ids {
        // One that has gone meanwhile is as good.
        killed += u64::from(conn.query_drop(format!("KILL {id}")).await.is_ok());
    }
    conn.disconnect().await.ok();
    killed
}
