//! What surrounds marquee, and is wrong: no database, a wrong password, a full disk, a port in use. It says
//! what is wrong and what to do; and where the fault goes away by itself, so does the outage.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

#[path = "surroundings/machine.rs"]
mod machine;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use machine::Machine;
use mysql_async::prelude::Queryable;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use support::{Marquee, Proxy, TestDatabase};
use url::Url;

/// How long what must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

on_every_server! {
    /// marquee starts without its database, says so, answers what it can, and is ready as soon as it is there.
    async fn a_database_that_comes_later(db) {
        let proxy = Proxy::to(db.address().await).await;
        proxy.cut().await;
        let mut marquee = off(&db.url_through(proxy.address())).start().await;
        marquee.wait_for_log("the database cannot be reached").await;
        let log = marquee.log();
        let warning = log.lines().find(|line| line.contains("cannot be reached")).unwrap();
        assert!(warning.contains("WARN") && warning.contains("DATABASE_URL"), "{warning}");
        assert!(warning.contains(&proxy.address().to_string()) && warning.contains("503"), "{warning}");
        assert_eq!(marquee.get("/livez").await.status(), 200);
        let ready = marquee.get("/readyz").await;
        assert_eq!(ready.status(), 503);
        let document: Value = ready.json().await.unwrap();
        assert_eq!(document["status"], "fail", "{document}");
        for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
            assert_eq!(problem(marquee.get(path).await).await, "not-ready", "{path}");
        }
        // Of a write the type tells whether it happened.
        assert_eq!(problem(post(&marquee, "Too early").await).await, "not-executed");
        let deleted = marquee.request(Method::DELETE, "/v1/movies/1").send().await.unwrap();
        assert_eq!(problem(deleted).await, "not-executed");
        let log = marquee.log();
        let password = Url::parse(db.url()).unwrap().password().unwrap().to_owned();
        assert!(!log.contains(&password), "{log}");

        proxy.pass();
        marquee.wait_ready().await;
        assert_eq!(post(&marquee, "In time").await.status(), 201);
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 1);
        assert!(marquee.terminate().await.success());
    }

    /// What nobody but its operator can mend ends the start, and names the setting, never the password.
    async fn nobody_is_let_in(db) {
        let mut url = Url::parse(db.url()).unwrap();
        let name = url.path().trim_matches('/').to_owned();
        url.set_password(Some("not-the-password")).unwrap();
        let log = refused(off(url.as_str())).await;
        assert!(log.contains("Access denied") && log.contains("DATABASE_URL"), "{log}");
        assert!(!log.contains("not-the-password"), "{log}");

        let mut url = Url::parse(db.url()).unwrap();
        url.set_path(&format!("{name}_unknown"));
        let password = url.password().unwrap().to_owned();
        for command in ["serve", "migrate", "export"] {
            let log = refused(off(url.as_str()).arg(command)).await;
            assert!(log.contains("Unknown database") && log.contains("DATABASE_URL"), "{command}: {log}");
            assert!(log.contains(&format!("{name}_unknown")) && !log.contains(&password), "{command}: {log}");
        }
    }

    /// A pool that the server has no room for is lowered, and the log says to what.
    async fn a_pool_beyond_max_connections(db) {
        let max = db.number("SELECT @@max_connections").await;
        let marquee = off(db.url()).env("MARQUEE_POOL_SIZE", "10000").start().await;
        marquee.wait_ready().await;
        marquee.wait_for_log("max_connections").await;
        let log = marquee.log();
        let warning = log.lines().find(|line| line.contains("max_connections")).unwrap_or_else(|| panic!("{log}"));
        assert!(warning.contains("WARN") && warning.contains("MARQUEE_POOL_SIZE"), "{warning}");
        assert!(warning.contains(&max.to_string()) && warning.contains("10000"), "{warning}");
        assert_eq!(post(&marquee, "Served").await.status(), 201);
    }

    /// Settings under which an acknowledged write can be lost are warned of, each by its name.
    ///
    /// They are global, and other tests use the same server, which they do not disturb: nobody cuts its power.
    async fn a_server_that_promises_less(db) {
        let mut admin = db.connect().await;
        // Not two at a time, where several runs share a server.
        let mine: Option<u8> = admin.query_first("SELECT GET_LOCK('marquee.test.settings', 60)").await.unwrap();
        assert_eq!(mine, Some(1));
        let before: (u64, u64, u64) = admin
            .query_first("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.sync_binlog, @@GLOBAL.log_bin")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(before.0, 1, "the test servers promise all");
        for (flush, sync) in [(2, before.1), (1, 0)] {
            admin.query_drop(format!("SET GLOBAL innodb_flush_log_at_trx_commit = {flush}")).await.unwrap();
            admin.query_drop(format!("SET GLOBAL sync_binlog = {sync}")).await.unwrap();
            let prepared = off(db.url());
            // Whatever comes of it, the settings are put back.
            let marquee = tokio::spawn(async move {
                let marquee = prepared.start().await;
                marquee.wait_ready().await;
                marquee
            });
            let marquee = marquee.await;
            admin.query_drop(format!("SET GLOBAL innodb_flush_log_at_trx_commit = {}", before.0)).await.unwrap();
            admin.query_drop(format!("SET GLOBAL sync_binlog = {}", before.1)).await.unwrap();
            let mut marquee = marquee.unwrap();
            // What it said is read to its end.
            assert!(marquee.terminate().await.success());
            let log = marquee.log();
            let warns = |name: &str| log.lines().any(|line| line.contains("WARN") && line.contains(name));
            assert_eq!(warns("innodb_flush_log_at_trx_commit"), flush != 1, "{log}");
            assert_eq!(warns("sync_binlog"), before.2 == 1 && sync != 1, "{log}");
        }
        admin.disconnect().await.unwrap();
        let mut marquee = off(db.url()).start().await;
        marquee.wait_ready().await;
        assert!(marquee.terminate().await.success());
        assert!(!marquee.log().contains("power cut"), "{}", marquee.log());
    }
}

