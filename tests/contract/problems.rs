//! Every failure is a problem document that says what to do, and nothing of what is inside.

use reqwest::Method;
use reqwest::header::CONTENT_ENCODING;
use serde_json::json;

use crate::kit::{Reply, create, delete, get, head, is_well, post, post_as, post_text, raw, start};

on_every_database! {
    /// Paths that are not there.
    async fn nothing_is_there(db) {
        let marquee = start(&db).await;
        for path in [
            "/nowhere",
            "/v1",
            "/v1/",
            "/v1/movie",
            "/v1/movies/",
            "/v1/movies/1/x",
            "/v2/movies",
            "/v1/genres/drama",
            "//v1/movies",
            "/v1/movies/..%2f..%2fetc",
            "/problems/",
            "/problems/no-such",
            "/%00",
            "/%ff",
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                if method != Method::GET && path.starts_with("/problems/no") {
                    continue;
                }
                if path == "/v1/movies/..%2f..%2fetc" && method == Method::POST {
                    continue;
                }
                Reply::to(marquee.request(method, path)).await.problem(404, "not-found");
            }
        }
        is_well(&marquee).await;
    }

    /// Each path says which methods it takes; nothing that it does not take reaches it.
    async fn methods_are_named(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "a" })).await;
        for (path, allow) in [
            ("/v1/movies", &["GET", "HEAD", "POST"][..]),
            ("/v1/movies/1", &["GET", "HEAD", "DELETE"]),
            ("/v1/genres", &["GET", "HEAD", "POST"]),
            ("/livez", &["GET", "HEAD"]),
            ("/readyz", &["GET", "HEAD"]),
            ("/metrics", &["GET", "HEAD"]),
            ("/problems/not-found", &["GET", "HEAD"]),
        ] {
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"] {
                // What comes later: a movie is changed by PUT and PATCH, several are deleted at once.
                let later = path.starts_with("/v1/movies") && matches!(method, "PUT" | "PATCH" | "DELETE");
                if allow.contains(&method) || later {
                    continue;
                }
                let request = marquee.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
                let refused = Reply::to(request).await;
                refused.problem(405, "method-not-allowed");
                let told: Vec<_> = refused.header("allow").split(", ").collect();
                for method in allow {
                    assert!(told.contains(method), "{path}: {told:?}");
                }
                assert!(!told.contains(&"TRACE"));
            }
        }
        assert_eq!(get(&marquee, "/v1/movies/1").await.expect(200).json()["version"], 1);
        is_well(&marquee).await;
    }

    /// A parameter that does not exist is refused by its name, on every path of the catalogue.
    async fn unknown_parameters_are_refused(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "a" })).await;
        for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
            for query in
                ["foo", "foo=", "foo=1", "&&foo=1", "foo=1&foo=2", "Limit=1", "%00=1", "foo=%ff", "="]
            {
                let refused = get(&marquee, &format!("{path}?{query}")).await;
                let problem = refused.problem(400, "unknown-parameter");
                if query.contains("foo") {
                    assert!(problem["detail"].as_str().unwrap().contains("foo"), "{problem}");
                }
            }
            for query in ["", "&", "&&"] {
                get(&marquee, &format!("{path}?{query}")).await.expect(200);
            }
        }
        for path in ["/v1/movies?foo=1", "/v1/genres?foo=1"] {
            post(&marquee, path, json!({ "title": "x" })).await.problem(400, "unknown-parameter");
        }
        delete(&marquee, "/v1/movies/1?foo=1").await.problem(400, "unknown-parameter");
        get(&marquee, "/v1/movies/1").await.expect(200);
        is_well(&marquee).await;
    }

    /// A target of more than 8 KiB is refused for its length, wherever it points.
    async fn targets_have_an_end(db) {
        let marquee = start(&db).await;
        let long = "x".repeat(9 << 10);
        for path in [
            format!("/{long}"),
            format!("/v1/movies/{long}"),
            format!("/v1/movies?{long}"),
            format!("/v1/genres?foo={long}"),
            format!("/v1/movies/{}", "1".repeat(9 << 10)),
            format!("/problems/{long}"),
            format!("/livez?{long}"),
        ] {
            get(&marquee, &path).await.problem(414, "uri-too-long");
            assert_eq!(head(&marquee, &path).await.status, 414);
        }
        post(&marquee, &format!("/v1/movies?{long}"), json!({ "title": "x" }))
            .await
            .problem(414, "uri-too-long");
        get(&marquee, &format!("/{}", &long[..8000])).await.problem(404, "not-found");
        // Beyond what the parser of HTTP itself takes.
        let answer =
            raw(&marquee, format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(200_000)).as_bytes())
                .await;
        assert!(answer.is_none_or(|(status, ..)| [400, 414, 431].contains(&status)));
        is_well(&marquee).await;
    }

    /// A body is JSON or lines, in UTF-8, not coded.
    async fn bodies_have_a_type(db) {
        let marquee = start(&db).await;
        for media in [
            "text/plain",
            "text/json",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json; charset=latin1",
            "application/json;charset=utf-16",
            "json",
            "",
            "application/problem+json",
        ] {
            for path in ["/v1/movies", "/v1/genres"] {
                post_as(&marquee, path, media, r#"{"title":"a"}"#)
                    .await
                    .problem(415, "unsupported-media-type");
            }
        }
        let untyped = marquee.request(Method::POST, "/v1/movies").body(r#"{"title":"a"}"#);
        Reply::to(untyped).await.problem(415, "unsupported-media-type");
        post_as(&marquee, "/v1/genres", "application/x-ndjson", r#"{"name":"a"}"#)
            .await
            .problem(415, "unsupported-media-type");
        for coding in ["gzip", "br", "identity, gzip"] {
            let coded =
                marquee.request(Method::POST, "/v1/movies").header("content-type", "application/json");
            let coded = coded.header(CONTENT_ENCODING, coding).body(r#"{"title":"a"}"#);
            Reply::to(coded).await.problem(415, "unsupported-media-type");
        }
        assert_eq!(get(&marquee, "/v1/movies").await.text(), "[]");
        is_well(&marquee).await;
    }

    /// Who is refused before the body is looked at hears it all the same, however long the body is.
    async fn refusals_are_heard_through_a_body(db) {
        let marquee = start(&db).await;
        for length in [100 << 10, 1 << 20, 6 << 20] {
            for _ in 0..5 {
                post_as(&marquee, "/v1/movies", "text/plain", vec![b'x'; length])
                    .await
                    .problem(415, "unsupported-media-type");
                post_as(&marquee, "/v1/movies?foo", "application/json", vec![b'x'; length])
                    .await
                    .problem(400, "unknown-parameter");
                post_as(&marquee, "/nowhere", "application/json", vec![b'x'; length])
                    .await
                    .problem(404, "not-found");
                post_as(&marquee, "/livez", "application/json", vec![b'x'; length])
                    .await
                    .problem(405, "method-not-allowed");
            }
        }
        is_well(&marquee).await;
    }

    /// The type of each problem leads to a page that explains it.
    async fn types_lead_somewhere(db) {
        let marquee = start(&db).await;
        create(&marquee, json!({ "title": "a", "imdb_id": "tt0000001", "genres": ["Drama"] })).await;
        let patched = Reply::to(marquee.request(Method::PATCH, "/livez")).await;
        let refusals = [
            (get(&marquee, "/nowhere").await, 404),
            (patched, 405),
            (get(&marquee, "/v1/movies?foo").await, 400),
            (post_text(&marquee, "/v1/movies", "{").await, 400),
            (post(&marquee, "/v1/movies", json!({})).await, 422),
            (post(&marquee, "/v1/genres", json!({})).await, 422),
            (post(&marquee, "/v1/movies", json!({ "title": "b", "imdb_id": "tt0000001" })).await, 409),
            (post(&marquee, "/v1/genres", json!({ "name": "drama" })).await, 409),
            (post_as(&marquee, "/v1/movies", "text/plain", "x").await, 415),
        ];
        let mut seen = Vec::new();
        for (refused, status) in refusals {
            assert_eq!(refused.status, status);
            let kind = refused.json()["type"].as_str().unwrap().to_owned();
            let page = get(&marquee, &kind).await.expect(200);
            assert!(page.header("content-type").starts_with("text/"), "{kind}");
            assert!(page.text().contains(&status.to_string()), "{kind}: {}", page.text());
            assert!(page.text().contains(refused.json()["title"].as_str().unwrap()), "{kind}");
            seen.push(kind);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 9, "{seen:?}");
    }
}
