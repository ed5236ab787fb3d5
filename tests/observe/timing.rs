//! `Server-Timing` on whatever missed, and on nothing else.

use reqwest::{Method, Response};
use serde_json::json;

use crate::start;
use crate::support::{Marquee, Proxy, TestDatabase};

/// One of those who were to wait came too late for it.
#[derive(PartialEq)]
struct Late;

/// Has five wait for one load, and looks at what each of them is told.
async fn waited(db: &TestDatabase) -> Option<Late> {
    let proxy = Proxy::to(db.address().await).await;
    let marquee = Marquee::prepare(&db.url_through(proxy.address())).start().await;
    marquee.wait_ready().await;
    proxy.stall();
    let readers: Vec<_> =
        (0..5).map(|_| tokio::spawn(marquee.request(Method::GET, "/v1/movies/1").send())).collect();
    while marquee.metrics().await["marquee_http_requests_in_flight"] < 6.0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    proxy.pass();
    let (mut loads, mut collapsed, mut late) = (0, 0, None);
    for reader in readers {
        let answer = reader.await.unwrap().unwrap();
        match (answer.headers()["cache-status"].to_str().unwrap(), timing(&answer)) {
            ("marquee; fwd=miss; stored", Some((_, _, segments))) => loads += segments,
            ("marquee; fwd=miss; collapsed", Some((_, _, 0))) => collapsed += 1,
            ("marquee; hit", None) => late = Some(Late),
            other => panic!("{other:?}"),
        }
    }
    assert!(loads == 1 && (collapsed == 4 || late.is_some()), "{loads} {collapsed}");
    late
}

/// The durations of `db` and `encode` in milliseconds, and the segments; `None` without the header.
fn timing(answer: &Response) -> Option<(f64, f64, u32)> {
    let timing = answer.headers().get("server-timing")?.to_str().unwrap().to_owned();
    let mut parts = timing.split(", ");
    let mut part = |name: &str| {
        let part = parts.next().unwrap();
        part.strip_prefix(name).unwrap_or_else(|| panic!("{part} is not {name}")).trim_matches('"').to_owned()
    };
    let values = (part("db;dur="), part("encode;dur="), part("segments;desc="));
    assert_eq!(parts.next(), None, "{timing}");
    Some((values.0.parse().unwrap(), values.1.parse().unwrap(), values.2.parse().unwrap()))
}

on_every_database! {
    /// What was loaded for a request is told with it: of the collection, of one movie, of the genres.
    async fn a_miss_tells_what_it_cost(db) {
        {
            let marquee = start(&db).await;
            let movies: Vec<_> = (0..600).map(|n| json!({ "title": n.to_string(), "genres": ["Drama"] })).collect();
            assert_eq!(marquee.post("/v1/movies", &movies.into()).await.status(), 201);
        }
        for (path, accept, segments) in [
            ("/v1/movies", "*/*", 3),
            ("/v1/movies", "application/x-ndjson", 3),
            ("/v1/movies/1", "*/*", 1),
            ("/v1/genres", "*/*", 0),
        ] {
            let marquee = start(&db).await;
            let ask = || marquee.request(Method::GET, path).header("accept", accept).send();
            let (db, encode, loaded) = timing(&ask().await.unwrap()).unwrap();
            assert!(db > 0.0 && encode > 0.0, "{path} {accept}: {db} {encode}");
            assert_eq!(loaded, segments, "{path} {accept}");
            assert_eq!(timing(&ask().await.unwrap()), None, "{path}: a hit");
        }
    }

    /// Another replica writes, and this one hears of it only as it loads: what it loaded is newer than what it
    /// looked for, and was loaded for this request all the same.
    async fn a_load_that_is_overtaken_is_a_miss(db) {
        let writer = start(&db).await;
        assert_eq!(writer.post("/v1/movies", &json!({ "title": "0" })).await.status(), 201);
        for (written, path) in ["/v1/movies", "/v1/movies/1"].into_iter().enumerate() {
            let deaf = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_POLL_MS", "3600000");
            let deaf = deaf.start().await;
            deaf.wait_ready().await;
            // The first look is taken at once: what is written after it waits for the second.
            deaf.first_poll().await;
            assert_eq!(writer.post("/v1/movies", &json!({ "title": "1" })).await.status(), 201);
            let answer = deaf.get(path).await;
            assert_eq!(answer.headers()["marquee-revision"], (written + 2).to_string().as_str(), "{path}");
            assert_eq!(answer.headers()["cache-status"], "marquee; fwd=miss; stored", "{path}");
            let (db, encode, segments) = timing(&answer).unwrap();
            assert!(db > 0.0 && encode > 0.0 && segments == 1, "{path}: {db} {encode} {segments}");
            let counted = deaf.metrics().await;
            assert_eq!(
                ["misses", "hits", "collapsed"].map(|how| counted[&format!("marquee_cache_{how}_total")]),
                [1.0, 0.0, 0.0],
                "{path}"
            );
        }
    }

    /// A collection beyond the cache goes through a file, and tells its cost, too.
    async fn a_collection_in_a_file_tells_its_cost(db) {
        {
            let marquee = start(&db).await;
            let movies: Vec<_> = (0..600).map(|n| json!({ "title": n.to_string() })).collect();
            assert_eq!(marquee.post("/v1/movies", &movies.into()).await.status(), 201);
        }
        let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_CACHE_BYTES", "1KiB");
        let marquee = marquee.start().await;
        marquee.wait_ready().await;
        let (db, encode, segments) = timing(&marquee.get("/v1/movies").await).unwrap();
        assert!(db > 0.0 && encode > 0.0 && segments == 3, "{db} {encode} {segments}");
    }
}

on_every_server! {
    /// One load serves all who wait for it: one tells what it cost, the others that they loaded nothing.
    async fn who_waited_loaded_nothing(db) {
        {
            let marquee = start(&db).await;
            assert_eq!(marquee.post("/v1/movies", &json!({ "title": "a" })).await.status(), 201);
        }
        // Again, where one of them has begun and comes to the cache when the load is over already.
        while waited(&db).await == Some(Late) {}
    }
}
