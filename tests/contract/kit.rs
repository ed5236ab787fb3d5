//! What the tests of the contract ask with, and what every answer is held to.

#[path = "held.rs"]
pub(crate) mod held;

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Marquee, TestDatabase};

pub(crate) const LINES: &str = "application/x-ndjson";

/// How long a raw connection is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// What must not be in anything that a client is told: words of the database, of the code, of the machine.
const INTERNAL: &[&str] = &[
    "select ",
    "insert ",
    "update ",
    "delete from",
    "sqlite",
    "mysql",
    "mariadb",
    "diesel",
    "deadpool",
    "constraint",
    "127.0.0.1",
    "localhost",
    "/tmp/",
    env!("CARGO_MANIFEST_DIR"),
    "/home/",
    "marquee.db",
    "panicked",
    ".rs:",
    "tokio",
    "actix",
    "serde",
    "thread '",
];

/// A marquee without the sample collection, ready.
pub(crate) async fn start(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    marquee
}

/// An answer, whole.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    path: String,
}

impl Reply {
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = reqwest::Client::builder()
            .no_gzip()
            .no_proxy()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        let answer = answer.build().unwrap();
        let answer = answer.execute(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.unwrap().to_vec();
        assert_ne!(status, 500, "{path}: {}", String::from_utf8_lossy(&body));
        held::hold(&method, &path, status, &headers, &body);
        Self { status, headers, body, path }
    }

    /// That it has this status; shows the body when it has not.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.path, String::from_utf8_lossy(&self.body));
        self
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// A header that must be there, once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{}: {name} in {:?}", self.path, self.headers);
        values[0].to_str().unwrap()
    }

    pub(crate) fn tag(&self) -> &str {
        let tag = self.header("etag");
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "not a strong tag: {tag}");
        tag
    }

    pub(crate) fn revision(&self) -> u64 {
        self.header("marquee-revision").parse().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body as it was before it was compressed.
    pub(crate) fn decoded(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        match self.header("content-encoding") {
            "gzip" => MultiGzDecoder::new(self.body.as_slice()).read_to_end(&mut plain).unwrap(),
            "zstd" => zstd::Decoder::new(self.body.as_slice()).unwrap().read_to_end(&mut plain).unwrap(),
            other => panic!("{}: {other}", self.path),
        };
        plain
    }

    /// That it is a failure of this status and type, complete and with nothing internal in it.
    pub(crate) fn problem(&self, status: u16, slug: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        let at = format!("{}: {} {text}", self.path, self.status);
        assert_eq!(self.status, status, "{at}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{at}");
        assert_eq!(self.header("cache-control"), "no-store", "{at}");
        assert!(!self.has("etag") && !self.has("content-encoding"), "{at}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{at}");
        assert_eq!(problem["status"], status, "{at}");
        assert_eq!(problem["instance"], self.path, "{at}");
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {at}");
        }
        for error in problem.get("errors").into_iter().flat_map(|errors| errors.as_array().unwrap()) {
            assert!(error["pointer"].as_str().is_some_and(|p| p.is_empty() || p.starts_with('/')), "{at}");
            assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{at}");
        }
        for member in problem.as_object().unwrap().keys() {
            assert!(
                ["type", "title", "status", "detail", "instance", "errors"].contains(&member.as_str()),
                "{at}"
            );
        }
        let told = format!("{text} {:?}", self.headers).to_lowercase();
        for word in INTERNAL {
            assert!(!told.contains(word), "{word:?} in {told}");
        }
        problem
    }

    /// That it is a 422 whose errors stand at exactly these places, in this order.
    pub(crate) fn invalid(&self, slug: &str, pointers: &[&str]) {
        let problem = self.problem(422, slug);
        let told: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
        assert_eq!(told, pointers, "{problem}");
    }
}

pub(crate) async fn get(marquee: &Marquee, path: &str) -> Reply {
    Reply::to(marquee.request(Method::GET, path)).await
}

pub(crate) async fn head(marquee: &Marquee, path: &str) -> Reply {
    Reply::to(marquee.request(Method::HEAD, path)).await
}

