//! Which web sites' scripts may read the answers (CORS, the Fetch standard).
//!
//! This layer is there only where `MARQUEE_CORS_ORIGINS` asks for it. Credentials that a browser sends by
//! itself are never asked for: a token is put into `Authorization` by the script, which no other site can do.

use actix_cors::{Cors, CorsError};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, Responder};

use super::answer::CACHE_STATUS;
use super::observe::X_REQUEST_ID;
use super::problem::{self, Answer, Problem};
use super::rate::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::config::Origins;

/// How long a browser may keep the answer to a preflight, in seconds: as long as any browser does.
const PREFLIGHT_KEPT_S: usize = 7200;

/// What scripts may send besides what the Fetch standard lets everyone send.
const ALLOWED: [&str; 11] = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "marquee-min-revision",
    "prefer",
    "traceparent",
    "tracestate",
    "x-request-id",
];

/// What scripts may read besides what the Fetch standard lets everyone read.
const EXPOSED: [&str; 10] = [
    "accept-patch",
    "allow",
    "etag",
    "link",
    "location",
    "preference-applied",
    "retry-after",
    "server-timing",
    "www-authenticate",
    "x-total-count",
];

pub(super) fn layer(origins: &Origins) -> Cors {
    let exposed = EXPOSED.into_iter().map(HeaderName::from_static).chain([
        CACHE_STATUS,
        problem::REVISION,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
        X_REQUEST_ID.clone(),
    ]);
    let cors = Cors::default()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allowed_headers(ALLOWED)
        .expose_headers(exposed)
        .max_age(PREFLIGHT_KEPT_S);
    match origins {
        Origins::Any => cors.allow_any_origin().send_wildcard(),
        Origins::These(origins) => origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin)),
    }
}

/// The layer around that one: what it refuses, it says in words of its own, and this in the form of all
/// failures.
pub(super) async fn tidied<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(reason) = response.response().error().and_then(|error| error.as_error::<CorsError>()) else {
        return Ok(response);
    };
    let refusal = Answer(Err(Problem::cross_origin_refused(&reason.to_string())));
    let vary = response.headers().get(header::VARY).cloned();
    let mut refused = refusal.respond_to(response.request());
    // Another origin may be answered otherwise.
    refused.headers_mut().insert(header::VARY, vary.unwrap_or(HeaderValue::from_static("Origin")));
    Ok(response.into_response(refused))
}
