//! An Idempotency-Key is its token's own.

use reqwest::{Method, Response};
use serde_json::json;

use crate::support::Marquee;
use crate::tools::{make, make_named, prepare, problem, ready};

async fn send(marquee: &Marquee, token: &str, title: &str) -> Response {
    let request =
        marquee.request(Method::POST, "/v1/movies").header("idempotency-key", "k").bearer_auth(token);
    request.json(&json!({ "title": title })).send().await.unwrap()
}

on_every_database! {
    /// Who guesses another's key learns nothing of what was answered under it, and takes nothing from it.
    async fn each_token_has_its_own_keys(db) {
        let (one, other) = (make_named(&db, "write", "one").await, make_named(&db, "write", "other").await);
        let reader = make(&db, "read").await;
        let replicas = [ready(prepare(&db)).await, ready(prepare(&db)).await];
        let first = send(&replicas[0], &one, "T").await.text().await.unwrap();
        let second = send(&replicas[0], &other, "T").await;
        assert_eq!((second.status().as_u16(), &second.headers()["location"]), (201, &"/v1/movies/2".parse().unwrap()));
        assert_eq!(send(&replicas[1], &one, "T").await.text().await.unwrap(), first);
        problem(send(&replicas[1], &one, "U").await, 422, "idempotency-key-reused").await;
        problem(send(&replicas[1], &other, "U").await, 422, "idempotency-key-reused").await;
        // A key opens nothing.
        problem(send(&replicas[0], &reader, "T").await, 403, "forbidden").await;
        problem(send(&replicas[0], "mq_0", "T").await, 401, "unauthorized").await;
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 2);
    }
}
