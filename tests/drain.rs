//! Told to stop: what is under way is finished, what was acknowledged stays, and nobody waits for long.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::json;
use socket2::{Domain, SockAddr, Socket, Type};
use support::{Marquee, TestDatabase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// An end that waits for nothing, on a machine that is busy; what it could wait for takes minutes.
const SOON: Duration = Duration::from_secs(30);

on_every_database! {
    /// A write that waits for a lock that somebody else holds is finished and answered before the end;
    /// meanwhile nobody is told that this replica is ready, and no new connection is taken.
    async fn a_write_under_way_is_finished(db) {
        let mut marquee = prepare(&db).start().await;
        marquee.wait_ready().await;
        let mut gateway = TcpStream::connect(marquee.address()).await.unwrap();
        assert_eq!(ask(&mut gateway, "/readyz").await, 200);
        let lock = Lock::of(&db).await;
        let write = send(&marquee, "Under way");
        under_way(&marquee).await;
        assert!(!write.is_finished(), "the lock does not hold");
        marquee.signal("TERM");
        marquee.wait_for_log("stopping").await;
        // An idle connection is closed; where it is not yet, the answer is no.
        let ready = ask(&mut gateway, "/readyz").await;
        assert!([0, 503].contains(&ready), "/readyz says {ready}");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let late = TcpStream::connect(marquee.address()).await;
        let late = match late {
            Ok(mut stream) => ask(&mut stream, "/readyz").await,
            Err(_) => 0,
        };
        assert!([0, 503].contains(&late), "/readyz says {late}");
        assert!(!write.is_finished());
        lock.release().await;
        assert_eq!(write.await.unwrap(), 201);
        let status = marquee.wait().await;
        assert!(status.success(), "{status}:\n{}", marquee.log());
        assert!(marquee.log().contains("stopped") && !marquee.log().contains("not everything"));
        assert_eq!(db.number("SELECT COUNT(*) FROM movies WHERE title = 'Under way'").await, 1);
    }

    /// Under a load of writes: each one that was acknowledged is there, and the process ends in order.
    async fn nothing_acknowledged_is_lost(db) {
        let mut marquee = prepare(&db).start().await;
        marquee.wait_ready().await;
        let mut clients = Vec::new();
        for client in 0..8 {
            let (url, http) = (marquee.url("/v1/movies"), marquee.client().clone());
            clients.push(tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let title = format!("{client}/{n}");
                    let sent = http.post(&url).json(&json!({ "title": title })).send().await;
                    match sent {
                        Ok(answer) if answer.status() == 201 => acknowledged.push(title),
                        // Refused while stopping, or there is nobody any more.
                        Ok(answer) => assert_eq!(answer.status(), 503),
                        Err(_) => break,
                    }
                }
                acknowledged
            }));
        }
        let since = Instant::now();
        while marquee.metrics().await["marquee_commits_total"] < 5.0 {
            assert!(since.elapsed() < PATIENCE, "nothing is written:\n{}", marquee.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let status = marquee.terminate().await;
        assert!(status.success(), "{status}:\n{}", marquee.log());
        let rows = db.query("SELECT title FROM movies").await;
        let there: std::collections::HashSet<String> = rows.into_iter().filter_map(|mut row| row.remove(0)).collect();
        let mut acknowledged = 0;
        for client in clients {
            for title in client.await.unwrap() {
                assert!(there.contains(&title), "{title} was acknowledged and is not there");
                acknowledged += 1;
            }
        }
        assert!(acknowledged > 0);
        assert!(there.len() <= acknowledged + 8, "{} there, {acknowledged} acknowledged", there.len());
    }

    /// A second signal does not wait.
    async fn a_second_signal_stops_at_once(db) {
        let mut marquee = prepare(&db).env("MARQUEE_SHUTDOWN_S", "300").start().await;
        marquee.wait_ready().await;
        let lock = Lock::of(&db).await;
        let write = send(&marquee, "Never");
        under_way(&marquee).await;
        marquee.signal("TERM");
        marquee.wait_for_log("stopping").await;
        let since = Instant::now();
        let status = marquee.terminate().await;
        assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
        assert_eq!(status.code(), Some(1));
        assert_eq!(write.await.unwrap(), 0, "no answer is better than a wrong one");
        lock.release().await;
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 0);
    }

    /// What cannot be finished is given up after MARQUEE_SHUTDOWN_S, and the log says so.
    async fn draining_has_an_end(db) {
        let mut marquee = prepare(&db).env("MARQUEE_SHUTDOWN_S", "1").start().await;
        marquee.wait_ready().await;
        let lock = Lock::of(&db).await;
        let write = send(&marquee, "Never");
        under_way(&marquee).await;
        let since = Instant::now();
        marquee.terminate().await;
        assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
        assert!(marquee.log().contains("MARQUEE_SHUTDOWN_S"), "{}", marquee.log());
        assert_ne!(write.await.unwrap(), 201);
        lock.release().await;
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 0);
    }
}

