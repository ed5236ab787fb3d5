//! A Redis that is gone, comes, goes, hangs, is full, is none, or holds anything but what was left there: it costs speed,
//! never an answer, and nobody has to be started again.

use std::time::{Duration, Instant};

use redis::Cmd;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::redis::free_port;
use crate::support::{Marquee, Proxy, Redis, TestDatabase};
use crate::{
    NEVER, bytes, create, create_many, errors, health, joined, metric, on, put, read, ready, revision, see,
    until_metrics, until_seen, until_up,
};

/// A replica that gives Redis up soon, but not because the machine is busy.
async fn replica(db: &TestDatabase, redis: &str) -> Marquee {
    ready(on(db.url(), redis).env("MARQUEE_REDIS_TIMEOUT_MS", "500")).await
}

async fn until_down(marquee: &Marquee) {
    until_metrics("the end of Redis", marquee, |metrics| metrics["marquee_redis_up"] == 0.0).await;
}

/// Writes on each of two and reads on both: answers are right, and nobody waits for Redis.
async fn all_is_well(replicas: [&Marquee; 2]) {
    for (writer, reader) in [(replicas[0], replicas[1]), (replicas[1], replicas[0])] {
        let before = see(writer).await.1.len();
        let began = Instant::now();
        let written = create(writer, &format!("movie {before}")).await;
        assert_eq!(see(writer).await.1.len(), before + 1, "its own write");
        let asked = reader.request(Method::GET, "/v1/movies").header("marquee-min-revision", written);
        let answer = asked.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), revision(&answer)), (200, written));
        assert_eq!(see(reader).await.1.len(), before + 1);
        assert_eq!(bytes(reader).await, bytes(writer).await);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        let (status, word, _) = health(reader, "redis").await;
        assert!(status == 200 && word != "fail", "{status} {word}");
    }
}

