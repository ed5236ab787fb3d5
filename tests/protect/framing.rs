//! Requests that two readers could take for different ones: each is refused or the connection is closed, and
//! nothing that is hidden in it is ever executed. Raw bytes, a connection each.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{Wire, create, get, is_well, start, state};
use crate::support::Marquee;

/// What is hidden behind or within a request: if anybody takes it for one, a movie is gone.
const HIDDEN: &str = "DELETE /v1/movies/1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
pub(super) const MOVIE: &str = r#"{"title":"a"}"#;

/// Every answer on a connection of its own, until it is closed.
async fn answers(marquee: &Marquee, request: &[u8]) -> Vec<u16> {
    let mut wire = Wire::to(marquee.address()).await;
    wire.send(request).await;
    wire.end().await;
    let mut statuses = Vec::new();
    while let Some((status, ..)) = wire.answer().await {
        statuses.push(status);
    }
    statuses
}

/// Everything that is said on a connection of its own, until it is closed.
async fn said(marquee: &Marquee, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(marquee.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8(said).unwrap()
}

pub(super) fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n{body}"
    )
}

fn with(headers: &str) -> String {
    format!("GET /v1/movies/1 HTTP/1.1\r\nHost: h\r\n{headers}\r\n")
}

pub(super) fn chunked(chunks: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", chunks)
}

/// Two movies, of which the first is the one that hidden requests are after.
async fn begin(db: &crate::support::TestDatabase) -> (Marquee, (u64, String, String)) {
    let marquee = start(db).await;
    create(&marquee, json!([{ "title": "One" }, { "title": "Two" }])).await;
    let before = state(&marquee).await;
    (marquee, before)
}

/// That each is refused once or not answered at all, that what follows it on its connection is not looked at,
/// and that nothing happened.
async fn refuses(marquee: &Marquee, before: &(u64, String, String), requests: Vec<String>) {
    for request in requests {
        for request in [request.clone(), format!("{request}{HIDDEN}"), format!("{request}\r\n{HIDDEN}")] {
            let statuses = answers(marquee, request.as_bytes()).await;
            let shown = request.escape_debug();
            assert!(statuses.len() <= 1, "{statuses:?} for {shown:.300}");
            assert!(
                statuses.iter().all(|status| (400..500).contains(status)),
                "{statuses:?} for {shown:.300}"
            );
            let now = get(marquee, "/v1/movies").await;
            assert_eq!(now.revision(), before.0, "something happened: {shown:.300}");
        }
    }
    assert_eq!(&state(marquee).await, before);
}

