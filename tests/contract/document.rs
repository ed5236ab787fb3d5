//! The document of the API: its routes, how it is served, and that answers are held to it.

use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::kit::held::{DOCUMENT, hold};
use crate::kit::{get, get_if, head, start};

/// Every route is in the document with its methods, and the document has no other.
#[test]
fn the_document_has_just_the_routes_that_there_are() {
    let source = include_str!("../../src/http.rs");
    let mut routes: Vec<(String, Vec<String>)> = Vec::new();
    for (_, rest) in source.match_indices("resource(\"/").map(|(at, _)| source.split_at(at)) {
        let mut quoted = rest.split('"').skip(1).step_by(2);
        let path = quoted.next().unwrap().to_owned();
        routes.push((path, quoted.next().unwrap().split(", ").map(str::to_lowercase).collect()));
    }
    assert!(routes.len() >= 11, "{routes:?}");
    let paths = DOCUMENT["paths"].as_object().unwrap();
    assert_eq!(paths.len(), routes.len(), "{:?} {routes:?}", paths.keys());
    for (path, mut methods) in routes {
        let item = paths[&path].as_object().unwrap();
        let mut told: Vec<_> = item.keys().filter(|key| *key != "parameters").cloned().collect();
        methods.sort();
        told.sort();
        assert_eq!(told, methods, "{path}");
    }
}

/// A check that passes everything proves nothing.
#[test]
fn what_is_not_in_the_document_is_found() {
    let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    };
    let good = &[
        ("content-type", "application/json"),
        ("etag", "\"a\""),
        ("marquee-revision", "1"),
        ("cache-control", "no-store"),
    ];
    let genre = br#"{"name":"Drama","slug":"drama","movies":0}"#;
    let held = |method: Method, path: &str, status, headers: HeaderMap, body: &[u8]| {
        std::panic::catch_unwind(|| hold(&method, path, status, &headers, body)).is_ok()
    };
    assert!(held(Method::POST, "/v1/genres", 201, headers(good), genre));
    assert!(!held(Method::POST, "/v1/genres", 200, headers(good), genre), "another status");
    assert!(!held(Method::PUT, "/v1/genres", 201, headers(good), genre), "another method");
    assert!(!held(Method::POST, "/v1/genre", 201, headers(good), genre), "another path");
    assert!(!held(Method::POST, "/v1/genres", 201, headers(good), b"{}"), "another body");
    assert!(!held(Method::POST, "/v1/genres", 201, headers(&good[..3]), genre), "a header less");
    let more = [good.as_slice(), &[("x-other", "1")]].concat();
    assert!(!held(Method::POST, "/v1/genres", 201, headers(&more), genre), "a header more");
    let mut other = good.to_vec();
    other[2].1 = "one";
    assert!(!held(Method::POST, "/v1/genres", 201, headers(&other), genre), "a header that is no number");
    other[2].1 = "1";
    other[0].1 = "text/plain";
    assert!(!held(Method::POST, "/v1/genres", 201, headers(&other), genre), "another media type");
}

on_every_database! {
    /// The document and its page are served as they were agreed on, and are not sent twice to who has them.
    async fn the_document_is_served(db) {
        let marquee = start(&db).await;
        let served = get(&marquee, "/openapi.json").await.expect(200);
        assert_eq!(served.header("content-type"), "application/json");
        assert!(served.json() == *DOCUMENT, "docs/openapi.json is not what is served");
        for path in ["/openapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui.css"] {
            let full = get(&marquee, path).await.expect(200);
            assert!(full.body.len() > 100, "{path}");
            assert_eq!((head(&marquee, path).await.expect(200).tag(), full.header("cache-control")), (full.tag(), "no-cache"));
            assert!(get_if(&marquee, path, full.tag()).await.expect(304).body.is_empty());
        }
        get(&marquee, "/docs/other.js").await.problem(404, "not-found");
        assert_eq!(get(&marquee, "/").await.expect(302).header("location"), "/docs");
    }
}
