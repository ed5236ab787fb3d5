//! A database of its own for each test, gone when the test ends, also when it fails.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diesel::connection::{LoadConnection, SimpleConnection};
use diesel::deserialize::FromSql;
use diesel::row::{Field, Row};
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel::{Connection, sql_query};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Value};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// What the names of test databases begin with. The time follows, so that a sweep can tell a left-over
/// from the database of a run that goes on elsewhere.
const PREFIX: &str = "marquee_test_";

/// How long a server that is busy is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database of another run is left alone for that long.
const LEFTOVER_AFTER: Duration = Duration::from_hours(1);

/// What a test can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    MySql,
    MariaDb,
}

impl Engine {
    /// The variable that names a server; the embedded database needs none.
    fn variable(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::MySql => Some("MARQUEE_TEST_MYSQL_URL"),
            Self::MariaDb => Some("MARQUEE_TEST_MARIADB_URL"),
        }
    }
}

/// An empty database. Declare what uses it after it, so that it goes last.
pub(crate) struct TestDatabase {
    engine: Engine,
    url: Url,
    place: Place,
}

/// What must go with the database.
enum Place {
    File { path: PathBuf, _directory: TempDir },
    Server { admin: Url, name: String },
}

impl TestDatabase {
    pub(crate) async fn sqlite() -> Self {
        Self::on(Engine::Sqlite).await
    }

    pub(crate) async fn mysql() -> Self {
        Self::on(Engine::MySql).await
    }

    pub(crate) async fn mariadb() -> Self {
        Self::on(Engine::MariaDb).await
    }

    /// # Panics
    ///
    /// When no server is named: a test that is skipped in silence proves nothing.
    pub(crate) async fn on(engine: Engine) -> Self {
        let Some(variable) = engine.variable() else {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("marquee.db");
            let url = Url::parse(&format!("sqlite://{}", path.display())).unwrap();
            return Self { engine, url, place: Place::File { path, _directory: directory } };
        };
        let admin = std::env::var(variable).unwrap_or_default();
        assert!(
            !admin.is_empty(),
            "{variable} is not set, and this test needs a server. Run ./test, which starts private ones; \
             or `tests/databases.sh start` and `eval \"$(tests/databases.sh env)\"`; or set {variable} to \
             mysql://user:password@host:port/ with a user who may CREATE and DROP DATABASE."
        );
        Self::at(engine, &admin).await
    }

    /// On a server of the test's own.
    pub(crate) async fn at(engine: Engine, admin: &str) -> Self {
        let mut admin = Url::parse(admin).unwrap();
        admin.set_path("/");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let name = format!("{PREFIX}{now}_{}_{:016x}", process::id(), rand::random::<u64>());
        execute(&admin, &format!("CREATE DATABASE {name}")).await;
        let mut url = admin.clone();
        url.set_path(&name);
        Self { engine, url, place: Place::Server { admin, name } }
    }

    /// What it runs on.
    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// For `DATABASE_URL`.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The same database by way of a proxy.
    pub(crate) fn url_through(&self, proxy: SocketAddr) -> String {
        let mut url = self.url.clone();
        url.set_ip_host(proxy.ip()).unwrap();
        url.set_port(Some(proxy.port())).unwrap();
        url.into()
    }

    /// Lets a guest in, who has all rights on this database and none on its server: for `DATABASE_URL`. `limits` is
    /// what CREATE USER takes.
    pub(crate) async fn guest(&self, limits: &str) -> Url {
        let Place::Server { admin, name } = &self.place else { panic!("SQLite has no users") };
        let guest = guest_of(name);
        execute(admin, &format!("CREATE USER {guest} IDENTIFIED BY 'guest' {limits}")).await;
        execute(admin, &format!("GRANT ALL ON {name}.* TO {guest}")).await;
        let mut url = self.url.clone();
        url.set_username(&guest).unwrap();
        url.set_password(Some("guest")).unwrap();
        url
    }

    /// Where its server listens: what a proxy is put in front of.
    ///
    /// # Panics
    ///
    /// On SQLite, which has none.
    pub(crate) async fn address(&self) -> SocketAddr {
        let host = self.url.host_str().expect("SQLite has no server");
        let port = self.url.port().unwrap_or(3306);
        tokio::net::lookup_host((host, port)).await.unwrap().next().unwrap()
    }

