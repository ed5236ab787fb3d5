//! A backup is put back under a running marquee: revisions repeat, stamps do not.
//!
//! ```text
//! marquee                       database
//! serves revision 2             revision 2: a backup is made
//! deletes, creates: 3, 4, 5;
//!   each cached, with its tag
//!                               the backup is put back: revision 2 again
//!                               others write three times: revision 5, another stamp
//! knows revision 5: nothing to do?
//! ```
//!
//! Cached bytes under "revision 5" are of a history that no longer is. The stamp tells.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use mysql_async::prelude::Queryable;
use reqwest::Method;
use serde_json::{Value, json};
use support::{Marquee, TestDatabase};

/// A few polls, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(60);

/// In an order in which they can be filled.
const TABLES: [&str; 8] =
    ["genres", "directors", "movies", "movie_genres", "movie_directors", "segments", "commits", "catalogue"];

on_every_database! {
    /// The follower finds out.
    async fn the_same_revision_with_another_stamp(db) {
        let marquee = start(&db, "100").await;
        let old = lose_three_writes(&db, &marquee).await;
        restore(&db, Writes::Three).await;
        assert_eq!(db.number("SELECT revision FROM catalogue").await as u64, old.revision);
        let new = until_restored(&marquee, &old).await;
        assert_eq!(new.revision, old.revision);
        assert_eq!(new.titles, ["first, restored", "second", "from elsewhere"]);
        old_is_gone(&marquee, &old, &new).await;
        // And it goes on from there.
        let posted = marquee.post("/v1/movies", &json!({"title": "after"})).await;
        assert_eq!(posted.status(), 201);
        let now = see(&marquee).await;
        assert_eq!(now.revision, old.revision + 1);
        assert_eq!(now.titles, ["first, restored", "second", "from elsewhere", "after"]);
    }

    /// As the backup was, without later writes: the revision is lower than the one that is known.
    async fn a_lower_revision(db) {
        let marquee = start(&db, "100").await;
        let old = lose_three_writes(&db, &marquee).await;
        restore(&db, Writes::None).await;
        let new = until_restored(&marquee, &old).await;
        assert_eq!(new.revision, old.revision - 3);
        assert_eq!(new.titles, ["first", "second"]);
        old_is_gone(&marquee, &old, &new).await;
        // The lost revisions are made again, by this marquee: none of the old bytes come with them.
        for n in 1..=3 {
            let posted = marquee.post("/v1/movies", &json!({"title": format!("again {n}")})).await;
            assert_eq!(posted.status(), 201);
        }
        let now = see(&marquee).await;
        assert_eq!(now.revision, old.revision);
        assert_ne!(now.tag, old.tag);
        assert_eq!(now.titles, ["first", "second", "again 1", "again 2", "again 3"]);
    }

    /// A backup from before databases had names.
    async fn a_backup_without_a_name(db) {
        let marquee = start(&db, "100").await;
        let old = lose_three_writes(&db, &marquee).await;
        db.exec("DROP TABLE identity").await;
        restore(&db, Writes::Three).await;
        let new = until_restored(&marquee, &old).await;
        assert_eq!(new.titles, ["first, restored", "second", "from elsewhere"]);
        // It goes on to follow.
        restore(&db, Writes::None).await;
        let newer = until_restored(&marquee, &new).await;
        assert_eq!(newer.titles, ["first", "second"]);
    }

    /// No poll comes in time: the first write finds out, and builds on what is there.
    async fn a_write_finds_out_that_others_wrote(db) {
        let marquee = start(&db, "3600000").await;
        let old = lose_three_writes(&db, &marquee).await;
        restore(&db, Writes::Three).await;
        let posted = marquee.post("/v1/movies", &json!({"title": "after"})).await;
        assert_eq!(posted.status(), 201);
        let now = see(&marquee).await;
        assert_eq!(now.titles, ["first, restored", "second", "from elsewhere", "after"]);
        old_is_gone(&marquee, &old, &now).await;
    }

    /// The same where its own writes are gone.
    async fn a_write_finds_out_that_others_are_lost(db) {
        let marquee = start(&db, "3600000").await;
        let old = lose_three_writes(&db, &marquee).await;
        restore(&db, Writes::None).await;
        let posted = marquee.post("/v1/movies", &json!({"title": "after"})).await;
        assert_eq!(posted.status(), 201);
        let now = see(&marquee).await;
        assert_eq!(now.titles, ["first", "second", "after"]);
        assert_eq!(now.revision, old.revision - 2);
        old_is_gone(&marquee, &old, &now).await;
    }
}

/// What a client sees.
#[derive(Debug)]
struct Seen {
    revision: u64,
    tag: String,
    titles: Vec<String>,
}

