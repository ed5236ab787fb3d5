//! The service over HTTP/1.1: every route on one screen, and the server that carries them.
//!
//! A handler is a few lines: extract, one call to the catalogue, answer. What a status means to a client
//! is in `problem`; how an answer is dressed is in `answer`.

mod answer;
mod auth;
mod body;
mod brings;
mod client;
mod conditional;
mod cors;
#[cfg(test)]
mod fuzz;
mod genres;
mod health;
mod hot;
mod idempotency;
mod limits;
mod metrics;
mod min_revision;
mod movies;
mod negotiate;
mod observe;
mod openapi;
mod pace;
mod page;
mod prefer;
mod problem;
mod rate;
mod server;
mod stream;
mod wire;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, Resource, Route, guard, web};
use prometheus_client::registry::Registry;

pub use auth::is_loopback;
pub use limits::raise_open_files;

use crate::catalogue::Catalogue;
use crate::config::{Settings, Switch};
use crate::telemetry::PREFIX;
use answer::Dress;
use auth::Gate;
use body::Bodies;
use client::Proxies;
use hot::Hot;
use observe::{Observe, Requests};
use openapi::Asset;
use problem::Problem;
use rate::Limit;

/// The longest target of a request, in bytes.
const LONGEST_URI: usize = 8 << 10;

/// What every handler can reach.
pub(crate) struct Site {
    catalogue: Catalogue,
    dress: Dress,
    bodies: Bodies,
    array_limit: usize,
    request_timeout: Duration,
    draining: Arc<AtomicBool>,
    registry: Registry,
    document: Asset,
}

/// Every route. A path is guarded unless it says that it is open to everybody.
fn routes(config: &mut web::ServiceConfig, gate: &Arc<Gate>) {
    let resource = |path, allow, reads| guarded(gate, path, allow, reads);
    config
        // First, since it is asked for most; its own target has no room to be long but in the query.
        .service(
            resource("/v1/movies", "GET, HEAD, POST, DELETE", read().to(movies::all))
                .route(web::post().to(movies::create))
                .route(web::delete().to(movies::delete_many)),
        )
        .service(web::scope("").guard(guard::fn_guard(is_too_long)).default_service(web::to(too_long)))
        .service(
            resource("/v1/movies/{id}", "GET, HEAD, PUT, PATCH, DELETE", read().to(movies::one))
                .route(web::put().to(movies::put))
                .route(web::patch().to(movies::patch))
                .route(web::delete().to(movies::delete)),
        )
        .service(
            resource("/v1/genres", "GET, HEAD, POST", read().to(genres::all))
                .route(web::post().to(genres::create)),
        )
        .service(open_resource("/livez", "GET, HEAD").route(read().to(health::live)))
        .service(open_resource("/readyz", "GET, HEAD").route(read().to(health::ready)))
        .service(resource("/metrics", "GET, HEAD", read().to(metrics::all)))
        .service(open_resource("/problems/{slug}", "GET, HEAD").route(read().to(problem::describe)))
        .service(open_resource("/openapi.json", "GET, HEAD").route(read().to(openapi::json)))
        .service(open_resource("/docs", "GET, HEAD").route(read().to(openapi::docs)))
        .service(open_resource("/docs/{file}", "GET, HEAD").route(read().to(openapi::file)))
        .service(open_resource("/", "GET, HEAD").route(read().to(openapi::root)))
        .default_service(web::to(no_route));
}

/// GET, and HEAD the same way without the body.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A path whose routes stand behind the gate, but for what reads it where reads are public. Other methods than those
/// that it takes are answered 405.
fn guarded(gate: &Arc<Gate>, path: &str, allow: &'static str, reads: Route) -> Resource {
    let stops = Arc::clone(gate);
    let stopped = web::route().guard(guard::fn_guard(move |request| stops.stops(request))).to(auth::refusal);
    // The first route that takes a request has it.
    let (first, second) = if gate.reads_are_public() { (reads, stopped) } else { (stopped, reads) };
    open_resource(path, allow).route(first).route(second)
}

/// A path that is open to everybody.
fn open_resource(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        problem::Answer(Err(Problem::method_not_allowed(allow)))
    }))
}

async fn no_route() -> problem::Answer {
    problem::Answer(Err(Problem::no_route()))
}

/// Whether the target is longer than any path takes.
fn is_too_long(context: &guard::GuardContext<'_>) -> bool {
    context.head().uri.path_and_query().is_some_and(|target| target.as_str().len() > LONGEST_URI)
}

async fn too_long() -> problem::Answer {
    problem::Answer(Err(Problem::uri_too_long(LONGEST_URI)))
}

/// A server on `listener`, which begins when it is awaited.
///
/// # Errors
/// When the system refuses the listener.
pub fn serve(
    listener: TcpListener,
    settings: &Settings,
    catalogue: &Catalogue,
    mut registry: Registry,
    draining: &Arc<AtomicBool>,
) -> std::io::Result<Server> {
    let http = &settings.http;
    let gate = Arc::new(Gate::new(catalogue, settings, listener.local_addr()?.ip()));
    let requests = Requests::default();
    registry.sub_registry_with_prefix(PREFIX).register_collector(Box::new(requests.clone()));
    let site = web::Data::new(Site {
        catalogue: catalogue.clone(),
        dress: Dress::new(&http.cache_control, gate.reads_are_public()),
        bodies: Bodies::new(http.body_limit.as_usize(), http.bodies_bytes.as_usize(), server::pace(http)),
        array_limit: http.array_limit as usize,
        request_timeout: Duration::from_millis(http.request_timeout_ms),
        draining: Arc::clone(draining),
        registry,
        document: openapi::document(gate.reads_are_public()),
    });
    let proxies = Arc::new(Proxies::new(http.trusted_proxies.0.as_ref().map_or(&[], |networks| &networks.0)));
    let access_log =
        (settings.log.access_log == Switch::On && observe::is_listened_to()).then(|| Arc::clone(&proxies));
    let limit = http.rate_limit.0.map(|rate| web::Data::new(Limit::new(rate, &proxies)));
    let origins = http.cors_origins.0.clone();
    let asked = web::Data::from(Arc::clone(&gate));
    // Nobody is asked for a token, and nothing is told about single requests.
    let hot = (gate.reads_are_public() && access_log.is_none()).then(|| Hot {
        site: site.clone(),
        gate: Arc::clone(&gate),
        requests: requests.clone(),
    });
    let bare = move || App::new().app_data(site.clone()).configure(|config| routes(config, &gate));
    let draining = Arc::clone(draining);
    let observe = move || Observe::new(&requests, access_log.clone(), Arc::clone(&draining));
    // The outermost layer is the last one that is named.
    if limit.is_none() && origins.is_none() {
        // No layer is there only to be asked whether it has anything to do.
        return server::on(listener, http, hot, move || bare().wrap(observe()));
    }
    server::on(listener, http, None, move || {
        let cors = origins.as_ref().map(cors::layer);
        let app = match &limit {
            Some(limit) => bare().app_data(limit.clone()).app_data(asked.clone()),
            None => bare(),
        };
        app.wrap(Condition::new(limit.is_some(), from_fn(rate::limited)))
            .wrap(Condition::new(cors.is_some(), cors.unwrap_or_default()))
            .wrap(Condition::new(origins.is_some(), from_fn(cors::tidied)))
            .wrap(observe())
    })
}
