//! Many writes in one transaction, some of which fail.
//!
//! ```text
//! outside        locks the catalogue row (SQLite: the file)
//! client 0       its write waits for the lock, alone in the first batch
//! clients 1…64   their writes wait in the mailbox: exactly the second batch
//! outside        lets go
//! ```
//!
//! A write that must fail fails alone. One that the database refuses spoils its transaction, which is
//! rolled back and run again without it. What fails altogether leaves no trace, not even a revision.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use mysql_async::prelude::Queryable;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use support::{Engine, Marquee, Proxy, TestDatabase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
const MANY: usize = 64;

on_every_database! {
    /// Two of 64 want one imdb_id.
    async fn a_duplicate_fails_alone(db) {
        let marquee = start(&db).await;
        let before = marquee.metrics().await;
        let writes = (0..MANY).map(|n| {
            let imdb_id = format!("tt{:07}", if n == 40 { 7 } else { n });
            create(&marquee, &json!({"title": format!("{n}"), "imdb_id": imdb_id, "genres": ["Drama"]}))
        });
        let answers = in_one_batch(&db, &marquee, writes.collect()).await;
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!((refused[0].status, refused[0].told()), (409, "/problems/duplicate-imdb-id"));
        // They were one batch indeed: one revision for all of them.
        let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert!(made.iter().all(|answer| answer.revision == made[0].revision));
        assert_eq!(marquee.metrics().await["marquee_commits_total"] - before["marquee_commits_total"], 2.0);
        consistent(&db, &marquee, MANY as i64).await;
        assert_eq!(db.number("SELECT movies FROM genres").await, MANY as i64 - 1);
    }

    /// The database itself refuses one of 64.
    async fn a_write_that_the_database_refuses_fails_alone(db) {
        let marquee = start(&db).await;
        refuse_poison(&db).await;
        let writes = (0..MANY).map(|n| {
            let title = if n == 21 { "poison".to_owned() } else { format!("{n}") };
            create(&marquee, &json!({"title": title, "genres": [format!("G{n}")]}))
        });
        let answers = in_one_batch(&db, &marquee, writes.collect()).await;
        for (n, answer) in answers.iter().enumerate() {
            if n == 21 {
                assert_eq!((answer.status, answer.told()), (500, "/problems/internal"));
            } else {
                assert_eq!((answer.status, answer.told()), (201, n.to_string().as_str()));
            }
        }
        assert!(marquee.metrics().await["marquee_write_retries_total"] >= 1.0);
        consistent(&db, &marquee, MANY as i64).await;
        assert_eq!(db.number("SELECT COUNT(*) FROM genres WHERE name = 'G21'").await, 0);
    }

    /// Failures alone: no revision, no new tag, nothing written; by decision, and by roll-back.
    async fn what_fails_altogether_leaves_no_trace(db) {
        let marquee = start(&db).await;
        refuse_poison(&db).await;
        let kept = json!({"title": "kept", "imdb_id": "tt0000001"});
        assert_eq!(create(&marquee, &kept).send().await.unwrap().status(), 201);
        for (movie, status) in [
            (kept, 409),
            (json!({"title": "poison", "genres": ["New"], "directors": ["Newer"]}), 500),
        ] {
            let (tag, body) = view(&marquee).await;
            let state = state(&db).await;
            let before = marquee.metrics().await;
            let held = Hold::of(&db).await;
            let asked = write_queries(&marquee).await;
            let writes: Vec<_> = (0..8).map(|_| spawn(create(&marquee, &movie))).collect();
            // The writer has begun, and waits for the lock: not one is answered.
            wait_for_queries(&marquee, asked).await;
            assert!(writes.iter().all(|write| !write.is_finished()));
            held.release().await;
            for write in writes {
                assert_eq!(write.await.unwrap().status, status);
            }
            assert_eq!(view(&marquee).await, (tag.clone(), body));
            let known = marquee.request(Method::GET, "/v1/movies").header("if-none-match", &tag);
            assert_eq!(known.send().await.unwrap().status(), 304);
            let after = marquee.metrics().await;
            for counter in ["marquee_commits_total", "marquee_revision"] {
                assert_eq!(after[counter], before[counter], "{counter}");
            }
            assert_eq!(self::state(&db).await, state);
        }
        // Ids are not used up by what was rolled back.
        let next: Value =
            create(&marquee, &json!({"title": "next"})).send().await.unwrap().json().await.unwrap();
        assert_eq!(next["id"], 2);
    }

    /// 256 deletes in 256 segments: no transaction touches more of them than it may.
    async fn deletes_in_many_segments(db) {
        let marquee = start(&db).await;
        // One movie in each segment: ids are taken from the catalogue row, whatever it says.
        for n in 0..256 {
            db.exec(&format!("UPDATE catalogue SET next_movie_id = {}", (n << 8) + 5)).await;
            assert_eq!(create(&marquee, &json!({"title": "x"})).send().await.unwrap().status(), 201);
        }
        assert_eq!(db.number("SELECT COUNT(*) FROM segments").await, 256);
        let before = marquee.metrics().await;
        let deletes = (0..256).map(|n| {
            marquee.request(Method::DELETE, &format!("/v1/movies/{}", (n << 8) + 5))
        });
        let answers = in_one_batch(&db, &marquee, deletes.collect()).await;
        assert!(answers.iter().all(|answer| answer.status == 204), "{answers:?}");
        consistent(&db, &marquee, 1).await;
        // All 256 waited together, and were cut into transactions of 64 segments.
        let mut sizes = BTreeMap::<u64, usize>::new();
        for answer in &answers {
            *sizes.entry(answer.revision).or_default() += 1;
        }
        assert!(sizes.values().all(|size| *size <= 64), "{sizes:?}");
        assert!(sizes.len() < 16, "{sizes:?}");
        let after = marquee.metrics().await;
        let encoded = after["marquee_segments_encoded_total"] - before["marquee_segments_encoded_total"];
        assert!((257.0..=260.0).contains(&encoded), "{encoded}");
    }

    /// As many movies as one request may bring.
    async fn a_huge_array(db) {
        let marquee = start(&db).await;
        let movies: Vec<Value> = (0..10_000)
            .map(|n| json!({"title": format!("{n}"), "genres": [format!("G{}", n % 20)], "directors": [format!("D{}", n % 700)]}))
            .collect();
        let created = create(&marquee, &json!(movies)).send().await.unwrap();
        assert_eq!(created.status(), 201);
        let created: Vec<Value> = created.json().await.unwrap();
        assert_eq!(created.len(), 10_000);
        assert!(created.iter().enumerate().all(|(n, movie)| movie["id"] == n + 1 && movie["title"] == json!(n.to_string())));
        assert_eq!(db.number("SELECT revision FROM catalogue").await, 1);
        consistent(&db, &marquee, 10_000).await;
        assert_eq!(db.number("SELECT COUNT(*) FROM genres g WHERE g.movies <> 500").await, 0);
    }

    /// What a full mailbox refuses is told alike before there is a router and behind it, where a request with an id goes,
    /// and its connection goes on.
    async fn a_refusal_is_one_on_both_ways(db) {
        let settings = [("MARQUEE_MAILBOX", "1"), ("MARQUEE_BATCH", "1"), ("MARQUEE_BODY_LIMIT", "1KiB")];
        let marquee = start_on(db.url(), &settings).await;
        let held = Hold::of(&db).await;
        let asked = write_queries(&marquee).await;
        let with_the_writer = spawn(create(&marquee, &json!({"title": "first"})));
        wait_for_queries(&marquee, asked).await;
        let waiting = spawn(create(&marquee, &json!({"title": "second"})));
        wait_for_commands(&marquee, 1.0).await;
        let before = marquee.metrics().await;

        let movie = json!({"title": "third"});
        let hot = told(create(&marquee, &movie)).await;
        assert_eq!((hot.0, &*hot.1["retry-after"], &hot.2["type"]), (503, "1", &json!("/problems/not-executed")));
        let mut other = told(create(&marquee, &movie).header("x-request-id", "known")).await;
        assert_eq!(other.1.remove("x-request-id").as_deref(), Some("known"));
        assert_eq!(hot, other);
        // Nothing is made of what it brings, but that it must not be too long, and be from one who may write.
        assert_eq!(told(create(&marquee, &json!({"title": 7}))).await, hot);
        assert_eq!(told(create(&marquee, &json!({"title": "x".repeat(1024)}))).await.0, 413);
        assert_eq!(told(create(&marquee, &movie).header("host", "elsewhere.example")).await.0, 403);
        // What is wrong with its head is told first, on both ways.
        let bare = marquee.request(Method::POST, "/v1/movies").body(movie.to_string());
        let wrong = || bare.try_clone().unwrap();
        for (request, status) in [
            (wrong(), 415),
            (wrong().header("x-request-id", "known"), 415),
            (create(&marquee, &movie).header("idempotency-key", ""), 400),
            (create(&marquee, &movie).header("idempotency-key", "").header("x-request-id", "known"), 400),
            (create(&marquee, &movie).header("idempotency-key", "good"), 503),
        ] {
            assert_eq!(told(request).await.0, status);
        }
        // On one connection: bodies that come with their heads, one and several in one packet, and later than their heads.
        let mut stream = tokio::net::TcpStream::connect(marquee.address()).await.unwrap();
        let (head, body) = (
            "POST /v1/movies HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n",
            "{\"title\":\"a\"}",
        );
        let whole = format!("{head}{body}");
        for (first, rest, answers) in [(&*whole, "", 1), (&whole.repeat(3), "", 3), (head, body, 1), (head, body, 1), (&whole, "", 1)] {
            stream.write_all(first.as_bytes()).await.unwrap();
            if !rest.is_empty() {
                let early = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
                assert!(early.is_err(), "{early:?}");
                stream.write_all(rest.as_bytes()).await.unwrap();
            }
            let mut said = Vec::new();
            while said.iter().filter(|byte| **byte == b'}').count() < answers {
                assert!(stream.read_buf(&mut said).await.unwrap() > 0, "closed");
            }
            let said = String::from_utf8(said).unwrap();
            assert_eq!((said.matches("HTTP/1.1 503 ").count(), said.matches("HTTP/").count()), (answers, answers), "{said}");
        }
        let after = marquee.metrics().await;
        let counted = |name: &str| after[name] - before.get(name).copied().unwrap_or_default();
        assert_eq!(counted("marquee_mailbox_refusals_total"), 11.0);
        let of = |status| format!("marquee_http_request_duration_seconds_count{{route=\"/v1/movies\",method=\"POST\",status=\"{status}\"}}");
        assert_eq!([503, 415, 413, 403, 400].map(|status| counted(&of(status))), [11.0, 2.0, 1.0, 1.0, 2.0]);

        held.release().await;
        for write in [with_the_writer, waiting] {
            assert_eq!(write.await.unwrap().status, 201);
        }
        consistent(&db, &marquee, 2).await;
    }
}

