//! Many processes on one database: what one of them changes, all know within a poll.

use reqwest::Method;

use crate::support::{Marquee, Proxy, TestDatabase};
use crate::tools::{ask, make, make_named, prepare, ready, revoke, until, write};

async fn tag(marquee: &Marquee) -> reqwest::header::HeaderValue {
    marquee.get("/v1/movies").await.headers()["etag"].clone()
}

async fn revision(db: &TestDatabase) -> i64 {
    db.number("SELECT revision FROM catalogue").await
}

on_every_database! {
    /// Made and revoked elsewhere, a token counts and ends here within one poll; no revision is raised.
    async fn a_revoked_token_stops_within_a_poll(db) {
        let keeper = make_named(&db, "admin", "keeper").await;
        let replicas = [ready(prepare(&db)).await, ready(prepare(&db)).await];
        // One that looks so seldom that it does not learn of anything: the poll is what tells.
        let asleep = ready(prepare(&db).env("MARQUEE_POLL_MS", "3600000")).await;
        asleep.first_poll().await;
        assert_eq!(write(&replicas[0], &keeper).await, 201);
        let (before, tag_before) = (revision(&db).await, tag(&replicas[0]).await);
        let token = make(&db, "write").await;
        for replica in &replicas {
            replica.one_more_poll().await;
            let listed = ask(replica, Method::DELETE, "/v1/movies/99", &token).await;
            assert_eq!(listed.status(), 404, "known");
        }
        assert_eq!(ask(&asleep, Method::DELETE, "/v1/movies/99", &token).await.status(), 401);
        revoke(&db, "write").await;
        for replica in &replicas {
            replica.one_more_poll().await;
            assert_eq!(write(replica, &token).await, 401);
            assert_eq!(ask(replica, Method::DELETE, "/v1/movies/99", &keeper).await.status(), 404);
        }
        assert_eq!(revision(&db).await, before, "tokens raise no revision");
        assert_eq!(tag(&replicas[0]).await, tag_before);
    }

    /// A look at the database is one query, tokens included.
    async fn tokens_cost_no_query_of_their_own(db) {
        make(&db, "write").await;
        let marquee = ready(prepare(&db)).await;
        let loads = async || marquee.metrics().await["marquee_database_queries_total{purpose=\"load\"}"];
        let before = loads().await;
        marquee.one_more_poll().await;
        marquee.one_more_poll().await;
        assert_eq!(loads().await, before);
    }

    /// A database that was restored has the tokens that it had, also where as many were made since.
    async fn a_restored_database_has_its_own_tokens(db) {
        let kept = make_named(&db, "write", "kept").await;
        for table in ["tokens", "token_state"] {
            db.exec(&format!("CREATE TABLE backup_{table} AS SELECT * FROM {table}")).await;
        }
        let lost = make_named(&db, "write", "lost").await;
        revoke(&db, "kept").await;
        let marquee = ready(prepare(&db)).await;
        assert_eq!((write(&marquee, &kept).await, write(&marquee, &lost).await), (401, 201));
        for table in ["tokens", "token_state"] {
            db.exec(&format!("DELETE FROM {table}")).await;
            db.exec(&format!("INSERT INTO {table} SELECT * FROM backup_{table}")).await;
        }
        until(&marquee, &lost, 401).await;
        until(&marquee, &kept, 201).await;
        // The id of what was lost is given again: by its stamp the change is seen all the same.
        let other = make_named(&db, "write", "other").await;
        until(&marquee, &other, 201).await;
        assert_eq!(write(&marquee, &lost).await, 401);
    }

    /// A token of a role that a later release brought is let in nowhere; the others are.
    async fn an_unknown_role_opens_nothing(db) {
        let later = make_named(&db, "write", "later").await;
        let known = make_named(&db, "write", "known").await;
        db.exec("UPDATE tokens SET role = 'owner' WHERE name = 'later'").await;
        let marquee = ready(prepare(&db)).await;
        assert_eq!((write(&marquee, &later).await, write(&marquee, &known).await), (401, 201));
        marquee.wait_for_log("token 1 is of no use").await;
    }
}

on_every_server! {
    /// With the database away the known tokens go on: who may read is answered, who may not is refused.
    async fn known_tokens_outlast_the_database(db) {
        let (reader, writer) = (make(&db, "read").await, make(&db, "write").await);
        let proxy = Proxy::to(db.address().await).await;
        let marquee = Marquee::prepare(&db.url_through(proxy.address()))
            .env("MARQUEE_SAMPLE", "off")
            .env("MARQUEE_PUBLIC_READ", "off");
        let marquee = ready(marquee).await;
        assert_eq!(write(&marquee, &writer).await, 201);
        assert_eq!(ask(&marquee, Method::GET, "/v1/movies", &reader).await.status(), 200);
        proxy.cut().await;
        until(&marquee, &writer, 503).await;
        assert_eq!(ask(&marquee, Method::GET, "/v1/movies", &reader).await.status(), 200);
        assert_eq!(ask(&marquee, Method::GET, "/v1/movies", "").await.status(), 401);
        assert_eq!((write(&marquee, &reader).await, write(&marquee, "").await), (403, 401));
        // Revoked meanwhile: known as soon as the database is back.
        revoke(&db, "write").await;
        proxy.pass();
        until(&marquee, &writer, 401).await;
    }
}
