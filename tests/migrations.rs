//! The schema: made, undone, made again; by several processes at once; and the sample, loaded once.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::Duration;

use marquee::app::sample;
use marquee::store::{Store, StoreOptions};
use marquee::telemetry::Metrics;
use prometheus_client::registry::Registry;
use reqwest::Method;
use serde_json::json;
use support::{Engine, Marquee, TestDatabase};

/// How many processes start at once.
const PROCESSES: usize = 4;

type Rows = Vec<Vec<Option<String>>>;

on_every_database! {
    /// Down leaves nothing, up again gives the same schema, and up on what is up changes nothing.
    async fn up_down_up(db) {
        let store = store(&db);
        store.migrate().await.unwrap();
        let first = schema(&db).await;
        assert!(first.len() >= 11, "eight tables and three indexes at least: {first:#?}");
        store.migrate().await.unwrap();
        assert_eq!(schema(&db).await, first, "up twice");
        store.unmigrate().await.unwrap();
        assert_eq!(schema(&db).await, Rows::new(), "down leaves nothing");
        assert!(store.prepare().await.unwrap_err().to_string().contains("marquee migrate"));
        store.migrate().await.unwrap();
        assert_eq!(schema(&db).await, first, "up again");
        assert_eq!(db.number("SELECT revision FROM catalogue").await, 0);
    }

    /// A restart migrates again, and what is there stays.
    async fn migrating_again_keeps_everything(db) {
        let store = store(&db);
        store.migrate().await.unwrap();
        let mut marquee = off(&db).start().await;
        marquee.wait_ready().await;
        assert_eq!(marquee.post("/v1/movies", &json!({ "title": "Kept" })).await.status(), 201);
        let before = db.query("SELECT revision, stamp, next_movie_id FROM catalogue").await;
        assert!(marquee.terminate().await.success());
        store.migrate().await.unwrap();
        let (status, _, log) = Marquee::prepare(db.url()).arg("migrate").run().await;
        assert!(status.success(), "{log}");
        assert_eq!(db.query("SELECT revision, stamp, next_movie_id FROM catalogue").await, before);
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 1);
    }

    /// Replicas that start together on an empty database all become ready, and there is one sample.
    async fn processes_that_start_together_agree(db) {
        let mut starting = Vec::new();
        for _ in 0..PROCESSES {
            let prepared = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "on");
            starting.push(tokio::spawn(prepared.start()));
        }
        let mut processes = Vec::new();
        for started in starting {
            processes.push(started.await.unwrap());
        }
        let movies = sample().unwrap().len();
        for marquee in &processes {
            marquee.wait_ready().await;
        }
        for marquee in &processes {
            let answer = marquee.get("/v1/movies").await;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["x-total-count"], movies.to_string());
            assert_eq!(answer.headers()["marquee-revision"], "1");
            assert!(!marquee.log().contains("ERROR"), "{}", marquee.log());
        }
        let mut said = 0;
        for marquee in &mut processes {
            // What it said is read to its end.
            assert!(marquee.terminate().await.success());
            said += usize::from(marquee.log().contains("loaded the sample"));
        }
        assert_eq!(said, 1, "one process loads the sample");
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, i64::try_from(movies).unwrap());
        assert_eq!(db.number("SELECT COUNT(*) FROM catalogue").await, 1);
        assert_eq!(db.number("SELECT revision FROM catalogue").await, 1);
    }

    /// `auto` loads the sample into a new embedded store alone, and never a second time.
    async fn auto_is_for_new_embedded_stores(db) {
        let movies = if db.engine() == Engine::Sqlite { sample().unwrap().len() } else { 0 };
        for start in 0..2 {
            let mut marquee = Marquee::on(&db).await;
            marquee.wait_ready().await;
            if movies > 0 && start == 0 {
                marquee.wait_for_log("loaded the sample").await;
            } else {
                assert!(!marquee.log().contains("loaded the sample"), "start {start}:\n{}", marquee.log());
            }
            assert_eq!(total(&marquee).await, movies.to_string(), "start {start}");
            assert!(marquee.terminate().await.success());
        }
    }

    /// A store that was written to is not new, also when it is empty again: `auto` leaves it, `on` fills it.
    async fn an_emptied_store_is_not_new(db) {
        let mut marquee = off(&db).start().await;
        marquee.wait_ready().await;
        let created = marquee.post("/v1/movies", &json!({ "title": "Short-lived" })).await;
        assert_eq!(created.status(), 201);
        let place = created.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(marquee.request(Method::DELETE, &place).send().await.unwrap().status(), 204);
        assert!(marquee.terminate().await.success());

        let mut marquee = Marquee::on(&db).await;
        marquee.wait_ready().await;
        assert_eq!(total(&marquee).await, "0", "auto");
        assert!(marquee.terminate().await.success());

        let movies = sample().unwrap().len().to_string();
        for start in 0..2 {
            let mut marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "on").start().await;
            marquee.wait_ready().await;
            assert_eq!(total(&marquee).await, movies, "on, start {start}");
            // The log is written by a thread of its own, which may be behind what it tells of.
            if start == 0 {
                marquee.wait_for_log("loaded the sample").await;
            }
            // Ids are not given again, also not by the sample.
            assert_eq!(marquee.get(&place).await.status(), 404);
            assert!(marquee.terminate().await.success());
            assert_eq!(marquee.log().contains("loaded the sample"), start == 0);
        }
    }

    /// `off` never loads it.
    async fn off_is_off(db) {
        for _ in 0..2 {
            let mut marquee = off(&db).start().await;
            marquee.wait_ready().await;
            assert_eq!(total(&marquee).await, "0");
            assert!(marquee.terminate().await.success());
        }
    }
}

