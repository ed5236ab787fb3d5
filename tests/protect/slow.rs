//! Clients that send a byte now and then, and clients that do not read: each is cut off at its limit, and
//! costs nobody else anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::framing::{MOVIE, chunked, post};
use crate::kit::{Wire, get, is_well};
use crate::support::{Marquee, Preparation, TestDatabase};

/// How long it is waited for that a client is cut off.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two bytes of a client that drips.
const DRIP: Duration = Duration::from_millis(50);

/// With the sample, limits that come soon, and connections that are kept for as long as they are let.
async fn hasty(db: &TestDatabase) -> Preparation {
    // Who has little time for a request has little for the sample, too: it is loaded before.
    let mut patient = started(Marquee::prepare(db.url())).await;
    assert!(patient.terminate().await.success());
    Marquee::prepare(db.url())
        .env("MARQUEE_HEADER_TIMEOUT_MS", "1000")
        // A write must have time to reach a slow disk.
        .env("MARQUEE_REQUEST_TIMEOUT_MS", "5000")
        .env("MARQUEE_STALL_MS", "1000")
        .env("MARQUEE_KEEP_ALIVE_MS", "600000")
}

async fn started(preparation: Preparation) -> Marquee {
    let marquee = preparation.start().await;
    marquee.wait_ready().await;
    marquee
}

/// Sends `first`, and then one byte after the other until the server hangs up. Gives what it said, and how
/// many bytes it took.
async fn drip(address: SocketAddr, first: &[u8], bytes: impl Iterator<Item = u8>) -> (String, usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first).await.unwrap();
    let mut said = Vec::new();
    let mut sent = 0;
    let mut bytes = bytes.peekable();
    let dripping = async {
        loop {
            let mut chunk = [0; 4096];
            tokio::select! {
                read = stream.read(&mut chunk) => match read {
                    Ok(n @ 1..) => said.extend_from_slice(&chunk[..n]),
                    _ => break,
                },
                () = sleep(DRIP), if bytes.peek().is_some() => {
                    sent += 1;
                    if stream.write_all(&[bytes.next().unwrap()]).await.is_err() {
                        break;
                    }
                }
            }
        }
    };
    timeout(PATIENCE, dripping).await.expect("the connection stays open");
    (String::from_utf8_lossy(&said).into_owned(), sent)
}

/// A header line without end.
fn endless() -> impl Iterator<Item = u8> {
    b"X-Slow: ".iter().copied().chain(std::iter::repeat(b'a'))
}

/// A connection that asks for the whole collection, takes little at a time, and reads nothing.
async fn unread(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(b"GET /v1/movies HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    stream
}

/// The files that a marquee has open, connections among them.
fn open_files(marquee: &Marquee) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", marquee.pid())).unwrap().count()
}