on_every_database! {
    /// There is no Redis at start, then there is one, then it crashes, and comes back empty.
    async fn redis_comes_and_goes(db) {
        let mut redis = Redis::start().await;
        redis.kill();
        // Long enough that only what really happens is told.
        let start = async || ready(on(db.url(), &redis.url()).env("MARQUEE_REDIS_TIMEOUT_MS", "20000")).await;
        let [one, two] = [start().await, start().await];
        all_is_well([&one, &two]).await;
        let (status, word, part) = health(&one, "redis").await;
        assert_eq!((status, word.as_str(), &part["status"]), (200, "warn", &"warn".into()), "{part}");
        assert!(errors(&one, "connect").await >= 1.0);
        assert_eq!((put(&one).await, metric(&one, "marquee_redis_up").await), (0.0, 0.0));
        for _ in 0..2 {
            redis.restart().await;
            until_up(&one).await;
            until_up(&two).await;
            let before = put(&one).await;
            all_is_well([&one, &two]).await;
            create(&one, "lent").await;
            until_metrics("what is lent", &one, |m| m["marquee_redis_puts_total"] > before).await;
            assert_eq!(health(&one, "redis").await.2["status"], "pass");
            redis.kill();
            all_is_well([&one, &two]).await;
            until_down(&one).await;
            until_down(&two).await;
        }
        // Told once for each time; twice where one of two connections was slow to notice.
        let (away, again) = (one.log().matches("is of no use").count(), one.log().matches("answers again").count());
        assert!((3..=6).contains(&away) && (2..=5).contains(&again), "{away} {again}:\n{}", one.log());
    }

    /// It hangs: connections stay, and can be made, but nothing is answered.
    async fn redis_hangs(db) {
        let redis = Redis::start().await;
        let [one, two] = [replica(&db, &redis.url()).await, replica(&db, &redis.url()).await];
        until_up(&one).await;
        until_up(&two).await;
        all_is_well([&one, &two]).await;
        redis.signal("STOP");
        all_is_well([&one, &two]).await;
        until_down(&one).await;
        until_down(&two).await;
        all_is_well([&one, &two]).await;
        // One that starts meanwhile does not wait for it, either.
        let three = replica(&db, &redis.url()).await;
        all_is_well([&three, &one]).await;
        redis.signal("CONT");
        for marquee in [&one, &two, &three] {
            until_up(marquee).await;
        }
        all_is_well([&one, &three]).await;
    }

    /// The wire to it is cut, or hangs, or drips, or is slow.
    async fn the_wire_fails(db) {
        let redis = Redis::start().await;
        let proxy = Proxy::of_any(([127, 0, 0, 1], redis.port()).into()).await;
        let url = format!("redis://{}", proxy.address());
        let [one, two] = [replica(&db, &url).await, replica(&db, &url).await];
        for round in 0..3 {
            until_up(&one).await;
            until_up(&two).await;
            all_is_well([&one, &two]).await;
            match round {
                0 => proxy.cut().await,
                1 => proxy.stall(),
                _ => proxy.trickle(),
            }
            all_is_well([&one, &two]).await;
            until_down(&one).await;
            until_down(&two).await;
            all_is_well([&one, &two]).await;
            proxy.pass();
        }
        until_up(&one).await;
        until_up(&two).await;
        proxy.delay(Duration::from_millis(20));
        all_is_well([&one, &two]).await;
        assert_eq!((metric(&one, "marquee_redis_up").await, metric(&two, "marquee_redis_up").await), (1.0, 1.0));
    }

    /// It is full, and evicts nothing: nothing can be left there, but rings are rung.
    async fn redis_is_full(db) {
        let redis = Redis::start().await;
        let [one, two] = [joined(&db, &redis).await, joined(&db, &redis).await];
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        create_many(&one, 300).await;
        for n in 0..3 {
            let written = create(&one, &format!("{n}")).await;
            until_seen(&two, written).await;
        }
        assert_eq!(bytes(&one).await, bytes(&two).await);
        assert!(errors(&one, "put").await >= 1.0 && put(&one).await == 0.0);
        assert!(read(&two).await >= 1.0, "the database was asked");
        assert_eq!(metric(&one, "marquee_redis_up").await, 1.0, "it is there");
        assert!(one.log().contains("refuses to put"), "{}", one.log());
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
        create(&one, "room again").await;
        until_metrics("what is lent", &one, |m| m["marquee_redis_puts_total"] >= 1.0).await;
    }

    /// Under the very keys there is anything but what was left there.
    async fn redis_holds_garbage(db) {
        let redis = Redis::start().await;
        let first = joined(&db, &redis).await;
        create_many(&first, 256 * 8 - 1).await;
        let expected = bytes(&first).await;
        until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] == 8.0).await;
        let keys = redis.keys().await;
        assert_eq!(keys.len(), 8);
        let mut values = Vec::new();
        for key in &keys {
            values.push(redis.ask::<Vec<u8>>(&["GET", key]).await);
        }
        let cut = values[0][..values[0].len() / 2].to_vec();
        let mut flipped = values[1].clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let longer = [&values[2][..], b"more"].concat();
        let garbage: [&[u8]; 7] = [&cut, &flipped, &longer, &values[4], b"", b"garbage", &[0xff; 100_000]];
        for (key, value) in keys.iter().zip(garbage) {
            redis.send::<()>(Cmd::new().arg("SET").arg(key).arg(value).to_owned()).await;
        }
        // The last is no value at all.
        redis.ask::<()>(&["DEL", &keys[7]]).await;
        redis.ask::<()>(&["LPUSH", &keys[7], "a list"]).await;
        let second = joined(&db, &redis).await;
        for n in [1, 300, 2047] {
            let path = format!("/v1/movies/{n}");
            assert_eq!(second.get(&path).await.bytes().await.unwrap(), first.get(&path).await.bytes().await.unwrap());
        }
        assert!(bytes(&second).await == expected);
        assert_eq!((read(&second).await, errors(&second, "value").await), (8.0, 7.0));
        assert!(second.log().contains("is not that segment"), "{}", second.log());
        // It put back what is right.
        until_metrics("what is lent", &second, |m| m["marquee_redis_puts_total"] == 8.0).await;
        let third = joined(&db, &redis).await;
        assert!(bytes(&third).await == expected);
        assert_eq!((read(&third).await, errors(&third, "value").await), (0.0, 0.0));
    }
}

/// Another database's segments lie under the keys of this one, each as it was left.
#[tokio::test(flavor = "multi_thread")]
async fn redis_holds_another_databases_segments() {
    let redis = Redis::start().await;
    let (db, other) = (TestDatabase::sqlite().await, TestDatabase::sqlite().await);
    let [first, elsewhere] = [joined(&db, &redis).await, joined(&other, &redis).await];
    create(&first, "ours").await;
    until_metrics("what is lent", &first, |m| m["marquee_redis_puts_total"] == 1.0).await;
    let ours = redis.keys().await;
    create(&elsewhere, "theirs").await;
    until_metrics("what is lent", &elsewhere, |m| m["marquee_redis_puts_total"] == 1.0).await;
    let theirs: Vec<String> = redis.keys().await.into_iter().filter(|key| !ours.contains(key)).collect();
    assert_eq!((ours.len(), theirs.len()), (1, 1));
    redis.ask::<()>(&["RENAME", &theirs[0], &ours[0]]).await;
    let second = joined(&db, &redis).await;
    assert_eq!(see(&second).await.1, ["ours"]);
    assert_eq!((read(&second).await, errors(&second, "value").await), (1.0, 1.0));
}

/// What listens there is no Redis.
#[tokio::test(flavor = "multi_thread")]
async fn what_answers_is_no_redis() {
    let db = TestDatabase::sqlite().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let answering = tokio::spawn(async move {
        for n in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer: &[u8] = match n % 5 {
                0 => b"HTTP/1.1 400 Bad Request\r\n\r\n",
                1 => b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n",
                2 => b"$99999999999999\r\nx",
                3 => b"*2147483647\r\n*2147483647\r\n",
                _ => b"",
            };
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(answer).await;
        }
    });
    let [one, two] = [replica(&db, &url).await, replica(&db, &url).await];
    until_metrics("five tries", &one, |m| m["marquee_redis_errors_total{work=\"connect\"}"] >= 5.0).await;
    all_is_well([&one, &two]).await;
    answering.abort();
}