async fn see(marquee: &Marquee) -> Seen {
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    let (revision, tag) = (header("marquee-revision").parse().unwrap(), header("etag"));
    let movies: Vec<Value> = answer.json().await.unwrap();
    let titles = movies.iter().map(|movie| movie["title"].as_str().unwrap().to_owned()).collect();
    Seen { revision, tag, titles }
}

async fn start(db: &TestDatabase, poll: &str) -> Marquee {
    let marquee =
        Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").env("MARQUEE_POLL_MS", poll).start().await;
    marquee.wait_ready().await;
    marquee
}

/// Two movies, a backup, and three writes that the backup does not have. All is cached.
async fn lose_three_writes(db: &TestDatabase, marquee: &Marquee) -> Seen {
    for title in ["first", "second"] {
        let movie = json!({"title": title, "genres": ["Drama"]});
        assert_eq!(marquee.post("/v1/movies", &movie).await.status(), 201);
    }
    assert_eq!(see(marquee).await.titles, ["first", "second"]);
    for table in TABLES {
        db.exec(&format!("CREATE TABLE backup_{table} AS SELECT * FROM {table}")).await;
    }
    for title in ["lost", "lost too"] {
        assert_eq!(marquee.post("/v1/movies", &json!({"title": title})).await.status(), 201);
    }
    let deleted = marquee.request(Method::DELETE, "/v1/movies/2").send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    let old = see(marquee).await;
    assert_eq!(old.titles, ["first", "lost", "lost too"]);
    old
}

#[derive(Clone, Copy)]
enum Writes {
    None,
    /// What others wrote after the backup was put back.
    Three,
}

/// Puts the backup back, and what others wrote then, in one transaction: nobody sees a state between.
async fn restore(db: &TestDatabase, writes: Writes) {
    let mut statements: Vec<String> =
        TABLES.iter().rev().map(|table| format!("DELETE FROM {table}")).collect();
    statements.extend(TABLES.iter().map(|table| format!("INSERT INTO {table} SELECT * FROM backup_{table}")));
    if matches!(writes, Writes::Three) {
        let stamp: i64 = rand::random();
        statements.extend(
            [
                "UPDATE movies SET title = 'first, restored' WHERE id = 1",
                "INSERT INTO movies (id, title, title_key, version, created_at, updated_at) \
                 SELECT next_movie_id, 'from elsewhere', 'from elsewhere', 1, 0, 0 FROM catalogue",
                "UPDATE catalogue SET next_movie_id = next_movie_id + 1, revision = revision + 3",
            ]
            .map(str::to_owned),
        );
        statements.push(format!("UPDATE catalogue SET stamp = {stamp}"));
        statements.push("INSERT INTO commits SELECT revision, stamp FROM catalogue".to_owned());
        statements.push(
            "UPDATE segments SET movies = 3, revision = (SELECT revision FROM catalogue), \
             stamp = (SELECT stamp FROM catalogue) WHERE segment = 0"
                .to_owned(),
        );
    }
    match db.path() {
        Some(path) => {
            let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            conn.batch_execute("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE").unwrap();
            conn.batch_execute(&statements.join("; ")).unwrap();
            conn.batch_execute("COMMIT").unwrap();
        }
        None => {
            let mut conn = db.connect().await;
            conn.query_drop("START TRANSACTION").await.unwrap();
            for statement in statements {
                conn.query_drop(statement).await.unwrap();
            }
            conn.query_drop("COMMIT").await.unwrap();
            conn.disconnect().await.unwrap();
        }
    }
}

/// Each answer is of one history or of the other, and soon of the other.
async fn until_restored(marquee: &Marquee, old: &Seen) -> Seen {
    let since = Instant::now();
    loop {
        let seen = see(marquee).await;
        if seen.tag != old.tag {
            return seen;
        }
        assert_eq!(seen.titles, old.titles);
        assert!(since.elapsed() < SOON, "still the lost history: {seen:?}");
    }
}

/// No answer of the lost history comes any more, and its tag is no longer known.
async fn old_is_gone(marquee: &Marquee, old: &Seen, new: &Seen) {
    assert_ne!(old.tag, new.tag);
    for _ in 0..20 {
        let asked = marquee.request(Method::GET, "/v1/movies").header("if-none-match", &old.tag);
        assert_eq!(asked.send().await.unwrap().status(), 200);
        let asked = marquee.request(Method::GET, "/v1/movies").header("if-none-match", &new.tag);
        assert_eq!(asked.send().await.unwrap().status(), 304);
        assert_eq!(see(marquee).await.titles, new.titles);
        // Deleted in the lost history only.
        assert_eq!(marquee.get("/v1/movies/2").await.status(), 200);
        let lines = marquee.request(Method::GET, "/v1/movies").header("accept", "application/x-ndjson");
        assert!(!lines.send().await.unwrap().text().await.unwrap().contains("lost"));
    }
}