on_every_database! {
    /// Where migrations are run by hand, an empty database is a mistake that is told.
    async fn migrations_by_hand(db) {
        let by_hand = || off(db.url()).env("MARQUEE_MIGRATE", "off");
        let log = refused(by_hand()).await;
        assert!(log.contains("marquee migrate") && log.contains("MARQUEE_MIGRATE"), "{log}");
        let (status, _, log) = Marquee::prepare(db.url()).arg("migrate").run().await;
        assert!(status.success() && log.contains("is up to date"), "{log}");
        let marquee = by_hand().start().await;
        marquee.wait_ready().await;
        assert_eq!(post(&marquee, "Migrated").await.status(), 201);
        drop(marquee);
        // One that is older than marquee is one as well: refused at start, not when it is first felt.
        db.exec("DROP TABLE idempotency_keys").await;
        db.exec("DELETE FROM __diesel_schema_migrations WHERE version = '20261125000301'").await;
        let log = refused(by_hand()).await;
        assert!(log.contains("2026-11-25-000301_idempotency_keys; run `marquee migrate`"), "{log}");
        let (status, _, log) = Marquee::prepare(db.url()).arg("migrate").run().await;
        assert!(status.success() && log.contains("is up to date"), "{log}");
        by_hand().start().await.wait_ready().await;
    }

    /// Both formats of an export are the collection at one revision, the one that is served.
    async fn an_export_is_the_collection(db) {
        let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "on").start().await;
        marquee.wait_ready().await;
        assert_eq!(marquee.request(Method::DELETE, "/v1/movies/7").send().await.unwrap().status(), 204);
        for (format, media) in [("json", "application/json"), ("ndjson", "application/x-ndjson")] {
            let (status, output, log) =
                off(db.url()).arg("export").arg("--format").arg(format).run().await;
            assert!(status.success(), "{log}");
            let answer = marquee.request(Method::GET, "/v1/movies").header("accept", media).send().await.unwrap();
            let revision = answer.headers()["marquee-revision"].to_str().unwrap().to_owned();
            assert_eq!(revision, "2");
            assert_eq!(answer.headers()["content-type"], media);
            assert!(output == answer.text().await.unwrap(), "{format}: what is exported is not what is served");
            assert!(log.contains("3199 movies at revision 2"), "{log}");
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("movies.ndjson");
        let (status, output, log) = off(db.url()).arg("export").arg("--output").arg(&file).run().await;
        assert!(status.success() && output.is_empty(), "{log}");
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3199);
        let nowhere = directory.path().join("missing/movies.json");
        let log = refused(off(db.url()).arg("export").arg("--output").arg(&nowhere)).await;
        assert!(log.contains("missing/movies.json"), "{log}");
    }

    /// The health check of a container: 0 when marquee is ready.
    async fn health_asks_whether_it_is_ready(db) {
        let mut marquee = off(db.url()).start().await;
        marquee.wait_ready().await;
        let bind = marquee.address().to_string();
        let health = || off("sqlite://unused.db").arg("health").env("MARQUEE_BIND", &bind);
        let (status, _, log) = health().run().await;
        assert!(status.success(), "{log}");
        let everywhere = bind.replace("127.0.0.1", "0.0.0.0");
        let (status, _, log) = off("sqlite://unused.db").arg("health").env("MARQUEE_BIND", &everywhere).run().await;
        assert!(status.success(), "{log}");
        let url = marquee.url("/readyz");
        let (status, _, log) = off("sqlite://unused.db").arg("health").arg("--url").arg(url).run().await;
        assert!(status.success(), "{log}");
        marquee.terminate().await;
        // Bound and not listened on: nobody else gets the port meanwhile.
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        port.set_reuse_address(true).unwrap();
        port.bind(&marquee.address().into()).unwrap();
        let log = refused(health()).await;
        assert!(log.contains("not ready") && log.contains(&bind), "{log}");
    }
}

