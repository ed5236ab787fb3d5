//! A COMMIT whose answer is lost: did it happen?
//!
//! ```text
//!            marquee                      wire                      server
//! lost       COMMIT          ──▶                     ──▶            commits
//!                            ◀── cut ✂               ◀──            "done"
//!            connects anew, locks the revision row, looks for its stamp: there; 201
//! prevented  COMMIT          ──▶ cut ✂                              rolls back
//!            connects anew, locks the revision row, looks for its stamp: not there; once more; 201
//! gone       as lost, and the wire stays cut: the client is told, in time, that it is not known
//! ```
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Marquee, Mode, OnCommit, Proxy, TestDatabase};

const PATIENCE: Duration = Duration::from_secs(20);
const RETRIES: &str = "marquee_write_retries_total";

on_every_server! {
    /// It happened: it is not done twice, and the client gets its 201.
    async fn an_answer_that_is_lost(db) {
        let (proxy, marquee) = start(&db).await;
        proxy.on_commit(OnCommit::LoseAnswer, Mode::Pass);
        let created = create(&marquee).await;
        assert_eq!(proxy.fired(), 1);
        assert_eq!(created, (201, "kept".to_owned()));
        // Its outcome was looked up; it was not run again.
        assert_eq!(marquee.metrics().await[RETRIES], 0.0);
        there_once(&db, &marquee).await;
    }

    /// It did not happen: it is done again, once.
    async fn a_commit_that_is_prevented(db) {
        let (proxy, marquee) = start(&db).await;
        proxy.on_commit(OnCommit::Prevent, Mode::Pass);
        let created = create(&marquee).await;
        assert_eq!(proxy.fired(), 1);
        assert_eq!(created, (201, "kept".to_owned()));
        assert!(marquee.metrics().await[RETRIES] >= 1.0);
        there_once(&db, &marquee).await;
    }

    /// It happened, and nobody is there to say so: the client is told that it is not known, which is another
    /// answer than "not executed". Once the database is back, reads show the truth.
    async fn a_database_that_stays_away(db) {
        let (proxy, marquee) = start(&db).await;
        proxy.on_commit(OnCommit::LoseAnswer, Mode::Cut);
        let began = Instant::now();
        let (status, problem) = create(&marquee).await;
        assert_eq!(proxy.fired(), 1);
        assert_eq!((status, problem.as_str()), (503, "/problems/outcome-unknown"));
        assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
        // From now on there is no doubt: refused at once, and not executed.
        let began = Instant::now();
        assert_eq!(create(&marquee).await, (503, "/problems/not-executed".to_owned()));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

        proxy.pass();
        let seen = async {
            while marquee.get("/v1/movies/2").await.status() != 200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
        there_once(&db, &marquee).await;
        let again = async {
            while marquee.post("/v1/movies", &json!({"title": "next"})).await.status() != 201 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, again).await.unwrap();
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 3);
    }
}

/// marquee behind a wire, with one movie.
async fn start(db: &TestDatabase) -> (Proxy, Marquee) {
    let proxy = Proxy::to(db.address().await).await;
    let marquee =
        Marquee::prepare(&db.url_through(proxy.address())).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    assert_eq!(marquee.post("/v1/movies", &json!({"title": "first"})).await.status(), 201);
    (proxy, marquee)
}

/// The status, and the title or the problem's type.
async fn create(marquee: &Marquee) -> (u16, String) {
    let movie = json!({"title": "kept", "imdb_id": "tt0000001", "genres": ["Drama"]});
    let answer = marquee.post("/v1/movies", &movie).await;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let told = if status == 201 { &body["title"] } else { &body["type"] };
    (status, told.as_str().unwrap().to_owned())
}

async fn there_once(db: &TestDatabase, marquee: &Marquee) {
    assert_eq!(db.number("SELECT COUNT(*) FROM movies WHERE title = 'kept'").await, 1);
    assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 2);
    assert_eq!(db.number("SELECT SUM(movies) FROM segments").await, 2);
    assert_eq!(db.number("SELECT movies FROM genres").await, 1);
    assert_eq!(db.number("SELECT revision FROM catalogue").await, 2);
    assert_eq!(db.number("SELECT COUNT(*) FROM commits").await, 3);
    let movies: Vec<Value> = marquee.get("/v1/movies").await.json().await.unwrap();
    let titles: Vec<_> = movies.iter().map(|movie| movie["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["first", "kept"]);
}
