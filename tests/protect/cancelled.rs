//! Clients that hang up at any moment, over a pool of one connection and of several: afterwards, and all the
//! while, every answer belongs to its question.
//!
//! ```text
//! client A                       marquee (a pool of 1)                       server
//! GET /v1/movies/7 ──▶           asks for the segment's rows ──▶
//! hangs up                       (A's future is dropped, wherever it is)     ──▶ the rows of segment 0
//! client B
//! GET /v1/movies/300 ──▶         asks for segment 1 on the same connection:
//!                                whose rows does it read?
//! ```
//!
//! It cannot be A's, since no request's future holds a connection: what asks the database is a task of its
//! own, which goes on when A hangs up, and a connection that is left in the middle of an answer never goes back
//! to the pool (`Lease`). Nothing is kept in the cache here, so that nearly every request asks the database.
//!
//! `MARQUEE_TEST_ABORTED=100000` says how many requests are aborted on each pool; it is 5,000 otherwise.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{create, get, is_well};
use crate::support::{Marquee, TestDatabase};

/// Five segments, so that there are answers to be mixed up.
const MOVIES: usize = 1200;
/// Movies in a list.
const PAGE: usize = 3;
/// Clients at a time that hang up, and that look at the answers.
const ABORTING: usize = 24;
const LOOKING: usize = 4;
/// How long it is waited for that all is written.
const PATIENCE: Duration = Duration::from_secs(60);

on_every_server! {
    async fn every_answer_belongs_to_its_question_on_a_pool_of_1(db) {
        aborted(&db, "1").await;
    }

    async fn every_answer_belongs_to_its_question_on_a_pool_of_16(db) {
        aborted(&db, "16").await;
    }
}

async fn aborted(db: &TestDatabase, pool: &str) {
    let many = std::env::var("MARQUEE_TEST_ABORTED").map_or(5_000, |many| many.parse().unwrap());
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_SAMPLE", "off")
        .env("MARQUEE_POOL_SIZE", pool)
        // Less than any segment weighs: each read is a miss.
        .env("MARQUEE_CACHE_BYTES", "1KiB")
        .env("MARQUEE_REQUEST_TIMEOUT_MS", "60000")
        .start()
        .await;
    marquee.wait_ready().await;
    let movies: Vec<Value> = (1..=MOVIES).map(original).collect();
    create(&marquee, json!(movies)).await;
    let queries = asked(&marquee).await;

    let marquee = Arc::new(marquee);
    let (over, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let looking: Vec<_> =
        (0..LOOKING).map(|n| tokio::spawn(look(n, Arc::clone(&marquee), Arc::clone(&over)))).collect();
    let address = marquee.address();
    let aborting: Vec<_> = (0..ABORTING)
        .map(|_| {
            let next = Arc::clone(&next);
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= many {
                        break;
                    }
                    abort_one(address, n).await;
                }
            })
        })
        .collect();
    for aborting in aborting {
        aborting.await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    let mut looked = 0;
    for looking in looking {
        looked += looking.await.unwrap();
    }
    assert!(looked > 20, "only {looked} answers were looked at");
    let told = marquee.metrics().await;
    let abandoned = told["marquee_http_requests_abandoned_total"];
    let queries = asked(&marquee).await - queries;
    eprintln!(
        "{many} aborted on a pool of {pool}: {abandoned} before their answer began, {queries} queries, {looked} answers looked at"
    );
    assert!(abandoned > many as f64 / 100.0, "{abandoned} of {many} were aborted under way");
    assert!(queries > many as f64 / 10.0, "the database was asked {queries} times");

    for id in 1..=MOVIES {
        is_original(&get(&marquee, &format!("/v1/movies/{id}")).await.expect(200).json(), id);
    }
    // What was sent by those who hung up last may be written still, until the answer and the database agree.
    let since = Instant::now();
    let (all, movies) = loop {
        let all = get(&marquee, "/v1/movies").await.expect(200);
        let (movies, there) = (all.json(), db.number("SELECT COUNT(*) FROM movies").await);
        if usize::try_from(there).unwrap() == movies.as_array().unwrap().len() {
            break (all, movies);
        }
        assert!(
            since.elapsed() < PATIENCE,
            "{there} are there, and {} are shown",
            all.header("x-total-count")
        );
    };
    let movies = movies.as_array().unwrap();
    let mut titles = HashSet::new();
    for (index, movie) in movies.iter().enumerate() {
        if index < MOVIES {
            is_original(movie, index + 1);
            continue;
        }
        let n: usize = movie["title"].as_str().unwrap().strip_prefix("Aborted ").unwrap().parse().unwrap();
        assert!(n < many && titles.insert(n), "{movie}");
        assert_eq!(movie["votes"], n);
    }
    assert_eq!(all.header("x-total-count"), movies.len().to_string());
    is_well(&marquee).await;
}

