//! `Idempotency-Key`: a POST that comes again is answered as before and done once.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::kit::{LINES, Reply, create, delete, get, is_well, start, state};
use crate::support::{Marquee, TestDatabase};

const JSON: &str = "application/json";
const REPLAYS: &str = "marquee_idempotent_replays_total";
const KEYS: &str = "SELECT COUNT(*) FROM idempotency_keys";
const MOVIES: &str = "SELECT COUNT(*) FROM movies";

/// A POST as it may come again.
#[derive(Clone)]
struct Post {
    path: &'static str,
    media: &'static str,
    prefer: Option<&'static str>,
    body: String,
}

impl Post {
    fn of(path: &'static str, body: &Value) -> Self {
        Self { path, media: JSON, prefer: None, body: body.to_string() }
    }

    fn movies(body: &Value) -> Self {
        Self::of("/v1/movies", body)
    }

    fn merge(body: &Value) -> Self {
        Self { prefer: Some("resolution=merge"), ..Self::movies(body) }
    }

    async fn send(&self, to: &Marquee, key: &str) -> Reply {
        let mut request = to.request(Method::POST, self.path).header(CONTENT_TYPE, self.media);
        if let Some(prefer) = self.prefer {
            request = request.header("prefer", prefer);
        }
        Reply::to(request.header("idempotency-key", key).body(self.body.clone())).await
    }
}

/// All that a client is told, but when.
fn told(reply: &Reply) -> (u16, BTreeMap<String, String>, Vec<u8>) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "date");
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (reply.status, headers.collect(), reply.body.clone())
}

async fn prepared(db: &TestDatabase, name: &str, value: &str) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env(name, value).start().await;
    marquee.wait_ready().await;
    marquee
}

