//! The access log, as text and as JSON.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Marquee, TestDatabase};

async fn logging(db: &TestDatabase, format: &str) -> Marquee {
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_SAMPLE", "off")
        .env("MARQUEE_ACCESS_LOG", "on")
        .env("MARQUEE_LOG_FORMAT", format);
    let marquee = marquee.start().await;
    marquee.wait_ready().await;
    marquee
}

/// The lines of the access log that have `word` in them, once there are so many.
async fn lines(marquee: &Marquee, word: &str, count: usize) -> Vec<String> {
    let waiting = async {
        loop {
            let log = marquee.log();
            let found: Vec<String> = log
                .lines()
                .filter(|line| line.contains("access") && line.contains(word))
                .map(str::to_owned)
                .collect();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    found.unwrap_or_else(|_| panic!("{word} is not logged {count} times:\n{}", marquee.log()))
}

async fn json_line(marquee: &Marquee, word: &str) -> Value {
    let line = lines(marquee, word, 1).await.remove(0);
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Sends bytes as they are, and reads until the end.
async fn raw(marquee: &Marquee, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(marquee.address()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

on_every_database! {
    /// One object a line, each part a member of its own.
    async fn json_has_a_member_for_each_part(db) {
        let marquee = logging(&db, "json").await;
        assert_eq!(marquee.post("/v1/movies", &json!({ "title": "a" })).await.status(), 201);
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let request = marquee
            .request(Method::GET, "/v1/movies")
            .header("user-agent", "a \"browser\"")
            .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
            .header("x-request-id", "get-1");
        let body = request.send().await.unwrap().bytes().await.unwrap();
        let line = json_line(&marquee, "get-1").await;
        let expected = json!({
            "level": "INFO", "target": "access", "method": "GET", "path": "/v1/movies", "status": 200,
            "bytes": body.len(), "client": "127.0.0.1", "request_id": "get-1", "trace_id": trace,
            "parent_id": "b7ad6b7169203331", "cache": "marquee; hit", "user_agent": "a \"browser\"",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&line[name], value, "{name}: {line}");
        }
        assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");
        // As docs/OBSERVING.md shows it: to the millisecond.
        let time: String =
            line["time"].as_str().unwrap().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(time, "0000-00-00T00:00:00.000Z", "{line}");
        assert!(line.get("broken").is_none(), "{line}");

        for (method, path, id, status) in [
            (Method::POST, "/v1/movies", "post-1", 415),
            (Method::HEAD, "/v1/movies", "head-1", 200),
            (Method::DELETE, "/v1/movies/9?x=%22", "delete-1", 400),
            (Method::GET, "/nowhere?a=1&b=2", "get-2", 404),
        ] {
            let request = marquee.request(method.clone(), path).header("x-request-id", id).send();
            let body = request.await.unwrap().bytes().await.unwrap();
            let line = json_line(&marquee, id).await;
            assert_eq!((&line["path"], &line["status"]), (&json!(path), &json!(status)), "{line}");
            assert_eq!((&line["method"], &line["bytes"]), (&json!(method.as_str()), &json!(body.len())), "{line}");
        }
    }

    /// As text, one line each, whatever a client sends.
    async fn text_stays_on_its_line(db) {
        let marquee = logging(&db, "text").await;
        let agent = "a\u{85}b\u{202e}c\u{2028}[2026-01-01T00:00:00Z INFO  access] answered method=GET \"x\"\\";
        for (id, path) in [("text-1", "/v1/movies/1?q=%0A%22"), ("text-2", "/v1/movies/1?q=\u{9b}31m\u{7f}\u{85}")] {
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: h\r\nUser-Agent: {agent}\r\nX-Request-Id: {id}\r\nConnection: close\r\n\r\n"
            );
            let answer = raw(&marquee, request.as_bytes()).await;
            assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
            if !answer.ends_with(b"\r\n\r\n") {
                let line = lines(&marquee, id, 1).await.remove(0);
                assert!(line.starts_with('[') && line.contains("Z INFO  access] answered method=GET path="), "{line}");
                assert!(line.contains(" status=400 bytes=") && line.contains("client=127.0.0.1"), "{line}");
                assert!(line.contains(r#"\u{85}b\u{202e}c\u{2028}[2026"#), "{line}");
                assert!(line.ends_with(r#"method=GET \"x\"\\""#), "{line}");
            }
        }
        let log = marquee.log();
        assert!(log.contains("text-1"), "{log}");
        assert!(!log.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{2028}' || c == '\u{202e}')), "{log:?}");
        assert_eq!(log.lines().filter(|line| line.contains("access]")).count(), log.matches("path=").count());
    }

    /// A body that is sent piece by piece is logged at its end, with what was taken of it.
    async fn bodies_in_pieces_are_logged_at_their_end(db) {
        let marquee = logging(&db, "json").await;
        let long = "x".repeat(500);
        let movies: Vec<Value> = (0..4000).map(|n| json!({ "title": format!("{n} {long}") })).collect();
        assert_eq!(marquee.post("/v1/movies", &Value::from(movies)).await.status(), 201);
        let asked = marquee.request(Method::GET, "/v1/movies").header("x-request-id", "whole");
        let body = asked.send().await.unwrap().bytes().await.unwrap();
        assert!(body.len() > 2 << 20);
        let line = json_line(&marquee, "whole").await;
        assert_eq!((&line["bytes"], line.get("broken")), (&json!(body.len()), None), "{line}");

        // One who reads the beginning only, and goes.
        let mut stream = TcpStream::connect(marquee.address()).await.unwrap();
        stream.write_all(b"GET /v1/movies HTTP/1.1\r\nHost: h\r\nX-Request-Id: part\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        drop(stream);
        let line = json_line(&marquee, "part").await;
        // How much the system took before it noticed is its own affair.
        let all = line["bytes"] == body.len();
        assert!(line["bytes"].as_u64().unwrap() <= body.len() as u64 && line["status"] == 200, "{line}");
        assert_eq!(line.get("broken"), (!all).then_some(&json!(true)), "{line}");
    }

    /// Without the switch nothing is logged, and with it only what RUST_LOG lets through.
    async fn it_is_off_unless_asked_for(db) {
        let quiet = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
        quiet.wait_ready().await;
        let filtered = Marquee::prepare(db.url()).env("MARQUEE_ACCESS_LOG", "on").env("RUST_LOG", "info,access=off");
        let filtered = filtered.start().await;
        for marquee in [quiet, filtered] {
            let mut marquee = marquee;
            let answer = marquee.get("/v1/genres").await;
            assert!(!answer.headers().contains_key("x-request-id"), "an id that nobody reads");
            assert!(marquee.terminate().await.success());
            assert!(!marquee.log().contains("access]"), "{}", marquee.log());
            assert!(marquee.log().contains("stopped"), "the last words are written: {}", marquee.log());
        }
    }
}