fn off(db: &TestDatabase) -> support::Preparation {
    Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off")
}

async fn total(marquee: &Marquee) -> String {
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.status(), 200);
    answer.headers()["x-total-count"].to_str().unwrap().to_owned()
}

fn store(db: &TestDatabase) -> Store {
    let options = StoreOptions {
        location: db.url().parse().unwrap(),
        pool_size: Some(2),
        step: Duration::from_secs(30),
    };
    Store::new(&options, &Metrics::registered(&mut Registry::default())).unwrap()
}

/// All that a schema is made of, without the migrations' own table.
async fn schema(db: &TestDatabase) -> Rows {
    if db.engine() == Engine::Sqlite {
        return db
            .query(
                "SELECT type, name, tbl_name, sql FROM sqlite_master \
                 WHERE tbl_name NOT LIKE '\\_\\_diesel%' ESCAPE '\\' ORDER BY type, name",
            )
            .await;
    }
    let mut all = Rows::new();
    for sql in [
        "SELECT table_name, engine, table_collation, row_format FROM information_schema.tables t \
         WHERE table_schema = DATABASE() AND t.table_name NOT LIKE '\\_\\_diesel%' ORDER BY 1",
        "SELECT table_name, ordinal_position, column_name, column_type, is_nullable, column_default, extra, \
         character_set_name, collation_name FROM information_schema.columns t \
         WHERE table_schema = DATABASE() AND t.table_name NOT LIKE '\\_\\_diesel%' ORDER BY 1, 2",
        "SELECT table_name, index_name, non_unique, seq_in_index, column_name, collation, sub_part, index_type \
         FROM information_schema.statistics t \
         WHERE table_schema = DATABASE() AND t.table_name NOT LIKE '\\_\\_diesel%' ORDER BY 1, 2, 4",
        "SELECT table_name, constraint_name, constraint_type FROM information_schema.table_constraints t \
         WHERE table_schema = DATABASE() AND t.table_name NOT LIKE '\\_\\_diesel%' ORDER BY 1, 2",
        "SELECT table_name, constraint_name, referenced_table_name, update_rule, delete_rule \
         FROM information_schema.referential_constraints t \
         WHERE constraint_schema = DATABASE() AND t.table_name NOT LIKE '\\_\\_diesel%' ORDER BY 1, 2",
    ] {
        all.extend(db.query(sql).await);
    }
    all
}
