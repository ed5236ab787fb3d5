//! The whole collection as every kind of client reads it: gzip joined from segments is one valid gzip member
//! to each of them; pieces and temporary files hold the same bytes as one run of memory; and a client that
//! reads slowly while others write gets one moment.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use support::{Marquee, TestDatabase};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bundled sample's length.
const SAMPLE: usize = 3200;
/// One of its titles that is not ASCII.
const TITLE: &str = "Astérix aux Jeux Olympiques";
const ARRAY: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// One body.
struct Fetched {
    bytes: Vec<u8>,
    coding: Option<String>,
    total: usize,
    revision: String,
    timing: bool,
}

/// Every decoder gives the bytes that are sent to those who want none.
#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_gzip_to_everybody() {
    let db = TestDatabase::sqlite().await;
    let marquee = sample(&db).await;
    for media in [ARRAY, LINES] {
        let plain = fetch(&marquee, media, "identity").await;
        assert_eq!((plain.coding, plain.total), (None, SAMPLE));
        assert_eq!(count(&plain.bytes, media), SAMPLE);
        assert!(titles(&plain.bytes, media).contains(&TITLE.to_owned()));

        let packed = fetch(&marquee, media, "gzip").await;
        assert_eq!(packed.coding.as_deref(), Some("gzip"));
        assert!(
            packed.bytes.len() * 3 < plain.bytes.len(),
            "{} of {}",
            packed.bytes.len(),
            plain.bytes.len()
        );

        // One member, which ends where the body ends: the plain decoder reads no second one.
        let mut decoder = GzDecoder::new(&packed.bytes[..]);
        let mut unpacked = Vec::new();
        decoder.read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain.bytes, "{media}: flate2 reads something else");
        assert!(decoder.into_inner().is_empty(), "{media}: bytes follow the member");

        let python = "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
        assert!(pipe("python3", &["-c", python], &packed.bytes) == plain.bytes, "{media}: Python's gzip");
        // Byte by byte, as a stream that arrives slowly is read; and nothing is left over.
        let python = "import zlib, sys; d = zlib.decompressobj(31)\n\
                      for byte in sys.stdin.buffer.read(): sys.stdout.buffer.write(d.decompress(bytes([byte])))\n\
                      assert d.eof and not d.unused_data";
        assert!(pipe("python3", &["-c", python], &packed.bytes) == plain.bytes, "{media}: Python's zlib");
        assert!(pipe("gzip", &["-dc"], &packed.bytes) == plain.bytes, "{media}: gzip");

        let accept = format!("Accept: {media}");
        let curl =
            ["-sS", "--fail", "--noproxy", "*", "--compressed", "-H", &accept, &marquee.url("/v1/movies")];
        assert!(pipe("curl", &curl, b"") == plain.bytes, "{media}: curl --compressed");
    }
}

/// A browser shows the collection.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_reads_it() {
    let db = TestDatabase::sqlite().await;
    let marquee = sample(&db).await;
    let profile = tempfile::tempdir().unwrap();
    let data = format!("--user-data-dir={}", profile.path().display());
    let url = marquee.url("/v1/movies");
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        &data,
        "--dump-dom",
        &url,
    ];
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    let shown = pipe(browser.expect("no Chromium: install chromium"), &arguments, b"");
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("<html"), "{shown:.200}");
    assert_eq!(shown.matches("\"title\":").count(), SAMPLE);
    assert!(shown.contains(TITLE), "{TITLE} is not shown");
    // It asks for gzip, of course; and for a page, which JSON is not.
    let metrics = marquee.metrics().await;
    assert!(metrics.keys().any(|name| name.starts_with("marquee_")));
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
        for coding in ["identity", "gzip"] {
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
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (kept, spooled) = (fetch(&large, ARRAY, "gzip").await, fetch(&small, ARRAY, "gzip").await);
    assert_eq!(spooled.total, SAMPLE + 1);
    assert!(kept.bytes == spooled.bytes && kept.revision == spooled.revision);
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
        let packed = fetch(&marquee, media, "gzip").await;
        assert!(gunzip(&packed.bytes) == plain.bytes);
        assert!(fetch(&small, media, "identity").await.bytes == plain.bytes, "{media}: the file's bytes");
        assert!(fetch(&small, media, "gzip").await.bytes == packed.bytes, "{media}: the file's gzip");
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
    assert!(marquee.log().contains("MARQUEE_SPOOL_BYTES"), "{}", marquee.log());
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
    let writing = tokio::spawn({
        let (marquee, over) = (Arc::clone(&marquee), Arc::clone(&over));
        async move {
            let mut writes = 0;
            while !over.load(Ordering::Relaxed) {
                // Ten movies at once, spread by what was there before; and one that goes.
                let batch: Vec<Value> =
                    (0..10).map(|_| json!({ "title": format!("batch {writes}") })).collect();
                assert_eq!(marquee.post("/v1/movies", &json!(batch)).await.status(), 201);
                let path = format!("/v1/movies/{}", 1 + writes * 37 % SAMPLE);
                let deleted = marquee.request(Method::DELETE, &path).send().await.unwrap().status();
                assert!([204, 404].contains(&deleted.as_u16()));
                writes += 1;
            }
            writes
        }
    });
    for (media, coding) in [(ARRAY, "identity"), (LINES, "identity"), (ARRAY, "gzip")] {
        let (head, body) = read_slowly(&marquee, media, coding).await;
        let body = if coding == "gzip" { gunzip(&body) } else { body };
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
    let writes = writing.await.unwrap();
    assert!(writes > 10, "{writes} writes are too few to prove anything");
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
    assert!(body.ends_with(b"\n"));
    body.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn count(body: &[u8], media: &str) -> usize {
    movies(body, media).len()
}

fn titles(body: &[u8], media: &str) -> Vec<String> {
    movies(body, media).iter().map(|movie| movie["title"].as_str().unwrap().to_owned()).collect()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// What a program makes of `input`.
fn pipe(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}; install it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap().ok();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
