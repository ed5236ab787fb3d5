//! The database goes away and comes back, or takes no writes, or nobody in, or is slow: cached reads go on, writes are
//! refused at once, and nobody has to mend anything.
//!
//! `MARQUEE_TEST_AWAY_S` says for how long cached reads go on while it is away, and `MARQUEE_TEST_RECOVERY_MS` how soon a write must
//! succeed once it is back; how many reads they were, and how soon that was, is printed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise, and tell what they did"
)]

#[macro_use]
mod support;

#[path = "away/full_disk.rs"]
mod full_disk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::{Marquee, Proxy, TestDatabase};
use url::Url;

/// What MARQUEE_REQUEST_TIMEOUT_MS is set to: a write must have time to reach a slow disk.
const LIMIT: Duration = Duration::from_secs(6);
/// What is answered sooner did not wait for the limit.
const AT_ONCE: Duration = Duration::from_secs(3);
/// What a request may take beyond its limit, on a machine that is busy.
const SLACK: Duration = Duration::from_secs(10);
/// How long recovery may take where MARQUEE_TEST_RECOVERY_MS says nothing, on a disk that is slow as well.
const RECOVERY: Duration = Duration::from_secs(30);
/// Lists that are asked for at once: each has a connection of its own.
const AT_A_TIME: usize = 8;
/// Connections that idle where one is to be lost with all others.
const IDLE: usize = 4;
/// For how long cached reads are looked at, where nothing else is said.
const MOMENT: Duration = Duration::from_millis(500);
/// How long it may take until somebody notices.
const PATIENCE: Duration = Duration::from_secs(60);
/// As many as the server has for marquee, where it has few.
const CONNECTIONS: usize = 4;
/// Each client is answered so often between two kills: another kill each time would be one that no write outlasts.
const BETWEEN: usize = 2;