/// A marquee that is cold is not healthy, and one that hangs is not either.
#[tokio::test(flavor = "multi_thread")]
async fn health_says_no() {
    let db = TestDatabase::mariadb().await;
    let proxy = Proxy::to(db.address().await).await;
    proxy.cut().await;
    let marquee = off(&db.url_through(proxy.address())).start().await;
    let health =
        || off("sqlite://unused.db").arg("health").env("MARQUEE_BIND", &marquee.address().to_string());
    let log = refused(health()).await;
    assert!(log.contains("503"), "{log}");
    marquee.signal("STOP");
    let since = Instant::now();
    let log = refused(health()).await;
    marquee.signal("CONT");
    assert!(log.contains("not ready") && since.elapsed() < PATIENCE, "{log}");
}

/// Cached reads end after MARQUEE_STALE_S, and come back with the database.
#[tokio::test(flavor = "multi_thread")]
async fn stale_reads_have_an_end_where_one_is_set() {
    let db = TestDatabase::mysql().await;
    let proxy = Proxy::to(db.address().await).await;
    let marquee = off(&db.url_through(proxy.address())).env("MARQUEE_STALE_S", "2").start().await;
    marquee.wait_ready().await;
    assert_eq!(post(&marquee, "Stale").await.status(), 201);
    assert_eq!(marquee.get("/v1/movies").await.status(), 200);
    let since = Instant::now();
    proxy.cut().await;
    while marquee.get("/v1/movies").await.status() == 200 {
        assert!(since.elapsed() < PATIENCE, "what is {:?} old is served still", since.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Not before it was known to be away for so long.
    assert!(since.elapsed() > Duration::from_millis(1900), "{:?}", since.elapsed());
    for path in ["/v1/movies", "/v1/movies/1", "/v1/genres"] {
        assert_eq!(problem(marquee.get(path).await).await, "database-away", "{path}");
    }
    let known = marquee.request(Method::GET, "/v1/movies").header("if-none-match", "*").send().await.unwrap();
    assert_eq!(problem(known).await, "database-away", "a 304 would say that it is fresh");
    proxy.pass();
    let since = Instant::now();
    while marquee.get("/v1/movies").await.status() != 200 {
        assert!(since.elapsed() < PATIENCE, "{}", marquee.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port that another program serves.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let db = TestDatabase::sqlite().await;
    let log = refused(off(db.url()).env("MARQUEE_BIND", &address)).await;
    assert!(log.contains(&address) && log.contains("MARQUEE_BIND") && log.contains("another port"), "{log}");
    let log = refused(off(db.url()).env("MARQUEE_BIND", "203.0.113.7:0")).await;
    assert!(log.contains("203.0.113.7") && log.contains("MARQUEE_BIND"), "{log}");
}

/// A value that cannot be used stops the start and names the variable and the flag, whichever was used.
#[tokio::test(flavor = "multi_thread")]
async fn bad_values_are_named() {
    for (variable, value) in [
        ("DATABASE_URL", "postgres://u:very-secret@h/db"),
        ("DATABASE_URL", "mysql://u:very-secret@/db"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("MARQUEE_BIND", "localhost"),
        ("MARQUEE_SAMPLE", "perhaps"),
        ("MARQUEE_MIGRATE", "no"),
        ("MARQUEE_POOL_SIZE", "0"),
        ("MARQUEE_POOL_SIZE", "many"),
        ("MARQUEE_WORKERS", "-1"),
        ("MARQUEE_REQUEST_TIMEOUT_MS", "10s"),
        ("MARQUEE_HEADER_TIMEOUT_MS", "0"),
        ("MARQUEE_STALL_MS", "99999999999"),
        ("MARQUEE_SHUTDOWN_S", "-1"),
        ("MARQUEE_BODY_LIMIT", "8 MB"),
        ("MARQUEE_ARRAY_LIMIT", "0"),
        ("MARQUEE_MAX_CONNECTIONS", "1e6"),
        ("MARQUEE_CACHE_CONTROL", "é"),
        ("MARQUEE_PUBLIC_READ", "no"),
        ("MARQUEE_BOOTSTRAP_TOKEN", "change-me"),
        ("MARQUEE_CACHE_BYTES", "0"),
        ("MARQUEE_SPOOL_BYTES", "1.5GiB"),
        ("MARQUEE_MAILBOX", ""),
        ("MARQUEE_MAILBOX_BYTES", "99999999999GiB"),
        ("MARQUEE_BATCH", "0"),
        ("MARQUEE_POLL_MS", "0"),
        ("MARQUEE_STALE_S", "forever"),
        ("RUST_LOG", "bogus==="),
        ("RUST_LOG", "info,marquee=loud"),
        ("MARQUEE_LOG_FORMAT", "xml"),
        ("MARQUEE_ACCESS_LOG", "yes"),
    ] {
        let name = variable.trim_start_matches("MARQUEE_").trim_start_matches("RUST_").to_lowercase();
        let flag = format!("--{}", name.replace('_', "-"));
        let (status, _, said) = off("sqlite://unused.db").env(variable, value).run().await;
        assert!(!status.success() && status.code().is_some(), "{variable}={value}: {status}");
        assert!(said.contains(variable) && said.contains(&flag), "{variable}={value}:\n{said}");
        assert!(!said.contains("panicked"), "{said}");
        let (status, _, said) = off("sqlite://unused.db").arg(format!("{flag}={value}")).run().await;
        assert!(!status.success() && status.code().is_some(), "{flag}={value}: {status}");
        assert!(said.contains(&flag), "{flag}={value}:\n{said}");
    }
}

/// A typing error in `DATABASE_URL` does not put its password on the screen.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_url_keeps_its_password() {
    for url in ["postgres://u:very-secret@h/db", "mysql://u:very-secret@/db", "mysql://u:very-secret@h"] {
        let (status, _, said) = off(url).run().await;
        assert!(!status.success());
        assert!(!said.contains("very-secret"), "{said}");
    }
}

/// A file that is something else, a directory that is missing, and one in the place of the file.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let letter = directory.path().join("letter.txt");
    let text = "Dear Sir or Madam, this is not a database, however long it may be. ".repeat(100);
    std::fs::write(&letter, &text).unwrap();
    for command in ["serve", "migrate", "export"] {
        let log = refused(off(&format!("sqlite://{}", letter.display())).arg(command)).await;
        assert!(log.contains("letter.txt") && log.contains("not a"), "{command}: {log}");
    }
    assert_eq!(std::fs::read_to_string(&letter).unwrap(), text, "a file that is not ours is left alone");
    let log = refused(off(&format!("sqlite://{}", letter.display()))).await;
    assert!(log.contains("DATABASE_URL"), "{log}");

    let missing = directory.path().join("missing/marquee.db");
    let log = refused(off(&format!("sqlite://{}", missing.display()))).await;
    assert!(
        log.contains("missing/marquee.db") && log.contains("DATABASE_URL") && log.contains("directory"),
        "{log}"
    );

    let log = refused(off(&format!("sqlite://{}", directory.path().display()))).await;
    assert!(log.contains("DATABASE_URL"), "{log}");
}

/// A file system that takes no writes, for a new database and for one that is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_directory() {
    let db = TestDatabase::sqlite().await;
    let mut marquee = off(db.url()).start().await;
    marquee.wait_ready().await;
    assert!(marquee.terminate().await.success());
    let directory = db.path().unwrap().parent().unwrap();
    for name in ["marquee.db", "new.db"] {
        let url = format!("sqlite://{}", directory.join(name).display());
        let machine = Machine::read_only(directory);
        let (code, log) = machine.run_marquee(&url);
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(name) && log.contains("DATABASE_URL") && log.contains("write"), "{log}");
    }
}

/// The same for a user who has no right to the directory; root has it always.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_somebody_else() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let set =
        |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    let url = format!("sqlite://{}", directory.path().join("new.db").display());
    let (code, log) = Machine::unprivileged().run_marquee(&url);
    set(0o755);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("new.db") && log.contains("DATABASE_URL") && log.contains("write"), "{log}");
}

