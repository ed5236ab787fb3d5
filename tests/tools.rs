//! That the tests' own tools do what the other tests rely on.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use support::proxy::is_commit;
use support::server::{address_in, parse_metrics};
use support::{Engine, Mode, OnCommit, Proxy, Redis, TestDatabase, database};

on_every_database! {
    /// What was written is read, on a database that nobody else has.
    async fn a_database_of_its_own(db) {
        db.exec("CREATE TABLE t (n INTEGER, s VARCHAR(20))").await;
        db.exec("INSERT INTO t VALUES (7, 'seven'), (8, NULL)").await;
        assert_eq!(db.number("SELECT COUNT(*) FROM t").await, 2);
        let rows = db.query("SELECT n, s FROM t ORDER BY n").await;
        let text = |s: &str| Some(s.to_owned());
        assert_eq!(rows, [[text("7"), text("seven")], [text("8"), None]]);
        let other = TestDatabase::on(db.engine()).await;
        other.exec("CREATE TABLE t (n INTEGER)").await;
        assert_eq!(other.number("SELECT COUNT(*) FROM t").await, 0);
    }
}

/// The two servers are what their names say: a MariaDB behind both variables would prove half.
#[tokio::test]
async fn the_servers_are_what_they_are_called() {
    let mysql = TestDatabase::mysql().await.query("SELECT VERSION()").await;
    let mariadb = TestDatabase::mariadb().await.query("SELECT VERSION()").await;
    assert!(!format!("{mysql:?}").contains("MariaDB"), "{mysql:?}");
    assert!(format!("{mariadb:?}").contains("MariaDB"), "{mariadb:?}");
}

/// Two of them know nothing of each other; one that hangs says nothing until it goes on; one that crashed comes back where
/// it was, empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_of_its_own() {
    let (mut redis, other) = (Redis::start().await, Redis::with(&["--requirepass", "secret"]).await);
    redis.ask::<()>(&["SET", "a", "1"]).await;
    assert_eq!((redis.keys().await, other.keys().await), (vec!["a".to_owned()], vec![]));
    redis.signal("STOP");
    assert!(tokio::time::timeout(Duration::from_millis(100), redis.keys()).await.is_err());
    redis.signal("CONT");
    assert_eq!(redis.keys().await, ["a"]);
    let port = redis.port();
    redis.restart().await;
    assert_eq!((redis.keys().await, redis.port()), (vec![], port));
}

/// A failed test leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_goes_with_its_test() {
    for engine in [Engine::MySql, Engine::MariaDb] {
        let watcher = TestDatabase::on(engine).await;
        let doomed = TestDatabase::on(engine).await;
        let name = doomed.url().rsplit('/').next().unwrap().to_owned();
        let seen = format!("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '{name}'");
        assert_eq!(watcher.number(&seen).await, 1);
        let failed = tokio::spawn(async move {
            let _doomed = doomed;
            assert_eq!(1, 2, "this failure belongs to the test");
        });
        assert!(failed.await.unwrap_err().is_panic());
        assert_eq!(watcher.number(&seen).await, 0);
    }
    let file = {
        let db = TestDatabase::sqlite().await;
        db.exec("CREATE TABLE t (n INTEGER)").await;
        let path = db.path().unwrap().clone();
        assert!(path.exists());
        path
    };
    assert!(!file.exists());
}

/// A wire that stalls, heals, is cut, and heals.
#[tokio::test(flavor = "multi_thread")]
async fn the_wire_fails_as_it_is_told() {
    let db = TestDatabase::mysql().await;
    let proxy = Proxy::to(db.address().await).await;
    let mut conn = through(&db, &proxy).await.unwrap();
    assert_eq!(ask(&mut conn).await, Ok(Some(1)));

    proxy.stall();
    let held = tokio::time::timeout(Duration::from_millis(200), ask(&mut conn)).await;
    assert!(held.is_err(), "a byte went through: {held:?}");
    assert_eq!(proxy.open(), 1);
    drop(conn);

    proxy.cut().await;
    assert_eq!(proxy.open(), 0);
    assert!(through(&db, &proxy).await.is_err());

    proxy.pass();
    let mut conn = through(&db, &proxy).await.unwrap();
    assert_eq!(ask(&mut conn).await, Ok(Some(1)));
    proxy.cut().await;
    assert!(ask(&mut conn).await.is_err());
}

/// Held bytes are not lost when the wire heals.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_delays_and_loses_nothing() {
    let db = TestDatabase::mysql().await;
    let proxy = Proxy::to(db.address().await).await;
    let mut conn = through(&db, &proxy).await.unwrap();
    proxy.stall();
    let asked = tokio::spawn(async move { ask(&mut conn).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!asked.is_finished());
    proxy.pass();
    assert_eq!(asked.await.unwrap(), Ok(Some(1)));
}

