//! Replicas are restarted one after another, and clients notice nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::RwLock;

use crate::support::{Marquee, Preparation, Redis, TestDatabase};
use crate::{PATIENCE, health, on, revision, until, until_up};

/// Where clients are sent: the replicas that said last that they are ready.
type Balancer = Arc<RwLock<Vec<String>>>;

/// How often replicas are asked whether they are ready.
const CHECK: Duration = Duration::from_millis(10);

/// Asks each replica again and again whether it is ready, as balancers do.
async fn check(all: Arc<RwLock<Vec<String>>>, ready: Balancer) {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    loop {
        let mut now = Vec::new();
        for base in all.read().await.clone() {
            let answer = client.get(format!("{base}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                now.push(base);
            }
        }
        *ready.write().await = now;
        tokio::time::sleep(CHECK).await;
    }
}

/// What a client sends.
#[derive(Clone, Copy)]
enum Ask<'a> {
    /// A movie, by a key and its title.
    Create(&'a str, &'a str),
    /// For the collection, at a revision or later.
    All(u64),
}

/// Sends a request to one replica after another until one takes it: what cannot be connected to, what breaks before it
/// answers, and a 503 are tried elsewhere, as long as it takes.
async fn send(client: &Client, ready: &Balancer, turn: usize, what: Ask<'_>) -> (u64, Value) {
    let began = std::time::Instant::now();
    for n in turn.. {
        assert!(began.elapsed() < PATIENCE, "nobody takes it");
        let bases = ready.read().await.clone();
        let Some(base) = bases.get(n % bases.len().max(1)) else {
            tokio::time::sleep(CHECK).await;
            continue;
        };
        let url = format!("{base}/v1/movies");
        let request = match what {
            Ask::Create(key, title) => {
                client.post(url).header("idempotency-key", key).json(&json!({ "title": title }))
            }
            Ask::All(since) => client.get(url).header("marquee-min-revision", since),
        };
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                let revision = revision(&answer);
                if let Ok(body) = answer.json().await {
                    return (revision, body);
                }
            }
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {}
            Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap()),
            Err(error) => assert!(!error.is_timeout(), "{error}"),
        }
    }
    unreachable!()
}

fn replica(db: &TestDatabase, redis: &Redis) -> Preparation {
    on(db.url(), &redis.url()).env("MARQUEE_DRAIN_MS", "300").env("MARQUEE_SHUTDOWN_S", "20")
}

on_every_database! {
    /// All three are replaced, one after another, while clients read and write: each request has its answer, every write
    /// is there once, and each client reads what it wrote before.
    async fn a_rolling_restart_is_not_noticed(db) {
        let redis = Redis::start().await;
        let mut replicas = Vec::new();
        for _ in 0..3 {
            let marquee = replica(&db, &redis).start().await;
            marquee.wait_ready().await;
            replicas.push(marquee);
        }
        let bases = |replicas: &[Marquee]| replicas.iter().map(|replica| replica.url("")).collect::<Vec<_>>();
        let all = Arc::new(RwLock::new(bases(&replicas)));
        let ready: Balancer = Arc::new(RwLock::new(bases(&replicas)));
        let checking = tokio::spawn(check(Arc::clone(&all), Arc::clone(&ready)));
        let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients: Vec<_> = (0..4).map(|client| {
            let (ready, over, done) = (Arc::clone(&ready), Arc::clone(&over), Arc::clone(&done));
            tokio::spawn(async move {
                let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
                let mut titles = Vec::new();
                for n in 0.. {
                    let title = format!("{client}/{n}");
                    let ask = Ask::Create(&title, &title);
                    let (written, movie) = send(&http, &ready, n, ask).await;
                    assert_eq!(movie["title"], title.as_str());
                    let (seen, movies) = send(&http, &ready, n + 1, Ask::All(written)).await;
                    assert!(seen >= written && movies.as_array().unwrap().contains(&movie), "{seen} {written}");
                    titles.push(title);
                    done.fetch_add(1, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
                titles
            })
        }).collect();
        for n in 0..3 {
            let before = done.load(Ordering::Relaxed);
            let next = replica(&db, &redis).start().await;
            next.wait_ready().await;
            all.write().await.push(next.url(""));
            let mut old = std::mem::replace(&mut replicas[n], next);
            let status = old.terminate().await;
            assert!(status.success(), "{status}:\n{}", old.log());
            assert!(!old.log().contains("not everything"), "{}", old.log());
            *all.write().await = bases(&replicas);
            until("work", &replicas[n], || async { done.load(Ordering::Relaxed) > before + 8 }).await;
        }
        over.store(true, Ordering::Relaxed);
        let mut titles = BTreeSet::new();
        for client in clients {
            titles.extend(client.await.unwrap());
        }
        checking.abort();
        let rows = db.query("SELECT title FROM movies ORDER BY title").await;
        let there: Vec<String> = rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
        let twice = there.len() - there.iter().collect::<BTreeSet<_>>().len();
        assert_eq!(twice, 0, "written twice");
        assert_eq!(there.into_iter().collect::<BTreeSet<_>>(), titles);
    }

    /// While it drains, /readyz says no and everything else is answered, on new connections and on those that were
    /// kept; and each answer says that its connection ends.
    async fn readiness_goes_first(db) {
        let redis = Redis::start().await;
        let mut marquee = on(db.url(), &redis.url()).env("MARQUEE_DRAIN_MS", "3600000").start().await;
        marquee.wait_ready().await;
        until_up(&marquee).await;
        let mut kept = TcpStream::connect(marquee.address()).await.unwrap();
        let answer = ask(&mut kept, "GET", "/v1/movies").await;
        assert!(answer.starts_with("http/1.1 200") && !answer.contains("connection: close"), "{answer}");
        marquee.signal("TERM");
        marquee.wait_for_log("MARQUEE_DRAIN_MS").await;
        let (status, word, _) = health(&marquee, "writer").await;
        assert_eq!((status, word.as_str()), (503, "fail"));
        let answer = ask(&mut kept, "GET", "/v1/movies").await;
        assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
        assert_eq!(kept.read(&mut [0; 10]).await.unwrap_or(0), 0, "closed");
        for (method, path, status) in [("GET", "/v1/movies", 200), ("GET", "/v1/movies/1", 404), ("POST", "/v1/movies", 201), ("GET", "/v1/movies/1", 200)] {
            let mut stream = TcpStream::connect(marquee.address()).await.unwrap();
            let answer = ask(&mut stream, method, path).await;
            assert!(answer.starts_with(&format!("http/1.1 {status}")), "{method} {path}: {answer}");
            assert!(answer.contains("connection: close"), "{method} {path}: {answer}");
        }
        // A second signal does not wait.
        assert_eq!(marquee.terminate().await.code(), Some(1));
    }
}

/// The head of an answer, in small letters.
async fn ask(stream: &mut TcpStream, method: &str, path: &str) -> String {
    let body = if method == "POST" { "{\"title\":\"While draining\"}" } else { "" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "{method} {path}: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&answer).split("\r\n\r\n").next().unwrap().to_lowercase()
}