/// A disk that is full refuses writes and nothing else, loses nothing, and is all that has to be mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("marquee.db").display());
    let mut machine = Machine::small_disk(directory.path(), "8m");
    machine.start_marquee(&url);
    machine.wait_for("http://127.0.0.1:").await;
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let place = machine.url("/v1/movies");
    machine.wait_ready(&client).await;

    let long = "A long title ".repeat(30);
    let create = |n: usize| {
        client.post(&place).json(&json!([{ "title": format!("{n} {long}") }, { "title": n.to_string() }]))
    };
    let mut acknowledged = Vec::new();
    let mut refusal = None;
    for n in 0..5000 {
        if n == 20 {
            machine.leave_room(256 << 10);
        }
        let answer = create(n).send().await.unwrap();
        if answer.status() != 201 {
            refusal = Some(answer);
            break;
        }
        acknowledged.push(n);
    }
    let refusal = refusal.unwrap_or_else(|| panic!("the disk does not fill"));
    assert!(acknowledged.len() >= 20);
    assert_eq!(problem(refusal).await, "not-executed");
    machine.wait_for("ERROR").await;
    let log = machine.log();
    let line = log.lines().find(|line| line.contains("ERROR")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("full") && line.contains("room"), "the log must say what to do: {line}");

    // Reads go on, cached or not, and the replica stays in.
    let check = async |acknowledged: &[usize], place: &str| {
        let answer = client.get(place).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let movies: Vec<Value> = answer.json().await.unwrap();
        let titles: std::collections::HashSet<&str> =
            movies.iter().map(|movie| movie["title"].as_str().unwrap()).collect();
        for n in acknowledged {
            assert!(
                titles.contains(&*n.to_string()) && titles.contains(format!("{n} {long}").trim_end()),
                "{n} is lost"
            );
        }
        assert_eq!(movies.len(), acknowledged.len() * 2, "what was refused is there");
    };
    check(&acknowledged, &place).await;
    assert_eq!(client.get(machine.url("/v1/genres")).send().await.unwrap().status(), 200);
    assert_eq!(client.get(machine.url("/readyz")).send().await.unwrap().status(), 200);
    for n in 5000..5005 {
        assert_eq!(problem(create(n).send().await.unwrap()).await, "not-executed");
    }

    machine.make_room();
    for n in 6000..6010 {
        let answer = create(n).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}\n{}", answer.text().await.unwrap(), machine.log());
        acknowledged.push(n);
    }
    check(&acknowledged, &place).await;

    machine.restart_marquee(&url);
    machine.wait_for("http://127.0.0.1:").await;
    machine.wait_ready(&client).await;
    check(&acknowledged, &machine.url("/v1/movies")).await;
}

