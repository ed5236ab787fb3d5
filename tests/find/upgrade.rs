//! Movies of a database that is older than finding: the first start makes them findable, whoever starts.

use std::path::Path;

use serde_json::Value;

use crate::kit::{ids, movies};
use crate::support::{Engine, Marquee, TestDatabase};

/// More than are made findable in one transaction.
const MOVIES: u64 = 2300;

/// Runs the migrations of the first release, as it ran them, and fills its tables.
async fn first_release(db: &TestDatabase) {
    let engine = if db.engine() == Engine::Sqlite { "sqlite" } else { "mysql" };
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let mut folders: Vec<_> = std::fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    db.exec(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    )
    .await;
    let of_then = |folder: &&std::path::PathBuf| {
        folder.file_name().unwrap().to_str().unwrap().starts_with("2026-11-24-")
    };
    for folder in folders.iter().filter(of_then) {
        db.exec(&std::fs::read_to_string(folder.join("up.sql")).unwrap()).await;
        let version =
            folder.file_name().unwrap().to_str().unwrap().split('_').next().unwrap().replace('-', "");
        db.exec(&format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')")).await;
    }
    db.exec(&format!("INSERT INTO catalogue VALUES (1, 1, 77, {}, 2, 1)", MOVIES + 1)).await;
    db.exec("INSERT INTO commits VALUES (1, 77)").await;
    db.exec("INSERT INTO genres VALUES (1, 'Drama', 'drama', 'drama', 1)").await;
    let rows: Vec<String> = (1..=MOVIES)
        .map(|id| {
            format!(
                "({id}, NULL, 'Old Movie W{id}', 'old movie w{id}', {}, NULL, NULL, NULL, NULL, 1, 0, 0)",
                1900 + id % 100
            )
        })
        .collect();
    db.exec(&format!("INSERT INTO movies VALUES {}", rows.join(", "))).await;
    db.exec("INSERT INTO movie_genres VALUES (7, 0, 1)").await;
    for segment in 0..=MOVIES >> 8 {
        let (first, last) = ((segment << 8).max(1), (segment << 8 | 0xff).min(MOVIES));
        db.exec(&format!("INSERT INTO segments VALUES ({segment}, 1, 77, {})", last - first + 1)).await;
    }
}

on_every_database! {
    async fn movies_that_are_older_are_found(db) {
        first_release(&db).await;
        // Not half of them: who may not migrate does not serve.
        let off = || Marquee::prepare(db.url()).env("MARQUEE_MIGRATE", "off").env("MARQUEE_SAMPLE", "off");
        let (status, _, log) = off().run().await;
        assert!(!status.success() && log.contains("marquee migrate"), "{log}");
        // Several start at once.
        let starting: Vec<_> = (0..3)
            .map(|_| tokio::spawn(Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start()))
            .collect();
        for started in starting {
            let marquee = started.await.unwrap();
            marquee.wait_ready().await;
            for (query, expected) in [
                ("q=w2222", vec![2222]),
                ("q=old+movie&sort=-id&limit=2", vec![2300, 2299]),
                ("genre=drama&q=movie", vec![7]),
                ("year=1905&sort=id&limit=2", vec![5, 105]),
            ] {
                let answer = marquee.get(&format!("/v1/movies?{query}")).await;
                assert_eq!(answer.headers()["marquee-revision"], "1", "nothing is changed by it");
                assert_eq!(ids(&movies(answer).await), expected, "{query}");
            }
        }
        let movies = i64::try_from(MOVIES).unwrap();
        assert_eq!(db.number("SELECT COUNT(*) FROM movie_keys").await, movies);
        assert_eq!(db.number("SELECT COUNT(*) FROM movie_words").await, 3 * movies);

        // One that was stopped half-way is gone on with, and what is there already is no obstacle.
        db.exec("UPDATE derived SET next_movie_id = 1500").await;
        db.exec("DELETE FROM movie_words WHERE movie_id > 1600").await;
        let (status, _, log) = off().run().await;
        assert!(!status.success() && log.contains("marquee migrate"), "{log}");
        let (status, _, log) = off().arg("migrate").run().await;
        assert!(status.success(), "{log}");
        assert_eq!(db.number("SELECT COUNT(*) FROM movie_words").await, 3 * movies);
        let done: Value = db.number("SELECT next_movie_id FROM derived").await.into();
        assert_eq!(done, i64::MAX);
        let marquee = off().start().await;
        marquee.wait_ready().await;
    }
}
