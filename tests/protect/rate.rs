//! How often one client may ask, and who that client is behind a proxy.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;

use crate::kit::{Reply, get, head, post_text};
use crate::support::{Marquee, TestDatabase};
use crate::tools::make_named;

/// A rate at which nothing comes back while a test runs.
const THREE: &str = "1/h,burst=3";

async fn limited(db: &TestDatabase, rate: &str, more: &[(&str, &str)]) -> Marquee {
    let mut prepared =
        Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_RATE_LIMIT", rate);
    for (name, value) in more {
        prepared = prepared.env(name, value);
    }
    let marquee = prepared.start().await;
    marquee.wait_ready().await;
    marquee
}

async fn asked_as(marquee: &Marquee, headers: &[(&str, &str)]) -> Reply {
    let request =
        headers.iter().fold(marquee.request(Method::GET, "/v1/movies"), |request, (name, value)| {
            request.header(*name, *value)
        });
    Reply::to(request).await
}

proof_on! {
    /// Every answer tells what is left; the one too many is refused, does nothing, and says when to come back.
    async fn a_client_is_told_what_is_left(db) {
        let marquee = limited(&db, THREE, &[]).await;
        let since = Instant::now();
        let first = get(&marquee, "/v1/movies").await.expect(200);
        assert_eq!(first.header("ratelimit-policy"), "\"default\";q=3;w=10800");
        assert_eq!(first.header("ratelimit"), "\"default\";r=2;t=3600");
        // The bucket fills up while it is asked.
        let left = |reply: &Reply, left: u32, seconds: u64| {
            let told = reply.header("ratelimit");
            let (_, told_seconds) = told.split_once(&format!("\"default\";r={left};t=")).unwrap_or_else(|| panic!("{told}"));
            let filled = seconds.saturating_sub(since.elapsed().as_secs() + 1);
            assert!((filled..=seconds).contains(&told_seconds.parse().unwrap()), "{told}");
        };
        left(&head(&marquee, "/v1/genres").await.expect(200), 1, 7200);
        // Whatever else is wrong with a request, it counts.
        let third = get(&marquee, "/nowhere").await.expect(404);
        left(&third, 0, 10_800);

        let refused = post_text(&marquee, "/v1/movies", json!({ "title": "a" }).to_string()).await;
        refused.problem(429, "rate-limited");
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        let filled = 3600 - (since.elapsed().as_secs() + 1);
        assert!((filled..=3600).contains(&wait), "{wait}");
        assert_eq!(refused.header("ratelimit"), format!("\"default\";r=0;t={wait}"));
        assert_eq!(refused.header("ratelimit-policy"), first.header("ratelimit-policy"));
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 0);
        get(&marquee, "/problems/rate-limited").await.problem(429, "rate-limited");
    }
    sqlite: Sqlite
}

proof_on! {
    /// Who watches over the installation is never refused, and is told nothing of buckets.
    async fn those_who_watch_are_not_limited(db) {
        let marquee = limited(&db, "1/h", &[]).await;
        get(&marquee, "/v1/movies").await.expect(200);
        get(&marquee, "/v1/movies").await.expect(429);
        for path in ["/livez", "/readyz", "/metrics"] {
            for _ in 0..5 {
                assert!(!get(&marquee, path).await.expect(200).has("ratelimit"));
            }
        }
        let refused = marquee.metrics().await;
        let series = r#"marquee_http_request_duration_seconds_count{route="/v1/movies",method="GET",status="429"}"#;
        assert_eq!(refused.get(series), Some(&1.0));
    }
    sqlite: Sqlite
}

proof_on! {
    /// Without the setting there is no limit, and no word of one.
    async fn there_is_no_limit_unless_it_is_set(db) {
        let marquee = Marquee::on(&db).await;
        marquee.wait_ready().await;
        for _ in 0..50 {
            let reply = get(&marquee, "/v1/genres").await.expect(200);
            assert!(!reply.has("ratelimit") && !reply.has("ratelimit-policy"));
        }
    }
    sqlite: Sqlite
}

proof_on! {
    /// Whoever asks from an address that is no proxy's has one bucket, whatever the headers say.
    async fn a_client_cannot_change_its_name(db) {
        for trusted in ["off", "192.0.2.0/24,2001:db8::/32"] {
            let marquee = limited(&db, THREE, &[("MARQUEE_TRUSTED_PROXIES", trusted)]).await;
            for n in 0..3 {
                let name = format!("198.51.100.{n}");
                let element = format!("for={name}");
                asked_as(&marquee, &[("X-Forwarded-For", &name), ("Forwarded", &element)]).await.expect(200);
            }
            asked_as(&marquee, &[("X-Forwarded-For", "198.51.100.9")]).await.expect(429);
            asked_as(&marquee, &[("Forwarded", "for=198.51.100.9")]).await.expect(429);
            asked_as(&marquee, &[("X-Real-IP", "198.51.100.9")]).await.expect(429);
            asked_as(&marquee, &[]).await.expect(429);
        }
    }
    sqlite: Sqlite
}

