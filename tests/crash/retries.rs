//! Clients that send every write until it is answered, under a key, while marquee or its database is killed beneath
//! them: each is done once, and each of its answers is the same.
//!
//! ```text
//! clients: POST under a key, anew or one that was answered before ──▶ A or B, whichever is there
//! A, B: two marquees on one database; SIGKILL for one of them in the middle of whatever it does, then anew;
//!       or for the database, which then has what it left, where it was or at another port
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use crate::support::{Engine, Marquee, OwnServer, Proxy, TestDatabase, runtime};
use crate::{assert_sound, kills};

const CLIENTS: usize = 4;
/// Answers between two kills, at least.
const ANSWERS: usize = 25;

/// A POST as it may come again.
#[derive(Clone, Debug)]
struct Post {
    path: &'static str,
    media: &'static str,
    merge: bool,
    body: String,
    /// How many movies of this title there are once it is done.
    makes: (String, usize),
}

/// All that an answer says, but when.
#[derive(Debug, Clone, PartialEq)]
struct Told(u16, BTreeMap<String, String>, Vec<u8>);

struct World {
    /// Where the marquees listen.
    replicas: [watch::Sender<String>; 2],
    answered: Mutex<BTreeMap<String, (Post, Told)>>,
    count: AtomicUsize,
    repeats: AtomicUsize,
    done: AtomicBool,
}

on_every_database! {
    async fn retries_through_kills(db) {
        retried(&db, async |marquees, world, random| {
            let which = random.random_range(0..2);
            marquees[which].kill();
            marquees[which] = start(&db).await;
            world.replicas[which].send_replace(marquees[which].url(""));
        })
        .await;
    }
}

#[test]
#[ignore = "starts a server of its own, to kill it: ./test full"]
fn retries_through_kills_of_mysql() {
    through_kills_of(Engine::MySql);
}

#[test]
#[ignore = "starts a server of its own, to kill it: ./test full"]
fn retries_through_kills_of_mariadb() {
    through_kills_of(Engine::MariaDb);
}

fn through_kills_of(engine: Engine) {
    let server = OwnServer::start(engine);
    runtime().block_on(async {
        let mut url = Url::parse(server.url()).unwrap();
        // What the name of a cluster leads to: now this server, now another one that has taken its place.
        let wire = Proxy::to(([127, 0, 0, 1], url.port().unwrap()).into()).await;
        url.set_port(Some(wire.address().port())).unwrap();
        let db = TestDatabase::at(engine, url.as_str()).await;
        retried(&db, async |_, _, random| {
            let elsewhere = random.random_bool(0.5);
            let port = tokio::task::block_in_place(|| server.crash(elsewhere));
            wire.redirect(([127, 0, 0, 1], port).into());
        })
        .await;
    });
}

/// Clients write on, while `kill` is done again and again.
async fn retried(db: &TestDatabase, kill: impl AsyncFn(&mut [Marquee; 2], &World, &mut SmallRng)) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let mut marquees = [start(db).await, start(db).await];
    let world = Arc::new(World {
        replicas: [watch::Sender::new(marquees[0].url("")), watch::Sender::new(marquees[1].url(""))],
        answered: Mutex::default(),
        count: AtomicUsize::new(0),
        repeats: AtomicUsize::new(0),
        done: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(send(Arc::clone(&world), n, SmallRng::seed_from_u64(random.random()))))
        .collect();
    let mut newest = 0;
    for _ in 0..kills() {
        let enough = world.count.load(Ordering::SeqCst) + ANSWERS;
        while world.count.load(Ordering::SeqCst) < enough {
            assert!(clients.iter().all(|client| !client.is_finished()), "a client met a surprise");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.random_range(0..8_000))).await;
        kill(&mut marquees, &world, &mut random).await;
        let revision = db.number("SELECT revision FROM catalogue").await;
        assert!(revision >= newest, "the revision went back from {newest} to {revision}");
        newest = revision;
    }
    world.done.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    // Once more, all of them.
    let answered = world.answered.lock().unwrap().clone();
    let mut random = SmallRng::seed_from_u64(random.random());
    for (key, (post, told)) in &answered {
        assert_eq!(&world.until_answered(&mut random, key, post).await, told, "{key}: {post:?}");
    }
    let rows = db.query("SELECT title, COUNT(*) FROM movies GROUP BY title").await;
    let there: BTreeMap<String, usize> = rows
        .into_iter()
        .map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap().parse().unwrap()))
        .filter(|(title, _): &(String, usize)| !title.starts_with("merged"))
        .collect();
    let made = answered.values().map(|(post, _)| post.makes.clone()).filter(|(_, count)| *count > 0);
    assert_eq!(there, made.collect());
    assert_sound(db).await;
    let repeats = world.repeats.load(Ordering::SeqCst);
    println!("{} keys, {repeats} repeats, {} kills", answered.len(), kills());
    assert!(repeats > kills(), "hardly anything was sent again");
}

