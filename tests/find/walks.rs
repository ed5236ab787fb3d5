//! Walks by cursors while others write: no movie comes twice, and none is skipped that was there throughout with
//! what it is sorted and filtered by.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{any, chance, ids, linked, movies, start};
use crate::model::{NUMBERS, compare, movie};
use crate::support::Marquee;

const STAY: usize = 60;
/// Of each who writes, at most, and three more: where more came than one page has, a walk would have no end.
const PASSING: usize = 6;

/// What others do: movies come and go between those that stay, and those change in what no walk asks for.
async fn write(marquee: &Marquee, stay: &[u64], passing: &mut Vec<u64>) {
    match rand::random_range(0..3) {
        0 if passing.len() < PASSING => {
            let made: Vec<Value> = (0..3).map(|_| movie()).collect();
            let made = marquee.post("/v1/movies", &json!(made)).await;
            assert_eq!(made.status(), 201);
            let made: Vec<Value> = made.json().await.unwrap();
            passing.extend(ids(&made));
        }
        1 if !passing.is_empty() => {
            let gone = passing.swap_remove(rand::random_range(0..passing.len()));
            delete(marquee, &[gone]).await;
        }
        _ => {
            let patch = marquee.request(Method::PATCH, &format!("/v1/movies/{}", any(stay)));
            let patch = patch.header("content-type", "application/merge-patch+json");
            let imdb_id = format!("tt{:07}", rand::random_range(0..10_000_000));
            let answer = patch.body(json!({ "imdb_id": imdb_id }).to_string()).send().await.unwrap();
            assert!([200, 409].contains(&answer.status().as_u16()));
        }
    }
}

fn sort() -> Vec<(String, bool)> {
    let mut keys: Vec<&str> = NUMBERS.iter().copied().chain(["title"]).collect();
    let length = rand::random_range(1..=3);
    let mut sort = Vec::new();
    while sort.len() < length {
        sort.push((keys.swap_remove(rand::random_range(0..keys.len())).to_owned(), chance(2)));
    }
    sort
}

on_every_database! {
    async fn a_walk_is_whole_while_others_write(db) {
        let marquee = Arc::new(start(&db).await);
        let made: Vec<Value> = (0..STAY).map(|_| movie()).collect();
        assert_eq!(marquee.post("/v1/movies", &json!(made)).await.status(), 201);
        let there = movies(marquee.get("/v1/movies").await).await;
        let stay: Vec<u64> = ids(&there);
        // Somebody writes all the time; and one write is made, and answered, between any two pages.
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let (marquee, stop, stay) = (Arc::clone(&marquee), Arc::clone(&stop), stay.clone());
            async move {
                let mut passing = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    write(&marquee, &stay, &mut passing).await;
                }
            }
        });
        let mut passing = Vec::new();
        for walk in 0..8 {
            let sort = sort();
            let keys = sort.iter().map(|(key, down)| format!("{}{key}", if *down { "-" } else { "" }));
            let filter = if walk % 3 == 0 { "rating=5..&" } else { "" };
            let query = format!("{filter}sort={}&limit={}", keys.collect::<Vec<_>>().join(","), rand::random_range(1..40));
            let expected = there.iter().filter(|movie| filter.is_empty() || movie["rating"].as_f64() >= Some(5.0));
            let mut expected: Vec<Value> = expected.cloned().collect();
            expected.sort_by(|a, b| compare(a, b, &sort));
            let expected = ids(&expected);

            let mut next = Some(format!("/v1/movies?{query}"));
            let (mut walked, mut prev, mut last) = (Vec::new(), None, Vec::new());
            while let Some(target) = next {
                let answer = marquee.get(&target).await;
                (next, prev) = (linked(&answer, "next"), linked(&answer, "prev"));
                last = movies(answer).await;
                walked.extend(ids(&last));
                write(&marquee, &stay, &mut passing).await;
            }
            is_whole(&walked, &expected, &query);

            // And back, from the last page on, which is empty where all of it was deleted meanwhile.
            let mut back: Vec<u64> = ids(&last);
            while let Some(target) = prev {
                let answer = marquee.get(&target).await;
                prev = linked(&answer, "prev");
                let mut page = ids(&movies(answer).await);
                page.append(&mut back);
                back = page;
                write(&marquee, &stay, &mut passing).await;
            }
            is_whole(&back, &expected, &format!("back by {query}"));
        }
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
    }
}

on_every_database! {
    async fn an_empty_page_leads_back_to_what_is_left(db) {
        let marquee = start(&db).await;
        // Twins, so that the first page ends between two that nothing but the id tells apart.
        let four = (1..=4).map(|n| json!({ "title": format!("Twin {n}"), "year": 1980 + n, "rating": n, "votes": n }));
        let twins: Vec<Value> = four.flat_map(|movie| [movie.clone(), movie]).collect();
        for sort in ["id", "-id", "title", "-rating", "-votes,-id", "year,-title"] {
            for forward in [true, false] {
                assert_eq!(marquee.post("/v1/movies", &json!(twins)).await.status(), 201);
                let first = marquee.get(&format!("/v1/movies?sort={sort}&limit=3")).await;
                let next = linked(&first, "next").unwrap();
                let first = ids(&movies(first).await);
                let second = marquee.get(&next).await;
                let (prev, behind) = (linked(&second, "prev").unwrap(), linked(&second, "next").unwrap());
                let second = ids(&movies(second).await);
                let third = ids(&movies(marquee.get(&behind).await).await);

                let (gone, left, to, rel, other) = if forward {
                    ([second, third.clone()].concat(), first, next, "prev", "next")
                } else {
                    (first, second, prev, "next", "prev")
                };
                delete(&marquee, &gone).await;
                let empty = marquee.get(&to).await;
                let (back, on) = (linked(&empty, rel), linked(&empty, other));
                assert!(ids(&movies(empty).await).is_empty(), "{sort}");
                assert_eq!(on, None, "{sort}: {other} leads where nothing is");
                assert!(back.is_some(), "{sort}: there is no {rel}");
                assert_eq!(ids(&movies(marquee.get(&back.unwrap()).await).await), left, "{sort}");

                // And where nothing is left at all, there is nowhere to go.
                delete(&marquee, &left).await;
                if !forward {
                    delete(&marquee, &third).await;
                }
                let empty = marquee.get(&to).await;
                assert_eq!((linked(&empty, rel), linked(&empty, other)), (None, None), "{sort}");
            }
        }
    }
}

async fn delete(marquee: &Marquee, ids: &[u64]) {
    for id in ids {
        let gone = marquee.request(Method::DELETE, &format!("/v1/movies/{id}")).send().await.unwrap();
        assert_eq!(gone.status(), 204);
    }
}

/// None comes twice, and those that stay come in their order, every one.
fn is_whole(walked: &[u64], expected: &[u64], query: &str) {
    let once: BTreeSet<&u64> = walked.iter().collect();
    assert_eq!(once.len(), walked.len(), "{query}: a movie came twice");
    let stayed: Vec<u64> = walked.iter().filter(|id| expected.contains(id)).copied().collect();
    assert_eq!(stayed, expected, "{query}");
}
