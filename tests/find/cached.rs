//! Pages are cached: by what they ask, not by how it is spelt, in the state that they were read in.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

use crate::kit::{ids, movies, start};
use crate::support::{Marquee, Proxy};

const LOADS: &str = "marquee_database_queries_total{purpose=\"load\"}";

async fn fill(marquee: &Marquee) {
    let movies: Vec<Value> = (0..60)
        .map(|n| json!({ "title": format!("Movie {n}"), "rating": n % 10, "genres": ["Drama", "War"] }))
        .collect();
    assert_eq!(marquee.post("/v1/movies", &json!(movies)).await.status(), 201);
}

fn status(answer: &Response) -> String {
    assert_eq!(answer.status(), 200);
    answer.headers()["cache-status"].to_str().unwrap().to_owned()
}

fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, name: &str) -> f64 {
    let of = |metrics: &BTreeMap<String, f64>| metrics.get(name).copied().unwrap_or_default();
    of(after) - of(before)
}

on_every_database! {
    /// The same question in other words costs no query; after a write it is asked anew, once.
    async fn one_question_is_asked_once(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        let spellings = [
            "genre=drama&genre=war&rating=5..9&fields=id,rating&sort=-rating,id&limit=7",
            "limit=07&sort=-rating&fields=rating,id&rating=5.0..9.00&genre=WAR&genre=Drama&genre=drama",
            "&rating=05..9&genre=%44rama&fields=id%2Crating%2Cid&&genre=+war+&limit=7&sort=-rating",
        ];
        for round in 0..3 {
            let first = marquee.get(&format!("/v1/movies?{}", spellings[0])).await;
            assert_eq!(status(&first), "marquee; fwd=miss; stored", "round {round}");
            let (tag, link) = (first.headers()["etag"].clone(), first.headers()["link"].clone());
            let page = movies(first).await;
            // A look that began before the last write would ask once more.
            marquee.one_more_poll().await;
            let before = marquee.metrics().await;
            for query in spellings {
                let again = marquee.get(&format!("/v1/movies?{query}")).await;
                assert_eq!(status(&again), "marquee; hit", "{query}");
                assert_eq!((&again.headers()["etag"], &again.headers()["link"]), (&tag, &link));
                assert_eq!(movies(again).await, page);
            }
            let after = marquee.metrics().await;
            assert_eq!(grown(&before, &after, LOADS), 0.0);
            assert_eq!(grown(&before, &after, "marquee_cache_hits_total"), 3.0);
            // Fresh at once, and what was cached is not asked for any more.
            let made = json!({ "title": format!("Best {round}"), "rating": 9, "genres": ["War", "Drama"] });
            assert_eq!(marquee.post("/v1/movies", &made).await.status(), 201);
            let now = marquee.get(&format!("/v1/movies?{}&offset=0", spellings[0])).await;
            assert_eq!(now.headers()["x-total-count"], (30 + round + 1).to_string());
        }
    }

    /// Many who ask for one page that is not there cause one load.
    async fn many_who_ask_cause_one_load(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        // A look that began before the write would ask once more.
        marquee.one_more_poll().await;
        let before = marquee.metrics().await;
        assert_eq!(status(&marquee.get("/v1/movies?genre=drama&limit=9").await), "marquee; fwd=miss; stored");
        let one = grown(&before, &marquee.metrics().await, LOADS);
        assert!(one >= 6.0, "{one}");
        for round in 0..5 {
            let path = format!("/v1/movies?genre=war&sort=-id&limit={}", 10 + round);
            let before = marquee.metrics().await;
            let answers = join_all((0..100).map(|_| marquee.get(&path))).await;
            let after = marquee.metrics().await;
            let misses = answers.iter().filter(|answer| status(answer).ends_with("stored")).count();
            assert_eq!(misses, 1, "round {round}");
            // One query less: how many match is known by now.
            let expected = if round == 0 { one } else { one - 1.0 };
            assert_eq!(grown(&before, &after, LOADS), expected, "round {round}");
        }
    }

    /// A page that shows another replica's write is of that revision, and nothing older is told after it.
    async fn what_a_page_saw_is_known_from_then_on(db) {
        let marquee = start(&db).await;
        fill(&marquee).await;
        let other = Marquee::prepare(db.url())
            .env("MARQUEE_SAMPLE", "off")
            .env("MARQUEE_POLL_MS", "3600000")
            .start()
            .await;
        other.wait_ready().await;
        other.first_poll().await;
        let cached = other.get("/v1/movies?sort=-id&limit=3").await;
        assert_eq!(cached.headers()["marquee-revision"], "1");
        assert_eq!(ids(&movies(cached).await), [60, 59, 58]);
        assert_eq!(marquee.post("/v1/movies", &json!({ "title": "New" })).await.status(), 201);
        // It cannot know, and what it has is cached.
        assert_eq!(status(&other.get("/v1/movies?sort=-id&limit=3").await), "marquee; hit");
        let seen = other.get("/v1/movies?sort=-id&limit=2").await;
        assert_eq!((&seen.headers()["marquee-revision"], &seen.headers()["x-total-count"]), (&"2".parse().unwrap(), &"61".parse().unwrap()));
        assert_eq!(ids(&movies(seen).await), [61, 60]);
        assert_eq!(status(&other.get("/v1/movies?sort=-id&limit=2").await), "marquee; hit", "stored where it is looked for");
        let now = other.get("/v1/movies?sort=-id&limit=3").await;
        assert_eq!(now.headers()["marquee-revision"], "2");
        assert_eq!(ids(&movies(now).await), [61, 60, 59]);
        assert_eq!(other.get("/v1/movies").await.headers()["x-total-count"], "61");
    }
}

on_every_server! {
    /// With the database away, what is cached goes on and says how old it is; the rest is a 503.
    async fn cached_pages_go_on_without_the_database(db) {
        let proxy = Proxy::to(db.address().await).await;
        let marquee = Marquee::prepare(&db.url_through(proxy.address()))
            .env("MARQUEE_SAMPLE", "off")
            .start()
            .await;
        marquee.wait_ready().await;
        fill(&marquee).await;
        let path = "/v1/movies?genre=drama&sort=rating&limit=5";
        let page = movies(marquee.get(path).await).await;
        proxy.cut().await;
        marquee.wait_for_log("cached reads go on").await;
        let cached = marquee.get(path).await;
        assert!(status(&cached).starts_with("marquee; hit; ttl=-"), "{}", status(&cached));
        assert_eq!(movies(cached).await, page);
        let missing = marquee.get("/v1/movies?genre=drama&sort=rating&limit=6").await;
        assert_eq!(missing.status(), 503);
        assert!(missing.headers().contains_key("retry-after"));
        let problem: Value = missing.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/database-away");
        proxy.pass();
        marquee.wait_for_log("the database answers again").await;
        assert_eq!(movies(marquee.get("/v1/movies?genre=drama&sort=rating&limit=6").await).await.len(), 6);
    }
}