/// A body that its client reads slowly is sent to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_under_way_is_sent_to_its_end() {
    let db = TestDatabase::sqlite().await;
    let mut marquee = prepare(&db).env("MARQUEE_SHUTDOWN_S", "300").start().await;
    marquee.wait_ready().await;
    // Far more than the sockets' buffers hold: they grow to some megabytes.
    let title = "x".repeat(500);
    let movies: Vec<_> = (0..10_000).map(|n| json!({ "title": format!("{n} {title}") })).collect();
    for _ in 0..2 {
        assert_eq!(marquee.post("/v1/movies", &json!(movies)).await.status(), 201);
    }
    let mut reader = slow_reader(&marquee).await;
    reader.write_all(b"GET /v1/movies HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 64 * 1024];
    reader.read_exact(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer[..answer.len().min(2000)]).to_lowercase();
    let head = head.split("\r\n\r\n").next().unwrap().to_owned();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let whole = head.len() + 4 + length;
    marquee.signal("TERM");
    marquee.wait_for_log("stopping").await;
    while answer.len() < whole {
        let mut chunk = vec![0; 512 * 1024];
        let read = reader.read(&mut chunk).await.unwrap();
        assert!(read > 0, "cut after {} of {whole} bytes:\n{}", answer.len(), marquee.log());
        answer.extend_from_slice(&chunk[..read]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let movies: Vec<serde_json::Value> = serde_json::from_slice(&answer[head.len() + 4..]).unwrap();
    assert_eq!(movies.len(), 20_000);
    drop(reader);
    let status = marquee.wait().await;
    assert!(status.success(), "{status}:\n{}", marquee.log());
}

/// Connections that are kept open and say nothing do not hold the stop up, however long they are kept.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_delay_the_stop() {
    let db = TestDatabase::sqlite().await;
    let kept = prepare(&db).env("MARQUEE_KEEP_ALIVE_MS", "300000").env("MARQUEE_HEADER_TIMEOUT_MS", "300000");
    let mut marquee = kept.env("MARQUEE_SHUTDOWN_S", "300").start().await;
    marquee.wait_ready().await;
    let mut idle = Vec::new();
    for n in 0..20 {
        let mut stream = TcpStream::connect(marquee.address()).await.unwrap();
        // Some have been used, some never were.
        if n % 2 == 0 {
            assert_eq!(ask(&mut stream, "/livez").await, 200);
        }
        idle.push(stream);
    }
    let since = Instant::now();
    let status = marquee.terminate().await;
    assert!(status.success(), "{status}:\n{}", marquee.log());
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}

fn prepare(db: &TestDatabase) -> support::Preparation {
    Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off")
}

/// Creates a movie; the status, or 0 when no answer comes.
fn send(marquee: &Marquee, title: &str) -> JoinHandle<u16> {
    let request = marquee.request(reqwest::Method::POST, "/v1/movies").json(&json!({ "title": title }));
    tokio::spawn(async move { request.send().await.map_or(0, |answer| answer.status().as_u16()) })
}

/// Waits until a write is in the mailbox, whose room it takes until it is answered; the lock holds that up.
async fn under_way(marquee: &Marquee) {
    let since = Instant::now();
    while marquee.metrics().await["marquee_mailbox_bytes"] == 0.0 {
        assert!(since.elapsed() < PATIENCE, "nobody writes:\n{}", marquee.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// GETs a path over a connection that stays open; the status, or 0 when it is closed.
async fn ask(stream: &mut TcpStream, path: &str) -> u16 {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.ok();
    let mut answer = vec![0; 8192];
    let read = stream.read(&mut answer).await.unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest[..3].parse().ok()).unwrap_or_default()
}

/// A connection whose receive buffer is small: the server cannot hand the whole body to the kernel.
async fn slow_reader(marquee: &Marquee) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    socket.connect(&SockAddr::from(marquee.address())).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpStream::from_std(socket.into()).unwrap()
}

/// The lock that orders writes, held from outside.
enum Lock {
    Server(Box<Conn>),
    File(SqliteConnection),
}

impl Lock {
    async fn of(db: &TestDatabase) -> Self {
        let Some(path) = db.path() else {
            let mut conn = db.connect().await;
            conn.query_drop("BEGIN").await.unwrap();
            conn.query_drop("SELECT * FROM catalogue WHERE id = 1 FOR UPDATE").await.unwrap();
            return Self::Server(Box::new(conn));
        };
        let mut conn = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE").unwrap();
        Self::File(conn)
    }

    async fn release(self) {
        match self {
            Self::Server(mut conn) => {
                conn.query_drop("ROLLBACK").await.unwrap();
                conn.disconnect().await.unwrap();
            }
            Self::File(mut conn) => conn.batch_execute("ROLLBACK").unwrap(),
        }
    }
}
