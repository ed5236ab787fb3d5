//! `marquee token`: what it prints, what it keeps, and what it refuses.

use marquee::domain::looks_like_a_token;
use reqwest::Method;

use crate::tools::{ask, make, make_named, prepare, ready, revoke, token, until, write};

on_every_database! {
    /// A token is printed once, alone, and only its hash is kept.
    async fn a_token_is_shown_once(db) {
        let (status, said, log) = token(&db, &["create", "--role", "write", "--name", "ci"]).await;
        assert!(status.success(), "{log}");
        let text = said.strip_suffix('\n').unwrap();
        assert!(text.starts_with("mq_") && looks_like_a_token(text), "{said:?}");
        assert!(log.contains("\"ci\"") && log.contains("role write") && !log.contains(text), "{log}");
        let rows = db.query("SELECT id, name, role, LOWER(HEX(hash)), revoked_at FROM tokens").await;
        let hash = marquee::domain::Digest::of(text).bytes().iter().map(|b| format!("{b:02x}")).collect();
        let row = [Some("1".to_owned()), Some("ci".to_owned()), Some("write".to_owned()), Some(hash), None];
        assert_eq!(rows, [row]);
        let (status, listed, log) = token(&db, &["list"]).await;
        assert!(status.success(), "{log}");
        assert!(!listed.contains(text) && !log.contains(text), "{listed}");
        let words: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!((&words[..3], words[4], words.len()), (&["1", "ci", "write"][..], "-", 5), "{listed}");
    }

    /// A revoked token stays on the list, and its name can be given again; ids cannot.
    async fn a_token_is_revoked_by_name_or_id(db) {
        make_named(&db, "write", "ci").await;
        make_named(&db, "read", "prometheus").await;
        revoke(&db, "ci").await;
        make_named(&db, "admin", "ci").await;
        let (status, _, log) = token(&db, &["revoke", "2"]).await;
        assert!(status.success() && log.contains("token 2 \"prometheus\" is revoked"), "{log}");
        let (_, listed, _) = token(&db, &["list"]).await;
        let live: Vec<bool> = listed.lines().skip(1).map(|line| line.ends_with(" -")).collect();
        assert_eq!(live, [false, false, true], "{listed}");
        let (status, _, log) = token(&db, &["revoke", "3"]).await;
        assert!(status.success() && log.contains("no token is left"), "{log}");
        assert_eq!(db.number("SELECT MAX(id) FROM tokens").await, 3);
    }

    /// What cannot be done is told, and changes nothing.
    async fn mistakes_are_told(db) {
        make_named(&db, "write", "ci").await;
        make_named(&db, "write", "old").await;
        revoke(&db, "old").await;
        let before = db.query("SELECT stamp, next_id FROM token_state").await;
        for (args, words) in [
            (&["create", "--role", "write", "--name", "ci"][..], &["\"ci\" already", "marquee token revoke ci"][..]),
            (&["create", "--role", "root", "--name", "a"], &["--role", "read, write, admin"]),
            (&["create", "--role", "write", "--name", "7"], &["--name", "a letter first"]),
            (&["create", "--role", "write", "--name", "a b"], &["--name", "letters, digits"]),
            (&["create", "--role", "write"], &["--name"]),
            (&["revoke", "nobody"], &["\"nobody\"", "marquee token list"]),
            (&["revoke", "99"], &["\"99\""]),
            (&["revoke", "old"], &["\"old\" was revoked before"]),
            (&[], &["create", "list", "revoke"]),
        ] {
            let (status, said, log) = token(&db, args).await;
            assert!(!status.success() && said.is_empty(), "{args:?}: {said}");
            assert!(words.iter().all(|word| log.contains(word)) && !log.contains("panicked"), "{args:?}: {log}");
        }
        assert_eq!(db.query("SELECT stamp, next_id FROM token_state").await, before);
        assert_eq!(db.number("SELECT COUNT(*) FROM tokens").await, 2);
    }

    /// Where migrations are run by hand, tokens do not run them either.
    async fn migrations_by_hand(db) {
        let create = ["token", "create", "--role", "read", "--name", "a"];
        let by_hand = || create.iter().fold(prepare(&db).env("MARQUEE_MIGRATE", "off"), |c, arg| c.arg(*arg));
        let (status, said, log) = by_hand().run().await;
        assert!(!status.success() && said.is_empty() && log.contains("marquee migrate"), "{log}");
        assert!(prepare(&db).arg("migrate").run().await.0.success());
        let (status, said, log) = by_hand().run().await;
        assert!(status.success() && said.starts_with("mq_"), "{log}");
    }

    /// Processes that make tokens at the same time take turns: no id and no name is given twice.
    async fn tokens_made_together(db) {
        assert!(prepare(&db).arg("migrate").run().await.0.success());
        let names = ["a", "b", "c", "a"];
        let making = names.map(|name| {
            let args = ["token", "create", "--role", "read", "--name", name];
            tokio::spawn(args.iter().fold(prepare(&db), |c, arg| c.arg(*arg)).run())
        });
        let mut made = 0;
        for run in making {
            let (status, said, log) = run.await.unwrap();
            assert_eq!(status.success(), !said.is_empty());
            assert!(status.success() || log.contains("\"a\" already"), "{log}");
            made += i64::from(status.success());
        }
        assert_eq!(made, 3);
        assert_eq!(db.number("SELECT COUNT(*) FROM tokens").await, 3);
        assert_eq!(db.number("SELECT COUNT(DISTINCT name) FROM tokens").await, 3);
        assert_eq!(db.number("SELECT next_id FROM token_state").await, 4);
    }

    /// The access log has the id of the token, and no log has the token.
    async fn a_token_is_never_logged(db) {
        let write_token = make(&db, "write").await;
        let read_token = make(&db, "read").await;
        let marquee = prepare(&db)
            .env("MARQUEE_ACCESS_LOG", "on")
            .env("MARQUEE_LOG_FORMAT", "json")
            .env("RUST_LOG", "trace");
        let marquee = ready(marquee).await;
        assert_eq!(write(&marquee, &write_token).await, 201);
        assert_eq!(write(&marquee, &read_token).await, 403);
        let wrong = write_token.replace("mq_", "mq_0");
        assert_eq!(write(&marquee, &wrong).await, 401);
        assert_eq!(ask(&marquee, Method::GET, "/v1/movies", &write_token).await.status(), 200);
        for (status, token) in [("201", Some("1")), ("403", Some("2")), ("401", None), ("200", None)] {
            // Not the status alone: /readyz has a 200 as well.
            let answered = format!("\"path\":\"/v1/movies\",\"status\":{status},");
            marquee.wait_for_log(&answered).await;
            let log = marquee.log();
            let line = log.lines().find(|line| line.contains(&answered)).unwrap();
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let logged = line.get("token").map(|id| id.to_string().trim_matches('"').to_owned());
            assert_eq!(logged.as_deref(), token, "{line}");
        }
        for secret in [&write_token, &read_token, &wrong] {
            assert!(!marquee.log().contains(secret.as_str()));
        }
    }

    /// A token works at once where the replica starts after it was made, and no restart brings back a revoked one.
    async fn tokens_outlive_a_restart(db) {
        let token = make(&db, "write").await;
        let mut marquee = ready(prepare(&db)).await;
        assert_eq!(write(&marquee, &token).await, 201);
        assert!(marquee.terminate().await.success());
        let mut marquee = ready(prepare(&db)).await;
        assert_eq!(write(&marquee, &token).await, 201);
        revoke(&db, "write").await;
        until(&marquee, &token, 401).await;
        assert!(marquee.terminate().await.success());
        let marquee = ready(prepare(&db)).await;
        assert_eq!(write(&marquee, &token).await, 401);
    }
}
