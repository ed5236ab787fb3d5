//! Protected mode: where marquee can be reached from other machines, it does not serve without a token.

use std::net::TcpListener;

use reqwest::Method;

use crate::support::{Marquee, Proxy, TestDatabase};
use crate::tools::{ask, make, prepare, problem, ready, revoke, token, until, write};

/// As `openssl rand -hex 32` prints.
const SECRET: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// Whether this machine has IPv6.
fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

on_every_database! {
    /// Refused, with what to do; and what it says to do helps.
    async fn a_start_without_a_token_is_refused(db) {
        let mut addresses = vec!["0.0.0.0:0"];
        if has_ipv6() {
            addresses.extend(["[::]:0", "[::ffff:0.0.0.0]:0"]);
        }
        for bind in addresses {
            let (status, _, log) = prepare(&db).env("MARQUEE_BIND", bind).env("MARQUEE_SAMPLE", "on").run().await;
            assert_eq!(status.code(), Some(1), "{bind}: {log}");
            let line = log.lines().find(|line| line.contains("ERROR")).unwrap();
            for words in ["marquee token create --role admin", "MARQUEE_BOOTSTRAP_TOKEN", "MARQUEE_BIND=127.0.0.1"] {
                assert!(line.contains(words), "{bind}: {line}");
            }
        }
        assert_eq!(db.number("SELECT COUNT(*) FROM movies").await, 0, "nothing was loaded");
        // One that was revoked is none.
        make(&db, "admin").await;
        revoke(&db, "admin").await;
        let (status, _, log) = prepare(&db).env("MARQUEE_BIND", "0.0.0.0:0").run().await;
        assert_eq!(status.code(), Some(1), "{log}");
        let token = make(&db, "write").await;
        let marquee = ready(prepare(&db).env("MARQUEE_BIND", "0.0.0.0:0")).await;
        assert_eq!((write(&marquee, "").await, write(&marquee, &token).await), (401, 201));
    }

    /// All tokens revoked while it serves: writes are refused, and it goes on.
    async fn without_its_last_token_it_takes_no_writes(db) {
        let token = make(&db, "write").await;
        let marquee = ready(prepare(&db).env("MARQUEE_BIND", "0.0.0.0:0")).await;
        assert_eq!(write(&marquee, &token).await, 201);
        revoke(&db, "write").await;
        until(&marquee, &token, 401).await;
        assert_eq!(write(&marquee, "").await, 401);
        assert_eq!(marquee.get("/v1/movies").await.status(), 200);
        let token = make(&db, "admin").await;
        until(&marquee, &token, 201).await;
    }

    /// Every spelling of the loopback address is this machine alone.
    async fn loopback_is_loopback(db) {
        let mut addresses = vec!["127.0.0.1:0", "127.8.7.6:0"];
        if has_ipv6() {
            addresses.extend(["[::1]:0", "[::ffff:127.0.0.1]:0"]);
        }
        for bind in addresses {
            let mut marquee = ready(prepare(&db).env("MARQUEE_BIND", bind)).await;
            assert_eq!(write(&marquee, "").await, 201, "{bind}");
            assert!(marquee.terminate().await.success());
        }
    }

    /// The first start makes the token that it is told to, whoever starts first; later ones make none.
    async fn a_bootstrap_token_is_made_once(db) {
        let start = |secret: &str| {
            prepare(&db).env("MARQUEE_BIND", "0.0.0.0:0").env("MARQUEE_BOOTSTRAP_TOKEN", secret)
        };
        let starting: Vec<_> = (0..4).map(|_| tokio::spawn(ready(start(SECRET)))).collect();
        let mut processes = Vec::new();
        for started in starting {
            processes.push(started.await.unwrap());
        }
        for marquee in &processes {
            assert_eq!((write(marquee, SECRET).await, write(marquee, "").await), (201, 401));
            assert!(!marquee.log().contains(SECRET) && !marquee.log().contains("ERROR"), "{}", marquee.log());
        }
        let made = || processes.iter().filter(|marquee| marquee.log().contains("made the first token")).count();
        while made() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(made(), 1);
        drop(processes);
        let rows = db.query("SELECT name, role FROM tokens").await;
        assert_eq!(rows, [[Some("bootstrap".to_owned()), Some("admin".to_owned())]]);

        // Another value makes none, and says so; nor does the same, once it was revoked.
        let other = SECRET.replace('9', "0");
        let mut marquee = ready(start(&other)).await;
        marquee.wait_for_log("MARQUEE_BOOTSTRAP_TOKEN is none of the tokens").await;
        assert_eq!((write(&marquee, &other).await, write(&marquee, SECRET).await), (401, 201));
        assert!(marquee.terminate().await.success());
        revoke(&db, "bootstrap").await;
        let (status, _, log) = start(SECRET).run().await;
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(!log.contains(SECRET), "{log}");
        assert_eq!(db.number("SELECT COUNT(*) FROM tokens").await, 1);
    }
}

