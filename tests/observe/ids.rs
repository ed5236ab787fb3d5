//! `traceparent` in, `X-Request-Id` out.

use reqwest::Method;
use serde_json::json;

use crate::start;
use crate::support::{Marquee, TestDatabase};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OF_TRACE: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

async fn id_of(marquee: &Marquee, method: Method, path: &str, headers: &[(&str, &str)]) -> Option<String> {
    let mut request = marquee.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let ids: Vec<_> = answer.headers().get_all("x-request-id").iter().collect();
    assert!(ids.len() <= 1, "{ids:?}");
    ids.first().map(|id| id.to_str().unwrap().to_owned())
}

on_every_database! {
    /// Taken over, or of the trace, on every answer; a request without either costs nothing, and gets none.
    async fn an_answer_has_the_id_of_its_request(db) {
        let marquee = start(&db).await;
        assert_eq!(marquee.post("/v1/movies", &json!({ "title": "a" })).await.status(), 201);
        for (method, path) in [
            (Method::GET, "/v1/movies"),
            (Method::GET, "/v1/movies/1"),
            (Method::GET, "/v1/movies/99"),
            (Method::GET, "/nowhere"),
            (Method::DELETE, "/livez"),
            (Method::GET, "/metrics"),
            (Method::POST, "/v1/movies"),
        ] {
            let ask = |headers| id_of(&marquee, method.clone(), path, headers);
            assert_eq!(ask(&[]).await, None, "{path}");
            assert_eq!(ask(&[("x-request-id", "abc-1")]).await.as_deref(), Some("abc-1"), "{path}");
            assert_eq!(ask(&[("traceparent", TRACE)]).await.as_deref(), Some(OF_TRACE), "{path}");
            let both = &[("x-request-id", "abc-2"), ("traceparent", TRACE)];
            assert_eq!(ask(both).await.as_deref(), Some("abc-2"), "{path}");
            // What is malformed is as if it were not there.
            let malformed = &[("x-request-id", "<script>"), ("traceparent", &TRACE[1..])];
            assert_eq!(ask(malformed).await, None, "{path}");
        }
    }

    /// Where requests are logged, each has an id, and the log names it.
    async fn with_the_access_log_each_has_one(db) {
        let marquee = logging(&db).await;
        let first = id_of(&marquee, Method::GET, "/v1/movies", &[]).await.unwrap();
        let second = id_of(&marquee, Method::GET, "/nowhere", &[]).await.unwrap();
        assert_ne!(first, second);
        assert!(first.len() == 32 && first.bytes().all(|b| b.is_ascii_hexdigit()), "{first}");
        for id in [&first, &second] {
            marquee.wait_for_log(id).await;
        }
        assert_eq!(id_of(&marquee, Method::GET, "/livez", &[("traceparent", TRACE)]).await.unwrap(), OF_TRACE);
    }
}

on_every_database! {
    /// A fault of the server: what the client is told leads to the line of the log that says why.
    async fn a_fault_is_found_by_its_id(db) {
        {
            let marquee = start(&db).await;
            assert_eq!(marquee.post("/v1/movies", &json!({ "title": "a" })).await.status(), 201);
        }
        // What no marquee writes.
        db.exec("UPDATE movies SET year = 7").await;
        let marquee = start(&db).await;
        let answer = marquee.get("/v1/movies/1").await;
        assert_eq!(answer.status(), 500);
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["request_id"], *id, "{problem}");
        marquee.wait_for_log(&id).await;
        let log = marquee.log();
        let told = log.lines().position(|line| line.contains(&id)).unwrap();
        let why = log.lines().position(|line| line.contains("a load failed"));
        assert!(why.is_some_and(|why| why < told), "{log}");
        let asked = marquee.request(Method::GET, "/v1/movies").header("traceparent", TRACE);
        let answer = asked.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["x-request-id"]), (500, &OF_TRACE.parse().unwrap()));
        marquee.wait_for_log(OF_TRACE).await;
    }
}

async fn logging(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_ACCESS_LOG", "on");
    let marquee = marquee.start().await;
    marquee.wait_ready().await;
    marquee
}
