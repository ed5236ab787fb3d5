//! Clients that write and read by any replica, and send back the newest revision that they know of: each sees all that
//! it wrote and was told of, wherever it asks.
//!
//! Checked at each answer: it is no older than was asked for, and a movie that its client alone changes is as that
//! client left it, gone where it was deleted. Checked at the end, from the receipts: each revision that
//! anybody was shown has just the movies that the writes up to it make, no id was given twice or left out, and what
//! was refused is nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::{replicas, revision, whole};

const CLIENTS: usize = 6;
/// Answers that are checked, at least; and writes that another node's overtook.
const OPERATIONS: u64 = 6000;
const OVERTAKEN: f64 = 50.0;
/// Movies that a client keeps, so that the collection stays small.
const KEPT: usize = 10;

/// The movies of a moment: id to title.
type Movies = BTreeMap<u64, String>;

struct World {
    urls: Vec<String>,
    client: Client,
    /// What each revision wrote: `None` is a movie that it deleted.
    written: Mutex<BTreeMap<u64, BTreeMap<u64, Option<String>>>>,
    shown: Mutex<BTreeMap<u64, Movies>>,
    created: Mutex<BTreeSet<u64>>,
    refused: Mutex<BTreeSet<String>>,
    operations: AtomicU64,
    /// The newest revision that somebody was told of, and told the others.
    told: AtomicU64,
    over: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: tests/galera/run"]
async fn reads_follow_writes_across_nodes() {
    let cluster = Cluster::start().await;
    let marquees = replicas(&cluster).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let world = Arc::new(World {
        urls: marquees.iter().map(|marquee| marquee.url("/v1/movies")).collect(),
        client: marquees[0].client().clone(),
        written: Mutex::default(),
        shown: Mutex::default(),
        created: Mutex::default(),
        refused: Mutex::default(),
        operations: AtomicU64::new(0),
        told: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let mut random = SmallRng::seed_from_u64(seed);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(work(Arc::clone(&world), n, SmallRng::seed_from_u64(random.random()))))
        .collect();
    let overtaken = loop {
        assert!(clients.iter().all(|client| !client.is_finished()), "a client met a surprise");
        let mut overtaken = 0.0;
        for marquee in &marquees {
            overtaken += marquee.metrics().await["marquee_write_retries_total"];
        }
        if world.operations.load(Ordering::SeqCst) >= OPERATIONS && overtaken >= OVERTAKEN {
            break overtaken;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    world.over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let compared = against_the_model(&world);
    whole(&cluster).await;
    for marquee in &marquees {
        assert!(!marquee.log().contains("ERROR"), "{}", marquee.log());
    }
    println!(
        "{} operations, {} writes, {overtaken} overtaken, {} refused, {compared} revisions compared",
        world.operations.load(Ordering::SeqCst),
        world.written.lock().unwrap().values().map(BTreeMap::len).sum::<usize>(),
        world.refused.lock().unwrap().len(),
    );
}

/// One client: it alone changes the movies that it makes.
async fn work(world: Arc<World>, client: usize, mut random: SmallRng) {
    let mut mine = Movies::new();
    let mut gone = Vec::new();
    // The newest revision that it knows of.
    let mut known = 0;
    for n in 0.. {
        if world.over.load(Ordering::SeqCst) {
            return;
        }
        // By way of another client, now and then.
        if random.random_range(0..4) == 0 {
            known = known.max(world.told.load(Ordering::SeqCst));
        }
        let url = &world.urls[random.random_range(0..3)];
        let any = mine.keys().copied().nth(random.random_range(0..KEPT));
        match (random.random_range(0..10), any) {
            (0..4, Some(id)) => {
                let answer = read(&world, &format!("{url}/{id}"), known).await;
                known = revision(&answer);
                assert_eq!(answer.status(), 200, "{id} from {known} on");
                assert_eq!(answer.json::<Value>().await.unwrap()["title"], mine[&id], "{id} from {known} on");
            }
            (4, _) if !gone.is_empty() => {
                let id = gone[random.random_range(0..gone.len())];
                let answer = read(&world, &format!("{url}/{id}"), known).await;
                known = revision(&answer);
                assert_eq!(answer.status(), 404, "{id} from {known} on");
            }
            (5..7, _) => {
                let answer = read(&world, url, known).await;
                known = revision(&answer);
                let all = movies(answer).await;
                for (id, title) in &mine {
                    assert_eq!(all.get(id), Some(title), "{id} at {known}");
                }
                let mut shown = world.shown.lock().unwrap();
                assert_eq!(shown.entry(known).or_insert_with(|| all.clone()), &all, "two moments of {known}");
            }
            (7, Some(id)) => {
                let title = format!("{client}-{n} again");
                let change = json!({ "title": title });
                let request = world.client.patch(format!("{url}/{id}")).json(&change);
                if let Some(answer) = write(&world, request, &title).await {
                    assert_eq!(answer.status(), 200, "{id} from {known} on");
                    known = world.wrote(revision(&answer), id, Some(title.clone()));
                    mine.insert(id, title);
                }
            }
            (8, Some(id)) if mine.len() >= KEPT => {
                let request = world.client.request(Method::DELETE, format!("{url}/{id}"));
                if let Some(answer) = write(&world, request, "").await {
                    assert_eq!(answer.status(), 204, "{id} from {known} on");
                    known = world.wrote(revision(&answer), id, None);
                    mine.remove(&id);
                    gone.push(id);
                }
            }
            _ if mine.len() < KEPT => {
                let title = format!("{client}-{n}");
                let movie = json!({ "title": title, "genres": ["Drama", format!("Genre {client}")] });
                if let Some(answer) = write(&world, world.client.post(url).json(&movie), &title).await {
                    assert_eq!(answer.status(), 201);
                    let made = revision(&answer);
                    let id = answer.json::<Value>().await.unwrap()["id"].as_u64().unwrap();
                    assert!(world.created.lock().unwrap().insert(id), "the id {id} was given twice");
                    known = world.wrote(made, id, Some(title.clone()));
                    mine.insert(id, title);
                }
            }
            _ => continue,
        }
        world.operations.fetch_add(1, Ordering::SeqCst);
        world.told.fetch_max(known, Ordering::SeqCst);
    }
}

/// Reads from a revision on.
async fn read(world: &World, url: &str, least: u64) -> Response {
    let answer = world.client.get(url).header("marquee-min-revision", least).send().await.unwrap();
    assert!([200, 404].contains(&answer.status().as_u16()), "{}", answer.status());
    assert!(revision(&answer) >= least, "revision {} where {least} was asked for", revision(&answer));
    answer
}

/// Sends a write. `None` where it was not executed, since others came first for too long: then nobody may see it.
async fn write(world: &World, request: RequestBuilder, title: &str) -> Option<Response> {
    let answer = request.send().await.unwrap();
    if answer.status() != 503 {
        return Some(answer);
    }
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/not-executed", "{problem}");
    world.refused.lock().unwrap().insert(title.to_owned());
    None
}

async fn movies(answer: Response) -> Movies {
    let movies: Vec<Value> = answer.json().await.unwrap();
    let pair = |movie: &Value| (movie["id"].as_u64().unwrap(), movie["title"].as_str().unwrap().to_owned());
    movies.iter().map(pair).collect()
}

impl World {
    /// Notes a receipt; its revision.
    fn wrote(&self, revision: u64, id: u64, title: Option<String>) -> u64 {
        let mut written = self.written.lock().unwrap();
        assert!(written.entry(revision).or_default().insert(id, title).is_none(), "{id} twice in {revision}");
        revision
    }
}

/// Replays the receipts, and holds what was shown against them. How many revisions were compared.
fn against_the_model(world: &World) -> usize {
    let (written, shown) = (world.written.lock().unwrap(), world.shown.lock().unwrap());
    let refused = world.refused.lock().unwrap();
    let mut movies = Movies::new();
    for revision in 1..=*written.keys().max().unwrap() {
        let changes = written.get(&revision).unwrap_or_else(|| panic!("nobody made revision {revision}"));
        for (id, title) in changes {
            match title {
                Some(title) => movies.insert(*id, title.clone()),
                None => movies.remove(id),
            };
        }
        assert!(shown.get(&revision).is_none_or(|shown| *shown == movies), "revision {revision}");
        assert!(movies.values().all(|title| !refused.contains(title)), "refused, and done");
    }
    let created = world.created.lock().unwrap();
    assert!(created.iter().copied().eq(1..=created.len() as u64), "ids are dense");
    shown.len()
}
