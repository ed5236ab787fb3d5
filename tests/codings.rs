//! The whole collection as every kind of client reads it: gzip joined from segments is one valid gzip member
//! to each of them, and joined frames are Zstandard; pieces and temporary files hold the same bytes as one run of
//! memory; and a client that reads slowly while others write gets one moment.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

#[path = "codings/decoders.rs"]
mod decoders;
#[path = "codings/negotiation.rs"]
mod negotiation;
#[macro_use]
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use decoders::{browser, curl, decoded, every_decoder_gives};
use reqwest::Method;
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use support::{Marquee, TestDatabase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bundled sample's length.
const SAMPLE: usize = 3200;
/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// One of its titles that is not ASCII.
const TITLE: &str = "Astérix aux Jeux Olympiques";
const ARRAY: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// One body.
struct Fetched {
    bytes: Vec<u8>,
    coding: Option<String>,
    tag: String,
    total: usize,
    revision: String,
    timing: bool,
}

/// Every decoder gives the bytes that are sent to those who want none.
#[tokio::test(flavor = "multi_thread")]
async fn every_coding_is_what_it_is_to_everybody() {
    let db = TestDatabase::sqlite().await;
    let marquee = sample(&db).await;
    for media in [ARRAY, LINES] {
        let plain = fetch(&marquee, media, "identity").await;
        assert_eq!((plain.coding, plain.total), (None, SAMPLE));
        assert_eq!(count(&plain.bytes, media), SAMPLE);
        assert!(titles(&plain.bytes, media).contains(&TITLE.to_owned()));
        for coding in ["gzip", "zstd"] {
            let packed = fetch(&marquee, media, coding).await;
            assert_eq!(packed.coding.as_deref(), Some(coding));
            let (short, long) = (packed.bytes.len(), plain.bytes.len());
            assert!(short * 6 < long, "{coding}: {short} of {long}");
            every_decoder_gives(&packed.bytes, coding, &plain.bytes, media);
        }
        let (body, coding) = curl(&marquee.url("/v1/movies"), media);
        assert!(body == plain.bytes, "{media}: curl --compressed");
        // It asks for what its build can read.
        assert!(["gzip", "zstd"].contains(&coding.as_str()), "{coding}");
    }
}

/// Nothing, one movie, a segment's edges, several segments, and one in the middle that was emptied.
#[tokio::test(flavor = "multi_thread")]
async fn every_size_is_the_same_in_every_form_and_coding() {
    let db = TestDatabase::sqlite().await;
    let marquee = off(&db).start().await;
    marquee.wait_ready().await;
    let mut movies = 0;
    for size in [0, 1, 255, 256, 257, 1100] {
        if size > movies {
            grow(&marquee, size - movies).await;
            movies = size;
        }
        same_in_every_form_and_coding(&marquee, size).await;
    }
    // Ids 256 to 511, then 512 to 767: two segments that have no movies any more, between others.
    for first in [256, 512] {
        let ids: Vec<String> = (first..first + 256).map(|id| id.to_string()).collect();
        let path = format!("/v1/movies?id={}", ids.join(","));
        assert_eq!(marquee.request(Method::DELETE, &path).send().await.unwrap().status(), 200);
        movies -= 256;
        same_in_every_form_and_coding(&marquee, movies).await;
    }
    // The first one, too: what is left begins in the middle.
    let ids: Vec<String> = (1..256).map(|id| id.to_string()).collect();
    let path = format!("/v1/movies?id={}", ids.join(","));
    assert_eq!(marquee.request(Method::DELETE, &path).send().await.unwrap().status(), 200);
    same_in_every_form_and_coding(&marquee, movies - 255).await;
}

async fn same_in_every_form_and_coding(marquee: &Marquee, size: usize) {
    let mut tags = Vec::new();
    for media in [ARRAY, LINES] {
        let plain = fetch(marquee, media, "identity").await;
        assert_eq!((count(&plain.bytes, media), plain.total), (size, size), "{media}");
        for coding in ["identity", "gzip", "zstd"] {
            let packed = fetch(marquee, media, coding).await;
            assert_eq!(packed.coding.as_deref(), (coding != "identity").then_some(coding));
            if coding != "identity" {
                every_decoder_gives(&packed.bytes, coding, &plain.bytes, &format!("{size} {media}"));
            }
            assert_eq!((packed.total, &packed.revision), (size, &plain.revision));
            // HEAD tells the same length, and who has it is not sent it again.
            let ask = |method| marquee.request(method, "/v1/movies").header("accept", media);
            let head = ask(Method::HEAD).header("accept-encoding", coding).send().await.unwrap();
            assert_eq!(head.headers()["content-length"], packed.bytes.len().to_string().as_str());
            assert_eq!(head.headers()["etag"], packed.tag.as_str());
            let known = ask(Method::GET).header("accept-encoding", coding);
            let known = known.header("if-none-match", &packed.tag).send().await.unwrap();
            assert_eq!((known.status().as_u16(), &known.headers()["etag"]), (304, &head.headers()["etag"]));
            tags.push(packed.tag);
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 6, "{tags:?}");
}

/// A browser shows the collection, in one run of memory and in pieces, and it asked for Zstandard.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_reads_it() {
    let db = TestDatabase::sqlite().await;
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_ACCESS_LOG", "on").start().await;
    marquee.wait_ready().await;
    for movies in [SAMPLE, SAMPLE + 6000] {
        if movies > SAMPLE {
            grow(&marquee, 6000).await;
        }
        let shown = browser(&marquee.url("/v1/movies"));
        assert_eq!(shown.matches("\"title\":").count(), movies);
        assert!(shown.contains(TITLE), "{TITLE} is not shown");
        let zstd = fetch(&marquee, ARRAY, "zstd").await;
        assert!(!zstd.timing, "nobody asked for it before");
        // No other coding is as long. It is logged at the end of its body, which may be after the browser's.
        let sent = format!("path=/v1/movies status=200 bytes={} ", zstd.bytes.len());
        let since = Instant::now();
        let logged = |log: &str| log.lines().any(|line| line.contains("Chrome") && line.contains(&sent));
        while !logged(&marquee.log()) {
            assert!(since.elapsed() < PATIENCE, "{sent}:\n{}", marquee.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Frames and blocks that arrive one at a time: the end of one is not the end of the body, to a browser and to
/// curl.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_frame_is_not_the_end() {
    let db = TestDatabase::sqlite().await;
    let marquee = sample(&db).await;
    let plain = fetch(&marquee, ARRAY, "identity").await;
    for coding in ["gzip", "zstd"] {
        let packed = fetch(&marquee, ARRAY, coding).await;
        // A frame begins with a magic number; deflated blocks end with a full flush.
        let edges: Vec<usize> = match coding {
            "zstd" => positions(&packed.bytes, &[0x28, 0xb5, 0x2f, 0xfd]),
            _ => positions(&packed.bytes, &[0, 0, 0xff, 0xff]).iter().map(|at| at + 4).collect(),
        };
        assert!(edges.len() >= 13, "{coding}: {} edges", edges.len());
        let url = bit_by_bit(&packed.bytes, &edges, coding);
        let shown = browser(&url);
        assert_eq!(shown.matches("\"title\":").count(), SAMPLE, "{coding}");
        if decoders::curl_reads(coding) {
            assert!(curl(&url, ARRAY).0 == plain.bytes, "{coding}: curl");
        }
    }
}

/// Where `pattern` stands in `bytes`, but for the very beginning.
fn positions(bytes: &[u8], pattern: &[u8]) -> Vec<usize> {
    (1..bytes.len()).filter(|at| bytes[*at..].starts_with(pattern)).collect()
}

/// A server of nothing but this body, cut at these edges, with a pause at each: its address.
fn bit_by_bit(body: &[u8], edges: &[usize], coding: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/movies", listener.local_addr().unwrap());
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let (body, edges) = (body.to_vec(), edges.to_vec());
    std::thread::spawn(move || {
        // A browser opens connections that it may not use, and asks for an icon.
        for stream in listener.incoming().map_while(Result::ok) {
            let (head, body, edges) = (head.clone(), body.clone(), edges.clone());
            std::thread::spawn(move || {
                let mut stream = stream;
                stream.set_nodelay(true).unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let asked = lines.next().unwrap_or_default();
                if lines.find(String::is_empty).is_none() || !asked.starts_with("GET /v1/movies ") {
                    let _ = stream
                        .write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    return;
                }
                let _ = stream.write_all(head.as_bytes());
                let mut from = 0;
                for to in edges.into_iter().chain([body.len()]) {
                    std::thread::sleep(Duration::from_millis(10));
                    let _ = stream.write_all(&body[from..to]);
                    from = to;
                }
            });
        }
    });
    url
}

/// What does not fit the cache is served by way of a temporary file: byte for byte what a large cache serves,
/// in each form and coding; then from the same file again.
#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_file_holds_the_same_bytes() {
    let db = TestDatabase::sqlite().await;
    let large = sample(&db).await;
    let small = off(&db).env("MARQUEE_CACHE_BYTES", "300KiB").start().await;
    small.wait_ready().await;
    for media in [ARRAY, LINES] {
        for coding in ["identity", "gzip", "zstd"] {
            let kept = fetch(&large, media, coding).await;
            let spooled = fetch(&small, media, coding).await;
            assert!(spooled.timing, "it is read from the database");
            assert!(kept.bytes == spooled.bytes, "{media} {coding}: other bytes by way of a file");
            assert_eq!(
                (&kept.coding, kept.total, &kept.revision),
                (&spooled.coding, spooled.total, &spooled.revision)
            );
            let again = fetch(&small, media, coding).await;
            assert!(
                again.bytes == spooled.bytes && !again.timing,
                "{media} {coding}: the file is not shared"
            );
        }
    }
    // A write of the other replica is in the next file.
    assert_eq!(large.post("/v1/movies", &json!({ "title": "Next" })).await.status(), 201);
    let written = large.metrics().await["marquee_revision"];
    let since = Instant::now();
    while small.metrics().await["marquee_revision"] < written {
        assert!(since.elapsed() < PATIENCE, "it does not come to the other replica");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for coding in ["gzip", "zstd"] {
        let (kept, spooled) = (fetch(&large, ARRAY, coding).await, fetch(&small, ARRAY, coding).await);
        assert_eq!(spooled.total, SAMPLE + 1);
        assert!(kept.bytes == spooled.bytes && kept.revision == spooled.revision);
        let head = small.request(Method::HEAD, "/v1/movies").header("accept-encoding", coding);
        let head = head.send().await.unwrap();
        assert_eq!(head.headers()["content-length"], spooled.bytes.len().to_string().as_str());
    }
    // One movie is served also where the collection does not fit.
    for id in [1, 1000, 3201] {
        let path = format!("/v1/movies/{id}");
        assert_eq!(
            large.get(&path).await.bytes().await.unwrap(),
            small.get(&path).await.bytes().await.unwrap()
        );
    }
}

/// Beyond a mebibyte, and within the cache, the body leaves in pieces: the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn pieces_hold_the_same_bytes() {
    let db = TestDatabase::sqlite().await;
    let marquee = sample(&db).await;
    grow(&marquee, 6000).await;
    let small = off(&db).env("MARQUEE_CACHE_BYTES", "300KiB").start().await;
    small.wait_ready().await;
    for media in [ARRAY, LINES] {
        let plain = fetch(&marquee, media, "identity").await;
        assert!(plain.bytes.len() > 1 << 20, "{} bytes are not enough", plain.bytes.len());
        assert_eq!((count(&plain.bytes, media), plain.total), (SAMPLE + 6000, SAMPLE + 6000));
        assert!(fetch(&small, media, "identity").await.bytes == plain.bytes, "{media}: the file's bytes");
        for coding in ["gzip", "zstd"] {
            let packed = fetch(&marquee, media, coding).await;
            every_decoder_gives(&packed.bytes, coding, &plain.bytes, media);
            assert!(fetch(&small, media, coding).await.bytes == packed.bytes, "{media}: the file's {coding}");
        }
        assert!(fetch(&marquee, media, "identity").await.bytes == plain.bytes, "{media}: the second time");
    }
}

/// Beyond what temporary files may hold, the answer is a problem that says so; one movie is served still.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_can_be_too_large() {
    let db = TestDatabase::sqlite().await;
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_CACHE_BYTES", "100KiB")
        .env("MARQUEE_SPOOL_BYTES", "100KiB")
        .start()
        .await;
    marquee.wait_ready().await;
    for _ in 0..3 {
        let answer = marquee.get("/v1/movies").await;
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        let document: Value = answer.json().await.unwrap();
        assert_eq!(document["type"], "/problems/collection-too-large");
    }
    marquee.wait_for_log("MARQUEE_SPOOL_BYTES").await;
    assert_eq!(marquee.get("/v1/movies/1").await.status(), 200);
    assert_eq!(marquee.post("/v1/movies", &json!({ "title": "Taken" })).await.status(), 201);
}

/// Reads slowly, while arrays are created and deleted: the body is one moment, and its length is the one that
/// its head tells.
async fn a_slow_client_gets_one_moment(cache: &str) {
    let db = TestDatabase::sqlite().await;
    let marquee = Arc::new(Marquee::prepare(db.url()).env("MARQUEE_CACHE_BYTES", cache).start().await);
    marquee.wait_ready().await;
    grow(&marquee, 6000).await;
    let over = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let writing = tokio::spawn({
        let (marquee, over, written) = (Arc::clone(&marquee), Arc::clone(&over), Arc::clone(&written));
        async move {
            while !over.load(Ordering::Relaxed) {
                let writes = written.load(Ordering::Relaxed);
                // Ten movies at once, spread by what was there before; and one that goes.
                let batch: Vec<Value> =
                    (0..10).map(|_| json!({ "title": format!("batch {writes}") })).collect();
                assert_eq!(marquee.post("/v1/movies", &json!(batch)).await.status(), 201);
                let path = format!("/v1/movies/{}", 1 + writes * 37 % SAMPLE);
                let deleted = marquee.request(Method::DELETE, &path).send().await.unwrap().status();
                assert!([204, 404].contains(&deleted.as_u16()));
                written.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // Each form and coding, and again until enough writes came between: a busy disk syncs seldom.
    let forms = [(ARRAY, "identity"), (LINES, "identity"), (ARRAY, "gzip"), (LINES, "zstd")];
    for (read, (media, coding)) in forms.into_iter().cycle().enumerate() {
        if read >= forms.len() && (written.load(Ordering::Relaxed) > 10 || writing.is_finished()) {
            break;
        }
        let (head, body) = read_slowly(&marquee, media, coding).await;
        let body = decoded(&body, coding);
        let total: usize = head["x-total-count"].parse().unwrap();
        assert_eq!(count(&body, media), total, "{media} {coding}: the head tells another number");
        let mut batches: BTreeMap<String, usize> = BTreeMap::new();
        for title in titles(&body, media).into_iter().filter(|title| title.starts_with("batch ")) {
            *batches.entry(title).or_default() += 1;
        }
        let torn: Vec<_> = batches.iter().filter(|(_, movies)| **movies != 10).collect();
        assert!(torn.is_empty(), "{media} {coding}: half of a write: {torn:?}");
        // Without a gap: all that were acknowledged before the last one that is seen.
        for n in 0..batches.len() {
            assert!(batches.contains_key(&format!("batch {n}")), "{media} {coding}: batch {n} is missing");
        }
    }
    over.store(true, Ordering::Relaxed);
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_of_pieces_gets_one_moment() {
    a_slow_client_gets_one_moment("512MiB").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_of_a_file_gets_one_moment() {
    a_slow_client_gets_one_moment("300KiB").await;
}

fn off(db: &TestDatabase) -> support::Preparation {
    Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off")
}

/// A marquee with the sample.
async fn sample(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::on(db).await;
    marquee.wait_ready().await;
    marquee
}

/// Adds so many movies.
async fn grow(marquee: &Marquee, movies: usize) {
    let more: Vec<Value> = (0..movies)
        .map(|n| json!({ "title": format!("Größer {n} {}", "über ".repeat(n % 30)), "genres": ["Drama", "Ærø"] }))
        .collect();
    assert_eq!(marquee.post("/v1/movies", &json!(more)).await.status(), 201);
}

async fn fetch(marquee: &Marquee, media: &str, coding: &str) -> Fetched {
    let request = marquee.request(Method::GET, "/v1/movies").header("accept", media);
    let answer = request.header("accept-encoding", coding).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let headers = answer.headers().clone();
    assert_eq!(headers["content-type"], media);
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let length: usize = text("content-length").parse().unwrap();
    let bytes = answer.bytes().await.unwrap().to_vec();
    assert_eq!(bytes.len(), length);
    Fetched {
        bytes,
        coding: headers.get("content-encoding").map(|coding| coding.to_str().unwrap().to_owned()),
        tag: text("etag"),
        total: text("x-total-count").parse().unwrap(),
        revision: text("marquee-revision"),
        timing: headers.contains_key("server-timing"),
    }
}

/// GETs over a connection with a small window, a little at a time: the head's fields and the body.
async fn read_slowly(marquee: &Marquee, media: &str, coding: &str) -> (BTreeMap<String, String>, Vec<u8>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&SockAddr::from(marquee.address())).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(socket.into()).unwrap();
    let request = format!(
        "GET /v1/movies HTTP/1.1\r\nHost: x\r\nAccept: {media}\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..read]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let fields: BTreeMap<String, String> =
        fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let body = answer.split_off(end + 4);
    assert_eq!(body.len().to_string(), fields["content-length"], "the body was cut");
    (fields, body)
}

fn movies(body: &[u8], media: &str) -> Vec<Value> {
    if media == ARRAY {
        return serde_json::from_slice(body).unwrap();
    }
    assert!(body.is_empty() || body.ends_with(b"\n"));
    body.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn count(body: &[u8], media: &str) -> usize {
    movies(body, media).len()
}

fn titles(body: &[u8], media: &str) -> Vec<String> {
    movies(body, media).iter().map(|movie| movie["title"].as_str().unwrap().to_owned()).collect()
}
