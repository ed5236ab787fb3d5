//! Before there is a token, on the loopback address: open to the programs of this machine, not to the pages that
//! its browsers show.

use reqwest::Method;
use serde_json::json;

use crate::tools::{ask, make, prepare, problem, ready, revoke, until, write};

on_every_database! {
    /// The first token ends it, and revoking that does not bring it back: revoking lets nobody in.
    async fn open_until_the_first_token(db) {
        let mut marquee = ready(prepare(&db)).await;
        marquee.wait_for_log("every program on this machine may write").await;
        for (method, path, status) in [
            (Method::POST, "/v1/movies", 201),
            (Method::PUT, "/v1/movies/1", 200),
            (Method::PATCH, "/v1/movies/1", 200),
            (Method::POST, "/v1/genres", 201),
            (Method::DELETE, "/v1/movies?id=1", 200),
        ] {
            assert_eq!(ask(&marquee, method, path, "").await.status(), status, "{path}");
        }
        // A token that nobody knows does no harm where none is asked for.
        assert_eq!(write(&marquee, "mq_nonsense").await, 201);
        let token = make(&db, "write").await;
        until(&marquee, "", 401).await;
        assert_eq!(write(&marquee, &token).await, 201);
        revoke(&db, "write").await;
        until(&marquee, &token, 401).await;
        assert_eq!(write(&marquee, "").await, 401);
        assert!(marquee.terminate().await.success());
        let marquee = ready(prepare(&db)).await;
        marquee.wait_for_log("no token is left").await;
        assert_eq!(write(&marquee, "").await, 401);
        assert_eq!(marquee.get("/v1/movies").await.status(), 200);
    }

    /// A page of another site cannot write by way of a browser, whatever name it gives this machine.
    async fn pages_of_other_sites_do_not_write(db) {
        let marquee = ready(prepare(&db)).await;
        let own = format!("http://{}", marquee.address());
        let port = marquee.address().port();
        let send = async |method: Method, headers: &[(&str, &str)]| {
            let request = marquee.request(method.clone(), "/v1/movies/1").json(&json!({ "title": "T" }));
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
        };
        let rebound = format!("rebound.example:{port}");
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            for headers in [
                &[("host", rebound.as_str())][..],
                &[("host", "127.0.0.1.nip.example")],
                &[("origin", "https://evil.example")],
                &[("origin", "null")],
                &[("sec-fetch-site", "cross-site")],
                &[("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
            ] {
                problem(send(method.clone(), headers).await, 403, "another-site").await;
            }
            let localhost = format!("localhost:{port}");
            for headers in [
                &[][..],
                &[("host", localhost.as_str())],
                &[("origin", own.as_str()), ("sec-fetch-site", "same-origin")],
            ] {
                assert_eq!(send(method.clone(), headers).await.status(), 404, "{headers:?}");
            }
        }
        // Reading is open to everybody, and so to pages; whether they see it is their browser's to decide.
        let read = marquee.request(Method::GET, "/v1/movies").header("host", "rebound.example");
        assert_eq!(read.header("sec-fetch-site", "cross-site").send().await.unwrap().status(), 200);
        // With tokens there is nothing to guard: no browser adds one by itself.
        let token = make(&db, "write").await;
        until(&marquee, "", 401).await;
        let request = marquee.request(Method::POST, "/v1/movies").json(&json!({ "title": "T" }));
        let request = request.header("host", "movies.example").header("sec-fetch-site", "cross-site");
        assert_eq!(request.bearer_auth(&token).send().await.unwrap().status(), 201);
    }
}
