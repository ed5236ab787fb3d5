//! What the tests of protection ask with.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{Marquee, Preparation, TestDatabase};

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Without the sample collection.
pub(crate) fn prepare(db: &TestDatabase) -> Preparation {
    Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off")
}

pub(crate) async fn ready(preparation: Preparation) -> Marquee {
    let marquee = preparation.start().await;
    marquee.wait_ready().await;
    marquee
}

/// Runs `marquee token …`: how it ended, what it wrote to stdout, and to stderr.
pub(crate) async fn token(db: &TestDatabase, args: &[&str]) -> (ExitStatus, String, String) {
    args.iter().fold(prepare(db).arg("token"), |command, arg| command.arg(*arg)).run().await
}

/// A new token of a role, called as its role.
pub(crate) async fn make(db: &TestDatabase, role: &str) -> String {
    make_named(db, role, role).await
}

pub(crate) async fn make_named(db: &TestDatabase, role: &str, name: &str) -> String {
    let (status, said, log) = token(db, &["create", "--role", role, "--name", name]).await;
    assert!(status.success(), "{log}");
    said.trim_end_matches('\n').to_owned()
}

pub(crate) async fn revoke(db: &TestDatabase, which: &str) {
    let (status, said, log) = token(db, &["revoke", which]).await;
    assert!(status.success() && said.is_empty(), "{said}{log}");
}

/// Asks with a token, where it is not empty; a write brings what it must.
pub(crate) async fn ask(marquee: &Marquee, method: Method, path: &str, token: &str) -> Response {
    let mut request = marquee.request(method.clone(), path);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    let body = if path == "/v1/genres" { json!({ "name": "Noir" }) } else { json!({ "title": "T" }) };
    if [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        request = request.json(&body);
    }
    request.send().await.unwrap()
}

/// What a write with this token is answered.
pub(crate) async fn write(marquee: &Marquee, token: &str) -> u16 {
    ask(marquee, Method::POST, "/v1/movies", token).await.status().as_u16()
}

/// Waits until a write with this token is answered so.
pub(crate) async fn until(marquee: &Marquee, token: &str, status: u16) {
    let since = Instant::now();
    loop {
        let answered = write(marquee, token).await;
        if answered == status {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "still {answered}, not {status}:\n{}", marquee.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// That it is a failure of this status and type; its detail.
pub(crate) async fn problem(answer: Response, status: u16, slug: &str) -> String {
    let headers = answer.headers().clone();
    let got = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["type"], format!("/problems/{slug}"), "{text}");
    assert_eq!(document["status"], status, "{text}");
    document["detail"].as_str().unwrap().to_owned()
}
