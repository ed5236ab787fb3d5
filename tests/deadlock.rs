//! Other transactions in the way of a write.
//!
//! ```text
//! outside                                     marquee (DELETE /v1/movies/1)
//! changes 400 movies, 1 among them
//!                                             locks the catalogue row
//!                                             deletes movie 1: waits for outside
//! asks for the catalogue row: a circle
//!                                             is the lighter one: rolled back whole (1213)
//! has the catalogue row                       again: waits for the catalogue row
//! ends                                        deletes movie 1; COMMIT; 204
//! ```
//!
//! Then the same without the circle: a lock that is waited for, one that lasts too long, and on SQLite
//! another process that writes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use mysql_async::prelude::Queryable;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use support::{Marquee, TestDatabase};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
const RETRIES: &str = "marquee_write_retries_total";

on_every_server! {
    /// The circle: marquee's transaction is the victim, and its client does not notice.
    async fn a_deadlock_is_run_again(db) {
        let marquee = filled(&db).await;
        let before = marquee.metrics().await[RETRIES];
        let mut outside = db.connect().await;
        outside.query_drop("START TRANSACTION").await.unwrap();
        outside.query_drop("UPDATE movies SET votes = 7 WHERE id <= 400").await.unwrap();
        let deleted = delete(&marquee, 1);
        wait_for_lock(&db).await;
        // marquee waits for us, and we for it.
        let _: Vec<i64> = outside.query("SELECT revision FROM catalogue WHERE id = 1 FOR UPDATE").await.unwrap();
        marquee.wait_for_log("Deadlock found").await;
        wait_for_lock(&db).await;
        assert!(!deleted.is_finished());
        outside.query_drop("ROLLBACK").await.unwrap();

        let deleted = deleted.await.unwrap();
        assert_eq!(deleted.status(), 204);
        assert!(marquee.metrics().await[RETRIES] > before);
        assert_eq!(marquee.get("/v1/movies/1").await.status(), 404);
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 499);
        assert_eq!(db.number("SELECT SUM(movies) FROM segments").await, 499);
        assert_eq!(db.number("SELECT movies FROM genres").await, 499);
    }

    /// Tokens are changed by a transaction of its own, which is run again as well.
    async fn a_token_is_revoked_after_a_deadlock(db) {
        let _filled = filled(&db).await;
        let token = |action: &[&str]| {
            action.iter().fold(Marquee::prepare(db.url()).arg("token"), |command, word| command.arg(*word)).run()
        };
        let (status, _, log) = token(&["create", "--role", "read", "--name", "first"]).await;
        assert!(status.success(), "{log}");
        let mut outside = db.connect().await;
        outside.query_drop("START TRANSACTION").await.unwrap();
        outside.query_drop("UPDATE movies SET votes = 7 WHERE id <= 400").await.unwrap();
        outside.query_drop("UPDATE tokens SET role = 'write' WHERE name = 'first'").await.unwrap();
        let revoked = tokio::spawn(token(&["revoke", "first"]));
        wait_for_lock(&db).await;
        let _: Vec<i64> = outside.query("SELECT id FROM token_state WHERE id = 1 FOR UPDATE").await.unwrap();
        wait_for_lock(&db).await;
        assert!(!revoked.is_finished());
        outside.query_drop("ROLLBACK").await.unwrap();
        let (status, _, log) = revoked.await.unwrap();
        assert!(status.success(), "{log}");
        assert_eq!(db.number("SELECT COUNT(*) FROM tokens WHERE revoked_at IS NOT NULL").await, 1);
    }

    /// A lock that another holds for a moment is waited for, not answered with an error.
    async fn a_lock_is_waited_for(db) {
        let marquee = filled(&db).await;
        let before = marquee.metrics().await[RETRIES];
        let mut outside = db.connect().await;
        outside.query_drop("START TRANSACTION").await.unwrap();
        outside.query_drop("UPDATE movies SET votes = 7 WHERE id = 1").await.unwrap();
        let deleted = delete(&marquee, 1);
        wait_for_lock(&db).await;
        // Meanwhile reads do not wait.
        assert_eq!(marquee.get("/v1/movies/1").await.status(), 200);
        outside.query_drop("ROLLBACK").await.unwrap();
        assert_eq!(deleted.await.unwrap().status(), 204);
        assert_eq!(marquee.metrics().await[RETRIES], before);
    }

    /// A lock that does not come free (1205 after 8 s): nothing happened, and the client is told so in time.
    async fn a_lock_that_lasts_is_given_up(db) {
        let marquee = filled(&db).await;
        let mut outside = db.connect().await;
        outside.query_drop("START TRANSACTION").await.unwrap();
        outside.query_drop("UPDATE movies SET votes = 7 WHERE id = 1").await.unwrap();
        let began = Instant::now();
        let refused = delete(&marquee, 1).await.unwrap();
        // By itself a server waits for 50 s.
        assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(refused.json::<Value>().await.unwrap()["type"], "/problems/not-executed");
        outside.query_drop("ROLLBACK").await.unwrap();
        assert_eq!(marquee.get("/v1/movies/1").await.status(), 200);
        // Its links, which went before the wait, are there too: rolled back whole.
        assert_eq!(db.number("SELECT COUNT(*) FROM movie_genres WHERE movie_id = 1").await, 1);
        // Nothing is left of it: the next one goes through.
        assert_eq!(delete(&marquee, 1).await.unwrap().status(), 204);
    }
}

