//! Readers beside writers, two marquees on one database, every answer held against a model.
//!
//! ```text
//! writers ──▶ marquee A ─┐                ┌─ every answer: which revision, which bytes, which movies
//! writers ──▶ marquee B ─┴─▶ database     │  every receipt: which revision made or removed which movies
//! readers ──▶ A, B ───────────────────────┘
//! ```
//!
//! Checked while it runs:
//! - *fresh:* an answer is no older than what its marquee acknowledged before the request was sent, and the
//!   revisions that one client sees on one marquee never go back; the other marquee has a write soon
//! - *one moment:* one revision has the same bytes and the same tag, always, on both marquees
//!
//! and at the end, from the receipts: the movies of every revision that anybody was shown are exactly those
//! that the writes up to it make, so neither half of a write nor a mix of two moments was ever sent.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise, and tell what they did"
)]

#[macro_use]
mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use support::{Marquee, TestDatabase};

/// At least, on each of the three databases: 150,000 together.
const OPERATIONS: u64 = 50_000;
/// At least: on a slow disk the readers have done theirs long before.
const WRITES: u64 = 150;
/// More than so many revisions must be shown, and so many tags be still known, or hardly anything met.
const REVISIONS: u64 = WRITES / 4;
const NOT_MODIFIED: u64 = 1000;
const READERS: usize = 6;
const WRITERS: usize = 2;
/// Pairs that a writer leaves in the collection, so that it stays small.
const KEPT: usize = 8;
/// A few polls (100 ms), on a machine that does other things too.
const SOON: Duration = Duration::from_secs(60);

/// What one marquee acknowledged: the revision of its newest receipt.
struct Replica {
    url: String,
    acknowledged: AtomicU64,
}

/// What was shown of one revision.
struct Shown {
    tag: String,
    bytes: bytes::Bytes,
    titles: BTreeMap<u64, String>,
}

/// What the receipts say.
#[derive(Default)]
struct Receipts {
    /// By revision: movies that it made.
    made: BTreeMap<u64, Vec<(u64, String)>>,
    /// By revision: movies that it removed.
    removed: BTreeMap<u64, Vec<u64>>,
}

struct World {
    replicas: [Replica; 2],
    shown: Mutex<HashMap<u64, Shown>>,
    receipts: Mutex<Receipts>,
    operations: AtomicU64,
    writes: AtomicU64,
    not_modified: AtomicU64,
    done: AtomicBool,
}

#[derive(Deserialize)]
struct Movie {
    id: u64,
    title: String,
}

on_every_database! {
    async fn two_marquees(db) {
        let marquees = [start(&db).await, start(&db).await];
        let replica = |marquee: &Marquee| Replica { url: marquee.url("/v1/movies"), acknowledged: AtomicU64::new(0) };
        let world = Arc::new(World {
            replicas: [replica(&marquees[0]), replica(&marquees[1])],
            shown: Mutex::default(),
            receipts: Mutex::default(),
            operations: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            not_modified: AtomicU64::new(0),
            done: AtomicBool::new(false),
        });
        let writers = (0..WRITERS * 2).map(|n| tokio::spawn(write(Arc::clone(&world), n)));
        let readers = (0..READERS).map(|n| tokio::spawn(read(Arc::clone(&world), n)));
        let began = Instant::now();
        for client in writers.chain(readers).collect::<Vec<_>>() {
            // A surprise in one of them ends the others.
            if let Err(surprise) = client.await {
                world.done.store(true, Ordering::SeqCst);
                std::panic::resume_unwind(surprise.into_panic());
            }
        }
        let revisions = against_the_model(&world);
        let (operations, writes, not_modified) = (
            world.operations.load(Ordering::SeqCst),
            world.writes.load(Ordering::SeqCst),
            world.not_modified.load(Ordering::SeqCst),
        );
        println!(
            "{operations} operations ({writes} writes, {not_modified} not modified) in {:?}; {revisions} revisions held against the model",
            began.elapsed()
        );
        assert!(operations >= OPERATIONS);
        assert!(revisions > REVISIONS && not_modified > NOT_MODIFIED, "hardly anything met");
    }
}

