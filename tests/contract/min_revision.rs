//! `Marquee-Min-Revision`: a client reads its own writes on every replica.

use reqwest::Method;
use reqwest::header::IF_NONE_MATCH;
use serde_json::json;

use crate::kit::{Reply, create, delete, get, is_well, post, start};
use crate::support::{Marquee, TestDatabase};

/// The paths of the catalogue.
const PATHS: [&str; 4] = ["/v1/movies", "/v1/movies/1", "/v1/genres", "/v1/movies?limit=1000"];

/// A replica that looks for others' writes once an hour, unless it is asked to.
async fn drowsy(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_POLL_MS", "3600000");
    let marquee = marquee.start().await;
    marquee.wait_ready().await;
    marquee
}

async fn get_from(marquee: &Marquee, path: &str, revision: impl ToString) -> Reply {
    let request = marquee.request(Method::GET, path).header("marquee-min-revision", revision.to_string());
    Reply::to(request).await
}

on_every_database! {
    /// Written here, read there: never older, whatever is asked for; a 304 and a 404 neither.
    async fn what_was_written_here_is_read_there(db) {
        let (here, there) = (start(&db).await, drowsy(&db).await);
        let made = create(&here, json!({ "title": "0", "genres": ["Drama"] })).await;
        get_from(&there, "/v1/movies/1", made.revision()).await.expect(200);
        for n in 1..12 {
            let genre = format!("Genre {n}");
            let made = create(&here, json!({ "title": format!("{n}"), "genres": [genre] })).await;
            let one = format!("/v1/movies/{}", made.json()["id"]);
            // Each way first in its turn, while the other replica still has the state before.
            let ways = [PATHS[0], PATHS[2], PATHS[3], one.as_str()];
            for way in 0..ways.len() {
                let path = ways[(n + way) % ways.len()];
                let found = get_from(&there, path, made.revision()).await.expect(200);
                assert!(found.revision() >= made.revision(), "{path}");
                assert!(found.text().contains(if path == ways[1] { &genre } else { made.text() }), "{path}");
            }
        }
        // What is known there by its tag, or as being there, is asked for anew.
        for path in PATHS {
            let known = get(&there, path).await;
            let gone = match path {
                "/v1/movies/1" => delete(&here, path).await.expect(204),
                "/v1/genres" => post(&here, path, json!({ "name": "New" })).await.expect(201),
                _ => create(&here, json!({ "title": "New" })).await,
            };
            let request = there.request(Method::GET, path).header("marquee-min-revision", gone.revision());
            let found = Reply::to(request.header(IF_NONE_MATCH, known.tag())).await;
            let expected = if path == "/v1/movies/1" { 404 } else { 200 };
            assert_eq!(found.expect(expected).revision(), gone.revision(), "{path}");
        }
        // A movie that is not known there yet is no 404.
        let made = create(&here, json!({ "title": "Last" })).await;
        get_from(&there, made.header("location"), made.revision()).await.expect(200);
        let same = there.request(Method::GET, PATHS[0]).header("marquee-min-revision", made.revision());
        let tag = get(&there, PATHS[0]).await.tag().to_owned();
        Reply::to(same.header(IF_NONE_MATCH, tag)).await.expect(304);
        is_well(&there).await;
    }

    /// A revision that does not come is waited for no longer than any answer; one that comes is answered.
    async fn a_revision_to_come(db) {
        let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_REQUEST_TIMEOUT_MS", "400");
        let marquee = marquee.start().await;
        marquee.wait_ready().await;
        // Written by another: no write is done in so short a time where the disk is slow.
        let waiting = start(&db).await;
        let made = create(&waiting, json!({ "title": "First" })).await;
        marquee.one_more_poll().await;
        for path in PATHS {
            // What it has not read yet may take longer than that, too.
            while get(&marquee, path).await.status == 503 {}
        }
        for path in PATHS {
            for future in [made.revision() + 1, u64::MAX] {
                let refused = get_from(&marquee, path, future).await;
                refused.problem(503, "revision-not-reached");
                assert_eq!((refused.revision(), refused.header("retry-after")), (made.revision(), "1"));
            }
            get_from(&marquee, path, made.revision()).await.expect(200);
            get_from(&marquee, path, 0).await.expect(200);
        }
        let next = made.revision() + 1;
        let other = start(&db).await;
        let (found, second) =
            tokio::join!(get_from(&waiting, PATHS[0], next), create(&other, json!({ "title": "Second" })));
        assert!(found.expect(200).text().contains(second.text()));
        is_well(&waiting).await;
    }

    async fn nonsense_is_refused(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "First" })).await;
        for path in PATHS {
            for nonsense in ["", "-1", "latest", "1.5", "18446744073709551616", "0, 1"] {
                get_from(&marquee, path, nonsense).await.problem(400, "invalid-header");
            }
            let twice = marquee.request(Method::GET, path).header("marquee-min-revision", "0");
            Reply::to(twice.header("marquee-min-revision", "0")).await.problem(400, "invalid-header");
        }
    }
}