on_every_server! {
    /// Connections are reset, and new ones refused.
    async fn cut_off(db) {
        let proxy = Proxy::to(db.address().await).await;
        let mut marquee = started(&db.url_through(proxy.address())).await;
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
        hangs(&db, Proxy::stall).await;
    }

    /// Bytes come all the time, and never a whole answer: limits are of answers, not of bytes.
    async fn trickles(db) {
        hangs(&db, Proxy::trickle).await;
    }

    /// Its host is lost without a word, and another one takes its address: what idles in the pool is silent for good.
    async fn vanished(db) {
        let proxy = Proxy::to(db.address().await).await;
        let mut marquee = started(&db.url_through(proxy.address())).await;
        for round in 0..2 {
            let mut asked = round * 1000..;
            while proxy.open() < IDLE {
                let lists: Vec<String> = asked.by_ref().take(AT_A_TIME).map(|n| format!("/v1/movies?votes={n}..")).collect();
                for answer in futures_util::future::join_all(lists.iter().map(|list| marquee.get(list))).await {
                    assert_eq!(answer.status(), 200);
                }
            }
            proxy.vanish();
            // The first that is told nothing has another connection soon, and by then none of those that idle is left.
            let (reads, write) = tokio::join!(cached_reads(&marquee, MOMENT), timed(post(&marquee, "Moved")));
            reads.unwrap();
            let (took, answer) = write;
            assert_eq!(answer.status(), 201, "{}\n{}", answer.text().await.unwrap(), marquee.log());
            println!("a write succeeded {took:?} after its host was lost");
            recovered(&db, &marquee, round).await;
        }
        assert!(marquee.terminate().await.success());
    }

    /// Who hardly ever looks for others' writes finds it as soon.
    async fn cut_off_from_one_that_hardly_polls(db) {
        let proxy = Proxy::to(db.address().await).await;
        let url = db.url_through(proxy.address());
        let limit = LIMIT.as_millis().to_string();
        let prepared = prepare(&url).env("MARQUEE_POLL_MS", "3600000").env("MARQUEE_REQUEST_TIMEOUT_MS", &limit);
        let mut marquee = prepared.start().await;
        marquee.wait_ready().await;
        fill(&marquee).await;
        for round in 0..2 {
            proxy.cut().await;
            // Nobody looks: a write is the first to notice.
            assert_eq!(problem(post(&marquee, "Refused").await).await, "not-executed");
            while_away(&marquee).await;
            proxy.pass();
            recovered(&db, &marquee, round).await;
        }
        assert!(marquee.terminate().await.success());
    }

    /// A list that takes longer than it may says nothing of the database: writes go on.
    async fn a_list_that_takes_too_long(db) {
        let mut marquee = prepare(db.url()).env("MARQUEE_REQUEST_TIMEOUT_MS", "2000").start().await;
        marquee.wait_ready().await;
        fill(&marquee).await;
        let mut lock = db.connect().await;
        // What a list reads, and a write does not.
        lock.query_drop("LOCK TABLES movie_words WRITE").await.unwrap();
        let list = tokio::spawn(marquee.request(Method::GET, "/v1/movies?q=before").send());
        while !list.is_finished() {
            let answer = marquee.get("/v1/movies").await;
            assert_eq!(answer.headers()["cache-status"], "marquee; hit");
            let sent = marquee.request(Method::DELETE, "/v1/movies/99").send().await.unwrap();
            assert_eq!(sent.status(), 404, "{}", sent.text().await.unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(list.await.unwrap().unwrap().status(), 503);
        marquee.wait_for_log("a load failed: the database did not answer within").await;
        lock.query_drop("UNLOCK TABLES").await.unwrap();
        assert!(!marquee.log().contains("writes are refused"), "{}", marquee.log());
        recovered(&db, &marquee, 0).await;
        assert!(marquee.terminate().await.success());
    }

    /// Late is not away: what is cached is there at once, and what is not waits, and is right.
    async fn delayed(db) {
        let proxy = Proxy::to(db.address().await).await;
        let mut marquee = started(&db.url_through(proxy.address())).await;
        proxy.delay(Duration::from_millis(20));
        for n in 4..8 {
            let answer = post(&marquee, "Late").await;
            assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
            let answer = marquee.get("/v1/movies").await;
            assert_eq!(answer.headers()["x-total-count"], n.to_string());
            assert!(!answer.headers()["cache-status"].to_str().unwrap().contains("ttl=-"));
            cached_reads(&marquee, MOMENT).await.unwrap();
            assert_eq!(marquee.get("/v1/genres").await.status(), 200);
        }
        assert_eq!(marquee.metrics().await.get("marquee_database_up"), Some(&1.0));
        proxy.pass();
        recovered(&db, &marquee, 0).await;
        assert!(marquee.terminate().await.success());
    }

    /// The server takes no writes, as one does that is about to hand over: all reads go on, writes are refused.
    async fn read_only(db) {
        let guest = db.guest("").await;
        let marquee = Arc::new(started(guest.as_str()).await);
        let mut admin = db.connect().await;
        // Of the server, and so not two at a time. It binds guests alone, and other tests have none.
        let mine: Option<u8> = admin.query_first("SELECT GET_LOCK('marquee.test.read_only', 60)").await.unwrap();
        assert_eq!(mine, Some(1));
        for round in 0..2 {
            admin.query_drop("SET GLOBAL read_only = 1").await.unwrap();
            let meanwhile = tokio::spawn({
                let marquee = Arc::clone(&marquee);
                async move {
                    for _ in 0..5 {
                        let (took, answer) = timed(post(&marquee, "Refused")).await;
                        assert!(took < AT_ONCE, "a refusal took {took:?}");
                        assert_eq!(problem(answer).await, "not-executed");
                        cached_reads(&marquee, MOMENT).await.unwrap();
                    }
                    assert_eq!(marquee.get("/v1/genres").await.status(), 200);
                    assert_eq!(marquee.get("/readyz").await.status(), 200);
                }
            });
            // Whatever comes of it, others can write again.
            let meanwhile = meanwhile.await;
            admin.query_drop("SET GLOBAL read_only = 0").await.unwrap();
            meanwhile.unwrap();
            recovered(&db, &marquee, round).await;
        }
        admin.disconnect().await.unwrap();
        assert!(marquee.log().contains("takes no writes"), "{}", marquee.log());
    }

    /// Others have all connections that the server has for marquee: at its start, and later.
    async fn out_of_connections(db) {
        let guest = db.guest(&format!("WITH MAX_USER_CONNECTIONS {CONNECTIONS}")).await;
        let others = taken(&db, &guest).await;
        let limit = LIMIT.as_millis().to_string();
        let mut marquee = prepare(guest.as_str()).env("MARQUEE_REQUEST_TIMEOUT_MS", &limit).start().await;
        marquee.wait_for_log("the database cannot be reached").await;
        assert_eq!(marquee.get("/livez").await.status(), 200);
        assert_eq!(marquee.get("/readyz").await.status(), 503);
        given_back(others).await;
        marquee.wait_ready().await;
        fill(&marquee).await;
        for round in 0..2 {
            let others = taken(&db, &guest).await;
            while_away(&marquee).await;
            given_back(others).await;
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

/// Ready, filled, and with a request limit of [`LIMIT`].
async fn started(url: &str) -> Marquee {
    let marquee =
        prepare(url).env("MARQUEE_REQUEST_TIMEOUT_MS", &LIMIT.as_millis().to_string()).start().await;
    marquee.wait_ready().await;
    fill(&marquee).await;
    marquee
}

/// Three movies, which are cached; genres are not.
async fn fill(marquee: &Marquee) {
    for n in 0..3 {
        assert_eq!(post(marquee, &format!("Before {n}")).await.status(), 201);
    }
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.headers()["x-total-count"], "3");
    assert_eq!(marquee.get("/v1/movies").await.headers()["cache-status"], "marquee; hit");
}

/// Connections stay open, and no answer comes, for as long as the wire is told to `hang`.
async fn hangs(db: &TestDatabase, hang: impl Fn(&Proxy)) {
    let proxy = Proxy::to(db.address().await).await;
    let mut marquee = started(&db.url_through(proxy.address())).await;
    for round in 0..2 {
        hang(&proxy);
        // Not known to be away yet: within its limit all the same, and never a false promise.
        let (reads, write) = tokio::join!(cached_reads(&marquee, MOMENT), timed(post(&marquee, "Hung")));
        reads.unwrap();
        let (took, answer) = write;
        assert!(took < LIMIT + SLACK, "a write took {took:?}");
        let problem = problem(answer).await;
        assert!(["not-executed", "outcome-unknown"].contains(&&*problem), "{problem}");
        while_away(&marquee).await;
        proxy.pass();
        recovered(db, &marquee, round).await;
    }
    assert!(marquee.terminate().await.success());
}

/// Takes all connections that the guest may have; marquee's are ended for that.
async fn taken(db: &TestDatabase, guest: &Url) -> Vec<Conn> {
    let mut url = guest.clone();
    // Of no database: kill_all() does not know them.
    url.set_path("/");
    let opts: Opts =
        OptsBuilder::from_opts(Opts::from_url(url.as_str()).unwrap()).prefer_socket(false).into();
    let (mut taken, since) = (Vec::new(), Instant::now());
    while taken.len() < CONNECTIONS {
        assert!(since.elapsed() < PATIENCE, "{} of {CONNECTIONS} connections", taken.len());
        kill_all(db).await;
        taken.extend(Conn::new(opts.clone()).await.ok());
    }
    taken
}

async fn given_back(taken: Vec<Conn>) {
    for conn in taken {
        conn.disconnect().await.unwrap();
    }
}

/// Reads what is cached, for some time; each is answered at once. How many there were.
async fn cached_reads(marquee: &Marquee, time: Duration) -> Result<u64, String> {
    let (since, mut reads) = (Instant::now(), 0);
    while since.elapsed() < time {
        for path in ["/v1/movies", "/v1/movies/1"] {
            let (took, answer) = timed(marquee.get(path)).await;
            if answer.status() != 200 || took > AT_ONCE {
                return Err(format!("{path}: {} after {took:?}", answer.status()));
            }
            reads += 1;
        }
    }
    Ok(reads)
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
    let time =
        std::env::var("MARQUEE_TEST_AWAY_S").map_or(MOMENT, |s| Duration::from_secs(s.parse().unwrap()));
    let reads = cached_reads(marquee, time).await.unwrap();
    println!("{reads} cached reads in {time:?} while the database was away: 0 failed");
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
    let most = std::env::var("MARQUEE_TEST_RECOVERY_MS")
        .map_or(RECOVERY, |ms| Duration::from_millis(ms.parse().unwrap()));
    let since = Instant::now();
    loop {
        let answer = post(marquee, &format!("Recovered {round}")).await;
        if answer.status() == 201 {
            break;
        }
        assert!(since.elapsed() < most, "{}\n{}", answer.text().await.unwrap(), marquee.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = since.elapsed();
    assert!(took < most, "recovery took {took:?}");
    println!("a write succeeded {took:?} after the database came back");
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