async fn start(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    marquee
}

fn client() -> Client {
    Client::builder().no_proxy().no_gzip().timeout(Duration::from_secs(90)).build().unwrap()
}

fn revision(answer: &Response) -> u64 {
    answer.headers()["marquee-revision"].to_str().unwrap().parse().unwrap()
}

impl World {
    /// Counts one; false once there were enough, and enough of them met.
    fn another(&self) -> bool {
        let operations = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        let enough = operations >= OPERATIONS
            && self.writes.load(Ordering::SeqCst) >= WRITES
            && self.not_modified.load(Ordering::SeqCst) > NOT_MODIFIED
            && self.shown.lock().unwrap().len() as u64 > REVISIONS;
        !enough && !self.done.load(Ordering::SeqCst)
    }

    /// Views the whole collection and holds it against all that was shown before. Its revision.
    async fn view(&self, client: &Client, replica: usize, at_least: u64) -> u64 {
        let replica = &self.replicas[replica];
        let at_least = at_least.max(replica.acknowledged.load(Ordering::SeqCst));
        let answer = client.get(&replica.url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let revision = revision(&answer);
        assert!(revision >= at_least, "revision {revision} after {at_least}");
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let total: usize = answer.headers()["x-total-count"].to_str().unwrap().parse().unwrap();
        let bytes = answer.bytes().await.unwrap();
        if let Some(shown) = self.shown.lock().unwrap().get(&revision) {
            assert_eq!(shown.tag, tag, "revision {revision} has two tags");
            assert_eq!(shown.bytes, bytes, "revision {revision} has two bodies");
            return revision;
        }
        let movies: Vec<Movie> = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(movies.len(), total);
        assert!(movies.is_sorted_by(|a, b| a.id < b.id));
        let titles = movies.into_iter().map(|movie| (movie.id, movie.title)).collect();
        let mut all = self.shown.lock().unwrap();
        let shown = all.entry(revision).or_insert_with(|| Shown { tag, bytes: bytes.clone(), titles });
        assert_eq!(shown.bytes, bytes, "revision {revision} has two bodies");
        revision
    }

    async fn acknowledge(&self, replica: usize, revision: u64) {
        self.replicas[replica].acknowledged.fetch_max(revision, Ordering::SeqCst);
        self.writes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Makes pairs, and removes old ones movie by movie; after each, looks whether it shows.
async fn write(world: Arc<World>, number: usize) {
    let client = client();
    let here = number % 2;
    let url = world.replicas[here].url.clone();
    let mut pairs = std::collections::VecDeque::<Vec<u64>>::new();
    for n in 0.. {
        if !world.another() {
            return;
        }
        let title = format!("{number}-{n}");
        let pair = json!([
            {"title": title, "genres": ["Drama"], "directors": [title]},
            {"title": title, "genres": ["Drama", "War"]},
        ]);
        let answer = client.post(&url).json(&pair).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let made = revision(&answer);
        world.acknowledge(here, made).await;
        let movies: Vec<Movie> = answer.json().await.unwrap();
        let ids: Vec<u64> = movies.iter().map(|movie| movie.id).collect();
        let named = ids.iter().map(|id| (*id, title.clone()));
        world.receipts.lock().unwrap().made.entry(made).or_default().extend(named);

        // At once where it was acknowledged; elsewhere soon.
        world.another();
        world.view(&client, here, made).await;
        world.another();
        let one = client.get(format!("{url}/{}", ids[1])).send().await.unwrap();
        assert_eq!(one.status(), 200);
        assert!(revision(&one) >= made);
        assert_eq!(one.json::<Movie>().await.unwrap().title, title);
        if n % 5 == 0 {
            let since = Instant::now();
            while world.view(&client, 1 - here, 0).await < made {
                world.another();
                assert!(since.elapsed() < SOON, "revision {made} does not come to the other marquee");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        pairs.push_back(ids);
        if pairs.len() > KEPT {
            for id in pairs.pop_front().unwrap() {
                world.another();
                let path = format!("{url}/{id}");
                let answer = client.request(Method::DELETE, &path).send().await.unwrap();
                assert_eq!(answer.status(), 204);
                let removed = revision(&answer);
                world.acknowledge(here, removed).await;
                world.receipts.lock().unwrap().removed.entry(removed).or_default().push(id);
                world.another();
                let gone = client.get(&path).send().await.unwrap();
                assert_eq!(gone.status(), 404);
                assert!(revision(&gone) >= removed);
            }
        }
    }
}

/// Views the collection on both marquees, now whole, now only if it changed, now one movie of it.
async fn read(world: Arc<World>, number: usize) {
    let client = client();
    let mut seen = [0; 2];
    for n in number.. {
        if !world.another() {
            return;
        }
        let here = rand::random_range(0..2);
        let url = &world.replicas[here].url;
        let acknowledged = world.replicas[here].acknowledged.load(Ordering::SeqCst);
        let at_least = acknowledged.max(seen[here]);
        seen[here] = match n % 4 {
            0 | 1 => world.view(&client, here, at_least).await,
            2 => {
                let tag = world.shown.lock().unwrap().get(&seen[here]).map(|shown| shown.tag.clone());
                let asked = client.get(url).header("if-none-match", tag.as_deref().unwrap_or("\"none\""));
                let answer = asked.send().await.unwrap();
                let revision = revision(&answer);
                assert!(revision >= at_least, "revision {revision} after {at_least}");
                if answer.status() == StatusCode::NOT_MODIFIED {
                    // The tag is of that revision alone.
                    assert_eq!(revision, seen[here]);
                    world.not_modified.fetch_add(1, Ordering::SeqCst);
                } else {
                    assert_eq!(answer.status(), 200);
                    assert!(revision != seen[here] || tag.is_none(), "its own tag is not known");
                    answer.bytes().await.unwrap();
                }
                revision
            }
            _ => {
                let id = {
                    let shown = world.shown.lock().unwrap();
                    shown.get(&seen[here]).and_then(|shown| shown.titles.keys().next_back().copied())
                };
                let answer = client.get(format!("{url}/{}", id.unwrap_or(1))).send().await.unwrap();
                let revision = revision(&answer);
                assert!(revision >= at_least, "revision {revision} after {at_least}");
                if answer.status() == StatusCode::OK {
                    assert_eq!(answer.json::<Movie>().await.unwrap().id, id.unwrap_or(1));
                } else {
                    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
                }
                revision
            }
        };
    }
}

/// The movies of each revision that was shown are those that the writes up to it make. How many were held
/// against it.
fn against_the_model(world: &World) -> u64 {
    let receipts = world.receipts.lock().unwrap();
    let shown = world.shown.lock().unwrap();
    let mut movies = BTreeMap::<u64, &str>::new();
    let last = shown.keys().max().copied().unwrap_or_default();
    let revisions: BTreeSet<u64> = receipts.made.keys().chain(receipts.removed.keys()).copied().collect();
    let mut compared = 0;
    for revision in 0..=last {
        assert!(revision == 0 || revisions.contains(&revision), "nobody made revision {revision}");
        for (id, title) in receipts.made.get(&revision).into_iter().flatten() {
            assert!(movies.insert(*id, title).is_none(), "the id {id} was given twice");
        }
        for id in receipts.removed.get(&revision).into_iter().flatten() {
            assert!(movies.remove(id).is_some());
        }
        if let Some(shown) = shown.get(&revision) {
            let shown: BTreeMap<u64, &str> =
                shown.titles.iter().map(|(id, title)| (*id, title.as_str())).collect();
            assert_eq!(shown, movies, "revision {revision}");
            compared += 1;
        }
    }
    compared
}
