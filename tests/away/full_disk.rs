//! The disk of a database server is full, until somebody makes room: nothing is lost, and nobody waits beyond the limit.
//!
//! Both servers refuse what needs another page of a table ("the table is full"). MySQL has a log of what it commits as well: where
//! that cannot grow, the COMMIT waits, and looks once a minute whether there is room. Until then nobody knows whether it happened.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{LIMIT, MOMENT, PATIENCE, SLACK, cached_reads, problem, started, timed};
use crate::support::{Disk, Engine, Marquee, OwnServer, TestDatabase, runtime};

/// Refusals of one size of writes.
const REFUSALS: usize = 3;
/// Movies of a write that needs more than the pages that are there.
const MANY: usize = 300;

#[test]
fn a_full_disk_under_mysql() {
    on_a_full(Disk::Data, Engine::MySql);
}

#[test]
fn a_full_disk_under_mariadb() {
    on_a_full(Disk::Data, Engine::MariaDb);
}

#[test]
#[ignore = "the server looks for room once a minute: ./test full"]
fn no_room_for_the_log_of_mysql() {
    on_a_full(Disk::Log, Engine::MySql);
}

#[test]
#[ignore = "the server looks for room once a minute: ./test full"]
fn no_room_for_the_log_of_mariadb() {
    on_a_full(Disk::Log, Engine::MariaDb);
}

fn on_a_full(disk: Disk, engine: Engine) {
    let server = OwnServer::on_disks_of(engine, "256m");
    runtime().block_on(async {
        let db = TestDatabase::at(engine, server.url()).await;
        fills_up(&server, disk, &db).await;
    });
}

async fn fills_up(server: &OwnServer, disk: Disk, db: &TestDatabase) {
    let mut marquee = started(db.url()).await;
    // How many movies there are of each key, once it is answered.
    let mut acknowledged = BTreeMap::new();
    let mut refused = BTreeMap::new();
    for n in 0..20 {
        let key = format!("before-{n}");
        assert_eq!(put(&marquee, &key, 1).await.1, None);
        acknowledged.insert(key, 1);
    }
    cached_reads(&marquee, MOMENT).await.unwrap();

    server.fill(disk);
    for movies in [MANY, 1] {
        let mut refusals = 0;
        for n in 0.. {
            let key = format!("full-{movies}-{n}");
            let (took, problem) = put(&marquee, &key, movies).await;
            assert!(took < LIMIT + SLACK, "a write took {took:?}");
            let Some(problem) = problem else {
                acknowledged.insert(key, movies);
                continue;
            };
            println!("{movies} movies, after {took:?}: {problem}");
            assert!(["not-executed", "outcome-unknown"].contains(&&*problem), "{problem}");
            refused.insert(key, (movies, problem));
            refusals += 1;
            if refusals == REFUSALS {
                break;
            }
        }
        // What is cached is there at once, and who balances load leaves it in.
        cached_reads(&marquee, MOMENT).await.unwrap();
        assert_eq!(marquee.get("/readyz").await.status(), 200);
    }
    let waits = refused.values().any(|(_, problem)| problem == "outcome-unknown");
    assert_eq!(waits, disk == Disk::Log, "{refused:?}");
    let there = shown(&marquee).await;
    for (key, movies) in &acknowledged {
        assert_eq!(there.get(key), Some(movies), "{key} is lost");
    }
    for (key, (_, problem)) in &refused {
        assert!(problem == "outcome-unknown" || !there.contains_key(key), "{key} was refused, and is there");
    }

    server.make_room(disk);
    let since = Instant::now();
    // Who does not know asks by the same key. What was not executed stays so.
    let unknown = refused.into_iter().filter(|(_, (_, problem))| problem == "outcome-unknown");
    for (key, movies) in unknown.map(|(key, (movies, _))| (key, movies)).chain([("after-0".to_owned(), MANY)])
    {
        loop {
            let (took, problem) = put(&marquee, &key, movies).await;
            assert!(took < LIMIT + SLACK, "a write took {took:?}");
            let Some(problem) = problem else { break };
            assert!(since.elapsed() < 2 * PATIENCE, "{problem}\n{}", marquee.log());
        }
        acknowledged.insert(key, movies);
    }
    println!("all writes succeeded {:?} after there was room", since.elapsed());
    assert_eq!(shown(&marquee).await, acknowledged);
    let total: usize = acknowledged.values().sum();
    assert_eq!(
        db.number("SELECT COUNT(*) FROM movies WHERE title LIKE '%-%'").await,
        i64::try_from(total).unwrap()
    );
    assert!(marquee.terminate().await.success());
}

/// POSTs movies under a key. How long it took, and the problem that was told instead of success.
async fn put(marquee: &Marquee, key: &str, movies: usize) -> (Duration, Option<String>) {
    let title = format!("{key} {}", "and so on ".repeat(30));
    let body = json!(vec![json!({ "title": title.trim() }); movies]);
    let request = marquee.request(Method::POST, "/v1/movies").header("idempotency-key", key).json(&body);
    let (took, answer) = timed(request.send()).await;
    let answer = answer.unwrap();
    (took, if answer.status() == 201 { None } else { Some(problem(answer).await) })
}

/// How many movies are shown of each key.
async fn shown(marquee: &Marquee) -> BTreeMap<String, usize> {
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.status(), 200);
    let mut shown = BTreeMap::new();
    for movie in answer.json::<Vec<Value>>().await.unwrap() {
        let key = movie["title"].as_str().unwrap().split(' ').next().unwrap();
        // Those of started() have no key.
        if key.contains('-') {
            *shown.entry(key.to_owned()).or_default() += 1;
        }
    }
    shown
}