/// A password is sent, and shown nowhere; a wrong one is said to be wrong, and costs speed alone.
#[tokio::test(flavor = "multi_thread")]
async fn redis_wants_a_password() {
    let redis = Redis::with(&["--requirepass", "open-sesame"]).await;
    let db = TestDatabase::sqlite().await;
    let right = ready(on(db.url(), &redis.url()).env("RUST_LOG", "debug")).await;
    until_up(&right).await;
    let wrong = redis.url().replace("open-sesame", "let-me-in");
    let wrong = ready(on(db.url(), &wrong).env("RUST_LOG", "debug")).await;
    all_is_well([&right, &wrong]).await;
    wrong.wait_for_log("is of no use").await;
    assert_eq!(metric(&wrong, "marquee_redis_up").await, 0.0);
    for (marquee, secret) in [(&right, "open-sesame"), (&wrong, "let-me-in")] {
        assert!(!marquee.log().contains(secret), "{}", marquee.log());
    }
}

/// What docs/SECURITY.md says is enough to be allowed, is.
#[tokio::test(flavor = "multi_thread")]
async fn redis_allows_what_is_needed() {
    let redis = Redis::start().await;
    let db = TestDatabase::sqlite().await;
    let document = include_str!("../../docs/SECURITY.md");
    let rule = document.lines().find(|line| line.starts_with("ACL SETUSER marquee ")).unwrap();
    let rule = rule.replace(">PASSWORD", ">open-sesame");
    redis.ask::<()>(&rule.split(' ').collect::<Vec<_>>()).await;
    let url = redis.url().replace("redis://", "redis://marquee:open-sesame@") + "/0";
    let start = async || {
        let prepared =
            on(db.url(), &url).env("MARQUEE_REDIS_TIMEOUT_MS", "20000").env("MARQUEE_POLL_MS", NEVER);
        ready(prepared).await
    };
    let [one, two] = [start().await, start().await];
    until_up(&one).await;
    for n in 0..3 {
        let written = create(&one, &format!("{n}")).await;
        until_seen(&two, written).await;
    }
    until_metrics("what is lent", &one, |m| m["marquee_redis_puts_total"] == 3.0).await;
    let three = start().await;
    assert_eq!(bytes(&three).await, bytes(&one).await);
    assert_eq!(read(&three).await, 0.0);
    for replica in [&one, &two, &three] {
        let metrics = replica.metrics().await;
        let errors: f64 =
            metrics.iter().filter(|(name, _)| name.contains("redis_errors")).map(|(_, n)| n).sum();
        assert_eq!(errors, 0.0, "{}", replica.log());
        assert!(!replica.log().contains("Redis"), "{}", replica.log());
    }
    for key in redis.keys().await {
        assert!(redis.ask::<i64>(&["TTL", &key]).await > 0, "{key} stays for ever");
    }
}

/// By TLS, with the authority that is named; one that nobody named is not trusted.
#[tokio::test(flavor = "multi_thread")]
async fn redis_speaks_tls() {
    let directory = tempfile::tempdir().unwrap();
    let redis = Redis::with_tls(directory.path()).await;
    let db = TestDatabase::sqlite().await;
    let [one, two] = [joined(&db, &redis).await, joined(&db, &redis).await];
    for n in 0..3 {
        let written = create(&one, &format!("{n}")).await;
        until_seen(&two, written).await;
    }
    assert_eq!(bytes(&one).await, bytes(&two).await);
    let url = redis.url();
    let (url, _) = url.split_once('?').unwrap();
    let wary = replica(&db, url).await;
    wary.wait_for_log("is of no use").await;
    assert!(wary.log().contains("certificate"), "{}", wary.log());
    all_is_well([&wary, &one]).await;
    assert_eq!(metric(&wary, "marquee_redis_up").await, 0.0);
}

/// What is set wrongly is said at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_leads_nowhere_stops_the_start() {
    let db = TestDatabase::sqlite().await;
    let port = free_port();
    for (url, reason) in [
        ("localhost:6379".to_owned(), "is no way to Redis"),
        ("redis://:open-sesame@/0".to_owned(), "use redis://HOST"),
        (format!("rediss://:open-sesame@127.0.0.1:{port}?ssl-ca=/nowhere/ca.pem"), "/nowhere/ca.pem"),
    ] {
        let (status, _, log) = on(db.url(), &url).run().await;
        assert!(!status.success() && log.contains("REDIS_URL") && log.contains(reason), "{url}: {log}");
        assert!(!log.contains("open-sesame"), "{log}");
    }
}