on_every_server! {
    /// The client cannot tell the two apart; the database can.
    async fn a_commit_is_lost_or_prevented(db) {
        db.exec("CREATE TABLE t (n INTEGER)").await;
        let proxy = Proxy::to(db.address().await).await;

        proxy.on_commit(OnCommit::LoseAnswer, Mode::Pass);
        assert!(insert(&db, &proxy, 1).await.is_err());
        assert_eq!((proxy.commits(), proxy.fired()), (1, 1));
        assert_eq!(db.number("SELECT COUNT(*) FROM t WHERE n = 1").await, 1);

        proxy.on_commit(OnCommit::Prevent, Mode::Pass);
        assert!(insert(&db, &proxy, 2).await.is_err());
        assert_eq!((proxy.commits(), proxy.fired()), (2, 2));
        assert_eq!(db.number("SELECT COUNT(*) FROM t WHERE n = 2").await, 0);

        // Armed once, not for ever.
        insert(&db, &proxy, 3).await.unwrap();
        assert_eq!((proxy.commits(), proxy.fired()), (3, 2));
        assert_eq!(db.number("SELECT COUNT(*) FROM t WHERE n = 3").await, 1);

        proxy.on_commit(OnCommit::LoseAnswer, Mode::Cut);
        assert!(insert(&db, &proxy, 4).await.is_err());
        assert_eq!(db.number("SELECT COUNT(*) FROM t WHERE n = 4").await, 1);
        assert!(through(&db, &proxy).await.is_err());
    }
}

#[test]
fn only_old_databases_are_left_overs() {
    let now = Duration::from_secs(1_800_000_000);
    assert!(database::is_leftover("marquee_test_1799990000_12_ab", now));
    assert!(!database::is_leftover("marquee_test_1799999990_12_ab", now));
    assert!(!database::is_leftover("marquee_test_x", now));
    assert!(!database::is_leftover("marquee", now));
}

#[test]
fn a_commit_is_told_from_other_packets() {
    let packet = |sequence, command, text: &str| {
        let mut bytes = vec![text.len() as u8 + 1, 0, 0, sequence, command];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    assert!(is_commit(&packet(0, 3, "COMMIT")));
    assert!(is_commit(&packet(0, 3, "commit ;")));
    assert!(!is_commit(&packet(0, 3, "SELECT 'COMMIT'")));
    assert!(!is_commit(&packet(1, 3, "COMMIT")));
    assert!(!is_commit(&packet(0, 22, "COMMIT")));
    assert!(!is_commit(&[1, 0, 0, 0, 1]));
    assert!(!is_commit(&[0, 0, 0, 0]));
}

#[test]
fn the_start_line_names_the_address() {
    let log = "[INFO] 246 movies\n[INFO] serving http://127.0.0.1:4711 (SQLite)\n[INFO] http://127.0.0.1:1\n";
    assert_eq!(address_in(log), Some(([127, 0, 0, 1], 4711).into()));
    assert_eq!(address_in("serving http://0.0.0.0:4711 from\n"), Some(([127, 0, 0, 1], 4711).into()));
    assert_eq!(address_in("serving http://[::1]:4711 from\n"), "[::1]:4711".parse().ok());
    assert_eq!(address_in("serving http://127.0.0.1:47"), None);
    assert_eq!(address_in("nothing yet\n"), None);
}

#[test]
fn metrics_are_read() {
    let metrics = parse_metrics("# HELP a b\n# TYPE a counter\na_total{path=\"/x y\"} 3\nb 0.5\n# EOF\n");
    let expected = [("a_total{path=\"/x y\"}".to_owned(), 3.0), ("b".to_owned(), 0.5)];
    assert_eq!(metrics, expected.into());
}

/// Not a test: `./test` runs it first, so that crashed runs leave nothing on a server that is kept.
#[tokio::test]
#[ignore = "drops left-over test databases; ./test runs it"]
async fn sweep() {
    for name in database::sweep().await {
        println!("dropped {name}");
    }
}

async fn through(db: &TestDatabase, proxy: &Proxy) -> mysql_async::Result<Conn> {
    Conn::new(database::options(&db.url_through(proxy.address()))).await
}

async fn ask(conn: &mut Conn) -> Result<Option<i64>, String> {
    conn.query_first("SELECT 1").await.map_err(|e| e.to_string())
}

async fn insert(db: &TestDatabase, proxy: &Proxy, n: i64) -> mysql_async::Result<()> {
    let mut conn = through(db, proxy).await?;
    conn.query_drop("BEGIN").await?;
    conn.query_drop(format!("INSERT INTO t VALUES ({n})")).await?;
    conn.query_drop("COMMIT").await?;
    conn.disconnect().await
}