on_every_database! {
    /// Whatever happened since: to the movies, to the process; on every replica; in both spellings.
    async fn the_first_answer_is_given_again(db) {
        let (mut marquee, other) = (start(&db).await, start(&db).await);
        create(&marquee, json!({ "title": "There", "imdb_id": "tt0000001" })).await;
        let there = json!({ "title": "Merged", "imdb_id": "tt0000001" });
        let new = json!({ "title": "New", "imdb_id": "tt0000002" });
        let lines = Post { media: LINES, ..Post::movies(&json!({ "title": "Line" })) };
        let posts = [
            (Post::movies(&json!({ "title": "One \u{1F3AC}", "genres": ["Drama"], "directors": ["Ann"] })), 201),
            (Post::movies(&json!([{ "title": "a" }, { "title": "b", "genres": ["drama", "War"] }])), 201),
            (lines, 201),
            (Post::movies(&json!([])), 201),
            (Post::merge(&there), 200),
            // The same again under another key changes nothing.
            (Post::merge(&there), 200),
            (Post::merge(&new), 201),
            (Post::merge(&json!([{ "title": "Merged twice", "imdb_id": "tt0000002" }, { "title": "Also" }])), 201),
            (Post::merge(&json!([])), 201),
            (Post::of("/v1/genres", &json!({ "name": "Film-Noir" })), 201),
        ];
        let mut first = Vec::new();
        for (n, (post, status)) in posts.iter().enumerate() {
            first.push(post.send(&marquee, &format!("key {n}")).await.expect(*status));
        }
        // Much has happened since.
        delete(&marquee, first[0].header("location")).await.expect(204);
        create(&marquee, json!({ "title": "Later", "genres": ["film-noir"] })).await;
        Post::merge(&json!({ "title": "Changed", "imdb_id": "tt0000001" })).send(&marquee, "x").await.expect(200);
        let before = state(&marquee).await;
        let keys = db.number(KEYS).await;

        for again in 0..3 {
            for (n, (post, _)) in posts.iter().enumerate() {
                let key = if again == 1 { format!("\"key {n}\"") } else { format!("key {n}") };
                let replica = if again == 1 { &other } else { &marquee };
                assert_eq!(told(&post.send(replica, &key).await), told(&first[n]), "{} {n}", post.body);
            }
            assert_eq!(state(&marquee).await, before);
            assert_eq!(db.number(KEYS).await, keys);
            if again == 1 {
                assert_eq!(other.metrics().await[REPLAYS], posts.len() as f64);
                marquee.kill();
                marquee = start(&db).await;
            }
        }
        is_well(&marquee).await;
    }

    /// One key is for one request: its path, type, resolution and body, byte for byte.
    async fn another_request_under_the_same_key_is_refused(db) {
        let marquee = start(&db).await;
        let first = Post::movies(&json!({ "title": "First" }));
        let made = first.send(&marquee, "k").await.expect(201);
        let before = state(&marquee).await;
        for other in [
            Post { body: r#"{"title":"Other"}"#.to_owned(), ..first.clone() },
            Post { body: format!("{} ", first.body), ..first.clone() },
            Post { media: LINES, ..first.clone() },
            Post { prefer: Some("resolution=merge"), ..first.clone() },
        ] {
            let refused = other.send(&marquee, "k").await;
            refused.problem(422, "idempotency-key-reused");
            assert_eq!(refused.revision(), made.revision());
        }
        // What says the same in other words is the same request.
        let same = Post { media: "application/json; charset=utf-8", prefer: Some("return=representation"), ..first.clone() };
        assert_eq!(told(&same.send(&marquee, "k").await), told(&made));
        assert_eq!(state(&marquee).await, before);
        // Another path has keys of its own, and so has another spelling.
        let genre = Post::of("/v1/genres", &json!({ "name": "First" }));
        assert_eq!(genre.send(&marquee, "k").await.expect(201).revision(), made.revision() + 1);
        assert_eq!(first.send(&marquee, "K").await.expect(201).revision(), made.revision() + 2);
        // Methods that say themselves what may be done twice have none.
        for n in 0..2 {
            let put = marquee.request(Method::PUT, "/v1/movies/1").header("idempotency-key", "k");
            Reply::to(put.json(&json!({ "title": format!("{n}") }))).await.expect(200);
        }
        is_well(&marquee).await;
    }

    /// What failed was not done: it may be tried again, and may then succeed.
    async fn failures_are_not_kept(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "There", "imdb_id": "tt0000001" })).await;
        let taken = Post::movies(&json!({ "title": "Next", "imdb_id": "tt0000001" }));
        for _ in 0..2 {
            taken.send(&marquee, "k").await.problem(409, "duplicate-imdb-id");
        }
        let invalid = Post::movies(&json!({ "title": "Next", "rating": 11 }));
        invalid.send(&marquee, "k").await.problem(422, "invalid-movie");
        assert_eq!(db.number(KEYS).await, 0);
        delete(&marquee, "/v1/movies/1").await.expect(204);
        let made = taken.send(&marquee, "k").await.expect(201);
        assert_eq!(told(&taken.send(&marquee, "k").await), told(&made));

        let genre = Post::of("/v1/genres", &json!({ "name": "Drama" }));
        genre.send(&marquee, "g").await.expect(201);
        genre.send(&marquee, "h").await.problem(409, "duplicate-genre");
        genre.send(&marquee, "g").await.expect(201);
        is_well(&marquee).await;
    }

    /// Clients of two replicas send one request under one key, all at once.
    ///
    /// ```text
    /// A: 6 clients ─▶ one batch, or several ─▶ lock ─▶ done, kept, COMMIT
    /// B: 6 clients ─▶                           lock ───────────────────▶ found: the same answer
    /// ```
    async fn all_at_once_is_done_once(db) {
        let replicas = [start(&db).await, start(&db).await];
        for round in 0..10 {
            let post = Post::movies(&json!([{ "title": format!("{round}") }, { "title": format!("{round}") }]));
            let key = format!("{round}");
            let clients = (0..12).map(|n| post.send(&replicas[n % 2], &key));
            let answers = futures_util::future::join_all(clients).await;
            let made = told(&answers[0]);
            assert_eq!(made.0, 201, "{}", answers[0].text());
            assert!(answers.iter().all(|answer| told(answer) == made));
            assert_eq!(db.number(MOVIES).await, 2 * (round + 1));
            assert_eq!(answers[0].revision(), u64::try_from(round).unwrap() + 1);
        }
        let replays: Vec<f64> = [replicas[0].metrics().await[REPLAYS], replicas[1].metrics().await[REPLAYS]].into();
        assert_eq!(replays.iter().sum::<f64>(), 110.0);
    }

    async fn what_is_not_a_key_is_refused(db) {
        let marquee = start(&db).await;
        let post = Post::movies(&json!({ "title": "No" }));
        let long = "x".repeat(256);
        for bad in ["", "\"\"", "\"open", "\"a\" b", "\"a\";b", &long] {
            post.send(&marquee, bad).await.problem(400, "invalid-header");
        }
        for path in ["/v1/movies", "/v1/genres"] {
            let twice = marquee.request(Method::POST, path).header("idempotency-key", "a");
            let twice = twice.header("idempotency-key", "a").json(&json!({ "title": "No", "name": "No" }));
            Reply::to(twice).await.problem(400, "invalid-header");
        }
        assert_eq!(get(&marquee, "/v1/movies").await.json(), json!([]));
        post.send(&marquee, &long[1..]).await.expect(201);
    }

    /// After its time a key is free again, and what was kept under it goes, also when no key comes any more.
    async fn keys_expire(db) {
        // Not far from the revision at which all is looked through: each one costs a sync of the disk.
        assert!(Marquee::prepare(db.url()).arg("migrate").run().await.0.success());
        db.exec("UPDATE catalogue SET revision = 180").await;
        let marquee = start(&db).await;
        let post = Post::movies(&json!({ "title": "Again" }));
        let first = post.send(&marquee, "k").await.expect(201);
        let kept = db.number("SELECT MIN(expires_at) FROM idempotency_keys").await;
        let day = kept - jiff::Timestamp::now().as_second();
        assert!((86_000..=86_400).contains(&day), "{day}");
        for n in 0..60 {
            post.send(&marquee, &format!("{n}")).await.expect(201);
        }
        // The first one is the last to expire, so that others are removed before it.
        db.exec("UPDATE idempotency_keys SET expires_at = 1000000000 - position").await;
        // Not done as the same, and kept anew. Some of the others go with it, the rest with the next.
        let second = post.send(&marquee, "k").await.expect(201);
        assert_ne!(told(&first), told(&second));
        assert_eq!(told(&post.send(&marquee, "k").await), told(&second));
        assert!((2..60).contains(&db.number(KEYS).await));
        post.send(&marquee, "l").await.expect(201);
        assert_eq!(db.number(KEYS).await, 2);
        // Another request may have it as well.
        db.exec("UPDATE idempotency_keys SET expires_at = 1").await;
        let other = Post::movies(&json!({ "title": "Other" }));
        other.send(&marquee, "k").await.expect(201);
        db.exec("UPDATE idempotency_keys SET expires_at = 1").await;
        let mut revision = 0;
        while revision % 256 != 0 || revision == 0 {
            revision = create(&marquee, json!({ "title": "Without" })).await.revision();
        }
        assert_eq!(db.number(KEYS).await, 0);
    }

    /// A long answer is kept in parts, and given again whole.
    async fn a_long_answer_is_kept_whole(db) {
        let patient = || prepared(&db, "MARQUEE_REQUEST_TIMEOUT_MS", "60000");
        let mut marquee = patient().await;
        // One word each: it is the length of the answer that counts here.
        let letter = || char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[rand::random_range(0..62)]);
        let word = || (0..500).map(|_| letter()).collect::<String>();
        let movies: Vec<Value> = (0..10_000).map(|_| json!({ "title": word() })).collect();
        let post = Post::movies(&json!(movies));
        let first = post.send(&marquee, "long").await.expect(201);
        assert!(first.body.len() > 6 << 20);
        assert!(db.number(KEYS).await > 3, "{}", db.number(KEYS).await);
        assert_eq!(told(&post.send(&marquee, "long").await), told(&first));
        marquee.kill();
        let marquee = patient().await;
        assert!(told(&post.send(&marquee, "long").await) == told(&first));
        assert_eq!(db.number(MOVIES).await, 10_000);
        // Its parts go together.
        db.exec("UPDATE idempotency_keys SET expires_at = 1").await;
        let short = Post::movies(&json!({ "title": "short" }));
        let made = short.send(&marquee, "long").await.expect(201);
        assert_eq!(told(&short.send(&marquee, "long").await), told(&made));
        assert_eq!(db.number(KEYS).await, 1);
    }

    /// What is kept is bounded. A key that has no room is refused: forgetting another one before its time would
    /// let a write be done twice.
    async fn keys_without_room_are_refused(db) {
        let marquee = prepared(&db, "MARQUEE_IDEMPOTENCY_BYTES", "4KiB").await;
        let post = Post::movies(&json!({ "title": "Again" }));
        let first = post.send(&marquee, "0").await.expect(201);
        let mut sent = 1;
        let refused = loop {
            let answer = post.send(&marquee, &format!("{sent}")).await;
            if answer.status != 201 {
                break answer;
            }
            sent += 1;
            assert!(sent < 20, "there is always room");
        };
        refused.problem(503, "not-executed");
        assert!(sent > 5, "{sent}");
        assert_eq!(db.number(MOVIES).await, sent);
        // What is known is answered, and who has no key is served.
        assert_eq!(told(&post.send(&marquee, "0").await), told(&first));
        create(&marquee, json!({ "title": "Without" })).await;
        // Room comes with time.
        db.exec("UPDATE idempotency_keys SET expires_at = 1").await;
        post.send(&marquee, "new").await.expect(201);
        is_well(&marquee).await;
    }
}

/// A key is compared with what is in the same batch as well as with what is kept: many clients of one replica.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_with_few_keys_is_served_once_each() {
    let db = TestDatabase::sqlite().await;
    let marquee = start(&db).await;
    let clients = (0..200).map(|n| {
        let title = format!("{}", n % 7);
        let marquee = &marquee;
        async move { Post::movies(&json!({ "title": title })).send(marquee, &title).await.expect(201) }
    });
    let answers = futures_util::future::join_all(clients).await;
    let distinct: std::collections::BTreeSet<_> = answers.iter().map(told).collect();
    assert_eq!((distinct.len(), db.number(MOVIES).await), (7, 7));
    let metrics = marquee.metrics().await;
    assert!(metrics["marquee_batch_commands_bucket{le=\"1.0\"}"] < 200.0, "none of them met");
    // Nor does a batch run into what it keeps itself.
    assert_eq!((metrics[REPLAYS], metrics["marquee_write_retries_total"]), (193.0, 0.0));
}
