//! Changes of one movie that meet, and patches against the letter of RFC 7396.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

use std::sync::Arc;

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::{Marquee, TestDatabase, revision};

const PATCH_JSON: &str = "application/merge-patch+json";

async fn start(db: &TestDatabase) -> Arc<Marquee> {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    Arc::new(marquee)
}

async fn create(marquee: &Marquee, movie: &Value) -> Response {
    let made = marquee.request(Method::POST, "/v1/movies").json(movie).send().await.unwrap();
    assert_eq!(made.status(), 201);
    made
}

async fn patch(marquee: &Marquee, patch: &Value) -> Response {
    let request = marquee.request(Method::PATCH, "/v1/movies/1").header(CONTENT_TYPE, PATCH_JSON);
    request.body(patch.to_string()).send().await.unwrap()
}

on_every_database! {
    /// 32 clients read one movie and replace it if it is still that: round after round one of them does, whether
    /// their requests meet in one batch or not.
    async fn of_many_who_saw_the_same_one_wins(db) {
        let marquee = start(&db).await;
        let mut tag = create(&marquee, &json!({ "title": "0" })).await.headers()["etag"].clone();
        for round in 1..=10 {
            let clients = (0..32).map(|client| {
                let request = marquee.request(Method::PUT, "/v1/movies/1").header(IF_MATCH, tag.clone());
                request.json(&json!({ "title": format!("{round} by {client}") })).send()
            });
            let answers: Vec<Response> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
            let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status() == 200);
            assert_eq!(won.len(), 1);
            assert!(lost.iter().all(|answer| answer.status() == 412));
            // What a loser is told is not older than what it lost to.
            assert!(lost.iter().all(|answer| revision(answer) >= revision(&won[0])));
            tag = won[0].headers()["etag"].clone();
            let found = marquee.get("/v1/movies/1").await;
            assert_eq!(found.headers()["etag"], tag);
            assert_eq!(found.json::<Value>().await.unwrap()["version"], round + 1);
        }
    }

    /// Patches of different members at once: none undoes another, and each is told a movie with its own change.
    async fn patches_of_different_members_are_all_kept(db) {
        let marquee = start(&db).await;
        create(&marquee, &json!({ "title": "0" })).await;
        let members = [
            ("title", json!("1")), ("year", json!(1999)), ("runtime_minutes", json!(90)), ("rating", json!(7.5)),
            ("votes", json!(3)), ("popularity", json!(1.5)), ("genres", json!(["Drama", "War"])),
            ("directors", json!(["Ann"])), ("imdb_id", json!("tt0000001")),
        ];
        let answers = join_all(members.iter().map(async |(name, value)| {
            let answer = patch(&marquee, &json!({ *name: value })).await;
            assert_eq!(answer.status(), 200);
            let movie: Value = answer.json().await.unwrap();
            assert_eq!(movie[name], *value);
            movie["version"].as_u64().unwrap()
        })).await;
        // Each made a version of its own.
        let mut versions = answers;
        versions.sort_unstable();
        assert_eq!(versions, (2..=10).collect::<Vec<u64>>());
        let movie: Value = marquee.get("/v1/movies/1").await.json().await.unwrap();
        for (name, value) in &members {
            assert_eq!(movie[name], *value);
        }
    }

    /// A movie that is deleted while it is patched: every patch that was made came before, every other is told 404.
    async fn nothing_is_changed_after_it_is_deleted(db) {
        let marquee = start(&db).await;
        for id in 1..=8 {
            create(&marquee, &json!({ "title": "x" })).await;
            let path = format!("/v1/movies/{id}");
            let patches = (0..16).map(async |n| {
                let request = marquee.request(Method::PATCH, &path).json(&json!({ "year": 1900 + n }));
                request.send().await.unwrap()
            });
            let (patched, deleted) = futures_util::future::join(
                join_all(patches),
                marquee.request(Method::DELETE, &path).send(),
            ).await;
            let deleted = deleted.unwrap();
            assert_eq!(deleted.status(), 204);
            for answer in patched {
                match answer.status().as_u16() {
                    200 => assert!(revision(&answer) <= revision(&deleted)),
                    404 => assert!(revision(&answer) >= revision(&deleted)),
                    other => panic!("{other}"),
                }
            }
            assert_eq!(marquee.get(&path).await.status(), 404);
        }
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 0);
    }

    /// What is read after a patch is what RFC 7396 makes of what was read before it.
    async fn a_patch_is_what_the_rfc_says(db) {
        let marquee = start(&db).await;
        create(&marquee, &json!({ "title": "0" })).await;
        let here = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
            let result = runner.run(&patches(), |patch_document| {
                here.block_on(async {
                    let before: Value = marquee.get("/v1/movies/1").await.json().await.unwrap();
                    let answer = patch(&marquee, &patch_document).await;
                    prop_assert_eq!(answer.status(), 200);
                    let told: Value = answer.json().await.unwrap();
                    let after: Value = marquee.get("/v1/movies/1").await.json().await.unwrap();
                    prop_assert_eq!(&told, &after);
                    prop_assert_eq!(after, expected(before, &patch_document, &told));
                    Ok(())
                })
            });
            result.unwrap();
        }).await.unwrap();
    }
}

/// What the RFC makes of a movie. What it removes is told as `null`, or `[]`; a change makes a version.
fn expected(before: Value, patch: &Value, told: &Value) -> Value {
    let mut after = before.clone();
    json_patch::merge(&mut after, patch);
    let members = after.as_object_mut().unwrap();
    for (name, _) in before.as_object().unwrap() {
        let empty = if ["genres", "directors"].contains(&name.as_str()) { json!([]) } else { Value::Null };
        members.entry(name.clone()).or_insert(empty);
    }
    if after != before {
        after["version"] = json!(before["version"].as_u64().unwrap() + 1);
        after["updated_at"] = told["updated_at"].clone();
    }
    after
}

/// Patches whose values are as marquee would tell them.
fn patches() -> impl Strategy<Value = Value> {
    let names = |names: &'static [&'static str]| {
        proptest::sample::subsequence(names, 0..=names.len()).prop_shuffle().prop_map(|names| json!(names))
    };
    let value = |values: BoxedStrategy<Value>| proptest::option::of(proptest::option::of(values));
    (
        proptest::option::of("[a-zA-Zéß👩]{1,8}".prop_map(Value::from)),
        value((1870..=2100).prop_map(Value::from).boxed()),
        value((0..=100).prop_map(|tenths| json!(f64::from(tenths) / 10.0)).boxed()),
        value((0..=i32::MAX).prop_map(Value::from).boxed()),
        value(names(&["Drama", "War", "Noir", "Musical"]).boxed()),
        value(names(&["Ann", "Bob", "Cid"]).boxed()),
        value((1_000_000u32..9_999_999).prop_map(|n| json!(format!("tt{n}"))).boxed()),
    )
        .prop_map(|(title, year, rating, votes, genres, directors, imdb_id)| {
            let mut patch = json!({});
            if let Some(title) = title {
                patch["title"] = title;
            }
            let optional = [
                ("year", year),
                ("rating", rating),
                ("votes", votes),
                ("genres", genres),
                ("directors", directors),
                ("imdb_id", imdb_id),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    patch[name] = value.unwrap_or(Value::Null);
                }
            }
            patch
        })
}