    /// The file of a SQLite database.
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        match &self.place {
            Place::File { path, .. } => Some(path),
            Place::Server { .. } => None,
        }
    }

    /// Runs one statement on a connection of its own.
    pub(crate) async fn exec(&self, sql: &str) {
        match &self.place {
            Place::File { path, .. } => {
                open(path).batch_execute(sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
            }
            Place::Server { .. } => execute(&self.url, sql).await,
        }
    }

    /// The rows of a query, every value as text, `None` for NULL.
    pub(crate) async fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match &self.place {
            Place::File { path, .. } => sqlite_rows(&mut open(path), sql),
            Place::Server { .. } => {
                let mut conn = connect(&self.url).await;
                let rows: Vec<mysql_async::Row> =
                    conn.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
                conn.disconnect().await.ok();
                rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
            }
        }
    }

    /// The one number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let rows = self.query(sql).await;
        let value = rows.first().and_then(|row| row.first()).cloned().flatten();
        value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{sql}: no number in {rows:?}"))
    }

    /// The other connections to the database: the id of each, and what it does. None on SQLite.
    ///
    /// By SHOW, since MySQL's table of them fails (error 3854) while a statement runs that holds bytes which
    /// are no text, as ours do.
    pub(crate) async fn connections(&self) -> Vec<(u64, String)> {
        let Place::Server { admin, name } = &self.place else { return Vec::new() };
        let since = Instant::now();
        let rows = loop {
            let mut conn = connect(admin).await;
            let rows: mysql_async::Result<Vec<mysql_async::Row>> = conn.query("SHOW PROCESSLIST").await;
            conn.disconnect().await.ok();
            match rows {
                Ok(rows) => break rows,
                // Such a statement may be cut where it is no text here, too: it is over in a moment.
                Err(error) => assert!(since.elapsed() < PATIENCE, "SHOW PROCESSLIST: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let all = rows.iter().map(|row| {
            let db: Option<String> = row.get("db").unwrap();
            (db, row.get("Id").unwrap(), row.get::<Option<String>, _>("State").unwrap().unwrap_or_default())
        });
        all.filter(|(db, ..)| db.as_ref() == Some(name)).map(|(_, id, state)| (id, state)).collect()
    }

    /// A connection to the database on its server, for what spans statements.
    pub(crate) async fn connect(&self) -> Conn {
        connect(&self.url).await
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Server { admin, name } = &self.place else { return };
        let (admin, database) = (admin.clone(), format!("DROP DATABASE IF EXISTS {name}"));
        let guest = format!("DROP USER IF EXISTS {}", guest_of(name));
        // A thread of its own: this may run inside a runtime, or while a panic unwinds.
        let dropped = thread::spawn(move || {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                tokio::time::timeout(PATIENCE, async {
                    execute(&admin, &database).await;
                    execute(&admin, &guest).await;
                })
                .await
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("{name} could not be dropped; the next ./test sweeps it");
        }
    }
}

/// Runs one test body on one engine, with a runtime like marquee's own: the migrations block a thread,
/// which a runtime of one thread does not survive.
pub(crate) fn run_on<F: Future<Output = ()>>(engine: Engine, proof: impl FnOnce(TestDatabase) -> F) {
    runtime().block_on(async { proof(TestDatabase::on(engine).await).await });
}

/// Drops what crashed runs left on the servers that the environment names. Returns the names.
pub(crate) async fn sweep() -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut dropped = Vec::new();
    for engine in [Engine::MySql, Engine::MariaDb] {
        let Some(admin) = engine.variable().and_then(|v| std::env::var(v).ok()) else { continue };
        let Ok(admin) = Url::parse(&admin) else { continue };
        let mut conn = connect(&admin).await;
        let names: Vec<String> = conn.query("SHOW DATABASES LIKE 'marquee\\_test\\_%'").await.unwrap();
        for name in names.into_iter().filter(|name| is_leftover(name, now)) {
            conn.query_drop(format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
            conn.query_drop(format!("DROP USER IF EXISTS {}", guest_of(&name))).await.unwrap();
            dropped.push(name);
        }
        conn.disconnect().await.ok();
    }
    dropped
}

/// The guest of a database: the name of a user has at most 32 characters.
fn guest_of(name: &str) -> String {
    format!("guest_{}", name.rsplit('_').next().unwrap_or_default())
}

/// Whether a database was made by a test that must be over by now.
pub(crate) fn is_leftover(name: &str, now: Duration) -> bool {
    let made = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()?.parse().ok());
    made.is_some_and(|made| Duration::from_secs(made) + LEFTOVER_AFTER < now)
}

/// As marquee's own: see [`run_on`].
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// By TCP: the driver would leave a loopback address, and with it a proxy, for the server's socket.
pub(crate) fn options(url: &str) -> Opts {
    OptsBuilder::from_opts(Opts::from_url(url).unwrap()).prefer_socket(false).into()
}

async fn connect(url: &Url) -> Conn {
    Conn::new(options(url.as_str()))
        .await
        .unwrap_or_else(|e| panic!("no connection to {}: {e}", url.host_str().unwrap_or("?")))
}

async fn execute(url: &Url, sql: &str) {
    let mut conn = connect(url).await;
    conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    conn.disconnect().await.ok();
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

fn open(path: &std::path::Path) -> SqliteConnection {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    // marquee may be writing, to a slow disk; and a test that writes has the rules that marquee has.
    conn.batch_execute("PRAGMA busy_timeout = 60000; PRAGMA foreign_keys = ON;").unwrap();
    conn
}

fn sqlite_rows(conn: &mut SqliteConnection, sql: &str) -> Vec<Vec<Option<String>>> {
    let rows = LoadConnection::load(conn, sql_query(sql)).unwrap_or_else(|e| panic!("{sql}: {e}"));
    rows.map(|row| {
        let row = row.unwrap_or_else(|e| panic!("{sql}: {e}"));
        (0..row.field_count())
            .map(|i| {
                let field = row.get(i).unwrap();
                field.value().map(|v| <String as FromSql<Text, Sqlite>>::from_sql(v).unwrap())
            })
            .collect()
    })
    .collect()
}