on_every_server! {
    /// While the database is not there yet, nobody can be told from anybody: 503, to readers as well; then it
    /// ends, since there is no token.
    async fn a_database_that_comes_later(db) {
        let proxy = Proxy::to(db.address().await).await;
        proxy.cut().await;
        let mut marquee = Marquee::prepare(&db.url_through(proxy.address()))
            .env("MARQUEE_SAMPLE", "off")
            .env("MARQUEE_BIND", "0.0.0.0:0")
            .start()
            .await;
        marquee.wait_for_log("the database cannot be reached").await;
        problem(ask(&marquee, Method::GET, "/v1/movies", "").await, 503, "not-ready").await;
        for token in ["", SECRET] {
            problem(ask(&marquee, Method::POST, "/v1/movies", token).await, 503, "not-executed").await;
        }
        assert_eq!(marquee.get("/livez").await.status(), 200);
        proxy.pass();
        assert_eq!(marquee.wait().await.code(), Some(1));
        marquee.wait_for_log("marquee token create").await;
    }

    /// The same where reads are not public, and there is a token: it is known as soon as the database is.
    async fn a_database_that_comes_later_with_tokens(db) {
        let token = make(&db, "write").await;
        let proxy = Proxy::to(db.address().await).await;
        proxy.cut().await;
        let marquee = Marquee::prepare(&db.url_through(proxy.address()))
            .env("MARQUEE_SAMPLE", "off")
            .env("MARQUEE_BIND", "0.0.0.0:0")
            .env("MARQUEE_PUBLIC_READ", "off")
            .start()
            .await;
        for token in ["", &token] {
            problem(ask(&marquee, Method::GET, "/v1/movies", token).await, 503, "not-ready").await;
        }
        proxy.pass();
        marquee.wait_ready().await;
        assert_eq!(write(&marquee, &token).await, 201);
        assert_eq!(ask(&marquee, Method::GET, "/v1/movies", "").await.status(), 401);
    }
}

/// A bootstrap token that is easy to guess stops the start, and is shown nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_weak_bootstrap_token_is_refused() {
    let db = TestDatabase::sqlite().await;
    for weak in
        ["s3cret-word", "change-me-change-me-change-me-change-me", "", "9f86d081884c7d659a2feaa0c55ad015 x"]
    {
        let by_flag = prepare(&db).arg(format!("--bootstrap-token={weak}"));
        for command in [prepare(&db).env("MARQUEE_BOOTSTRAP_TOKEN", weak), by_flag] {
            let (status, said, log) = command.run().await;
            assert!(!status.success(), "{weak}");
            assert!(log.contains("MARQUEE_BOOTSTRAP_TOKEN") && log.contains("--bootstrap-token"), "{log}");
            assert!(log.contains("openssl rand -hex 32"), "{log}");
            assert!(weak.is_empty() || !(said + &log).contains(weak), "{log}");
        }
    }
    let (status, said, _) = prepare(&db).env("MARQUEE_BOOTSTRAP_TOKEN", SECRET).arg("--help").run().await;
    assert!(status.success() && said.contains("MARQUEE_BOOTSTRAP_TOKEN") && !said.contains(SECRET), "{said}");
    let (_, listed, _) = token(&db, &["list"]).await;
    assert_eq!(listed.lines().count(), 1, "none was made: {listed}");
}