on_every_database! {
    /// How long a body is must be said once, in one way.
    async fn lengths_that_contradict(db) {
        let (marquee, before) = begin(&db).await;
        let mut requests = Vec::new();
        for headers in [
            "Content-Length: 13\r\nContent-Length: 14\r\n",
            "Content-Length: 13\r\nContent-Length: 13\r\n",
            "Content-Length: 13\r\nX: y\r\ncontent-length: 0\r\n",
            "Content-Length: 13, 13\r\n",
            "Content-Length: 13,14\r\n",
            "Content-Length: 13 13\r\n",
            "Content-Length: 13;\r\n",
            "Content-Length: +13\r\n",
            "Content-Length: -13\r\n",
            "Content-Length: 0xd\r\n",
            "Content-Length: 1e1\r\n",
            "Content-Length: 13.0\r\n",
            "Content-Length: \"13\"\r\n",
            "Content-Length:\r\n",
            "Content-Length: \r\n",
            "Content-Length: ١٣\r\n",
            "Content-Length: 18446744073709551629\r\n",
            "Content-Length : 13\r\n",
            "Content-Length\t: 13\r\n",
            "Content-Length: 1\r\n 3\r\n",
            "Content-Length: 13\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 13\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Transfer-Encoding: identity\r\nContent-Length: 13\r\n",
        ] {
            requests.push(post(headers, MOVIE));
            requests.push(post(headers, &format!("d\r\n{MOVIE}\r\n0\r\n\r\n")));
            requests.push(post(headers, "0\r\n\r\n"));
        }
        refuses(&marquee, &before, requests).await;
        is_well(&marquee).await;
    }

    /// `chunked`, alone and once, is all that is taken, and not from HTTP/1.0.
    async fn codings_of_transfer(db) {
        let (marquee, before) = begin(&db).await;
        let chunks = format!("d\r\n{MOVIE}\r\n0\r\n\r\n");
        let mut requests = Vec::new();
        for header in [
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunkedx\r\n",
            "Transfer-Encoding: chunked;q=1\r\n",
            "Transfer-Encoding: \"chunked\"\r\n",
            "Transfer-Encoding: ,chunked\r\n",
            "Transfer-Encoding: chunked,\r\n",
            "Transfer-Encoding: chun\tked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "Transfer-Encoding: chunked\u{c}\r\n",
            "Transfer-Encoding: \0chunked\r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            "Transfer-Encoding: chunked\r\n , identity\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding\t: chunked\r\n",
            " Transfer-Encoding: chunked\r\n",
            "X: y\nTransfer-Encoding: chunked\r\n",
            "X: y\rTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\r\n",
        ] {
            requests.push(post(header, &chunks));
        }
        requests.push(chunked(&chunks).replace("HTTP/1.1", "HTTP/1.0"));
        requests.push(chunked(&chunks).replace("HTTP/1.1", "HTTP/1.0").replace("chunked", "identity"));
        refuses(&marquee, &before, requests).await;
        // The same, as they must be, blanks and letters as RFC 9112 leaves them free.
        for header in ["Transfer-Encoding: chunked\r\n", "transfer-encoding:\tCHUNKED \t\r\n"] {
            let whole = format!("{}{}", post(header, &chunks), with(""));
            assert_eq!(answers(&marquee, whole.as_bytes()).await, [201, 200], "{header}");
        }
        is_well(&marquee).await;
    }

    /// Chunks are as long as they say, in plain hexadecimal digits.
    async fn chunks_that_lie(db) {
        let (marquee, before) = begin(&db).await;
        let mut requests: Vec<String> = [
            "10000000000000000\r\n",
            "ffffffffffffffffd\r\n",
            "-d\r\n",
            "+d\r\n",
            "0xd\r\n",
            " d\r\n",
            "d g\r\n",
            "g\r\n",
            "\r\n",
            ";x\r\n",
            "d\n",
            "d\r",
            "d;x\n",
            "d;x=\"\n\"\r\n",
            "d;\0\r\n",
            "d\0\r\n",
        ]
        .iter()
        .map(|size| chunked(&format!("{size}{MOVIE}\r\n0\r\n\r\n")))
        .collect();
        for chunks in [
            // Longer and shorter than they say, and not ended.
            format!("c\r\n{MOVIE}\r\n0\r\n\r\n"),
            format!("e\r\n{MOVIE}\r\n0\r\n\r\n"),
            format!("d\r\n{MOVIE}0\r\n\r\n"),
            format!("d\r\n{MOVIE}\n0\r\n\r\n"),
            format!("d\r\n{MOVIE}\r0\r\n\r\n"),
            format!("d\r\n{MOVIE}\r\n0\r\nX: y\r\rz"),
        ] {
            requests.push(chunked(&chunks));
        }
        refuses(&marquee, &before, requests).await;
        // What stands behind the last chunk is a trailer, however much it looks like a request; and extensions
        // are none of the chunk.
        for chunks in [
            format!("d\r\n{MOVIE}\r\n0\r\n{HIDDEN}"),
            format!("d;{}=\"x\"\r\n{MOVIE}\r\n0;last\r\nX: y\r\n\r\n", "e".repeat(5_000)),
            format!("00000000d\r\n{MOVIE}\r\n000\r\n\r\n"),
            format!("D\r\n{MOVIE}\r\n0\r\n\r\n"),
        ] {
            let before = get(&marquee, "/v1/movies").await.revision();
            assert_eq!(answers(&marquee, chunked(&chunks).as_bytes()).await, [201], "{chunks:.200}");
            assert_eq!(get(&marquee, "/v1/movies").await.revision(), before + 1, "{chunks:.200}");
        }
        get(&marquee, "/v1/movies/1").await.expect(200);
        is_well(&marquee).await;
    }

    /// Lines end with CR LF, names have no blanks, and nothing is folded.
    async fn lines_that_are_none(db) {
        let (marquee, before) = begin(&db).await;
        let mut requests: Vec<String> = [
            "X: a\n",
            "X: a\nY: b\r\n",
            "X: a\r",
            "X: a\rY: b\r\n",
            "X: a\r\n b\r\n",
            "X: a\r\n\tb\r\n",
            "X : a\r\n",
            "X\t: a\r\n",
            " X: a\r\n",
            "\tX: a\r\n",
            "X Y: a\r\n",
            "X\r\n",
            ": a\r\n",
            "X(: a\r\n",
            "X\0: a\r\n",
            "X: a\0b\r\n",
            "X: a\u{1}b\r\n",
            "X: a\u{7f}b\r\n",
            "é: a\r\n",
            "Host: h\r\n",
            "Host: other\r\n",
            "host: h\r\nHOST: h\r\n",
        ]
        .iter()
        .map(|headers| with(headers))
        .collect();
        for request in [
            "GET /v1/movies/1 HTTP/1.1\nHost: h\n\n",
            "GET /v1/movies/1 HTTP/1.1\r\nHost: h\n\r\n",
            "GET /v1/movies/1 HTTP/1.1\r\nHost: h\r\n\n",
            "GET /v1/movies/1 HTTP/1.1\rHost: h\r\r",
            "GET /v1/movies/1 HTTP/1.1\r\n\r\n",
            "GET /v1/movies/1 HTTP/1.1\r\n Host: h\r\n\r\n",
            "GET /v1/movies/1\r\n",
            "GET /v1/movies/1\r\n\r\n",
            "GET /v1/movies/1 HTTP/0.9\r\n\r\n",
            "GET /v1/movies/1 HTTP/1.2\r\nHost: h\r\n\r\n",
            "GET /v1/movies/1 HTTP/1.10\r\nHost: h\r\n\r\n",
            "GET /v1/movies/1 HTTP/2.0\r\nHost: h\r\n\r\n",
            "GET /v1/movies/1 HTTP/01.1\r\nHost: h\r\n\r\n",
            "GET /v1/movies/1 http/1.1\r\nHost: h\r\n\r\n",
            "GET /v1/movies/1 HTTP/1.1 \r\nHost: h\r\n\r\n",
            "GET  /v1/movies/1 HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET\t/v1/movies/1\tHTTP/1.1\r\nHost: h\r\n\r\n",
            " GET /v1/movies/1 HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /v1/movies/1 x HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /v1/mo\0vies HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /v1/mo\rvies HTTP/1.1\r\nHost: h\r\n\r\n",
            "G\0T /v1/movies/1 HTTP/1.1\r\nHost: h\r\n\r\n",
            "G@T /v1/movies/1 HTTP/1.1\r\nHost: h\r\n\r\n",
            "/v1/movies/1 HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0",
        ] {
            requests.push(request.to_owned());
        }
        requests.push(with(&"X: y\r\n".repeat(96)));
        requests.push(with(&format!("X: {}\r\n", "y".repeat(200 << 10))));
        requests.push(with(&format!("{}: y\r\n", "X".repeat(200 << 10))));
        refuses(&marquee, &before, requests).await;
        is_well(&marquee).await;
    }

    /// A target may name a host, whichever: it is the path that counts, once.
    async fn targets_of_other_forms(db) {
        let (marquee, before) = begin(&db).await;
        for (target, expected) in [
            ("http://h/v1/movies/1", 200),
            ("http://other:81/v1/movies/1", 200),
            ("https://user@other/v1/movies/1", 200),
            ("HTTP://H/v1/movies/1", 200),
            ("//other/v1/movies/1", 404),
            ("/v1//movies/1", 404),
            ("/v1/movies/1/../2", 404),
            ("/v1\\movies\\1", 404),
            ("*", 404),
            ("h:80", 404),
            ("v1/movies/1", 400),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(answers(&marquee, request.as_bytes()).await, [expected], "{target}");
        }
        // A tunnel is not opened: what would go through it is not looked at.
        let statuses = answers(&marquee, format!("CONNECT h:80 HTTP/1.1\r\nHost: localhost\r\n\r\n{HIDDEN}").as_bytes()).await;
        assert!(statuses.len() == 1 && (400..500).contains(&statuses[0]), "{statuses:?}");
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// A body is a body, whoever reads it or not: never the next request.
    async fn bodies_that_look_like_requests(db) {
        let (marquee, before) = begin(&db).await;
        let length = HIDDEN.len();
        let chunk = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
        for head in [
            "GET /v1/movies/2",
            "HEAD /v1/movies/2",
            "GET /livez",
            "GET /nowhere",
            "POST /nowhere",
            "POST /v1/movies",
            "POST /v1/genres",
            "PUT /v1/movies/2",
            "PATCH /v1/movies/2",
            "DELETE /v1/movies/9",
            "OPTIONS /v1/movies",
            "BREW /v1/movies",
        ] {
            for (headers, body) in [
                (format!("Content-Length: {length}\r\n"), HIDDEN),
                (format!("Content-Length: {length}\r\nContent-Type: application/json\r\n"), HIDDEN),
                ("Transfer-Encoding: chunked\r\n".to_owned(), chunk.as_str()),
                ("Transfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\n".to_owned(), &chunk),
                (format!("Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: {length}\r\n"), HIDDEN),
                (format!("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: \r\nContent-Length: {length}\r\n"), HIDDEN),
            ] {
                let request = format!("{head} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}");
                let said = said(&marquee, request.as_bytes()).await;
                assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said} to {request}");
                assert_eq!(get(&marquee, "/v1/movies").await.revision(), before.0, "{request}");
            }
        }
        // With this header actix-http takes all that follows for another protocol: no movie is made of it.
        let asked = post(&format!("Upgrade: websocket\r\nContent-Length: {}\r\n", MOVIE.len()), MOVIE);
        let statuses = answers(&marquee, format!("{asked}{HIDDEN}").as_bytes()).await;
        assert_eq!(statuses, [400]);
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// Requests that come together are answered one by one, in their order; behind one that is malformed,
    /// nothing is looked at.
    async fn requests_that_come_together(db) {
        let (marquee, _) = begin(&db).await;
        let mut wire = Wire::to(marquee.address()).await;
        let many: String = (0..40).map(|n| with("").replace("movies/1", &format!("movies/{}", n % 2 + 1))).collect();
        wire.send(many.as_bytes()).await;
        for n in 0..40 {
            let (status, _, body) = wire.answer().await.unwrap();
            let movie: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, movie["id"].as_u64()), (200, Some(n % 2 + 1)));
        }
        // Writes among them happen once each, and what comes after sees them.
        let posts: String = (0..5)
            .map(|n| {
                let movie = json!({ "title": format!("Together {n}") }).to_string();
                post(&format!("Content-Length: {}\r\n", movie.len()), &movie)
            })
            .collect();
        wire.send(format!("{posts}{}", with("")).as_bytes()).await;
        for n in 0..5 {
            let (status, _, body) = wire.answer().await.unwrap();
            let movie: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, movie["title"].as_str().unwrap()), (201, format!("Together {n}").as_str()));
        }
        assert_eq!(wire.answer().await.unwrap().0, 200);

        let before = state(&marquee).await;
        for broken in ["GET / HTTP/9.9\r\n\r\n".to_owned(), with("X : y\r\n"), with("Content-Length: x\r\n"), "\0\r\n".into()] {
            let together = format!("{}{}{broken}{HIDDEN}", with(""), with(""));
            let statuses = answers(&marquee, together.as_bytes()).await;
            assert_eq!(statuses, [200, 200, 400], "{broken:?}");
        }
        assert_eq!(state(&marquee).await, before);
        is_well(&marquee).await;
    }

    /// A client that waits to be told to go on is told so, once, and only if it speaks HTTP/1.1.
    async fn expectations(db) {
        let (marquee, before) = begin(&db).await;
        let length = MOVIE.len();
        let mut wire = Wire::to(marquee.address()).await;
        wire.send(post(&format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"), "").as_bytes()).await;
        assert_eq!(wire.answer().await.unwrap().0, 100);
        wire.send(format!("{MOVIE}{}", with("")).as_bytes()).await;
        assert_eq!(wire.answer().await.unwrap().0, 201);
        assert_eq!(wire.answer().await.unwrap().0, 200);
        let old = post(&format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"), MOVIE);
        assert_eq!(answers(&marquee, old.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await, [201]);
        assert_eq!(get(&marquee, "/v1/movies").await.revision(), before.0 + 2);
        // Who is told to go on, and sends another request instead of the body, has sent a body.
        let mut wire = Wire::to(marquee.address()).await;
        let head = post(&format!("Content-Length: {}\r\nExpect: 100-continue\r\n", HIDDEN.len()), "");
        wire.send(head.as_bytes()).await;
        assert_eq!(wire.answer().await.unwrap().0, 100);
        wire.send(HIDDEN.as_bytes()).await;
        assert_eq!(wire.answer().await.unwrap().0, 400);
        get(&marquee, "/v1/movies/1").await.expect(200);
        is_well(&marquee).await;
    }
}
