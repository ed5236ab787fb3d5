//! What one replica encoded, the others need not read from the database.

use std::fs;

use reqwest::Method;
use serde_json::json;

use crate::support::{Marquee, OnCommit, Proxy, Redis, TestDatabase};
use crate::{
    Mode, bytes, create, create_many, errors, joined, metric, on, prepare, put, read, ready, see, until,
    until_metrics, until_seen, until_up,
};

on_every_database! {
    /// A replica that starts has everything from Redis, in every form and coding, and asks the database for none of it.
    async fn a_starting_replica_asks_redis_first(db) {
        let redis = Redis::start().await;
        let first = joined(&db, &redis).await;
        create_many(&first, 600).await;
        let expected = bytes(&first).await;
        until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] == 3.0).await;
        let whole = joined(&db, &redis).await;
        let answer = whole.get("/v1/movies").await;
        let timing = answer.headers()["server-timing"].to_str().unwrap().to_owned();
        assert!(timing.starts_with("db;dur=0.000, redis;dur=") && timing.ends_with("segments;desc=\"3\""), "{timing}");
        assert_eq!(answer.bytes().await.unwrap(), expected);
        assert_eq!((read(&whole).await, metric(&whole, "marquee_redis_hits_total").await), (0.0, 3.0));
        // One movie, and a coding: what they need is one segment, and what it is made of.
        let one = joined(&db, &redis).await;
        for path in ["/v1/movies/1", "/v1/movies/300", "/v1/movies/600"] {
            assert_eq!(one.get(path).await.bytes().await.unwrap(), first.get(path).await.bytes().await.unwrap());
        }
        let coded = joined(&db, &redis).await;
        for coding in ["gzip", "zstd"] {
            let ask = |marquee: &Marquee| marquee.request(Method::GET, "/v1/movies").header("accept-encoding", coding).send();
            let (theirs, ours) = (ask(&coded).await.unwrap(), ask(&first).await.unwrap());
            assert_eq!(theirs.headers()["etag"], ours.headers()["etag"]);
            assert_eq!(theirs.bytes().await.unwrap(), ours.bytes().await.unwrap());
        }
        for replica in [&one, &coded] {
            assert_eq!(read(replica).await, 0.0);
            assert_eq!(metric(replica, "marquee_redis_hits_total").await, 3.0);
        }
    }

    /// What a write changed, the others have from Redis as they hear of it; what was before goes from there soon.
    async fn a_write_costs_the_others_no_query(db) {
        let redis = Redis::start().await;
        let replicas = [joined(&db, &redis).await, joined(&db, &redis).await, joined(&db, &redis).await];
        create_many(&replicas[0], 300).await;
        let mut before = Vec::new();
        for replica in &replicas {
            until_seen(replica, 1).await;
            before.push(read(replica).await);
        }
        for n in 0..5 {
            let written = create(&replicas[n % 3], "another").await;
            for replica in &replicas {
                until_seen(replica, written).await;
            }
        }
        let expected = bytes(&replicas[0]).await;
        for (replica, before) in replicas.iter().zip(before) {
            assert_eq!(bytes(replica).await, expected);
            // Its own writes may each have read the segment that they changed.
            assert!(read(replica).await <= before + 2.0, "{}", read(replica).await);
            assert!(metric(replica, "marquee_redis_hits_total").await >= 3.0);
        }
        // Two segments are current. The others were superseded, and go within a minute.
        until("the end of what is superseded", &replicas[0], || async {
            let mut lasting = 0;
            for key in redis.keys().await {
                lasting += usize::from(redis.ask::<i64>(&["TTL", &key]).await > 60);
            }
            lasting == 2
        }).await;
    }

    /// What was written while there was no Redis is lent by whoever reads it first.
    async fn what_is_loaded_is_lent(db) {
        let redis = Redis::start().await;
        {
            let alone = ready(Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off")).await;
            create_many(&alone, 600).await;
        }
        let first = joined(&db, &redis).await;
        let expected = bytes(&first).await;
        assert_eq!((read(&first).await, metric(&first, "marquee_redis_misses_total").await), (3.0, 3.0));
        until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] == 3.0).await;
        let second = joined(&db, &redis).await;
        assert_eq!(bytes(&second).await, expected);
        assert_eq!(read(&second).await, 0.0);
    }

    /// Many who miss the same at the same time ask Redis for it once, and the database not at all.
    async fn many_readers_of_a_cold_replica_ask_once(db) {
        let redis = Redis::start().await;
        let first = joined(&db, &redis).await;
        create_many(&first, 1000).await;
        let expected = bytes(&first).await;
        until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] == 4.0).await;
        let second = joined(&db, &redis).await;
        let asking = (0..32).map(|_| bytes(&second));
        for answer in futures_util::future::join_all(asking).await {
            assert!(answer == expected);
        }
        assert_eq!((read(&second).await, metric(&second, "marquee_redis_hits_total").await), (0.0, 4.0));
    }
}

