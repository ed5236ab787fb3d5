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
//! killed     as gone, and SIGKILL before that: between COMMIT and the answer
//! ```
//!
//! With an Idempotency-Key the client that sends its write again learns what came of it, and it is done once.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use support::{Marquee, Mode, OnCommit, Proxy, TestDatabase};

const PATIENCE: Duration = Duration::from_secs(60);
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
        // It is looked for during 5 s; a request may take two minutes here.
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        // From now on there is no doubt: refused at once, and not executed.
        let began = Instant::now();
        assert_eq!(create(&marquee).await, (503, "/problems/not-executed".to_owned()));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

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

    /// It happened, and nobody could say so: sent again under its key it is answered, and not done again.
    async fn an_unknown_outcome_is_learnt_by_its_key(db) {
        let (proxy, marquee) = start(&db).await;
        proxy.on_commit(OnCommit::LoseAnswer, Mode::Cut);
        let unknown = keyed(&marquee).send().await.unwrap();
        assert_eq!(unknown.status(), 503);
        assert!(unknown.text().await.unwrap().contains("/problems/outcome-unknown"));
        proxy.pass();
        let (revision, movie) = until_made(&marquee).await;
        assert_eq!((revision.as_str(), &movie["id"]), ("2", &json!(2)));
        there_once(&db, &marquee).await;
    }

    /// Killed between COMMIT and the answer: another marquee on the same database has the answer.
    async fn a_kill_between_commit_and_answer(db) {
        let (proxy, mut marquee) = start(&db).await;
        proxy.on_commit(OnCommit::LoseAnswer, Mode::Cut);
        let waiting = tokio::spawn(keyed(&marquee).send());
        marquee.wait_for_log("looking for commit 2").await;
        marquee.kill();
        assert!(waiting.await.unwrap().is_err(), "nobody could answer");
        let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
        marquee.wait_ready().await;
        for _ in 0..2 {
            let (revision, movie) = until_made(&marquee).await;
            assert_eq!((revision.as_str(), &movie["id"]), ("2", &json!(2)));
        }
        there_once(&db, &marquee).await;
    }

    /// A success that changed nothing is in no log of commits. It is resolved all the same, and raises no revision.
    async fn a_lost_answer_to_what_changed_nothing(db) {
        for then in [OnCommit::LoseAnswer, OnCommit::Prevent] {
            let (proxy, marquee) = start(&db).await;
            let revision = db.number("SELECT revision FROM catalogue").await;
            proxy.on_commit(then, Mode::Pass);
            for _ in 0..2 {
                let nothing = marquee.request(Method::POST, "/v1/movies").header("idempotency-key", format!("{then:?}"));
                let answer = nothing.json(&json!([])).send().await.unwrap();
                assert_eq!(answer.status(), 201);
                assert_eq!(answer.headers()["marquee-revision"], revision.to_string());
            }
            assert_eq!(proxy.fired(), 1);
            assert_eq!(db.number("SELECT revision FROM catalogue").await, revision);
        }
        assert_eq!(db.number("SELECT COUNT(*) FROM idempotency_keys").await, 2);
    }
}

/// The write that [`create`] makes, under a key.
fn keyed(marquee: &Marquee) -> reqwest::RequestBuilder {
    let movie = json!({"title": "kept", "imdb_id": "tt0000001", "genres": ["Drama"]});
    marquee.request(Method::POST, "/v1/movies").header("idempotency-key", "k").json(&movie)
}

/// Sends it until it is answered 201; its revision and the movie.
async fn until_made(marquee: &Marquee) -> (String, Value) {
    let made = async {
        loop {
            let answer = keyed(marquee).send().await.unwrap();
            if answer.status() == 201 {
                let revision = answer.headers()["marquee-revision"].to_str().unwrap().to_owned();
                return (revision, answer.json().await.unwrap());
            }
            assert_eq!(answer.status(), 503);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, made).await.unwrap()
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