async fn until_closed(marquee: &Marquee, most: usize) {
    let closed = async {
        while open_files(marquee) > most {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let closed = timeout(PATIENCE, closed).await;
    assert!(closed.is_ok(), "{} files are open still, and {most} were before", open_files(marquee));
}

/// A figure of the kernel's about a process, in bytes.
fn memory(marquee: &Marquee, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", marquee.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

proof_on! {
    /// A head must be whole in time: the first on a connection, and every later one.
    async fn a_head_that_drips(db) {
        let marquee = started(hasty(&db).await).await;
        let address = marquee.address();
        let (said, sent) = drip(address, b"GET /livez HTTP/1.1\r\n", endless()).await;
        assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
        assert!(sent < 200, "{sent}");
        // A connection that was used before, and is kept.
        for before in [1, 5] {
            let asked = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n".repeat(before);
            let head = format!("{asked}GET /livez HTTP/1.1\r\n");
            let (said, sent) = drip(address, head.as_bytes(), endless()).await;
            assert_eq!(said.matches("HTTP/1.1 200 ").count(), before, "{said}");
            assert!((1..200).contains(&sent), "{sent}");
        }
        // After a pause, and in pieces of a line.
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut chunk = [0; 4096];
        assert!(stream.read(&mut chunk).await.unwrap() > 0);
        stream.write_all(b"GET /livez HT").await.unwrap();
        assert_eq!(timeout(PATIENCE, stream.read(&mut chunk)).await.unwrap().unwrap_or(0), 0);
        // One that began in the packet of the request before, and stops there; of several; behind a body that is read, where
        // it is what keeps a connection that counts.
        let post = post("Content-Length: 13\r\n", MOVIE);
        let brief = started(hasty(&db).await.env("MARQUEE_KEEP_ALIVE_MS", "1000")).await;
        for (to, before, asked) in [
            (&marquee, ALIVE.to_owned(), 1),
            (&marquee, ALIVE.repeat(3), 3),
            (&marquee, format!("{ALIVE}\r\n"), 1),
            (&brief, post, 1),
        ] {
            for part in ["G", "GET /livez HT", "GET /livez HTTP/1.1\r\nX-Slow: a", "GET /livez HTTP/1.1\r\nHost: h\r\n\r"] {
                let (said, _) = drip(to.address(), format!("{before}{part}").as_bytes(), std::iter::empty()).await;
                assert_eq!(said.matches("HTTP/1.1 20").count(), asked, "{before}{part}: {said}");
            }
        }
        // Blank lines before a request are none of it, and no way to go on for ever.
        let blanks = b"\r\n".iter().copied().cycle();
        let (said, _) = drip(address, b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", blanks).await;
        assert_eq!(said.matches("HTTP/1.1 200 ").count(), 1, "{said}");
        is_well(&marquee).await;
    }
    sqlite: Sqlite
}

proof_on! {
    /// A head that comes slowly, but in time, is as good as any; so is a body, and a pause between requests.
    async fn slow_is_not_too_slow(db) {
        let marquee = started(
            // What drips takes longer than a pause may: 50 ms and 170 bytes. A pause that is not meant must not count.
            hasty(&db).await.env("MARQUEE_MIN_RATE", "1").env("MARQUEE_HEADER_TIMEOUT_MS", "60000").env("MARQUEE_STALL_MS", "5000"),
        )
        .await;
        let body = r#"{"title":"Slowly"}"#;
        let request = format!(
            "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let asked = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n";
        let (said, sent) = drip(marquee.address(), asked.as_bytes(), request.bytes()).await;
        assert!(said.contains("HTTP/1.1 200 ") && said.contains("HTTP/1.1 201 "), "{said}");
        assert_eq!(sent, request.len());
        is_well(&marquee).await;
    }
    sqlite: Sqlite
}

proof_on! {
    /// A body that never pauses for long, but has no end in sight, is refused.
    async fn a_body_that_drips(db) {
        let marquee = started(hasty(&db).await).await;
        let address = marquee.address();
        let before = get(&marquee, "/v1/movies").await.revision();
        for framing in ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n186a0\r\n"] {
            let head = format!("POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{framing}");
            let bytes = br#"{"title":""#.iter().copied().chain(std::iter::repeat(b'x'));
            let (said, sent) = drip(address, head.as_bytes(), bytes).await;
            assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("/problems/request-timeout"), "{said}");
            assert!((1..500).contains(&sent), "{sent}");
        }
        // As many bytes as a body says that it has came in one packet, but the first of them were its own head.
        let head = |length: usize| post(&format!("Content-Length: {length}\r\n"), "");
        let announced = head(999).len() + 3;
        assert!((100..999).contains(&announced));
        for before in ["", ALIVE] {
            let packet = format!("{before}{}{{\"t", head(announced));
            let (said, _) = drip(address, packet.as_bytes(), std::iter::empty()).await;
            assert!(said.contains("HTTP/1.1 408 ") && said.contains("/problems/request-timeout"), "{said}");
            assert_eq!(said.matches("HTTP/1.1 200 ").count(), before.len().min(1), "{said}");
        }
        // The rest of a body that nobody reads is no head, whatever it looks like; nor do its bytes count as those of another.
        let begun = "GET /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (like_a_head, end) = ("x HTTP/1.1\r\n\r\n", "\r\n0\r\n\r\n");
        let hidden = head(end.len() + head(999).len());
        for (size, rest) in [("ffff", like_a_head), ("e", &format!("{like_a_head}{end}")), ("e", &format!("{like_a_head}{end}{hidden}"))] {
            let mut wire = Wire::to(address).await;
            wire.send(format!("{begun}{size}\r\n").as_bytes()).await;
            assert_eq!(wire.answer().await.unwrap().0, 200);
            wire.send(rest.as_bytes()).await;
            while let Some((status, ..)) = wire.answer().await {
                assert_eq!(status, 408, "{rest}");
            }
        }
        // Nor is what comes while another request is under way, whose head came behind a rest and was not looked at.
        let wait = "GET /v1/movies HTTP/1.1\r\nHost: h\r\nMarquee-Min-Revision: 9999999\r\nTransfer-Encoding: chunked\r\n";
        let behind = "filler text!\r\n0\r\n\r\n";
        let hidden = head(behind.len() + head(999).len() + 3);
        let mut wire = Wire::to(address).await;
        for (packet, pause) in [
            (format!("{begun}0\r\n\r\n"), 200),
            (format!("{ALIVE}{wait}"), 200),
            ("\r\n".to_owned(), 200),
            (format!("e;a HTTP/1.1\r\n\r\n{behind}{hidden}{{\"t"), 0),
        ] {
            wire.send(packet.as_bytes()).await;
            sleep(Duration::from_millis(pause)).await;
        }
        let mut statuses = Vec::new();
        while let Some((status, ..)) = wire.answer().await {
            statuses.push(status);
        }
        assert_eq!(statuses, [200, 200, 503, 408]);
        // What nobody reads has an end, too: behind an answer that did not wait for it.
        for head in [
            "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n",
            "GET /livez HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n\r\n\r\n",
            "GET /livez HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n",
            "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        ] {
            let (said, sent) = drip(address, head.as_bytes(), b"ab\r\n\r\n".iter().copied().cycle()).await;
            assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
            assert!(sent < 500, "{sent}");
        }
        assert_eq!(get(&marquee, "/v1/movies").await.revision(), before);
        is_well(&marquee).await;
    }
    sqlite: Sqlite
}

proof_on! {
    /// A connection that nothing is asked on is closed in time, whatever was asked before; not one that is used, and never
    /// under a request that takes longer.
    async fn a_connection_that_is_idle(db) {
        let marquee = started(hasty(&db).await.env("MARQUEE_KEEP_ALIVE_MS", "1000")).await;
        let pieces = chunked(&format!("d\r\n{MOVIE}\r\n0\r\n\r\n"));
        let whole = post("Content-Length: 13\r\n", MOVIE);
        for asked in ["GET /v1/movies/1 HTTP/1.1\r\nHost: h\r\n\r\n", ALIVE, &whole, &pieces] {
            let mut wire = Wire::to(marquee.address()).await;
            // In use for longer than it is kept without.
            let used = Instant::now();
            while used.elapsed() < Duration::from_millis(1500) {
                wire.send(asked.as_bytes()).await;
                assert!(matches!(wire.answer().await, Some((200 | 201, ..))), "{asked}");
                sleep(Duration::from_millis(100)).await;
            }
            let idle = Instant::now();
            assert!(timeout(PATIENCE, wire.answer()).await.unwrap().is_none(), "{asked}");
            assert!(idle.elapsed() > Duration::from_millis(500), "{asked}: {:?}", idle.elapsed());
        }
        // The second waits for longer than a connection is kept, from an answer on.
        let mut wire = Wire::to(marquee.address()).await;
        let ahead = get(&marquee, "/v1/movies").await.revision() + 1000;
        let wait = format!("GET /v1/movies HTTP/1.1\r\nHost: h\r\nMarquee-Min-Revision: {ahead}\r\n\r\n");
        wire.send(format!("{ALIVE}{wait}").as_bytes()).await;
        assert_eq!(wire.answer().await.unwrap().0, 200);
        let asked = Instant::now();
        assert_eq!(wire.answer().await.unwrap().0, 503);
        assert!(asked.elapsed() > Duration::from_millis(1500), "{:?}", asked.elapsed());
        wire.send(ALIVE.as_bytes()).await;
        assert_eq!(wire.answer().await.unwrap().0, 200);
        // Nor for what came ahead, which looks like a head that stays where it is, and is the body of a third.
        wire.send(format!("{ALIVE}{wait}{whole}").as_bytes()).await;
        for status in [200, 503, 201] {
            assert_eq!(wire.answer().await.unwrap().0, status);
        }
    }
    sqlite: Sqlite
}

proof_on! {
    /// A client that does not read is cut off by the kernel (`TCP_USER_TIMEOUT`), whose zero-window probes its
    /// own kernel goes on answering: the pace alone would let it wait for days here.
    async fn an_answer_that_is_not_read(db) {
        let marquee = started(hasty(&db).await.env("MARQUEE_MIN_RATE", "1")).await;
        get(&marquee, "/v1/movies").await.expect(200);
        let before = open_files(&marquee);
        let mut streams = Vec::new();
        for _ in 0..10 {
            streams.push(unread(marquee.address()).await);
        }
        until_closed(&marquee, before).await;
        // The answer broke off: its end was never sent.
        for mut stream in streams {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            assert!(said.len() < 400_000, "{}", said.len());
        }
        is_well(&marquee).await;
    }
    sqlite: Sqlite
}

proof_on! {
    /// A client that reads all the time, but slower than it may, is cut off as well; where it may be as slow, it
    /// gets the whole.
    async fn an_answer_that_is_read_too_slowly(db) {
        // A pause of the reader's that is not meant must not count.
        for (rate, stall, whole) in [("64MiB", "1000", false), ("1KiB", "20000", true)] {
            let marquee = started(hasty(&db).await.env("MARQUEE_MIN_RATE", rate).env("MARQUEE_STALL_MS", stall)).await;
            // More than the kernel takes at once.
            let length = get(&marquee, "/v1/movies").await.expect(200).body.len() * 16;
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(32 << 10).unwrap();
            let mut stream = socket.connect(marquee.address()).await.unwrap();
            stream.write_all("GET /v1/movies HTTP/1.1\r\nHost: h\r\n\r\n".repeat(16).as_bytes()).await.unwrap();
            let mut said = 0;
            let reading = async {
                let mut chunk = [0; 64 << 10];
                while let Ok(n @ 1..) = stream.read(&mut chunk).await {
                    said += n;
                    if said >= length {
                        break;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(PATIENCE, reading).await.expect("it goes on");
            assert_eq!(said >= length, whole, "{said} of {length} bytes at {rate}");
            is_well(&marquee).await;
        }
    }
    sqlite: Sqlite
}

proof_on! {
    /// There are so many connections, over all workers; who comes after waits, and is served when one is closed.
    async fn connections_have_an_end(db) {
        // Nobody is slow here: a pause between a connection and its request must not count.
        let limits = hasty(&db).await.env("MARQUEE_HEADER_TIMEOUT_MS", "60000");
        let marquee = limits.env("MARQUEE_WORKERS", "3").env("MARQUEE_MAX_CONNECTIONS", "11").start().await;
        let mut served = Vec::new();
        for _ in 0..9 {
            let mut wire = Wire::to(marquee.address()).await;
            wire.send(ALIVE.as_bytes()).await;
            assert_eq!(wire.answer().await.unwrap().0, 200);
            served.push(wire);
        }
        let mut waiting = Vec::new();
        for _ in 0..9 {
            let mut stream = TcpStream::connect(marquee.address()).await.unwrap();
            stream.write_all(ALIVE.as_bytes()).await.unwrap();
            waiting.push(stream);
        }
        for _ in 0..20 {
            for wire in &mut served {
                wire.send(ALIVE.as_bytes()).await;
                assert_eq!(wire.answer().await.unwrap().0, 200);
            }
        }
        for stream in &waiting {
            let read = stream.try_read(&mut [0; 64]);
            assert!(read.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock), "it was let in");
        }
        drop(served);
        for stream in &mut waiting {
            let mut chunk = [0; 64];
            let n = timeout(PATIENCE, stream.read(&mut chunk)).await.expect("it is never let in").unwrap();
            assert!(chunk[..n].starts_with(b"HTTP/1.1 200 "));
        }
    }
    sqlite: Sqlite
}

const ALIVE: &str = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n";

/// What 1,200 slow clients may add to marquee's memory: 20 KiB for each of 1,000 connections, and for each of 200
/// answers of 800 kB what the kernel does not take of it.
const ROOM: u64 = 160 << 20;
/// How often those who behave must be answered beside them.
const ANSWERED: usize = 40;

proof_on! {
    /// 500 connections that drip a head, half of them after a request, 500 that drip a body, and 200 that never
    /// read their answer of 550 kB, beside clients who do as they should: these get right answers throughout,
    /// the slow ones are cut off, and memory stays within bounds.
    async fn a_thousand_slow_clients(db) {
        rlimit::increase_nofile_limit(8192).unwrap();
        let limits = hasty(&db).await.env("MARQUEE_HEADER_TIMEOUT_MS", "5000").env("MARQUEE_STALL_MS", "5000");
        let marquee = Arc::new(started(limits.env("MARQUEE_REQUEST_TIMEOUT_MS", "20000")).await);
        let address = marquee.address();
        let movies: Value = get(&marquee, "/v1/movies").await.expect(200).json();
        let movies = Arc::new(movies.as_array().unwrap().clone());
        let before = (open_files(&marquee), memory(&marquee, "VmRSS"));

        let over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let good: Vec<_> = (0..4)
            .map(|n| tokio::spawn(well_behaved(n, Arc::clone(&marquee), Arc::clone(&movies), Arc::clone(&over), Arc::clone(&answered))))
            .collect();
        let mut unread_ones = Vec::new();
        for _ in 0..200 {
            unread_ones.push(unread(address).await);
        }
        let drip_one = move |n: usize| async move {
            let asked = if n.is_multiple_of(4) { "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" } else { "" };
            if n.is_multiple_of(2) {
                drip(address, format!("{asked}GET /v1/movies HTTP/1.1\r\n").as_bytes(), endless()).await
            } else {
                let head = "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
                drip(address, head.as_bytes(), b"[".iter().copied().chain(std::iter::repeat(b' '))).await
            }
        };
        let slow: Vec<_> = (0..1000)
            .map(|n| {
                let answered = Arc::clone(&answered);
                tokio::spawn(async move {
                    // Who is cut off comes again, until those who behave were answered often enough beside them all.
                    let since = Instant::now();
                    loop {
                        let (_, sent) = drip_one(n).await;
                        assert!(sent < 1000, "{sent}");
                        if answered.load(Ordering::Relaxed) >= ANSWERED || since.elapsed() > PATIENCE {
                            break;
                        }
                    }
                })
            })
            .collect();
        for slow in slow {
            slow.await.unwrap();
        }
        // The connections of those who behave are all that is left.
        until_closed(&marquee, before.0 + 8).await;
        over.store(true, Ordering::Relaxed);
        for good in good {
            good.await.unwrap();
        }
        assert!(answered.load(Ordering::Relaxed) >= ANSWERED, "{answered:?}");
        let peak = memory(&marquee, "VmHWM");
        eprintln!("1,200 slow clients: {} KiB more than {} KiB", (peak - before.1) >> 10, before.1 >> 10);
        assert!(peak < before.1 + ROOM, "{peak} bytes, from {}", before.1);
        drop(unread_ones);
        is_well(&marquee).await;
    }
    sqlite: Sqlite
}

/// What bodies of 8 MB may take of memory: twice what they are, since room is made ahead of what comes, and what is made
/// of those that have their turn.
const BODIES: u64 = 400 << 20;

proof_on! {
    /// What is made of bodies weighs no more than they do, however they are made up: 16 of 8 MB come at once, of lists of
    /// very short names, each of which would be ten times as long in memory.
    async fn bodies_do_not_swell(db) {
        let marquee = Arc::new(started(Marquee::prepare(db.url())).await);
        get(&marquee, "/v1/movies").await.expect(200);
        let before = memory(&marquee, "VmRSS");
        let list = format!("[{}]", vec![r#""a""#; 65].join(","));
        let movie = format!(r#"{{"directors":{list},"genres":{list},"x":{list}}}"#);
        let body = format!("[{}]", vec![movie; 10_000].join(","));
        assert!(body.len() > 7_500_000, "{}", body.len());
        let sent: Vec<_> = (0..16)
            .map(|_| {
                let request = marquee.request(Method::POST, "/v1/movies").header("content-type", "application/json");
                tokio::spawn(request.body(body.clone()).send())
            })
            .collect();
        for sent in sent {
            assert_eq!(sent.await.unwrap().unwrap().status(), 422);
        }
        let peak = memory(&marquee, "VmHWM");
        eprintln!("16 bodies of {} bytes: {} KiB more than {} KiB", body.len(), (peak - before) >> 10, before >> 10);
        assert!(peak < before + BODIES, "{peak} bytes, from {before}");
        is_well(&marquee).await;
    }
    sqlite: Sqlite
}

/// Reads and writes for as long as it lasts, and looks at every answer.
async fn well_behaved(
    n: usize,
    marquee: Arc<Marquee>,
    movies: Arc<Vec<Value>>,
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) {
    let mut at = n * 700;
    while !over.load(Ordering::Relaxed) {
        at = (at + 1) % movies.len();
        let movie = marquee.get(&format!("/v1/movies/{}", movies[at]["id"])).await;
        assert_eq!(movie.status(), 200);
        assert_eq!(movie.json::<Value>().await.unwrap(), movies[at]);
        let title = format!("Beside the slow {n} {at}");
        let made = marquee.post("/v1/movies", &json!({ "title": title })).await;
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        assert_eq!(made["title"], title.as_str());
        let deleted =
            marquee.request(Method::DELETE, &format!("/v1/movies/{}", made["id"])).send().await.unwrap();
        assert_eq!(deleted.status(), 204);
        answered.fetch_add(3, Ordering::Relaxed);
    }
}
