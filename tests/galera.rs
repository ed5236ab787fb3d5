//! Three replicas on a database that is itself a cluster, each on another node of it: MariaDB with Galera.
//!
//! ```text
//! clients ──▶ marquee 0 ──▶ node 0 ┐
//! clients ──▶ marquee 1 ──▶ node 1 ┼ each applies what the others commit
//! clients ──▶ marquee 2 ──▶ node 2 ┘
//! ```
//!
//! A lock is one node's here: two replicas can both have the revision row, and the cluster decides at COMMIT. What
//! was answered on one node may not be applied on another yet.
//!
//! Run by `tests/galera/run`, which prepares what a cluster needs; `./test` leaves these alone.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise, and tell what they did"
)]

mod support;

#[path = "galera/causal.rs"]
mod causal;
#[path = "galera/cluster.rs"]
mod cluster;

use std::future::Future;
use std::time::{Duration, Instant};

use cluster::Cluster;
use mysql_async::prelude::Queryable;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::{Marquee, Mode, OnCommit, Proxy, revision};

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A replica on each node. The schema is made once, by hand, as docs/SCALING.md says.
async fn replicas(cluster: &Cluster) -> [Marquee; 3] {
    migrate(cluster).await;
    [replica(&cluster.url(0)).await, replica(&cluster.url(1)).await, replica(&cluster.url(2)).await]
}

async fn migrate(cluster: &Cluster) {
    let (status, _, log) = Marquee::prepare(&cluster.url(0)).arg("migrate").run().await;
    assert!(status.success(), "{log}");
}

async fn replica(url: &str) -> Marquee {
    let prepared = Marquee::prepare(url).env("MARQUEE_SAMPLE", "off").env("MARQUEE_MIGRATE", "off");
    let marquee = prepared.env("RUST_LOG", "info,marquee::catalogue=debug").start().await;
    marquee.wait_ready().await;
    marquee
}

async fn create(marquee: &Marquee, title: &str) -> Response {
    marquee.post("/v1/movies", &json!({ "title": title, "genres": ["Drama"] })).await
}

/// GETs a path from `least` or a later revision on.
async fn get_from(marquee: &Marquee, path: &str, least: u64) -> Response {
    let asked = marquee.request(Method::GET, path).header("marquee-min-revision", least);
    asked.send().await.unwrap()
}

/// The titles that a replica serves, from a revision on.
async fn titles(marquee: &Marquee, least: u64) -> Vec<String> {
    let answer = get_from(marquee, "/v1/movies", least).await;
    assert_eq!(answer.status(), 200, "{}", marquee.log());
    assert!(revision(&answer) >= least);
    let movies: Vec<Value> = answer.json().await.unwrap();
    movies.iter().map(|movie| movie["title"].as_str().unwrap().to_owned()).collect()
}