pub(crate) async fn delete(marquee: &Marquee, path: &str) -> Reply {
    Reply::to(marquee.request(Method::DELETE, path)).await
}

/// GETs with `Accept-Encoding` and `Accept`, where they are not empty.
pub(crate) async fn get_as(marquee: &Marquee, path: &str, coding: &str, form: &str) -> Reply {
    let mut request = marquee.request(Method::GET, path);
    if !coding.is_empty() {
        request = request.header(ACCEPT_ENCODING, coding);
    }
    if !form.is_empty() {
        request = request.header(ACCEPT, form);
    }
    Reply::to(request).await
}

pub(crate) async fn get_if(marquee: &Marquee, path: &str, none_match: &str) -> Reply {
    Reply::to(marquee.request(Method::GET, path).header(IF_NONE_MATCH, none_match)).await
}

/// POSTs bytes as JSON.
pub(crate) async fn post_text(marquee: &Marquee, path: &str, body: impl Into<reqwest::Body>) -> Reply {
    post_as(marquee, path, "application/json", body).await
}

pub(crate) async fn post_as(
    marquee: &Marquee,
    path: &str,
    media: &str,
    body: impl Into<reqwest::Body>,
) -> Reply {
    Reply::to(marquee.request(Method::POST, path).header(CONTENT_TYPE, media).body(body)).await
}

pub(crate) async fn post(marquee: &Marquee, path: &str, body: Value) -> Reply {
    post_text(marquee, path, body.to_string()).await
}

/// Creates what must be acceptable.
pub(crate) async fn create(marquee: &Marquee, movie: Value) -> Reply {
    post(marquee, "/v1/movies", movie).await.expect(201)
}

/// The revision and the bytes of the collection: what a refused write must leave as they are.
pub(crate) async fn state(marquee: &Marquee) -> (u64, String, String) {
    let movies = get(marquee, "/v1/movies").await.expect(200);
    let genres = get(marquee, "/v1/genres").await.expect(200);
    assert_eq!(movies.revision(), genres.revision());
    (movies.revision(), movies.text().to_owned(), genres.text().to_owned())
}

/// That it goes on serving, and that nothing in it broke on the way.
pub(crate) async fn is_well(marquee: &Marquee) {
    get(marquee, "/livez").await.expect(200);
    let before = get(marquee, "/v1/movies").await.expect(200);
    let made = create(marquee, serde_json::json!({ "title": "After all that" })).await;
    assert_eq!(made.revision(), before.revision() + 1);
    let id = made.json()["id"].clone();
    let after = get(marquee, "/v1/movies").await.expect(200).json();
    assert_eq!(after.as_array().unwrap().last().unwrap()["id"], id);
    delete(marquee, made.header("location")).await.expect(204);
    // What the parser of HTTP says of a request that it refuses is about the client.
    let log = marquee.log();
    let broken = |line: &&str| {
        line.contains("panicked") || (line.contains("ERROR") && !line.contains("request parse error"))
    };
    assert_eq!(log.lines().find(broken), None);
}

/// A connection on which bytes are sent as they are.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // The server may have answered and hung up before all is sent: what it answered is to be read.
        let _ = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap();
    }

    /// Says that no more will be sent.
    pub(crate) async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next answer: its status, its head in lower case, its body. `None` when the server hung up instead.
    pub(crate) async fn answer(&mut self) -> Option<(u16, String, Vec<u8>)> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |n| n.trim().parse().unwrap());
        while self.unread.len() < length {
            self.more().await?;
        }
        let body = self.unread.drain(..length).collect();
        Some((status, head, body))
    }

    async fn more(&mut self) -> Option<()> {
        let mut chunk = [0; 16 << 10];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut chunk)).await;
        let n = read.expect("no answer, and the connection stays open").unwrap_or(0);
        self.unread.extend_from_slice(&chunk[..n]);
        (n > 0).then_some(())
    }
}

/// What one request, sent as these bytes with nothing after them, is answered.
pub(crate) async fn raw(marquee: &Marquee, request: &[u8]) -> Option<(u16, String, Vec<u8>)> {
    let mut wire = Wire::to(marquee.address()).await;
    wire.send(request).await;
    wire.end().await;
    wire.answer().await
}
