//! A client of marquee that costs little: one connection that is kept, blocking, its bytes as they come.
//!
//! A patient one asks again where it is told 503, as clients should: what creates with the key that it came with.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::json;

use super::words::{Ask, Content, How, Service, Told, split};

/// Longer than marquee lets a request take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Until who is patient asks again: sooner than Retry-After says, so that there is more to check.
const BREATH: Duration = Duration::from_millis(10);

pub(crate) struct Connection {
    stream: TcpStream,
    /// What came; an answer is read to its end before the next request is sent.
    buffer: Vec<u8>,
    /// The last collection that was seen, not coded and as gzip.
    last: [Option<Last>; 2],
    patient: bool,
    /// How often it asked again.
    pub(crate) again: u64,
}

struct Last {
    tag: String,
    /// As it was sent.
    body: Bytes,
    plain: Bytes,
}

struct Answer {
    status: u16,
    revision: u64,
    tag: String,
    gzip: bool,
    body: Bytes,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: Vec::new(), last: [None, None], patient: false, again: 0 }
    }

    /// One that asks again while it is told 503.
    pub(crate) fn patient(address: SocketAddr) -> Self {
        Self { patient: true, ..Self::to(address) }
    }

    fn request(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let since = Instant::now();
        loop {
            let answer = self.once(method, path, headers, body);
            if !self.patient || answer.status != 503 {
                return answer;
            }
            assert!(since.elapsed() < PATIENCE, "{}", answer.surprise());
            self.again += 1;
            sleep(BREATH);
        }
    }

    fn once(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length =
            if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}{length}\r\n{body}");
        self.stream.write_all(request.as_bytes()).unwrap();
        self.buffer.clear();
        let head = loop {
            match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.receive(),
            }
        };
        let mut answer =
            Answer { status: 0, revision: 0, tag: String::new(), gzip: false, body: Bytes::new() };
        let mut length = 0;
        let mut lines = std::str::from_utf8(&self.buffer[..head]).unwrap().split("\r\n");
        answer.status = lines.next().unwrap()[9..12].parse().unwrap();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            match name {
                "marquee-revision" => answer.revision = value.parse().unwrap(),
                "etag" => value.clone_into(&mut answer.tag),
                "content-encoding" => answer.gzip = value == "gzip",
                "content-length" => length = value.parse().unwrap(),
                "transfer-encoding" => panic!("{path}: an answer without a length"),
                _ => {}
            }
        }
        if matches!(answer.status, 204 | 304) {
            length = 0;
        }
        while self.buffer.len() < head + length {
            self.receive();
        }
        assert_eq!(self.buffer.len(), head + length, "{path}: more than was asked for");
        answer.body = Bytes::copy_from_slice(&self.buffer[head..]);
        answer
    }

    fn receive(&mut self) {
        let before = self.buffer.len();
        self.buffer.resize(before + 64 * 1024, 0);
        let n = self.stream.read(&mut self.buffer[before..]).unwrap();
        assert!(n > 0, "the connection was closed: {}", String::from_utf8_lossy(&self.buffer[..before]));
        self.buffer.truncate(before + n);
    }

    fn whole(&mut self, how: How, headers: &str) -> Told {
        let mut headers = headers.to_owned();
        if how.gzip {
            headers.push_str("accept-encoding: gzip\r\n");
        }
        let known = self.last[usize::from(how.gzip)].as_ref();
        if let Some(known) = known.filter(|_| how.conditional) {
            headers.push_str(&format!("if-none-match: {}\r\n", known.tag));
        }
        let answer = self.request("GET", "/v1/movies", &headers, "");
        let last = &mut self.last[usize::from(how.gzip)];
        let plain = match (answer.status, &last) {
            (304, Some(last)) => last.plain.clone(),
            // Most answers are like the one before.
            (200, Some(last)) if last.body == answer.body => last.plain.clone(),
            (200, _) if answer.gzip => {
                let mut plain = Vec::new();
                GzDecoder::new(&*answer.body).read_to_end(&mut plain).unwrap();
                plain.into()
            }
            (200, _) => answer.body.clone(),
            _ => panic!("{}", answer.surprise()),
        };
        if answer.status == 200 {
            *last = Some(Last { tag: answer.tag, body: answer.body, plain: plain.clone() });
        }
        Told { revision: answer.revision, content: Content::Whole(plain) }
    }
}

impl Answer {
    /// What the movie is, where there is one.
    fn movie(self) -> (u64, Option<Bytes>) {
        match self.status {
            200 => (self.revision, Some(self.body)),
            404 => (self.revision, None),
            _ => panic!("{}", self.surprise()),
        }
    }

    fn surprise(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Service for Connection {
    fn ask(&mut self, ask: &Ask, at_least: Option<u64>) -> Told {
        let headers =
            at_least.map(|revision| format!("marquee-min-revision: {revision}\r\n")).unwrap_or_default();
        match ask {
            Ask::Whole(how) => self.whole(*how, &headers),
            Ask::One(id) => {
                let path = format!("/v1/movies/{id}");
                let (revision, movie) = self.request("GET", &path, &headers, "").movie();
                Told { revision, content: Content::One(*id, movie) }
            }
            Ask::Create(titles) => {
                let movie =
                    |title| json!({ "title": title, "genres": ["Drama", title], "directors": [title] });
                let movies: Vec<_> = titles.iter().map(movie).collect();
                let body = if let [one] = &movies[..] { one.to_string() } else { json!(movies).to_string() };
                let key: u128 = rand::random();
                let headers = format!("content-type: application/json\r\nidempotency-key: {key:032x}\r\n");
                let headers = if self.patient { &headers } else { "content-type: application/json\r\n" };
                let answer = self.request("POST", "/v1/movies", headers, &body);
                assert_eq!(answer.status, 201, "{}", answer.surprise());
                let movies = if titles.len() == 1 { vec![answer.body] } else { split(&answer.body) };
                Told { revision: answer.revision, content: Content::Created(movies) }
            }
            Ask::Rename(id, title) => {
                let (path, body) = (format!("/v1/movies/{id}"), json!({ "title": title }).to_string());
                let headers = "content-type: application/merge-patch+json\r\n";
                let (revision, movie) = self.request("PATCH", &path, headers, &body).movie();
                Told { revision, content: Content::Renamed(*id, movie) }
            }
            Ask::Delete(ids) => {
                #[derive(Deserialize)]
                struct Done {
                    deleted: Vec<u64>,
                    missing: Vec<u64>,
                }
                let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
                let answer = self.request("DELETE", &format!("/v1/movies?id={}", ids.join(",")), "", "");
                assert_eq!(answer.status, 200, "{}", answer.surprise());
                let Done { deleted, missing } = serde_json::from_slice(&answer.body).unwrap();
                Told { revision: answer.revision, content: Content::Deleted { deleted, missing } }
            }
        }
    }
}
