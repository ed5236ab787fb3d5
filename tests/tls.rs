//! TLS to the database: what `ssl-mode` in `DATABASE_URL` promises holds.
//!
//! On MySQL, which makes a certificate of its own when it is initialised. MariaDB's does so from 11.4 on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Engine, Marquee, TestDatabase};
use tempfile::TempDir;
use url::Url;

/// A user whom the server lets in over TLS alone proves that the connection is encrypted.
#[tokio::test(flavor = "multi_thread")]
async fn required_encrypts() {
    let (db, user) = encrypted_only().await;
    let marquee = prepare(&user.url("ssl-mode=required")).start().await;
    marquee.wait_ready().await;
    assert_eq!(marquee.post("/v1/movies", &json!({ "title": "Enigma" })).await.status(), 201);
    assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 1);
}

/// Without TLS the server refuses that user, and marquee says so and ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_encrypted_is_refused() {
    let (_db, user) = encrypted_only().await;
    for parameter in ["", "ssl-mode=disabled"] {
        let (status, _, log) = prepare(&user.url(parameter)).run().await;
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("DATABASE_URL"), "{log}");
        assert!(!log.contains(&user.password), "{log}");
    }
}

/// The server's own CA, once it is named, is trusted; the name in the certificate is not looked at.
#[tokio::test(flavor = "multi_thread")]
async fn verify_ca_trusts_the_ca_that_is_named() {
    let (db, user) = encrypted_only().await;
    let (_directory, ca) = ca_of_the_server(&db).await;
    let marquee = prepare(&user.url(&format!("ssl-mode=verify_ca&ssl-ca={}", ca.display()))).start().await;
    marquee.wait_ready().await;
    assert_eq!(marquee.post("/v1/movies", &json!({ "title": "Sneakers" })).await.status(), 201);
}

/// A certificate that no known authority signed is not trusted, and neither is one whose name is another.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_verified_is_refused() {
    let (db, user) = encrypted_only().await;
    let (_directory, ca) = ca_of_the_server(&db).await;
    for parameters in [
        "ssl-mode=verify_ca".to_owned(),
        "ssl-mode=verify_identity".to_owned(),
        format!("ssl-mode=verify_identity&ssl-ca={}", ca.display()),
    ] {
        let url = user.url(&parameters);
        let (_, log) = until(&url, "certificate").await;
        assert!(
            log.contains("certificate"),
            "{parameters}: the message says nothing of a certificate:\n{log}"
        );
        assert!(!log.contains(&user.password), "{log}");
    }
}

/// A CA file that is not there, or a mode that does not exist, stops the start.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_stop_the_start() {
    for (parameters, said) in [
        ("ssl-mode=verify_ca&ssl-ca=/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("ssl-mode=strict", "ssl-mode"),
        ("ssl-modus=required", "ssl-modus"),
    ] {
        let (status, _, log) =
            prepare(&format!("mysql://u:very-secret@127.0.0.1:9/db?{parameters}")).run().await;
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(said) && log.contains("DATABASE_URL"), "{log}");
        assert!(!log.contains("very-secret"), "{log}");
    }
}

/// Starts marquee, waits until its log holds `text` or it ends, and makes sure that it never was ready.
async fn until(url: &str, text: &str) -> (bool, String) {
    let prepared = prepare(url).env("MARQUEE_REQUEST_TIMEOUT_MS", "2000");
    let started = tokio::spawn(prepared.start());
    let marquee = started.await.unwrap();
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) && !marquee.log().contains(text) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = marquee.request(reqwest::Method::GET, "/readyz").send().await;
    let ready = ready.is_ok_and(|answer| answer.status().is_success());
    assert!(!ready, "marquee trusts what it cannot verify:\n{}", marquee.log());
    (ready, marquee.log())
}

fn prepare(url: &str) -> support::Preparation {
    Marquee::prepare(url).env("MARQUEE_SAMPLE", "off")
}

/// A user who may come in over TLS alone. Gone when it is dropped.
struct User {
    url: Url,
    name: String,
    password: String,
    admin: Option<(tokio::runtime::Handle, mysql_async::Opts)>,
}

impl User {
    fn url(&self, parameters: &str) -> String {
        let mut url = self.url.clone();
        url.set_query((!parameters.is_empty()).then_some(parameters));
        url.into()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        use mysql_async::prelude::Queryable;
        let Some((runtime, opts)) = self.admin.take() else { return };
        let statement = format!("DROP USER IF EXISTS {}", self.name);
        let dropped = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut conn = mysql_async::Conn::new(opts).await?;
                conn.query_drop(statement).await?;
                conn.disconnect().await
            })
        });
        let _ = dropped.join();
    }
}

async fn encrypted_only() -> (TestDatabase, User) {
    let db = TestDatabase::on(Engine::MySql).await;
    let mut url = Url::parse(db.url()).unwrap();
    let (name, password) = (format!("tls_{:016x}", rand::random::<u64>()), "correct-horse".to_owned());
    let quoted = format!("'{name}'@'%'");
    db.exec(&format!("CREATE USER {quoted} IDENTIFIED BY '{password}' REQUIRE SSL")).await;
    let database = url.path().trim_matches('/').to_owned();
    db.exec(&format!("GRANT ALL ON {database}.* TO {quoted}")).await;
    url.set_username(&name).unwrap();
    url.set_password(Some(&password)).unwrap();
    let admin = Some((tokio::runtime::Handle::current(), support::database::options(db.url())));
    (db, User { url, name: quoted, password, admin })
}

/// A copy of the CA that the server made for itself: marquee must be able to read it.
async fn ca_of_the_server(db: &TestDatabase) -> (TempDir, PathBuf) {
    let data = db.query("SELECT @@datadir").await.remove(0).remove(0).unwrap();
    let inside = Path::new(data.trim_start_matches('/')).join("ca.pem");
    // tests/databases.sh runs MySQL in a chroot below its cache.
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let cache = std::env::var("MARQUEE_TEST_CACHE").ok().or_else(|| {
        let base = std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| format!("{home}/.cache"));
        Some(format!("{base}/marquee-tests"))
    });
    let mut places = vec![Path::new("/").join(&inside)];
    places.extend(cache.map(|cache| Path::new(&cache).join("mysql").join(&inside)));
    places.extend(std::env::var("MARQUEE_TEST_MYSQL_CA").ok().map(PathBuf::from));
    let read = |path: &PathBuf| {
        std::fs::read(path).ok().or_else(|| {
            // The data of a server that was started by sudo is root's.
            let cat = Command::new("sudo").args(["-n", "cat"]).arg(path).output().ok()?;
            cat.status.success().then_some(cat.stdout)
        })
    };
    let Some(pem) = places.iter().rev().find_map(read) else {
        panic!("the CA of the test server is at none of {places:?}: set MARQUEE_TEST_MYSQL_CA to its file")
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    (directory, path)
}