proof_on! {
    /// Behind a proxy that is named, each client has a bucket of its own, by the address that the proxy added;
    /// what the client wrote before it counts for nothing. The access log tells the same address.
    async fn a_named_proxy_tells_who_asks(db) {
        let settings = [("MARQUEE_TRUSTED_PROXIES", "127.0.0.0/8"), ("MARQUEE_ACCESS_LOG", "on")];
        let marquee = limited(&db, "1/h,burst=2", &settings).await;
        for n in 0..2 {
            let list = format!("203.0.113.{n}, 198.51.100.1");
            asked_as(&marquee, &[("X-Forwarded-For", &list)]).await.expect(200);
        }
        asked_as(&marquee, &[("X-Forwarded-For", "203.0.113.9, 198.51.100.1")]).await.expect(429);
        asked_as(&marquee, &[("Forwarded", "for=203.0.113.9, for=\"198.51.100.1:4711\"")]).await.expect(429);
        marquee.wait_for_log("198.51.100.1").await;
        assert!(!marquee.log().contains("203.0.113."), "{}", marquee.log());
        // Another client, and a whole network of IPv6 that is one.
        asked_as(&marquee, &[("X-Forwarded-For", "198.51.100.2")]).await.expect(200);
        for n in 1..=2 {
            asked_as(&marquee, &[("Forwarded", &format!("for=\"[2001:db8:1:2::{n}]\""))]).await.expect(200);
        }
        asked_as(&marquee, &[("X-Forwarded-For", "2001:db8:1:2:ffff::9")]).await.expect(429);
        asked_as(&marquee, &[("X-Forwarded-For", "2001:db8:1:3::1")]).await.expect(200);
        // What cannot be read is the proxy's own, and so is what two headers disagree on.
        asked_as(&marquee, &[("X-Forwarded-For", "nonsense")]).await.expect(200);
        asked_as(&marquee, &[("Forwarded", "for=\"198.51.100.7")]).await.expect(200);
        let both = [("Forwarded", "for=198.51.100.8"), ("X-Forwarded-For", "198.51.100.9")];
        asked_as(&marquee, &both).await.expect(429);
        asked_as(&marquee, &[]).await.expect(429);
    }
    sqlite: Sqlite
}

#[tokio::test]
async fn a_setting_that_cannot_be_stops_the_start() {
    for (name, value) in [
        ("MARQUEE_RATE_LIMIT", "fast"),
        ("MARQUEE_RATE_LIMIT", "0/s"),
        ("MARQUEE_TRUSTED_PROXIES", "everyone"),
        ("MARQUEE_TRUSTED_PROXIES", "0.0.0.0/0"),
        ("MARQUEE_CORS_ORIGINS", "https://example.com/"),
        ("MARQUEE_CORS_ORIGINS", "*,https://example.com"),
        ("MARQUEE_MIN_RATE", "0"),
        ("MARQUEE_KEEP_ALIVE_MS", "soon"),
    ] {
        let (status, _, log) = Marquee::prepare("sqlite://unused.db").env(name, value).run().await;
        assert!(!status.success(), "{name}={value}");
        assert!(log.contains(name), "{name}={value}: {log}");
    }
}

proof_on! {
    /// A live token has a bucket of its own, from wherever it is used; one that is none takes from the bucket of
    /// the address that tries it.
    async fn a_token_has_a_bucket_of_its_own(db) {
        let (one, other) = (make_named(&db, "read", "one").await, make_named(&db, "write", "other").await);
        let marquee = limited(&db, THREE, &[("MARQUEE_TRUSTED_PROXIES", "127.0.0.0/8")]).await;
        for n in 0..4 {
            let address = format!("198.51.100.{n}");
            let headers = [("Authorization", format!("Bearer {one}")), ("X-Forwarded-For", address)];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            asked_as(&marquee, &headers).await.expect(if n < 3 { 200 } else { 429 });
        }
        asked_as(&marquee, &[("Authorization", &format!("Bearer {other}"))]).await.expect(200);
        // Invented ones, each another, and a write that is refused: all are this address.
        for n in 0..2 {
            asked_as(&marquee, &[("Authorization", &format!("Bearer mq_{n:064}"))]).await.expect(200);
        }
        post_text(&marquee, "/v1/movies", json!({ "title": "a" }).to_string()).await.expect(401);
        asked_as(&marquee, &[("Authorization", "Bearer mq_invented")]).await.expect(429);
        post_text(&marquee, "/v1/movies", json!({ "title": "a" }).to_string()).await.expect(429);
        asked_as(&marquee, &[("Authorization", &format!("Bearer {other}"))]).await.expect(200);
    }
    sqlite: Sqlite
}
