//! `/livez` and `/readyz`: `application/health+json`, as the IETF draft "Health Check Response Format for
//! HTTP APIs" spells it.

use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Data;
use serde_json::{Value, json};

use super::Site;

/// GET /livez: the process answers.
pub(super) async fn live() -> HttpResponse {
    answer(StatusCode::OK, &json!({ "status": "pass" }))
}

/// GET /readyz: whether this replica should get requests. `warn` is 200: with the database away, what is
/// cached is served still, and a gateway must not take the replica out.
pub(super) async fn ready(site: Data<Site>) -> HttpResponse {
    let health = site.catalogue.health();
    let draining = site.draining.load(Ordering::Relaxed);
    // Cold, or known to be staler than MARQUEE_STALE_S allows.
    let serves = site.catalogue.current().is_ok();
    let (status, word) = match health.away {
        _ if draining || !serves => (StatusCode::SERVICE_UNAVAILABLE, "fail"),
        Some(_) => (StatusCode::OK, "warn"),
        None => (StatusCode::OK, "pass"),
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
    let document = json!({
        "status": word,
        "version": env!("CARGO_PKG_VERSION"),
        "notes": if draining { vec!["stopping"] } else { vec![] },
        "checks": { "database": [database], "cache": [cache], "writer": [writer] },
    });
    answer(status, &document)
}

fn answer(status: StatusCode, document: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("application/health+json")
        .body(document.to_string())
}
