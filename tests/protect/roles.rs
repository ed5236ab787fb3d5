//! Which call needs which token: every route that there is, under every role.

use std::collections::BTreeSet;

use reqwest::{Method, Response};

use crate::support::Marquee;
use crate::tools::{ask, make, prepare, problem, ready, write};

/// A path as `src/http.rs` has it.
struct Path {
    asked: String,
    methods: Vec<Method>,
    is_open: bool,
}

/// Every path of the routes: a route that is added is asked here as well.
fn paths() -> Vec<Path> {
    let source = include_str!("../../src/http.rs");
    let (_, rest) = source.split_once("fn routes(").unwrap();
    let (routes, _) = rest.split_once("\n}\n").unwrap();
    let mut found = Vec::new();
    let mut rest = routes;
    while let Some((before, after)) = rest.split_once("resource(\"") {
        let mut quoted = after.split('"');
        let (path, methods) = (quoted.next().unwrap(), quoted.nth(1).unwrap());
        found.push(Path {
            asked: path.replace("{id}", "1").replace("{slug}", "not-found"),
            methods: methods.split(", ").map(|method| method.parse().unwrap()).collect(),
            is_open: before.ends_with("open_"),
        });
        rest = after;
    }
    // No path is made in any other way, but for what answers that there is none.
    assert_eq!(found.len(), routes.matches("resource(").count());
    assert_eq!(routes.matches("web::scope(").count() + found.len(), routes.matches(".service(").count());
    assert!(found.len() >= 7, "the routes were not found");
    found
}

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

/// Asks, and gives the status, and the challenge where one is sent.
async fn judged(marquee: &Marquee, method: &Method, path: &str, token: &str) -> (u16, String) {
    let answer = ask(marquee, method.clone(), path, token).await;
    (answer.status().as_u16(), challenge(&answer))
}