/// Fewer open files than connections: a warning that names the limit and how to raise it.
#[tokio::test(flavor = "multi_thread")]
async fn too_few_open_files() {
    let db = TestDatabase::sqlite().await;
    let mut machine = Machine::with_open_files(200);
    machine.start_marquee(db.url());
    machine.wait_for("may open 200 files").await;
    let log = machine.log();
    let warning =
        log.lines().find(|line| line.contains("may open 200 files")).unwrap_or_else(|| panic!("{log}"));
    assert!(
        warning.contains("WARN")
            && warning.contains("ulimit -n")
            && warning.contains("MARQUEE_MAX_CONNECTIONS")
    );
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    machine.wait_ready(&client).await;

    // No warning where few connections are wanted.
    let marquee = off(db.url()).env("MARQUEE_MAX_CONNECTIONS", "100").start().await;
    assert!(!marquee.log().contains("may open"), "{}", marquee.log());
}

fn off(url: &str) -> support::Preparation {
    Marquee::prepare(url).env("MARQUEE_SAMPLE", "off")
}

/// Runs what must end with exit code 1; its log.
async fn refused(prepared: support::Preparation) -> String {
    let (status, _, log) = prepared.run().await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    log
}

async fn post(marquee: &Marquee, title: &str) -> Response {
    marquee.post("/v1/movies", &json!({ "title": title })).await
}

/// The slug of a 503 that says when to come back.
async fn problem(answer: Response) -> String {
    let status = answer.status();
    let headers = answer.headers().clone();
    let text = answer.text().await.unwrap();
    assert_eq!(status, 503, "{text}");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["retry-after"], "1", "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    document["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
}
