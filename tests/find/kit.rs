//! What the tests of finding have in common.

use reqwest::Response;
use serde_json::Value;

use crate::support::{Marquee, TestDatabase};

/// A marquee without movies that gives slow machines time.
pub(crate) async fn start(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_SAMPLE", "off")
        .env("MARQUEE_REQUEST_TIMEOUT_MS", "60000")
        .start()
        .await;
    marquee.wait_ready().await;
    marquee
}

pub(crate) fn linked(answer: &Response, rel: &str) -> Option<String> {
    let links = answer.headers()["link"].to_str().unwrap();
    let link = links.split(", ").find(|link| link.ends_with(&format!("; rel=\"{rel}\"")))?;
    Some(link.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned())
}

/// The movies of a page.
pub(crate) async fn movies(answer: Response) -> Vec<Value> {
    assert_eq!(answer.status(), 200, "{}", answer.url().clone());
    answer.json().await.unwrap()
}

pub(crate) fn ids(movies: &[Value]) -> Vec<u64> {
    movies.iter().map(|movie| movie["id"].as_u64().unwrap()).collect()
}

pub(crate) fn any<T: Copy>(of: &[T]) -> T {
    of[rand::random_range(0..of.len())]
}

pub(crate) fn chance(one_in: u32) -> bool {
    rand::random_range(0..one_in) == 0
}