fn challenge(answer: &Response) -> String {
    let challenge = answer.headers().get("www-authenticate");
    challenge.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

const ANY: &str = "Bearer realm=\"marquee\"";
const INVALID: &str = "Bearer realm=\"marquee\", error=\"invalid_token\"";
const SCOPE: &str = "Bearer realm=\"marquee\", error=\"insufficient_scope\", scope=\"write\"";

on_every_database! {
    /// No write without a token of the role `write`; no read without any where reads are not public.
    async fn every_route_stands_behind_the_gate(db) {
        let tokens = [make(&db, "read").await, make(&db, "write").await, make(&db, "admin").await];
        let [read_token, write_token, admin_token] = &tokens;
        for public_read in ["on", "off"] {
            let marquee = ready(prepare(&db).env("MARQUEE_PUBLIC_READ", public_read)).await;
            let mut writes = BTreeSet::new();
            for Path { asked, methods, is_open } in paths() {
                for method in &methods {
                    let at = format!("{method} {asked}, public read {public_read}");
                    let judge = async |token: &str| judged(&marquee, method, &asked, token).await;
                    if is_read(method) {
                        let stopped = !is_open && public_read == "off";
                        assert_eq!(judge("").await, if stopped { (401, ANY.to_owned()) } else { judge(read_token).await }, "{at}");
                        assert_eq!(judge("mq_nonsense").await.0 == 401, stopped, "{at}");
                        for token in &tokens {
                            assert!(matches!(judge(token).await.0, 200 | 404), "{at}");
                        }
                        continue;
                    }
                    assert!(!is_open, "{at}: what writes cannot be open");
                    writes.insert(format!("{method} {asked}"));
                    assert_eq!(judge("").await, (401, ANY.to_owned()), "{at}");
                    assert_eq!(judge("mq_nonsense").await, (401, INVALID.to_owned()), "{at}");
                    assert_eq!(judge(read_token).await, (403, SCOPE.to_owned()), "{at}");
                    for token in [write_token, admin_token] {
                        let (status, challenge) = judge(token).await;
                        assert!(![401, 403].contains(&status) && challenge.is_empty(), "{at}: {status}");
                    }
                }
            }
            assert!(writes.contains("PATCH /v1/movies/1") && writes.len() >= 6, "{writes:?}");
        }
    }

    /// Refused is refused: nothing was written, and the answer says what to do.
    async fn a_refused_write_changes_nothing(db) {
        let read_token = make(&db, "read").await;
        let marquee = ready(prepare(&db)).await;
        let before = marquee.get("/v1/movies").await.headers()["marquee-revision"].clone();
        let told = problem(ask(&marquee, Method::POST, "/v1/movies", "").await, 401, "unauthorized").await;
        assert!(told.contains("Authorization: Bearer") && told.contains("marquee token create"), "{told}");
        let told = problem(ask(&marquee, Method::POST, "/v1/movies", &read_token).await, 403, "forbidden").await;
        assert!(told.contains("role read") && told.contains("role write"), "{told}");
        let cut = &read_token[..read_token.len() - 1];
        let told = problem(ask(&marquee, Method::POST, "/v1/movies", cut).await, 401, "unauthorized").await;
        assert!(told.contains("not whole"), "{told}");
        assert_eq!(marquee.get("/v1/movies").await.headers()["marquee-revision"], before);
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 0);
        for slug in ["unauthorized", "forbidden", "another-site"] {
            assert_eq!(marquee.get(&format!("/problems/{slug}")).await.status(), 200);
        }
    }

    /// The ways to send a token, and those that are none.
    async fn how_a_token_is_sent(db) {
        let token = make(&db, "write").await;
        let marquee = ready(prepare(&db)).await;
        let send = async |values: &[String]| {
            let mut request = marquee.request(Method::POST, "/v1/movies").json(&serde_json::json!({ "title": "T" }));
            for value in values {
                request = request.header("authorization", value);
            }
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), challenge(&answer))
        };
        for value in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER   {token}")] {
            assert_eq!(send(std::slice::from_ref(&value)).await.0, 201, "{value}");
        }
        for (values, challenge) in [
            (vec![], ANY),
            (vec![token.clone()], ANY),
            (vec![format!("Basic {token}")], ANY),
            (vec![format!("Bearer{token}")], ANY),
            (vec!["Bearer".to_owned()], INVALID),
            (vec![format!("Bearer {token}x")], INVALID),
            (vec![format!("Bearer {token} {token}")], INVALID),
            (vec![format!("Bearer {}", token.to_uppercase())], INVALID),
            (vec![format!("Bearer {}", "a".repeat(5000))], INVALID),
            (vec![format!("Bearer {token}"), format!("Bearer {token}")], INVALID),
        ] {
            assert_eq!(send(&values).await, (401, challenge.to_owned()), "{values:?}");
        }
        let in_query = ask(&marquee, Method::POST, &format!("/v1/movies?access_token={token}"), "").await;
        assert_eq!(in_query.status(), 401);
    }

    /// What needs a token is for its reader alone; a hit and a 304 as well.
    async fn what_is_not_public_is_private(db) {
        let token = make(&db, "read").await;
        for (public_read, set, told) in [
            ("on", "no-cache", "no-cache"),
            ("off", "no-cache", "private, no-cache"),
            ("off", "public, max-age=60, s-maxage=600", "private, max-age=60"),
        ] {
            let marquee = prepare(&db).env("MARQUEE_PUBLIC_READ", public_read).env("MARQUEE_CACHE_CONTROL", set);
            let marquee = ready(marquee).await;
            for path in ["/v1/movies", "/v1/movies", "/v1/genres"] {
                let answer = ask(&marquee, Method::GET, path, &token).await;
                assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (200, &told.parse().unwrap()));
                let tag = answer.headers()["etag"].clone();
                let again = marquee.request(Method::GET, path).bearer_auth(&token).header("if-none-match", &tag);
                let again = again.send().await.unwrap();
                assert_eq!((again.status().as_u16(), &again.headers()["cache-control"]), (304, &told.parse().unwrap()));
                // Who knows the tag knows nothing else.
                let anybody = marquee.request(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
                assert_eq!(anybody.status(), if public_read == "on" { 304 } else { 401 });
            }
        }
    }

    /// Where reads are not public and there is no token, nobody reads or writes.
    async fn without_a_token_nothing_is_open_where_reads_are_not(db) {
        let marquee = ready(prepare(&db).env("MARQUEE_PUBLIC_READ", "off")).await;
        marquee.wait_for_log("marquee token create").await;
        assert_eq!(marquee.get("/v1/movies").await.status(), 401);
        assert_eq!(write(&marquee, "").await, 401);
        for path in ["/livez", "/readyz", "/problems/unauthorized"] {
            assert_eq!(marquee.get(path).await.status(), 200, "{path}");
        }
    }
}