async fn start(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    marquee
}

/// Sends writes, new ones and some that anybody was answered before, until it is told to end.
async fn send(world: Arc<World>, client: usize, mut random: SmallRng) {
    for n in 0.. {
        if world.done.load(Ordering::SeqCst) {
            return;
        }
        let known = {
            let answered = world.answered.lock().unwrap();
            let index = random.random_range(0..answered.len().max(1) * 3);
            answered.iter().nth(index).map(|(key, (post, told))| (key.clone(), post.clone(), told.clone()))
        };
        if let Some((key, post, told)) = known {
            assert_eq!(world.until_answered(&mut random, &key, &post).await, told, "{key}: {post:?}");
            world.repeats.fetch_add(1, Ordering::SeqCst);
        } else {
            let key = format!("{client}-{n}");
            let post = any_post(&mut random, &key);
            let told = world.until_answered(&mut random, &key, &post).await;
            world.answered.lock().unwrap().insert(key, (post, told));
        }
        world.count.fetch_add(1, Ordering::SeqCst);
    }
}

fn any_post(random: &mut SmallRng, key: &str) -> Post {
    let movie = |title: &str| json!({ "title": title, "genres": ["Drama"], "directors": [title] });
    let post = |body: Value, count| Post {
        path: "/v1/movies",
        media: "application/json",
        merge: false,
        body: body.to_string(),
        makes: (key.to_owned(), count),
    };
    match random.random_range(0..6) {
        0 | 1 => post(movie(key), 1),
        2 => {
            let count = random.random_range(1..4);
            post(json!(vec![movie(key); count]), count)
        }
        3 => {
            let count = random.random_range(1..4);
            let lines = vec![movie(key).to_string(); count].join("\n");
            Post { media: "application/x-ndjson", body: lines, ..post(Value::Null, count) }
        }
        // Of few movies, so that one merge undoes another: a second time it would be answered otherwise.
        4 => {
            let id = random.random_range(0..5);
            let merged = json!({ "title": format!("merged {key}"), "imdb_id": format!("tt000000{id}") });
            Post { merge: true, ..post(merged, 0) }
        }
        _ => Post { path: "/v1/genres", ..post(json!({ "name": format!("genre {key}") }), 0) },
    }
}

impl World {
    /// Sends a write to one marquee or the other, again and again until it is answered 2xx.
    async fn until_answered(&self, random: &mut SmallRng, key: &str, post: &Post) -> Told {
        let client = Client::builder().no_proxy().no_gzip().timeout(Duration::from_secs(90)).build().unwrap();
        loop {
            let replica = self.replicas[random.random_range(0..2)].borrow().clone();
            let mut request = client.post(format!("{replica}{}", post.path)).header(CONTENT_TYPE, post.media);
            if post.merge {
                request = request.header("prefer", "resolution=merge");
            }
            let answer = request.header("idempotency-key", key).body(post.body.clone()).send().await;
            if let Ok(answer) = answer {
                let (status, headers) = (answer.status().as_u16(), told_in(answer.headers()));
                match answer.bytes().await {
                    Ok(body) if status < 300 => return Told(status, headers, body.to_vec()),
                    Ok(body) => assert_eq!(status, 503, "{key}: {}", String::from_utf8_lossy(&body)),
                    // Killed in the middle of its answer.
                    Err(_) => {}
                }
            }
            self.repeats.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(random.random_range(1..20))).await;
        }
    }
}

fn told_in(headers: &HeaderMap) -> BTreeMap<String, String> {
    let told = headers.iter().filter(|(name, _)| *name != "date");
    told.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}