async fn until<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) {
    let since = Instant::now();
    while !is().await {
        assert!(since.elapsed() < PATIENCE, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What every node must have, the same and whole.
async fn whole(cluster: &Cluster) {
    let everything = async |n| {
        let mut all = Vec::new();
        for table in ["catalogue", "commits", "segments", "movies", "genres", "directors", "movie_genres"] {
            all.push(cluster.query(n, &format!("SELECT * FROM marquee.{table} ORDER BY 1, 2")).await);
        }
        all
    };
    let first = everything(0).await;
    assert!(everything(1).await == first && everything(2).await == first, "the nodes differ");
    for (what, broken) in [
        (
            "segments that count wrongly",
            "SELECT COUNT(*) FROM marquee.segments s WHERE s.movies <> \
             (SELECT COUNT(*) FROM marquee.movies m WHERE m.id >> 8 = s.segment)",
        ),
        (
            "genres that count wrongly",
            "SELECT COUNT(*) FROM marquee.genres n WHERE n.movies <> \
             (SELECT COUNT(*) FROM marquee.movie_genres g WHERE g.genre_id = n.id)",
        ),
        (
            "commits that are missing",
            "SELECT revision + 1 - (SELECT COUNT(*) FROM marquee.commits) FROM marquee.catalogue",
        ),
    ] {
        assert_eq!(cluster.number(0, broken).await, 0, "{what}");
    }
}

/// ```text
/// marquee 0, node 0                     marquee 1, node 1
/// locks the revision row, writes 1
/// COMMIT is held
///                                       locks its own revision row, writes 1, COMMIT: 201
/// the commit is applied: undone
/// COMMIT reaches the node: refused
/// once more, on top of the other: 201
/// ```
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/galera/run"]
async fn a_commit_that_another_nodes_overtakes_is_done_again() {
    let cluster = Cluster::start().await;
    for n in 0..3 {
        assert_eq!(cluster.number(n, "SELECT @@auto_increment_increment").await, 3);
    }
    migrate(&cluster).await;
    let proxy = Proxy::to(cluster.address(0)).await;
    let held = replica(&cluster.url_by(proxy.address())).await;
    let other = replica(&cluster.url(1)).await;
    let before = cluster.number(0, "SELECT revision FROM marquee.catalogue").await;
    proxy.on_commit(OnCommit::Hold, Mode::Stall);
    let overtaken = create(&held, "overtaken");
    let overtaking = async {
        until("the COMMIT", || async { proxy.fired() == 1 }).await;
        let answer = create(&other, "overtaking").await;
        // Applied where the other one waits.
        until("the commit", || async {
            cluster.number(0, "SELECT revision FROM marquee.catalogue").await > before
        })
        .await;
        proxy.pass();
        answer
    };
    let (overtaken, overtaking) = tokio::join!(overtaken, overtaking);
    assert_eq!((overtaking.status(), revision(&overtaking)), (reqwest::StatusCode::CREATED, before + 1));
    assert_eq!(overtaken.status(), 201, "{}", held.log());
    assert_eq!(revision(&overtaken), before + 2);
    let ids: Vec<Value> = [overtaking.json::<Value>().await.unwrap(), overtaken.json().await.unwrap()]
        .iter()
        .map(|movie| movie["id"].clone())
        .collect();
    assert_eq!(ids, [1, 2]);
    assert!(held.metrics().await["marquee_write_retries_total"] >= 1.0);
    for marquee in [&held, &other] {
        assert_eq!(titles(marquee, before + 2).await, ["overtaking", "overtaken"]);
    }
    whole(&cluster).await;
}

/// A connection is lost at COMMIT, and the next one is led to another node, as a balancer does:
///
/// ```text
/// marquee                                 node 0                  node 1
/// COMMIT of revision 1  ── ✂ ─ (delayed) ─▶
/// connects anew: is it in the log?  ────────────────────────────▶ no
/// once more, COMMIT is held
///                                         COMMIT comes: done ───▶ applied: what is held is undone
/// COMMIT goes on  ──────────────────────────────────────────────▶ refused
/// is it in the log?  ───────────────────────────────────────────▶ yes: 201, and not a second time
/// ```
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/galera/run"]
async fn a_commit_that_comes_late_on_another_node_is_not_done_twice() {
    let cluster = Cluster::start().await;
    migrate(&cluster).await;
    let proxy = Proxy::to(cluster.address(0)).await;
    let marquee = replica(&cluster.url_by(proxy.address())).await;
    let before = cluster.number(1, "SELECT revision FROM marquee.catalogue").await;
    proxy.on_commit(OnCommit::Delay, Mode::Pass);
    proxy.on_commit(OnCommit::Hold, Mode::Stall);
    proxy.redirect(cluster.address(1));
    let late = async {
        until("the second COMMIT", || async { proxy.fired() == 2 }).await;
        proxy.deliver().await;
        until("the commit", || async {
            cluster.number(1, "SELECT revision FROM marquee.catalogue").await > before
        })
        .await;
        proxy.pass();
    };
    let (answer, ()) = tokio::join!(create(&marquee, "once"), late);
    assert_eq!(answer.status(), 201, "{}", marquee.log());
    assert_eq!(revision(&answer), before + 1);
    assert_eq!(answer.json::<Value>().await.unwrap()["id"], 1);
    assert_eq!(titles(&marquee, before + 1).await, ["once"], "{}", marquee.log());
    whole(&cluster).await;
}

/// Connections are led to a node that has not applied yet what was answered: nobody sees time go back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/galera/run"]
async fn a_node_that_is_behind_is_waited_for() {
    let cluster = Cluster::start().await;
    migrate(&cluster).await;
    let proxy = Proxy::to(cluster.address(0)).await;
    let moved = replica(&cluster.url_by(proxy.address())).await;
    let behind = replica(&cluster.url(1)).await;
    assert_eq!(create(&moved, "before").await.status(), 201);
    assert_eq!(titles(&behind, 1).await, ["before"]);
    // It applies nothing as long as somebody holds this lock.
    let mut lock = cluster.connect(1).await.unwrap();
    lock.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
    let written = create(&moved, "after").await;
    assert_eq!((written.status(), revision(&written)), (reqwest::StatusCode::CREATED, 2));
    proxy.redirect(cluster.address(1));
    proxy.cut().await;
    let accepted = proxy.accepted();
    proxy.pass();
    // It looks at the other node, which it is made to wait for.
    until("a connection", || async { proxy.accepted() > accepted }).await;
    let unlocked = async {
        // Long enough that a look which does not wait is over; that takes nothing from what must hold.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(titles(&moved, 0).await, ["before", "after"], "{}", moved.log());
        lock.query_drop("UNLOCK TABLES").await.unwrap();
    };
    // Who asks for that revision gets it; who changes what it made finds it.
    let read = titles(&behind, 2);
    let deleted = async { behind.request(Method::DELETE, "/v1/movies/2").send().await.unwrap() };
    let (read, deleted, ()) = tokio::join!(read, deleted, unlocked);
    assert!(read == ["before", "after"] || read == ["before"], "{read:?}");
    assert_eq!((deleted.status(), revision(&deleted)), (reqwest::StatusCode::NO_CONTENT, 3));
    assert_eq!(titles(&moved, 3).await, ["before"]);
    let another = moved.log().matches("another history").count();
    assert_eq!(another, 0, "{}", moved.log());
    whole(&cluster).await;
}

/// A node dies, and then a second one, so that the third, which is alone, refuses: each replica does without its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/galera/run"]
async fn nodes_die_and_come_back() {
    let mut cluster = Cluster::start().await;
    let marquees = replicas(&cluster).await;
    let mut expected = Vec::new();
    let mut last = 0;
    for (n, marquee) in marquees.iter().enumerate() {
        let answer = create(marquee, &format!("before {n}")).await;
        assert_eq!(answer.status(), 201, "{}", marquee.log());
        last = revision(&answer);
        expected.push(format!("before {n}"));
    }
    for marquee in &marquees {
        assert_eq!(titles(marquee, last).await, expected);
    }

    cluster.kill(2);
    does_without(&marquees[2], &expected).await;
    // The others go on, once they have agreed that it is gone.
    for (n, marquee) in marquees[..2].iter().enumerate() {
        last = until_created(marquee, &format!("one is gone {n}")).await;
        expected.push(format!("one is gone {n}"));
    }
    for marquee in &marquees[..2] {
        assert_eq!(titles(marquee, last).await, expected);
    }

    cluster.kill(1);
    does_without(&marquees[1], &expected).await;
    does_without(&marquees[0], &expected).await;

    cluster.revive(1);
    cluster.revive(2);
    cluster.until_all_in().await;
    for (n, marquee) in marquees.iter().enumerate() {
        last = until_created(marquee, &format!("after {n}")).await;
        expected.push(format!("after {n}"));
    }
    for marquee in &marquees {
        assert_eq!(titles(marquee, last).await, expected, "{}", marquee.log());
        assert_eq!(marquee.get("/readyz").await.json::<Value>().await.unwrap()["status"], "pass");
    }
    whole(&cluster).await;
}

/// Its node is gone: that is noticed, what it has is served, and writes are refused.
async fn does_without(marquee: &Marquee, expected: &[String]) {
    until("the notice", || async {
        let ready: Value = marquee.get("/readyz").await.json().await.unwrap();
        ready["checks"]["database"][0]["status"] == "fail"
    })
    .await;
    let ready = marquee.get("/readyz").await;
    assert_eq!(ready.status(), 200, "what it has can be read");
    assert_eq!(ready.json::<Value>().await.unwrap()["status"], "warn");
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["cache-status"].to_str().unwrap().contains("ttl=-"));
    let movies: Vec<Value> = answer.json().await.unwrap();
    assert!(movies.iter().map(|movie| movie["title"].as_str().unwrap()).eq(expected));
    let refused = create(marquee, "refused").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.json::<Value>().await.unwrap()["type"], "/problems/not-executed");
}

/// Sends one write under one key until it is done, once; its revision.
async fn until_created(marquee: &Marquee, title: &str) -> u64 {
    let since = Instant::now();
    loop {
        let request = marquee.request(Method::POST, "/v1/movies").header("idempotency-key", title);
        let answer = request.json(&json!({ "title": title, "genres": ["Drama"] })).send().await.unwrap();
        if answer.status() == 201 {
            return revision(&answer);
        }
        assert_eq!(answer.status(), 503, "{}", marquee.log());
        assert!(since.elapsed() < PATIENCE, "{title} is not made:\n{}", marquee.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
