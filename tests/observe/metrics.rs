//! `/metrics`, after some traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::start;
use crate::support::{Marquee, Proxy};

on_every_database! {
    /// Prometheus' own checker has nothing to say of any of it.
    async fn promtool_finds_nothing(db) {
        let marquee = start(&db).await;
        some_traffic(&marquee).await;
        let text = marquee.get("/metrics").await.text().await.unwrap();
        let (passed, complaints) = promtool(&["check", "metrics"], &text);
        assert!(passed && complaints.is_empty(), "{complaints}\n{text}");
        for line in text.lines() {
            let name = line.split(' ').nth(if line.starts_with('#') { 2 } else { 0 }).unwrap();
            assert!(name.starts_with("marquee_") || name.starts_with("process_"), "{line}");
        }
    }

    /// Every answer is counted under its route, method and status, those among them that no handler made.
    async fn every_answer_is_counted(db) {
        let marquee = start(&db).await;
        let before = marquee.metrics().await;
        some_traffic(&marquee).await;
        let after = marquee.metrics().await;
        let grown = |route: &str, method: &str, status: &str| {
            let name = format!(
                "marquee_http_request_duration_seconds_count{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}"
            );
            let read = |metrics: &BTreeMap<String, f64>| metrics.get(&name).copied().unwrap_or_default();
            read(&after) - read(&before)
        };
        for (route, method, status, times) in [
            ("/v1/movies", "POST", "201", 1.0),
            ("/v1/movies", "POST", "409", 1.0),
            ("/v1/movies", "POST", "413", 1.0),
            ("/v1/movies", "POST", "422", 1.0),
            ("/v1/movies", "GET", "200", 3.0),
            ("/v1/movies", "HEAD", "200", 1.0),
            ("/v1/movies", "GET", "304", 1.0),
            ("/v1/movies/{id}", "GET", "200", 1.0),
            ("/v1/movies/{id}", "GET", "404", 1.0),
            ("/v1/movies/{id}", "DELETE", "204", 1.0),
            ("/v1/genres", "GET", "200", 1.0),
            ("other", "GET", "404", 3.0),
            ("/livez", "OTHER", "405", 3.0),
            // The look at the metrics before, which was not answered when it was told.
            ("/metrics", "GET", "200", 1.0),
        ] {
            assert_eq!(grown(route, method, status), times, "{method} {route} {status}");
        }
        assert_eq!(after["marquee_http_requests_in_flight"], 1.0, "only the one that asks");
        // Whatever clients send, there are few labels.
        let labels: BTreeSet<&str> = after.keys().filter_map(|name| name.split("route=\"").nth(1)?.split('"').next()).collect();
        assert!(labels.iter().all(|route| *route == "other" || route.starts_with('/')), "{labels:?}");
        assert!(!after.keys().any(|name| name.contains("BREW") || name.contains("wp-login")));
        // Every method of every path: docs/OBSERVING.md says how long this can make it.
        for path in ["/v1/movies", "/v1/movies/1", "/v1/genres", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/", "/problems/x"] {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
                let asked = marquee.request(Method::from_bytes(method.as_bytes()).unwrap(), path).send().await.unwrap();
                asked.bytes().await.unwrap();
            }
        }
        let all = marquee.metrics().await;
        let refused: Vec<&String> = all.keys().filter(|name| name.contains("seconds_count{") && name.contains("status=\"405\"")).collect();
        assert_eq!(refused.len(), 10, "{refused:?}");
        assert!(refused.iter().all(|name| name.contains("method=\"OTHER\"")), "{refused:?}");
        let length = marquee.get("/metrics").await.bytes().await.unwrap().len();
        assert!((20_000..150_000).contains(&length), "{length} bytes");
        // Buckets grow up to the last, which has them all.
        let bucket = |le: &str| {
            after[&format!(
                "marquee_http_request_duration_seconds_bucket{{le=\"{le}\",route=\"/v1/movies\",method=\"GET\",status=\"200\"}}"
            )]
        };
        assert!(bucket("0.00005") <= bucket("0.01") && bucket("0.01") <= bucket("10.0"));
        assert_eq!(bucket("+Inf"), 3.0);
    }

    /// What the parts are doing is told in numbers that fit what was done.
    async fn the_parts_are_told_of(db) {
        let marquee = start(&db).await;
        some_traffic(&marquee).await;
        let m = marquee.metrics().await;
        let body: f64 = marquee.get("/v1/movies").await.bytes().await.unwrap().len() as f64;
        let grown = marquee.metrics().await["marquee_http_response_body_bytes_total"]
            - m["marquee_http_response_body_bytes_total"];
        assert!(grown > body, "{grown} {body}");
        assert_eq!(m["marquee_revision"], 2.0);
        assert_eq!(m["marquee_commits_total"], 2.0);
        assert!(m["marquee_batch_commands_count"] >= 2.0);
        assert!(m["marquee_batch_duration_seconds_count"] >= 2.0 && m["marquee_batch_duration_seconds_sum"] > 0.0);
        // The collection twice as it is, to a HEAD, and as a 304; a movie that is there and one that is not. The
        // genres are a miss, and so is the first gzip.
        assert_eq!((m["marquee_cache_hits_total"], m["marquee_cache_misses_total"]), (6.0, 2.0));
        // The delete made gzip ready again; what it superseded goes a moment later.
        assert_eq!(m["marquee_segments_coded_total{coding=\"gzip\"}"], 2.0);
        let held = |m: &BTreeMap<String, f64>| {
            (1.0..=m["marquee_cache_capacity_bytes"]).contains(&m["marquee_cache_held_bytes"])
        };
        until(&marquee, |m| m["marquee_cache_entries"] == 2.0 && held(m)).await;
        // A write's room in the mailbox is given back after its answer.
        until(&marquee, |m| (m["marquee_mailbox_commands"], m["marquee_mailbox_bytes"]) == (0.0, 0.0)).await;
        assert_eq!(m["marquee_database_up"], 1.0);
        let open = m["marquee_database_connections{state=\"in_use\"}"] + m["marquee_database_connections{state=\"idle\"}"];
        assert!(open >= 1.0 && open <= m["marquee_database_connections_limit"], "{open}");
        assert!(m["marquee_follower_lag_seconds"] < 60.0);
        assert_eq!(m["marquee_follower_behind_revisions"], 0.0);
        assert_eq!(m[&format!("marquee_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))], 1.0);
        if cfg!(target_os = "linux") {
            assert!(m["process_resident_memory_bytes"] > 1e6);
            assert!(m["process_cpu_seconds_total"] >= 0.0 && m["process_threads"] > 2.0);
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - m["process_start_time_seconds"]) < 600.0 && m["process_start_time_seconds"] <= now);
    }
}

on_every_server! {
    /// While the database hangs, requests are in flight and the follower lags; those whose connections break
    /// are counted as such.
    async fn what_hangs_is_seen(db) {
        {
            let marquee = start(&db).await;
            assert_eq!(marquee.post("/v1/movies", &json!({ "title": "a" })).await.status(), 201);
        }
        let proxy = Proxy::to(db.address().await).await;
        let marquee = Marquee::prepare(&db.url_through(proxy.address())).start().await;
        marquee.wait_ready().await;
        proxy.stall();
        let mut readers = Vec::new();
        for _ in 0..5 {
            let mut reader = TcpStream::connect(marquee.address()).await.unwrap();
            reader.write_all(b"GET /v1/movies HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
            readers.push(reader);
        }
        until(&marquee, |m| m["marquee_http_requests_in_flight"] == 6.0).await;
        assert_eq!(marquee.metrics().await["marquee_http_requests_abandoned_total"], 0.0);
        for reader in readers {
            // Closed with a reset, as a client does that crashed.
            SockRef::from(&reader).set_linger(Some(Duration::ZERO)).unwrap();
        }
        until(&marquee, |m| m["marquee_http_requests_abandoned_total"] == 5.0).await;
        until(&marquee, |m| m["marquee_http_requests_in_flight"] == 1.0).await;
        until(&marquee, |m| m["marquee_follower_lag_seconds"] > 1.0).await;
        proxy.pass();
        until(&marquee, |m| m["marquee_follower_lag_seconds"] < 1.0 && m["marquee_database_up"] == 1.0).await;
    }
}

/// Waits for the metrics to say so.
async fn until(marquee: &Marquee, said: impl Fn(&BTreeMap<String, f64>) -> bool) {
    let waiting = async {
        while !said(&marquee.metrics().await) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
}

/// A bit of everything; see `every_answer_is_counted` for what it comes to.
pub(crate) async fn some_traffic(marquee: &Marquee) {
    let movie = json!([{ "title": "a", "imdb_id": "tt0000001", "genres": ["Drama"] }, { "title": "b" }]);
    let movies = "/v1/movies";
    for (body, status) in [(&movie, 201), (&movie, 409), (&json!({ "titel": "a" }), 422)] {
        assert_eq!(marquee.post(movies, body).await.status(), status);
    }
    let huge = marquee.request(Method::POST, movies).header("content-type", "application/json");
    let huge = huge.body(vec![b' '; 9 << 20]).send().await;
    // Cut off while it was sending, a client may never see the answer.
    assert!(huge.is_err() || huge.unwrap().status() == 413);
    let tag = marquee.get(movies).await.headers()["etag"].clone();
    let asked = |method: &str, path: &str| marquee.request(method.parse().unwrap(), path);
    for (request, status) in [
        (asked("GET", movies), 200),
        (asked("HEAD", movies), 200),
        (asked("GET", movies).header("accept-encoding", "gzip"), 200),
        (asked("GET", movies).header("if-none-match", tag), 304),
        (asked("GET", "/v1/movies/1"), 200),
        (asked("GET", "/v1/movies/99"), 404),
        (asked("GET", "/v1/genres"), 200),
        (asked("DELETE", "/v1/movies/2"), 204),
        (asked("GET", "/nowhere"), 404),
        (asked("GET", "/wp-login.php"), 404),
        (asked("GET", "/v1/movies/1/2"), 404),
        (asked("DELETE", "/livez"), 405),
        (asked("BREW", "/livez"), 405),
        (asked("TRACE", "/livez"), 405),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{}", answer.url());
        answer.bytes().await.unwrap();
    }
}

/// Runs promtool with `input`; whether it was content, and what it said.
pub(crate) fn promtool(args: &[&str], input: &str) -> (bool, String) {
    let mut promtool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; it comes with Debian's package prometheus"));
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A checker that never complains proves nothing.
#[test]
fn promtool_complains_of_what_is_wrong() {
    let (_, complaints) = promtool(&["check", "metrics"], "# TYPE things counter\nthings 1\n");
    assert!(complaints.contains("things"), "{complaints}");
}
