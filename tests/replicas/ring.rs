//! What others commit is heard of at once; and what is no ring is not heard.

use reqwest::Method;
use serde_json::Value;

use crate::support::{Marquee, Redis, TestDatabase};
use crate::{
    NEVER, create, health, joined, metric, on, ready, revision, see, until, until_metrics, until_seen,
    until_up,
};

/// Looks at the database so far.
async fn polls(marquee: &Marquee) -> f64 {
    metric(marquee, "marquee_database_queries_total{purpose=\"poll\"}").await
}

on_every_database! {
    /// Three replicas: whichever of them writes, the others serve it, and nobody waited for a poll.
    async fn a_write_is_rung_for(db) {
        let redis = Redis::start().await;
        let replicas = [joined(&db, &redis).await, joined(&db, &redis).await, joined(&db, &redis).await];
        let mut titles = Vec::new();
        for (n, writer) in replicas.iter().cycle().take(6).enumerate() {
            titles.push(format!("movie {n}"));
            let written = create(writer, &titles[n]).await;
            for replica in &replicas {
                until_seen(replica, written).await;
                assert_eq!(see(replica).await, (written, titles.clone()));
            }
        }
        for replica in &replicas {
            let heard = metric(replica, "marquee_redis_rings_total").await;
            // Four of the six are others'. The first may have been seen as the replica began to listen.
            assert!((1.0..=4.0).contains(&heard), "{heard}");
            assert_eq!(metric(replica, "marquee_follower_behind_revisions").await, 0.0);
        }
    }

    /// A client that goes from replica to replica reads its own writes on each, with a Redis and without.
    async fn min_revision_holds_on_every_replica(db) {
        let redis = Redis::start().await;
        let without = || Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_POLL_MS", NEVER);
        let replicas = [joined(&db, &redis).await, ready(without()).await, joined(&db, &redis).await];
        for n in 0..9 {
            let written = create(&replicas[n % 3], &format!("{n}")).await;
            for replica in &replicas {
                let asked = replica.request(Method::GET, "/v1/movies").header("marquee-min-revision", written);
                let answer = asked.send().await.unwrap();
                assert_eq!((answer.status().as_u16(), revision(&answer)), (200, written), "{}", replica.log());
                assert_eq!(answer.json::<Vec<Value>>().await.unwrap().len(), n + 1);
            }
        }
    }

    /// Each replica tells how far behind it may be.
    async fn readiness_tells_the_lag(db) {
        let redis = Redis::start().await;
        let marquee = ready(on(db.url(), &redis.url())).await;
        until_up(&marquee).await;
        let written = create(&marquee, "a").await;
        until_metrics("a poll", &marquee, |m| m["marquee_follower_behind_revisions"] == 0.0).await;
        let (status, _, follower) = health(&marquee, "follower").await;
        assert_eq!((status, &follower["observedUnit"]), (200, &"ms".into()), "{follower}");
        assert_eq!(follower["behind_revisions"], 0);
        assert!(follower["observedValue"].as_u64().unwrap() < 60_000, "{follower}");
        let (_, _, cache) = health(&marquee, "cache").await;
        assert_eq!(cache["revision"], written);
        assert_eq!(health(&marquee, "redis").await.2["status"], "pass");
    }
}

/// Who sees that others wrote and cannot read what is behind, and says so when that has gone on for long; requests come all the
/// same, since it serves what it has.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_catch_up_says_so() {
    let db = TestDatabase::sqlite().await;
    let marquee = ready(Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off")).await;
    create(&marquee, "a").await;
    db.exec("ALTER TABLE segments RENAME TO elsewhere").await;
    db.exec("UPDATE catalogue SET revision = revision + 1, stamp = stamp + 1").await;
    until_metrics("what is behind", &marquee, |m| m["marquee_follower_behind_revisions"] == 1.0).await;
    assert_eq!(health(&marquee, "follower").await.2["status"], "pass", "it may come yet");
    until("a warning", &marquee, || async { health(&marquee, "follower").await.2["status"] == "warn" }).await;
    let (status, word, follower) = health(&marquee, "follower").await;
    assert_eq!(
        (status, word.as_str(), &follower["behind_revisions"]),
        (200, "warn", &1.into()),
        "{follower}"
    );
    assert_eq!(see(&marquee).await.1, ["a"]);

    db.exec("ALTER TABLE elsewhere RENAME TO segments").await;
    until("the end of it", &marquee, || async { health(&marquee, "follower").await.1 == "pass" }).await;
    assert_eq!(metric(&marquee, "marquee_follower_behind_revisions").await, 0.0);
}

/// Rings are of one database: those of another, and what is no ring, wake nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_rung_for_us_is_not_heard() {
    let redis = Redis::start().await;
    let (db, other) = (TestDatabase::sqlite().await, TestDatabase::sqlite().await);
    let [one, two] = [joined(&db, &redis).await, joined(&db, &redis).await];
    let elsewhere = [joined(&other, &redis).await, joined(&other, &redis).await];
    let written = create(&one, "a").await;
    until_seen(&two, written).await;
    let channels: Vec<String> = redis.ask(&["PUBSUB", "CHANNELS"]).await;
    assert_eq!(channels.len(), 2, "one for each database: {channels:?}");
    let (polled, heard) = (polls(&two).await, metric(&two, "marquee_redis_rings_total").await);
    for n in 0..20 {
        let written = create(&elsewhere[0], &format!("{n}")).await;
        until_seen(&elsewhere[1], written).await;
    }
    let nonsense = ["", "x", "1", "1 2 3", "-1 00", "99999999999999999999 1", "\u{0}\u{0}"];
    for channel in &channels {
        for text in nonsense {
            redis.ask::<()>(&["PUBLISH", channel, text]).await;
        }
    }
    // What is rung for after all that is heard after it.
    let written = create(&one, "b").await;
    until_seen(&two, written).await;
    assert_eq!(see(&two).await.1, ["a", "b"]);
    // One for this; the ring for "a", and the look as it began to listen, may have come after the first count.
    assert!(polls(&two).await <= polled + 3.0);
    assert!(metric(&two, "marquee_redis_rings_total").await <= heard + 2.0);
}

/// Two databases of which one is a copy of the other have one name. Their rings cost a look, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_database_keeps_its_own_movies() {
    let redis = Redis::start().await;
    let (db, copy) = (TestDatabase::sqlite().await, TestDatabase::sqlite().await);
    let mut first = joined(&db, &redis).await;
    create(&first, "in both").await;
    assert!(first.terminate().await.success());
    std::fs::copy(db.path().unwrap(), copy.path().unwrap()).unwrap();
    let [one, two] = [joined(&db, &redis).await, joined(&db, &redis).await];
    let [copied, again] = [joined(&copy, &redis).await, joined(&copy, &redis).await];
    // The same revisions, each with another stamp.
    for n in 0..5 {
        let (a, b) = (create(&one, &format!("here {n}")).await, create(&copied, &format!("there {n}")).await);
        assert_eq!(a, b);
        until_seen(&two, a).await;
        until_seen(&again, b).await;
    }
    let titles = |where_: &str| {
        ["in both".to_owned()].into_iter().chain((0..5).map(|n| format!("{where_} {n}"))).collect::<Vec<_>>()
    };
    for (replica, titles) in [
        (&one, titles("here")),
        (&two, titles("here")),
        (&copied, titles("there")),
        (&again, titles("there")),
    ] {
        assert_eq!(see(replica).await.1, titles);
    }
    assert_eq!(redis.ask::<Vec<String>>(&["PUBSUB", "CHANNELS"]).await.len(), 1);
}
