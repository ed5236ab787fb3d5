//! `/livez` and `/readyz`: `application/health+json`, as the IETF draft "Health Check Response Format for
//! HTTP APIs" spells it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Data;
use serde_json::{Value, json};

use super::Site;

/// A look at the database that is late by so much is worth a warning.
const LATE: Duration = Duration::from_secs(10);

/// GET /livez: the process answers.
pub(super) async fn live() -> HttpResponse {
    answer(StatusCode::OK, &json!({ "status": "pass" }))
}

/// GET /readyz: whether this replica should get requests, and how far behind it is. `warn` is 200: with the database
/// away, what is cached is served still, and without Redis everything is; a gateway must not take the replica out.
pub(super) async fn ready(site: Data<Site>) -> HttpResponse {
    let health = site.catalogue.health();
    let draining = site.draining.load(Ordering::Relaxed);
    // Cold, or known to be staler than MARQUEE_STALE_S allows.
    let serves = site.catalogue.current().is_ok();
    // The next look is due after the poll; one that is late by more than this is not merely waiting its turn.
    let late = health.lag > health.poll + LATE;
    let concern = health.away.is_some() || health.redis == Some(false) || health.head.is_some() && late;
    let (status, word) = match concern {
        _ if draining || !serves => (StatusCode::SERVICE_UNAVAILABLE, "fail"),
        true => (StatusCode::OK, "warn"),
        false => (StatusCode::OK, "pass"),
    };
    let database = match (health.away, health.head) {
        (Some(away), _) => {
            json!({ "status": "fail", "output": "does not answer", "observedValue": away.as_secs(), "observedUnit": "s" })
        }
        (None, None) => json!({ "status": "fail", "output": "not read yet" }),
        (None, Some(_)) => {
            json!({ "status": "pass", "observedValue": health.connections, "observedUnit": "connections" })
        }
    };
    let cache = match health.head {
        Some(head) => json!({
            "status": "pass",
            "revision": head.revision,
            "observedValue": health.cached_bytes,
            "observedUnit": "bytes",
        }),
        None => json!({ "status": "fail", "output": "cold" }),
    };
    let writer = json!({
        "status": if draining { "fail" } else { "pass" },
        "observedValue": health.waiting_writes,
        "observedUnit": "commands",
    });
    let follower = json!({
        "status": if late { "warn" } else { "pass" },
        "behind_revisions": health.behind,
        "observedValue": millis(health.lag),
        "observedUnit": "ms",
    });
    let mut checks =
        json!({ "database": [database], "cache": [cache], "writer": [writer], "follower": [follower] });
    if let (Some(up), Some(checks)) = (health.redis, checks.as_object_mut()) {
        let redis = match up {
            true => json!({ "status": "pass" }),
            false => json!({ "status": "warn", "output": "does not answer; the database is asked alone" }),
        };
        checks.insert("redis".to_owned(), json!([redis]));
    }
    let document = json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "notes": if draining { vec!["stopping"] } else { vec![] },
        "checks": checks,
    });
    answer(status, &document)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn answer(status: StatusCode, document: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("application/health+json")
        .body(document.to_string())
}