/// Another process writes to the file: waited for, run again when SQLite gives up waiting (5 s), and then
/// done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_writes_to_the_file() {
    let db = TestDatabase::sqlite().await;
    let marquee = filled(&db).await;
    let before = marquee.metrics().await[RETRIES];
    let path = db.path().unwrap().to_str().unwrap().to_owned();
    let mut outside = SqliteConnection::establish(&path).unwrap();
    outside.batch_execute("BEGIN IMMEDIATE; UPDATE movies SET votes = 7 WHERE id = 2").unwrap();
    let deleted = delete(&marquee, 1);
    let retried = async {
        while marquee.metrics().await[RETRIES] == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, retried).await.unwrap();
    assert!(!deleted.is_finished());
    // Reads go on beside it.
    assert_eq!(marquee.get("/v1/movies/1").await.status(), 200);
    outside.batch_execute("ROLLBACK").unwrap();
    assert_eq!(deleted.await.unwrap().status(), 204);
    assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 499);
    assert_eq!(db.number("SELECT SUM(movies) FROM segments").await, 499);
}

/// A marquee with 500 movies of one genre.
async fn filled(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_SAMPLE", "off")
        .env("RUST_LOG", "marquee=debug")
        .start()
        .await;
    marquee.wait_ready().await;
    let movies: Vec<Value> =
        (0..500).map(|n| json!({"title": format!("{n}"), "genres": ["Drama"]})).collect();
    assert_eq!(marquee.post("/v1/movies", &Value::from(movies)).await.status(), 201);
    marquee
}

fn delete(marquee: &Marquee, id: u64) -> JoinHandle<Response> {
    let request = marquee.request(Method::DELETE, &format!("/v1/movies/{id}"));
    tokio::spawn(async move { request.send().await.unwrap() })
}

/// Until a transaction of this database waits for a lock.
async fn wait_for_lock(db: &TestDatabase) {
    let waiting = "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx \
                   WHERE trx_state = 'LOCK WAIT'";
    let since = Instant::now();
    loop {
        let ours: Vec<String> = db.connections().await.iter().map(|(id, _)| id.to_string()).collect();
        let waits = db.query(waiting).await.into_iter().flatten().flatten();
        if waits.into_iter().any(|id| ours.contains(&id)) {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "nobody waits for a lock");
        // InnoDB renews this table only when nobody has read it for 100 ms.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}
