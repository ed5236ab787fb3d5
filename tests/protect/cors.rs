//! Which web sites' scripts may read the answers.

use reqwest::Method;

use crate::kit::Reply;
use crate::support::{Marquee, TestDatabase};

const SITE: &str = "https://app.example.com";

async fn open_to(db: &TestDatabase, origins: &str) -> Marquee {
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_SAMPLE", "off")
        .env("MARQUEE_CORS_ORIGINS", origins)
        .env("MARQUEE_RATE_LIMIT", "1000/s")
        .start()
        .await;
    marquee.wait_ready().await;
    marquee
}

async fn from(marquee: &Marquee, origin: &str, path: &str) -> Reply {
    Reply::to(marquee.request(Method::GET, path).header("origin", origin)).await
}

/// What a browser asks before a request that not every page may make.
async fn preflight(marquee: &Marquee, origin: &str, method: &str, headers: &str) -> Reply {
    let request = marquee
        .request(Method::OPTIONS, "/v1/movies/1")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", headers);
    Reply::to(request).await
}

fn names(reply: &Reply, header: &str) -> Vec<String> {
    let mut names: Vec<_> =
        reply.header(header).split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    names.sort_unstable();
    names
}

proof_on! {
    async fn no_site_may_read_unless_it_is_set(db) {
        let marquee = Marquee::on(&db).await;
        marquee.wait_ready().await;
        let reply = from(&marquee, SITE, "/v1/movies").await.expect(200);
        assert!(reply.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
        let refused = preflight(&marquee, SITE, "DELETE", "if-match").await;
        refused.problem(405, "method-not-allowed");
    }
    sqlite: Sqlite
}

proof_on! {
    /// The sites that are named may read all there is; others get the answer that everyone gets, which their
    /// browser keeps from them.
    async fn a_site_that_is_named_may_read(db) {
        let marquee = open_to(&db, &format!("{SITE},http://intranet.test:3000")).await;
        for site in [SITE, "http://intranet.test:3000"] {
            let reply = from(&marquee, site, "/v1/movies").await.expect(200);
            assert_eq!(reply.header("access-control-allow-origin"), site);
            let exposed = names(&reply, "access-control-expose-headers");
            for header in [
                "etag", "link", "location", "x-total-count", "marquee-revision", "retry-after", "ratelimit",
                "ratelimit-policy", "cache-status", "x-request-id", "server-timing",
            ] {
                assert!(exposed.iter().any(|name| name == header), "{header}: {exposed:?}");
            }
            assert!(!reply.has("access-control-allow-credentials"));
            let vary = reply.headers.get_all("vary").iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
            let vary = vary.join(",").to_ascii_lowercase();
            assert!(vary.contains("origin") && vary.contains("accept-encoding"), "{vary}");
            // A failure is to be read, too.
            let missing = from(&marquee, site, "/v1/movies/9").await;
            missing.problem(404, "not-found");
            assert_eq!(missing.header("access-control-allow-origin"), site);
        }
        for site in ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"] {
            let reply = from(&marquee, site, "/v1/movies").await.expect(200);
            assert!(!reply.has("access-control-allow-origin"), "{site}");
            let refused = preflight(&marquee, site, "PATCH", "if-match").await;
            refused.problem(403, "cross-origin-refused");
            assert!(!refused.has("access-control-allow-origin"), "{site}");
        }
        // Who is no browser sends no origin, and notices nothing.
        let plain = Reply::to(marquee.request(Method::GET, "/v1/movies")).await.expect(200);
        assert!(!plain.has("access-control-allow-origin"));
    }
    sqlite: Sqlite
}

proof_on! {
    /// What a script may do is told before it does it.
    async fn preflights_tell_methods_and_headers(db) {
        let marquee = open_to(&db, SITE).await;
        let headers = "authorization, content-type, if-match, idempotency-key, marquee-min-revision, prefer";
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let reply = preflight(&marquee, SITE, method, headers).await.expect(200);
            assert_eq!(reply.header("access-control-allow-origin"), SITE);
            assert_eq!(names(&reply, "access-control-allow-methods"), ["delete", "get", "head", "patch", "post", "put"]);
            let allowed = names(&reply, "access-control-allow-headers");
            for header in headers.split(", ") {
                assert!(allowed.iter().any(|name| name == header), "{header}: {allowed:?}");
            }
            assert_eq!(reply.header("access-control-max-age"), "7200");
            assert!(reply.body.is_empty());
        }
        preflight(&marquee, SITE, "TRACE", "if-match").await.problem(403, "cross-origin-refused");
        preflight(&marquee, SITE, "GET", "x-other").await.problem(403, "cross-origin-refused");
        preflight(&marquee, SITE, "GET", "é").await.problem(403, "cross-origin-refused");
        // An OPTIONS that is no preflight is what it always was.
        let options = Reply::to(marquee.request(Method::OPTIONS, "/v1/movies").header("origin", SITE)).await;
        assert_eq!(options.problem(405, "method-not-allowed")["status"], 405);
    }
    sqlite: Sqlite
}

proof_on! {
    /// `*` is for everyone, and says so: never with credentials.
    async fn all_sites_may_read_where_that_is_set(db) {
        let marquee = open_to(&db, "*").await;
        for site in [SITE, "https://other.example", "null"] {
            let reply = from(&marquee, site, "/v1/movies").await.expect(200);
            assert_eq!(reply.header("access-control-allow-origin"), "*");
            assert!(!reply.has("access-control-allow-credentials"));
            let reply = preflight(&marquee, site, "DELETE", "authorization").await.expect(200);
            assert_eq!(reply.header("access-control-allow-origin"), "*");
            assert!(!reply.has("access-control-allow-credentials"));
        }
    }
    sqlite: Sqlite
}
