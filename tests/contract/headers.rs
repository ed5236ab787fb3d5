//! Validators, revisions, caching, codings, HEAD.

use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::header::IF_NONE_MATCH;
use serde_json::{Value, json};

use crate::kit::{LINES, Reply, create, delete, get, get_as, get_if, head, post, start, state};
use crate::support::{Marquee, TestDatabase};

const HIT: &str = "marquee; hit";
const MISS: &str = "marquee; fwd=miss; stored";

/// That a 304 says what the 200 would have said, and has no body.
fn is_not_modified(reply: &Reply, full: &Reply) {
    assert_eq!((reply.status, reply.text()), (304, ""));
    for name in ["etag", "marquee-revision", "cache-control", "vary"] {
        assert_eq!(reply.header(name), full.header(name), "{name}");
    }
    assert!(reply.header("cache-status").starts_with("marquee; "));
}

/// 600 movies: three segments.
async fn fill(marquee: &Marquee) {
    let movies: Vec<Value> = (0..600)
        .map(|n| json!({ "title": format!("Movie {n} é👩‍🚀"), "genres": [format!("G{}", n % 7)], "rating": 8.3 }))
        .collect();
    create(marquee, Value::Array(movies)).await;
}

async fn restart(db: &TestDatabase, mut marquee: Marquee) -> Marquee {
    marquee.kill();
    start(db).await
}

/// Status, headers but for the date, and body of the whole collection, asked for by a target and with headers.
async fn told(
    marquee: &Marquee,
    target: &str,
    headers: &[(&str, &str)],
) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut request = marquee.request(Method::GET, target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = Reply::to(request).await;
    let told = reply.headers.iter().filter(|(name, _)| *name != "date");
    let mut told: Vec<_> =
        told.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    told.sort();
    (reply.status, told, reply.body)
}

/// How many GETs of movies were answered, and how many reads of any kind were hits.
async fn counted(marquee: &Marquee) -> (f64, f64) {
    let metrics = marquee.metrics().await;
    let movies = "marquee_http_request_duration_seconds_count{route=\"/v1/movies";
    let ours = metrics.iter().filter(|(name, _)| name.starts_with(movies) && name.contains("GET"));
    (ours.map(|(_, count)| count).sum(), metrics["marquee_cache_hits_total"])
}