/// More bytes than may wait: refused at once and safely, while what waits is done in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_mailbox() {
    let db = TestDatabase::mysql().await;
    // A wire that stalls holds the writer for as long as a request may take; a lock would be given up after 8 s.
    let wire = Proxy::to(db.address().await).await;
    let settings = [("MARQUEE_MAILBOX_BYTES", "24MiB"), ("MARQUEE_REQUEST_TIMEOUT_MS", "300000")];
    let marquee = start_on(&db.url_through(wire.address()), &settings).await;
    // 7 MB of titles that take 4 bytes a letter.
    let movies: Vec<Value> = (0..3_500).map(|n| json!({"title": "𝄞".repeat(500) + &n.to_string()})).collect();
    let body: bytes::Bytes = serde_json::to_vec(&movies).unwrap().into();
    assert!(body.len() > 7_000_000 && body.len() < 8 << 20, "{}", body.len());
    wire.stall();
    let held = async || marquee.metrics().await["marquee_mailbox_bytes"];
    let (mut waiting, mut refused) = (Vec::new(), 0);
    for _ in 0..30 {
        let before = held().await;
        let request = marquee.request(Method::POST, "/v1/movies").header("content-type", "application/json");
        let mut write = tokio::spawn(request.body(body.clone()).send());
        let began = Instant::now();
        loop {
            if write.is_finished() {
                let answer = (&mut write).await.unwrap().unwrap();
                assert_eq!(answer.status(), 503);
                assert!(answer.headers().contains_key("retry-after"));
                assert_eq!(answer.json::<Value>().await.unwrap()["type"], "/problems/not-executed");
                refused += 1;
                break;
            }
            // Or it waits, with the writer, whose first query is held, or for it: it takes room until it is answered.
            if held().await > before {
                waiting.push(write);
                break;
            }
            assert!(began.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if waiting.len() >= 2 && refused >= 20 {
            break;
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", marquee.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    // All the bodies together are over 200 MB even before they are parsed.
    assert!(peak < 185 << 10, "{peak} kB");
    assert!(!waiting.is_empty() && waiting.len() <= 3, "{}", waiting.len());
    assert!(refused >= 20, "{refused}");
    wire.pass();
    let accepted = waiting.len();
    for write in waiting {
        assert_eq!(write.await.unwrap().unwrap().status(), 201);
    }
    assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, accepted as i64 * 3_500);
    // There is room again.
    assert_eq!(create(&marquee, &json!({"title": "one"})).send().await.unwrap().status(), 201);
}

#[derive(Debug)]
struct Answer {
    status: u16,
    revision: u64,
    body: Value,
}

impl Answer {
    /// The title, or the type of the problem.
    fn told(&self) -> &str {
        self.body["title"].as_str().filter(|_| self.status < 300).or(self.body["type"].as_str()).unwrap()
    }
}

async fn start(db: &TestDatabase) -> Marquee {
    start_on(db.url(), &[]).await
}

async fn start_on(url: &str, settings: &[(&str, &str)]) -> Marquee {
    let mut marquee = Marquee::prepare(url).env("MARQUEE_SAMPLE", "off");
    for (name, value) in settings {
        marquee = marquee.env(name, value);
    }
    let marquee = marquee.start().await;
    marquee.wait_ready().await;
    marquee
}

fn create(marquee: &Marquee, movie: &Value) -> RequestBuilder {
    marquee.request(Method::POST, "/v1/movies").json(movie)
}

fn spawn(request: RequestBuilder) -> JoinHandle<Answer> {
    tokio::spawn(async move {
        let answer = request.send().await.unwrap();
        let revision = answer.headers().get("marquee-revision");
        let revision = revision.map_or(0, |revision| revision.to_str().unwrap().parse().unwrap());
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        Answer { status, revision, body: serde_json::from_slice(&body).unwrap_or_default() }
    })
}

/// How many queries the writer has sent.
async fn write_queries(marquee: &Marquee) -> f64 {
    let queries = "marquee_database_queries_total{purpose=\"write\"}";
    marquee.metrics().await.get(queries).copied().unwrap_or_default()
}

/// Waits until the writer has sent more than those.
async fn wait_for_queries(marquee: &Marquee, known: f64) {
    let more = async {
        while write_queries(marquee).await == known {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, more).await.unwrap();
}

/// Waits until so many commands are in the mailbox.
async fn wait_for_commands(marquee: &Marquee, expected: f64) {
    let all_wait = async {
        while marquee.metrics().await["marquee_mailbox_commands"] < expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_wait).await.unwrap();
}

/// The status, the headers but for the date, and the document of an answer.
async fn told(request: RequestBuilder) -> (u16, BTreeMap<String, String>, Value) {
    let answer = request.send().await.unwrap();
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
    let mut headers: BTreeMap<_, _> =
        answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    headers.remove("date");
    (answer.status().as_u16(), headers, answer.json().await.unwrap())
}

/// Has the writer wait with a write of its own until all of `writes` wait in the mailbox.
async fn in_one_batch(db: &TestDatabase, marquee: &Marquee, writes: Vec<RequestBuilder>) -> Vec<Answer> {
    let held = Hold::of(db).await;
    // In the mailbox for a moment, then with the writer: its first query is the one that waits.
    let asked = write_queries(marquee).await;
    let first = spawn(create(marquee, &json!({"title": "first"})));
    wait_for_queries(marquee, asked).await;
    let expected = writes.len() as f64;
    let writes: Vec<_> = writes.into_iter().map(spawn).collect();
    wait_for_commands(marquee, expected).await;
    held.release().await;
    assert_eq!(first.await.unwrap().status, 201);
    let mut answers = Vec::new();
    for write in writes {
        answers.push(write.await.unwrap());
    }
    answers
}

/// The lock that every write begins with, held from outside.
enum Hold {
    File(SqliteConnection),
    Row(mysql_async::Conn),
}

impl Hold {
    async fn of(db: &TestDatabase) -> Self {
        match db.path() {
            Some(path) => {
                let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
                conn.batch_execute("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE").unwrap();
                Self::File(conn)
            }
            None => {
                let mut conn = db.connect().await;
                conn.query_drop("START TRANSACTION").await.unwrap();
                conn.query_drop("SELECT revision FROM catalogue WHERE id = 1 FOR UPDATE").await.unwrap();
                Self::Row(conn)
            }
        }
    }

    async fn release(self) {
        match self {
            Self::File(mut conn) => conn.batch_execute("ROLLBACK").unwrap(),
            Self::Row(mut conn) => {
                conn.query_drop("ROLLBACK").await.unwrap();
                conn.disconnect().await.unwrap();
            }
        }
    }
}

/// Has the database refuse movies of that title.
async fn refuse_poison(db: &TestDatabase) {
    db.exec(match db.engine() {
        Engine::Sqlite => {
            "CREATE TRIGGER poison BEFORE INSERT ON movies WHEN NEW.title = 'poison' \
             BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
        }
        Engine::MySql | Engine::MariaDb => {
            "CREATE TRIGGER poison BEFORE INSERT ON movies FOR EACH ROW BEGIN \
             IF NEW.title = 'poison' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poisoned'; END IF; END"
        }
    })
    .await;
}

async fn view(marquee: &Marquee) -> (String, String) {
    let answer = marquee.get("/v1/movies").await;
    (answer.headers()["etag"].to_str().unwrap().to_owned(), answer.text().await.unwrap())
}

/// All that a write could change.
async fn state(db: &TestDatabase) -> Vec<Vec<Vec<Option<String>>>> {
    let mut state = Vec::new();
    for table in ["catalogue", "commits", "segments", "movies", "genres", "directors", "movie_genres"] {
        state.push(db.query(&format!("SELECT * FROM {table} ORDER BY 1")).await);
    }
    state
}

/// The rows, the counts and the view agree.
async fn consistent(db: &TestDatabase, marquee: &Marquee, movies: i64) {
    assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, movies);
    assert_eq!(db.number("SELECT SUM(movies) FROM segments").await, movies);
    let wrong = "SELECT COUNT(*) FROM genres n WHERE n.movies <> \
                 (SELECT COUNT(*) FROM movie_genres g WHERE g.genre_id = n.id)";
    assert_eq!(db.number(wrong).await, 0);
    let seen: Vec<Value> = marquee.get("/v1/movies").await.json().await.unwrap();
    assert_eq!(seen.len() as i64, movies);
}
