//! What operators and gateways ask: health, metrics, and connections that stay open.

use serde_json::json;

use crate::kit::{Wire, create, delete, get, head, post, start};

on_every_database! {
    /// Ready names each part; alive needs none.
    async fn health_names_each_part(db) {
        let marquee = start(&db).await;
        let made = create(&marquee, json!({ "title": "a" })).await;
        for path in ["/livez", "/readyz"] {
            let reply = get(&marquee, path).await.expect(200);
            assert_eq!(reply.header("content-type"), "application/health+json");
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(reply.json()["status"], "pass");
            assert!(head(&marquee, path).await.expect(200).body.is_empty());
        }
        let ready = get(&marquee, "/readyz").await.json();
        for part in ["database", "cache", "writer"] {
            assert_eq!(ready["checks"][part][0]["status"], "pass", "{ready}");
        }
        assert_eq!(ready["checks"]["cache"][0]["revision"], made.revision());
    }

    /// The metrics count what happened.
    async fn metrics_count(db) {
        let marquee = start(&db).await;
        create(&marquee, json!([{ "title": "a" }, { "title": "b" }])).await;
        let text = get(&marquee, "/metrics").await.expect(200);
        assert_eq!(text.header("cache-control"), "no-store");
        assert!(text.header("content-type").contains("text"), "{}", text.header("content-type"));
        assert!(text.text().contains("# TYPE ") && text.text().contains("marquee_"), "{}", text.text());
        assert_eq!(text.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let asked = marquee.request(reqwest::Method::GET, "/metrics");
        let asked = asked.header("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
        let open = crate::kit::Reply::to(asked).await.expect(200);
        assert!(open.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
        assert!(open.text().ends_with("# EOF\n"));
        let before = marquee.metrics().await;
        assert_eq!(before["marquee_revision"], get(&marquee, "/v1/movies").await.revision() as f64);
        for _ in 0..3 {
            get(&marquee, "/v1/movies/1").await.expect(200);
        }
        delete(&marquee, "/v1/movies/1").await.expect(204);
        let after = marquee.metrics().await;
        assert_eq!(after["marquee_revision"], before["marquee_revision"] + 1.0);
        let hits = |metrics: &std::collections::BTreeMap<String, f64>| -> f64 {
            let hits =
                metrics.iter().filter(|(name, _)| name.starts_with("marquee_") && name.contains("hit"));
            hits.map(|(_, value)| value).sum()
        };
        assert!(hits(&after) >= hits(&before) + 3.0, "{before:?} {after:?}");
    }

    /// A failure costs a client no connection: the next request goes over the same one. Only where the body
    /// was not looked at is the connection given up, and then that is said.
    async fn connections_stay_open_after_failures(db) {
        let marquee = start(&db).await;
        post(&marquee, "/v1/genres", json!({ "name": "Drama" })).await.expect(201);
        let mut wire = Wire::to(marquee.address()).await;
        let posted = |path: &str, media: &str, body: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let asked = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let json = "application/json";
        for (request, status) in [
            (asked("GET", "/nowhere"), 404),
            (asked("GET", "/v1/movies/99"), 404),
            (asked("DELETE", "/v1/movies/99"), 404),
            (asked("PATCH", "/v1/genres"), 405),
            (asked("GET", "/v1/movies?x=1"), 400),
            (posted("/v1/movies", json, "{"), 400),
            (posted("/v1/movies", json, "{}"), 422),
            (posted("/v1/movies", "text/plain", "{}"), 415),
            (posted("/v1/genres", json, r#"{"name":"drama"}"#), 409),
            (posted("/livez", json, "{}"), 405),
            (posted("/nowhere", json, "{}"), 404),
            (posted("/v1/movies?x=1", json, "{}"), 400),
            (posted("/v1/movies", json, r#"{"title":"a"}"#), 201),
            (asked("GET", "/v1/movies"), 200),
        ] {
            wire.send(request.as_bytes()).await;
            let (told, head, _) = wire.answer().await.unwrap_or_else(|| panic!("hung up on {request}"));
            assert_eq!(told, status, "{request}");
            if head.contains("connection: close") {
                let unread = !request.ends_with("\r\n\r\n")
                    && [400, 404, 405, 415].contains(&status)
                    && request != posted("/v1/movies", json, "{");
                assert!(unread, "{request}: {head}");
                wire = Wire::to(marquee.address()).await;
            }
        }
        // Several at once, answered in their order.
        wire.send(
            [asked("GET", "/livez"), asked("GET", "/nowhere"), asked("GET", "/v1/movies/1")]
                .concat()
                .as_bytes(),
        )
        .await;
        for status in [200, 404, 200] {
            assert_eq!(wire.answer().await.unwrap().0, status);
        }
    }
}