/// Queries that marquee has sent.
async fn asked(marquee: &Marquee) -> f64 {
    let told = marquee.metrics().await;
    told.iter().filter(|(name, _)| name.starts_with("marquee_database_queries_total")).map(|(_, n)| n).sum()
}

/// A list that the database is asked for.
fn page(offset: usize) -> String {
    format!("/v1/movies?limit={PAGE}&offset={offset}")
}

fn original(id: usize) -> Value {
    json!({ "title": format!("Movie {id}"), "votes": id * 3, "directors": [format!("Director {}", id % 50)] })
}

fn is_original(movie: &Value, id: usize) {
    assert_eq!(movie["id"], id);
    for (member, value) in original(id).as_object().unwrap() {
        assert_eq!(&movie[member], value, "{movie}");
    }
}

/// Sends a request, or a part of one, and hangs up at some moment, one way or the other.
async fn abort_one(address: SocketAddr, n: usize) {
    let request = match rand::random_range(0..10) {
        0..3 => format!("GET /v1/movies/{} HTTP/1.1\r\nHost: h\r\n\r\n", rand::random_range(1..=MOVIES)),
        3..5 => format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", page(rand::random_range(0..=MOVIES - PAGE))),
        5 => "GET /v1/genres HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        6 => "GET /v1/movies HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n".to_owned(),
        7 => format!("DELETE /v1/movies/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", MOVIES * 1000 + n),
        _ => {
            let movie = json!({ "title": format!("Aborted {n}"), "votes": n }).to_string();
            format!(
                "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{movie}",
                movie.len()
            )
        }
    };
    let mut stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            // There are only so many ports; those of closed connections come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let length = if rand::random_ratio(1, 8) { rand::random_range(1..request.len()) } else { request.len() };
    stream.write_all(&request.as_bytes()[..length]).await.unwrap();
    let longest = [0, 1_000, 5_000, 30_000][rand::random_range(0..4)];
    tokio::time::sleep(Duration::from_micros(rand::random_range(0..=longest))).await;
    if rand::random_ratio(1, 8) && length == request.len() {
        // In the middle of the answer.
        let _ = stream.read(&mut [0; 64]).await;
    }
    if rand::random_ratio(1, 2) {
        // RST instead of FIN.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Asks and looks at every answer, until it is over. Gives how many there were.
async fn look(n: usize, marquee: Arc<Marquee>, over: Arc<AtomicBool>) -> usize {
    let mut looked = 0;
    while !over.load(Ordering::Relaxed) {
        let id = rand::random_range(1..=MOVIES);
        let movie = marquee.get(&format!("/v1/movies/{id}")).await;
        assert_eq!(movie.status(), 200);
        is_original(&movie.json().await.unwrap(), id);

        let offset = rand::random_range(0..=MOVIES - PAGE);
        let movies = marquee.get(&page(offset)).await;
        assert_eq!(movies.status(), 200);
        let movies: Vec<Value> = movies.json().await.unwrap();
        assert_eq!(movies.len(), PAGE);
        movies.iter().zip(offset + 1..).for_each(|(movie, id)| is_original(movie, id));

        let title = format!("Looked at {n} {looked}");
        let made = marquee.post("/v1/movies", &json!({ "title": title, "votes": looked })).await;
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        assert_eq!((&made["title"], &made["votes"]), (&json!(title), &json!(looked)));
        let path = format!("/v1/movies/{}", made["id"]);
        assert_eq!(marquee.get(&path).await.json::<Value>().await.unwrap(), made);
        assert_eq!(marquee.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
        assert_eq!(marquee.get(&path).await.status(), 404);
        looked += 6;
    }
    looked
}