on_every_database! {
    /// The commonest hits have a way of their own, which another spelling of their targets does not go: nobody can
    /// tell the two by their answers, and both are counted.
    async fn the_hot_way_answers_as_the_other(db) {
        let marquee = start(&db).await;
        create(&marquee, json!([{ "title": "a", "genres": ["Drama"] }, { "title": "b" }])).await;
        let tag = get(&marquee, "/v1/movies").await.tag().to_owned();
        let before = counted(&marquee).await;
        let ways: [&[(&str, &str)]; 9] = [
            &[],
            &[("accept-encoding", "gzip")],
            &[("accept-encoding", "zstd, gzip;q=0.5")],
            &[("accept", LINES)],
            &[("if-none-match", &tag)],
            &[("if-none-match", "\"another\"")],
            &[("marquee-min-revision", "1")],
            &[("x-request-id", "an-id-of-its-own")],
            &[("accept-encoding", "identity;q=0, *;q=0")],
        ];
        for (headers, path) in ways.into_iter().flat_map(|way| [(way, "/v1/movies"), (way, "/v1/movies/2")]) {
            let other = format!("{path}?");
            // What is not ready yet is made by the first.
            told(&marquee, &other, headers).await;
            let hot = told(&marquee, path, headers).await;
            assert_eq!(hot, told(&marquee, &other, headers).await, "{path} {headers:?}");
            assert!(hot.0 == 406 || hot.1.contains(&("cache-status".into(), HIT.into())), "{headers:?}: {hot:?}");
        }
        let after = counted(&marquee).await;
        // Three lists were made first, and three answers of each refused.
        assert_eq!((after.0 - before.0, after.1 - before.1), (54.0, 45.0));
    }

    /// Who has the answer already is told so, until there is another.
    async fn a_known_answer_is_not_sent_again(db) {
        let marquee = start(&db).await;
        create(&marquee, json!([{ "title": "a", "genres": ["Drama"] }, { "title": "b" }])).await;
        let mut tags = BTreeSet::new();
        for path in ["/v1/movies", "/v1/movies/1", "/v1/movies/2"] {
            let full = get(&marquee, path).await.expect(200);
            let tag = full.tag();
            assert!(tags.insert(tag.to_owned()), "{path}");
            for list in [
                tag.to_owned(),
                format!("W/{tag}"),
                "*".to_owned(),
                format!("\"x\", {tag}"),
                format!("W/\"a,b\",{tag} , \"z\""),
                format!("  {tag}\t"),
            ] {
                is_not_modified(&get_if(&marquee, path, &list).await, &full);
                let request = marquee.request(Method::HEAD, path).header(IF_NONE_MATCH, &list);
                is_not_modified(&Reply::to(request).await, &full);
            }
            let twice =
                marquee.request(Method::GET, path).header(IF_NONE_MATCH, "\"x\"").header(IF_NONE_MATCH, tag);
            is_not_modified(&Reply::to(twice).await, &full);
            for list in ["\"x\"", "", "x", tag.trim_matches('"'), "\"", "W/", &tag[..tag.len() - 1]] {
                let again = get_if(&marquee, path, list).await.expect(200);
                assert_eq!((again.text(), again.tag()), (full.text(), tag), "{list:?}");
            }
        }
        let genres = get(&marquee, "/v1/genres").await.expect(200);
        is_not_modified(&get_if(&marquee, "/v1/genres", genres.tag()).await, &genres);
        is_not_modified(&get_if(&marquee, "/v1/genres", "*").await, &genres);
        // Nothing is there to be known.
        get_if(&marquee, "/v1/movies/99", "*").await.problem(404, "not-found");

        // Another movie's change is a change of the lists, not of this movie.
        let (list, one) = (get(&marquee, "/v1/movies").await, get(&marquee, "/v1/movies/1").await);
        create(&marquee, json!({ "title": "c", "genres": ["War"] })).await;
        delete(&marquee, "/v1/movies/2").await.expect(204);
        let now = get_if(&marquee, "/v1/movies", list.tag()).await.expect(200);
        assert_ne!(now.tag(), list.tag());
        let now = get_if(&marquee, "/v1/genres", genres.tag()).await.expect(200);
        assert_ne!(now.tag(), genres.tag());
        let now = get_if(&marquee, "/v1/movies/1", one.tag()).await.expect(304);
        assert_eq!((now.tag(), now.revision()), (one.tag(), list.revision() + 2));
    }

    /// Each representation has a tag of its own: another's is not taken for it.
    async fn tags_differ_by_coding_and_form(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "a" })).await;
        let mut tags = BTreeSet::new();
        for path in ["/v1/movies", "/v1/movies/1"] {
            for coding in ["", "gzip, identity;q=0", "zstd, identity;q=0"] {
                for form in ["", LINES] {
                    let reply = get_as(&marquee, path, coding, form).await.expect(200);
                    assert_eq!(reply.has("content-encoding"), !coding.is_empty());
                    assert!(reply.header("vary").contains("Accept-Encoding"));
                    tags.insert(reply.tag().to_owned());
                    let known = marquee
                        .request(Method::GET, path)
                        .header("accept-encoding", coding)
                        .header("accept", form);
                    let known = Reply::to(known.header(IF_NONE_MATCH, reply.tag())).await;
                    assert_eq!((known.status, known.tag()), (304, reply.tag()));
                    assert!(known.body.is_empty() && !known.has("content-encoding"));
                }
            }
        }
        // Three codings and two forms of the list; three codings of the movie, which has one form.
        assert_eq!(tags.len(), 9, "{tags:?}");
        let plain = get(&marquee, "/v1/movies").await;
        let other = marquee.request(Method::GET, "/v1/movies").header("accept-encoding", "gzip");
        Reply::to(other.header(IF_NONE_MATCH, plain.tag())).await.expect(200);
    }

    /// Tags and revisions are the database's: another replica, and a later start, give the same.
    async fn replicas_agree(db) {
        let marquee = start(&db).await;
        create(&marquee, json!([{ "title": "a", "genres": ["Drama"] }, { "title": "b" }])).await;
        delete(&marquee, "/v1/movies/2").await.expect(204);
        let other = start(&db).await;
        for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
            for coding in ["", "gzip", "zstd"] {
                let (one, two) =
                    (get_as(&marquee, path, coding, "").await, get_as(&other, path, coding, "").await);
                assert_eq!((one.tag(), one.revision()), (two.tag(), two.revision()), "{path}");
                assert!(one.body == two.body, "{path}");
            }
        }
    }

    /// One transaction, one revision; a write that fails raises none, and says at which it failed.
    async fn revisions_grow_by_one(db) {
        let marquee = start(&db).await;
        let mut revision = get(&marquee, "/v1/movies").await.revision();
        for movies in
            [json!({ "title": "a", "imdb_id": "tt0000001" }), json!([{ "title": "b" }, { "title": "c" }])]
        {
            revision += 1;
            assert_eq!(create(&marquee, movies).await.revision(), revision);
        }
        revision += 1;
        assert_eq!(
            post(&marquee, "/v1/genres", json!({ "name": "Drama" })).await.expect(201).revision(),
            revision
        );
        revision += 1;
        assert_eq!(delete(&marquee, "/v1/movies/2").await.expect(204).revision(), revision);

        let before = state(&marquee).await;
        for (refused, status) in [
            (post(&marquee, "/v1/movies", json!({ "title": "x", "imdb_id": "tt0000001" })).await, 409),
            (post(&marquee, "/v1/genres", json!({ "name": "DRAMA" })).await, 409),
            (delete(&marquee, "/v1/movies/2").await, 404),
            (get(&marquee, "/v1/movies/2").await, 404),
        ] {
            assert_eq!((refused.status, refused.revision()), (status, revision));
        }
        post(&marquee, "/v1/movies", json!({ "title": "" })).await.problem(422, "invalid-movie");
        assert_eq!(state(&marquee).await, before);
        assert_eq!(before.0, revision);
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 2);
        for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
            assert_eq!(get(&marquee, path).await.revision(), revision);
            assert_eq!(head(&marquee, path).await.revision(), revision);
        }
        assert_eq!(create(&marquee, json!({ "title": "d" })).await.revision(), revision + 1);
    }

    /// After a write everything is in the cache; after a start the first to ask makes the load.
    async fn the_cache_says_what_it_did(db) {
        let mut marquee = start(&db).await;
        create(&marquee, json!([{ "title": "a", "genres": ["Drama"] }, { "title": "b" }])).await;
        for path in ["/v1/movies", "/v1/movies/1"] {
            let reply = get(&marquee, path).await.expect(200);
            assert_eq!(reply.header("cache-status"), HIT, "{path}");
            assert!(!reply.has("server-timing"));
            assert_eq!(reply.header("cache-control"), "no-cache");
            assert_eq!(get_if(&marquee, path, reply.tag()).await.expect(304).header("cache-status"), HIT);
        }
        for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
            marquee = restart(&db, marquee).await;
            let first = get(&marquee, path).await.expect(200);
            assert_eq!(first.header("cache-status"), MISS, "{path}");
            let timing = first.header("server-timing");
            for metric in ["db;dur=", "encode;dur=", "segments;desc="] {
                assert!(timing.contains(metric), "{timing}");
            }
            let second = get(&marquee, path).await.expect(200);
            assert_eq!(second.header("cache-status"), HIT, "{path}");
            assert!(!second.has("server-timing"));
            assert_eq!((second.text(), second.tag()), (first.text(), first.tag()));
        }
        // One movie's load serves the list: they are of one segment.
        marquee = restart(&db, marquee).await;
        assert_eq!(get(&marquee, "/v1/movies/2").await.header("cache-status"), MISS);
        assert_eq!(get(&marquee, "/v1/movies").await.header("cache-status"), HIT);
        // A 404 is no hit and no miss of a movie, but it is of a revision.
        assert!(get(&marquee, "/v1/movies/99").await.has("marquee-revision"));
    }

    /// A coding is made when it is first asked for, of what is cached, and kept; a write makes ready what is asked
    /// for, and nothing else.
    async fn codings_are_made_once(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "a" })).await;
        let made = async |coding: &str| {
            let name = format!("marquee_segments_coded_total{{coding=\"{coding}\"}}");
            marquee.metrics().await.get(&name).copied().unwrap_or_default()
        };
        let read = async || marquee.metrics().await["marquee_segments_read_total"];
        let before = read().await;
        for (n, coding) in ["gzip", "zstd"].into_iter().enumerate() {
            assert_eq!((made("gzip").await, made("zstd").await), (n as f64, 0.0));
            let first = get_as(&marquee, "/v1/movies", coding, "").await.expect(200);
            assert_eq!(first.header("cache-status"), MISS, "{coding}");
            let timing = first.header("server-timing");
            assert!(timing.contains("db;dur=0.000") && timing.contains("segments;desc=\"0\""), "{timing}");
            let second = get_as(&marquee, "/v1/movies", coding, "").await.expect(200);
            assert_eq!(second.header("cache-status"), HIT, "{coding}");
            assert!(!second.has("server-timing") && second.body == first.body);
        }
        assert_eq!(read().await, before, "the database was asked");

        // Both are asked for: the write makes both.
        create(&marquee, json!({ "title": "b" })).await;
        assert_eq!((made("gzip").await, made("zstd").await), (2.0, 2.0));
        let hit = get_as(&marquee, "/v1/movies", "zstd", "").await.expect(200);
        assert_eq!(hit.header("cache-status"), HIT);
        assert!(String::from_utf8(hit.decoded()).unwrap().contains("\"b\""));
        // Only Zstandard has been since.
        create(&marquee, json!({ "title": "c" })).await;
        assert_eq!((made("gzip").await, made("zstd").await), (2.0, 3.0));
        assert_eq!(get_as(&marquee, "/v1/movies", "zstd", "").await.header("cache-status"), HIT);
        let late = get_as(&marquee, "/v1/movies", "gzip", "").await.expect(200);
        assert_eq!(late.header("cache-status"), MISS);
        assert!(String::from_utf8(late.decoded()).unwrap().contains("\"c\""));
        assert_eq!((made("gzip").await, made("zstd").await), (3.0, 3.0));
        // Nothing is asked for between two writes: the second one makes nothing.
        create(&marquee, json!({ "title": "d" })).await;
        create(&marquee, json!({ "title": "e" })).await;
        assert_eq!((made("gzip").await, made("zstd").await), (4.0, 4.0));
    }

    /// What an operator says of caching is what GETs carry, and nothing else does.
    async fn cache_control_is_configured(db) {
        let told = "max-age=60, stale-while-revalidate=600";
        let marquee =
            Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_CACHE_CONTROL", told);
        let marquee = marquee.start().await;
        marquee.wait_ready().await;
        let made = create(&marquee, json!({ "title": "a" })).await;
        assert_eq!(made.header("cache-control"), "no-store");
        for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
            let full = get(&marquee, path).await.expect(200);
            assert_eq!(full.header("cache-control"), told);
            is_not_modified(&get_if(&marquee, path, full.tag()).await, &full);
        }
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(get(&marquee, path).await.expect(200).header("cache-control"), "no-store");
        }
        get(&marquee, "/v1/movies/2").await.problem(404, "not-found");
        assert_eq!(delete(&marquee, "/v1/movies/1").await.header("cache-control"), "no-store");
    }

    /// What is decoded is what is sent plain; empty, with one segment, with several and with one emptied.
    async fn codings_are_the_same_content(db) {
        let marquee = start(&db).await;
        for step in 0..4 {
            match step {
                1 => drop(create(&marquee, json!({ "title": "alone", "genres": ["G"] })).await),
                2 => fill(&marquee).await,
                // All of the segment with the ids 0 to 255, and some at the edges of the others.
                3 => {
                    let first: Vec<String> = (1..256).map(|id| id.to_string()).collect();
                    for ids in [&first.join(","), "256,511,512,601"] {
                        delete(&marquee, &format!("/v1/movies?id={ids}")).await.expect(200);
                    }
                }
                _ => {}
            }
            for (path, form) in [("/v1/movies", ""), ("/v1/movies", LINES), ("/v1/genres", "")] {
                let plain = get_as(&marquee, path, "identity", form).await.expect(200);
                assert!(!plain.has("content-encoding"));
                for coding in ["gzip", "zstd"] {
                    let accepts = format!("{coding}, identity;q=0");
                    let coded = get_as(&marquee, path, &accepts, form).await.expect(200);
                    assert_eq!(coded.header("content-encoding"), coding);
                    assert!(coded.decoded() == plain.body, "step {step}: {path} {coding}");
                    assert_eq!(coded.header("content-length"), coded.body.len().to_string());
                    for same in
                        ["etag", "marquee-revision", "x-total-count", "content-type", "vary", "cache-control"]
                    {
                        assert_eq!(coded.header(same) == plain.header(same), same != "etag", "{same}");
                    }
                }
            }
            let array = get(&marquee, "/v1/movies").await.json();
            let lines = get_as(&marquee, "/v1/movies", "", LINES).await;
            let lines: Vec<Value> =
                lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(array, Value::Array(lines));
            assert_eq!(array.as_array().unwrap().len(), [0, 1, 601, 342][step]);
            let ids: Vec<_> = array.as_array().unwrap().iter().map(|movie| movie["id"].as_u64()).collect();
            assert!(ids.is_sorted());
        }
        let plain = get(&marquee, "/v1/movies/300").await.expect(200);
        for coding in ["gzip", "zstd"] {
            let accepts = format!("{coding}, identity;q=0");
            let coded = get_as(&marquee, "/v1/movies/300", &accepts, "").await.expect(200);
            assert_eq!((coded.decoded(), coded.header("content-encoding")), (plain.body.clone(), coding));
            // Large lists are worth it: this is what the coding is for.
            let list = get_as(&marquee, "/v1/movies", coding, "").await;
            assert!(list.body.len() * 4 < list.decoded().len());
        }
    }

    /// The client's weights decide, and one who refuses everything is told so.
    async fn codings_are_negotiated(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "a" })).await;
        for (accepts, coding) in [
            ("gzip", Some("gzip")),
            ("zstd", Some("zstd")),
            ("gzip, deflate", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("*", Some("zstd")),
            ("zstd;q=0.5, gzip;q=0.6", Some("gzip")),
            ("identity;q=0.5, gzip;q=0.6", Some("gzip")),
            ("GZIP", Some("gzip")),
            ("identity", None),
            ("gzip;q=0", None),
            ("gzip;q=0.2, identity;q=0.9", None),
            ("deflate", None),
            ("*;q=0, identity", None),
            ("nonsense;;;q=,", None),
        ] {
            let reply = get_as(&marquee, "/v1/movies", accepts, "").await.expect(200);
            assert_eq!(reply.has("content-encoding").then(|| reply.header("content-encoding")), coding, "{accepts}");
        }
        for accepts in
            ["identity;q=0", "*;q=0", "gzip;q=0, identity;q=0", "deflate, *;q=0", "br, identity;q=0.0"]
        {
            for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
                get_as(&marquee, path, accepts, "").await.problem(406, "not-acceptable");
            }
        }
        for (accepts, lines) in [
            (LINES, true),
            ("application/x-ndjson;q=0.9, application/json;q=0.8", true),
            ("*/*", false),
            ("application/json", false),
            ("application/x-ndjson;q=0.1, application/json", false),
        ] {
            let reply = get_as(&marquee, "/v1/movies", "", accepts).await.expect(200);
            assert_eq!(reply.header("content-type") == LINES, lines, "{accepts}");
            assert_eq!(reply.text().starts_with('{'), lines);
        }
    }

    /// HEAD is GET without the body: every header the same, the length too.
    async fn head_is_get_without_the_body(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        for path in [
            "/v1/movies",
            "/v1/movies/300",
            "/v1/genres",
            "/v1/movies/9999",
            "/nowhere",
            "/v1/movies?x=1",
            "/livez",
            "/problems/not-found",
        ] {
            for (coding, form) in
                [("", ""), ("gzip, identity;q=0", ""), ("zstd, identity;q=0", ""), ("zstd", LINES), ("", LINES)]
            {
                // The first to ask may make a load or a coding, and says so.
                get_as(&marquee, path, coding, form).await;
                let full = get_as(&marquee, path, coding, form).await;
                let request = marquee.request(Method::HEAD, path);
                let request =
                    if coding.is_empty() { request } else { request.header("accept-encoding", coding) };
                let short =
                    Reply::to(if form.is_empty() { request } else { request.header("accept", form) }).await;
                assert_eq!((short.status, short.body.len()), (full.status, 0), "{path}");
                let told = |reply: &Reply| {
                    let mut headers = reply.headers.clone();
                    headers.remove("date");
                    headers
                };
                assert_eq!(told(&short), told(&full), "{path}");
                assert_eq!(short.header("content-length"), full.body.len().to_string(), "{path}");
            }
        }
    }
}