on_every_server! {
    /// What was lent for a COMMIT that never happened is asked for by nobody, and does not stay.
    async fn what_was_not_committed_is_not_served(db) {
        let redis = Redis::start().await;
        let proxy = Proxy::to(db.address().await).await;
        let writer = ready(on(&db.url_through(proxy.address()), &redis.url()).env("MARQUEE_REDIS_TIMEOUT_MS", "20000")).await;
        let other = joined(&db, &redis).await;
        until_up(&writer).await;
        let written = create(&writer, "first").await;
        until_seen(&other, written).await;
        proxy.on_commit(OnCommit::Prevent, Mode::Pass);
        let written = create(&writer, "second").await;
        assert_eq!(proxy.fired(), 1);
        until_seen(&other, written).await;
        assert_eq!(see(&other).await, (written, vec!["first".to_owned(), "second".to_owned()]));
        // The first state, superseded, and the second.
        until("two segments and no more", &writer, || async { redis.keys().await.len() == 2 }).await;
        let stamps = db.query("SELECT stamp FROM segments").await;
        let stamp: i64 = stamps[0][0].as_ref().unwrap().parse().unwrap();
        let current = redis.keys().await.iter().filter(|key| key.ends_with(&format!(":{stamp:016x}"))).count();
        assert_eq!(current, 1);
    }
}

/// A backup is put back, and later writes come to the same revisions. What Redis has of the lost ones has other stamps:
/// nobody asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_with_a_restore_is_not_served() {
    let redis = Redis::start().await;
    let db = TestDatabase::sqlite().await;
    let path = db.path().unwrap();
    let backup = path.with_extension("backup");
    let mut first = joined(&db, &redis).await;
    create(&first, "kept").await;
    assert!(first.terminate().await.success());
    fs::copy(path, &backup).unwrap();
    let mut first = joined(&db, &redis).await;
    let lost = create(&first, "lost").await;
    until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] >= 1.0).await;
    assert!(first.terminate().await.success());
    fs::copy(&backup, path).unwrap();
    for leftover in ["db-wal", "db-shm"] {
        fs::remove_file(path.with_extension(leftover)).ok();
    }
    let second = joined(&db, &redis).await;
    assert_eq!(see(&second).await.1, ["kept"]);
    assert_eq!(create(&second, "made later").await, lost);
    let third = joined(&db, &redis).await;
    for replica in [&second, &third] {
        assert_eq!(see(replica).await, (lost, vec!["kept".to_owned(), "made later".to_owned()]));
    }
    assert_eq!(errors(&third, "value").await, 0.0);
}

/// What another release encoded is under other keys, whatever it is.
#[tokio::test(flavor = "multi_thread")]
async fn another_release_has_a_shelf_of_its_own() {
    let redis = Redis::start().await;
    let db = TestDatabase::sqlite().await;
    let first = joined(&db, &redis).await;
    create_many(&first, 300).await;
    let expected = bytes(&first).await;
    until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] == 2.0).await;
    let keys = redis.keys().await;
    assert_eq!(keys.len(), 2);
    for key in &keys {
        // marquee:DATABASE:ENCODER:SEGMENT:STAMP
        let parts: Vec<&str> = key.split(':').collect();
        assert_eq!((parts.len(), parts[0], parts[2]), (5, "marquee", "1"), "{key}");
        let other = [parts[0], parts[1], "2", parts[3], parts[4]].join(":");
        redis.ask::<()>(&["RENAME", key, &other]).await;
    }
    let second = joined(&db, &redis).await;
    assert_eq!(bytes(&second).await, expected);
    assert_eq!((read(&second).await, errors(&second, "value").await), (2.0, 0.0));
    assert!(second.get("/v1/movies").await.headers()["etag"].to_str().unwrap().contains("-1"));
    until("its own beside them", &second, || async { redis.keys().await.len() == 4 }).await;
}

/// A collection that is larger than the cache is served as ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_beyond_the_cache_is_whole() {
    let redis = Redis::start().await;
    let db = TestDatabase::sqlite().await;
    let first = joined(&db, &redis).await;
    let movies: Vec<_> = (0..3000).map(|n| json!({ "title": format!("{n} {}", "x".repeat(200)) })).collect();
    assert_eq!(first.post("/v1/movies", &movies.into()).await.status(), 201);
    let expected = bytes(&first).await;
    until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] == 12.0).await;
    let small = ready(prepare(&db, &redis).env("MARQUEE_CACHE_BYTES", "400KiB")).await;
    until_up(&small).await;
    for _ in 0..2 {
        assert!(bytes(&small).await == expected);
    }
    assert_eq!(small.get("/v1/movies/2999").await.status(), 200);
    assert!(put(&small).await <= 12.0);
}
