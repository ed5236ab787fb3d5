//! The service over HTTP/1.1: every route on one screen, and the server that carries them.
//!
//! A handler is a few lines: extract, one call to the catalogue, answer. What a status means to a client
//! is in `problem`; how an answer is dressed is in `answer`.

mod answer;
mod body;
mod conditional;
mod genres;
mod health;
mod limits;
mod metrics;
mod movies;
mod negotiate;
mod problem;
mod stream;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, Resource, guard, middleware, web};
use prometheus_client::registry::Registry;

pub use limits::raise_open_files;

use crate::catalogue::Catalogue;
use crate::config::{Settings, Switch};
use answer::Dress;
use body::Bodies;
use problem::Problem;

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
}

/// Every route.
fn routes(config: &mut web::ServiceConfig) {
    config
        // First, since it is asked for most; its own target has no room to be long but in the query.
        .service(
            resource("/v1/movies", "GET, HEAD, POST")
                .route(read().to(movies::all))
                .route(web::post().to(movies::create)),
        )
        .service(web::scope("").guard(guard::fn_guard(is_too_long)).default_service(web::to(too_long)))
        .service(
            resource("/v1/movies/{id}", "GET, HEAD, DELETE")
                .route(read().to(movies::one))
                .route(web::delete().to(movies::delete)),
        )
        .service(
            resource("/v1/genres", "GET, HEAD, POST")
                .route(read().to(genres::all))
                .route(web::post().to(genres::create)),
        )
        .service(resource("/livez", "GET, HEAD").route(read().to(health::live)))
        .service(resource("/readyz", "GET, HEAD").route(read().to(health::ready)))
        .service(resource("/metrics", "GET, HEAD").route(read().to(metrics::all)))
        .service(resource("/problems/{slug}", "GET, HEAD").route(read().to(problem::describe)))
        .default_service(web::to(no_route));
}

/// GET, and HEAD the same way without the body.
fn read() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A path with the methods that it takes; any other is answered 405.
fn resource(path: &str, allow: &'static str) -> Resource {
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
    registry: Registry,
    draining: &Arc<AtomicBool>,
) -> std::io::Result<Server> {
    let http = &settings.http;
    let workers = http.workers.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        usize::from,
    );
    let stall = Duration::from_millis(http.stall_ms);
    let site = web::Data::new(Site {
        catalogue: catalogue.clone(),
        dress: Dress::new(&http.cache_control),
        bodies: Bodies::new(http.body_limit.as_usize(), http.bodies_bytes.as_usize(), stall),
        array_limit: http.array_limit as usize,
        request_timeout: Duration::from_millis(http.request_timeout_ms),
        draining: Arc::clone(draining),
        registry,
    });
    let connections = (http.max_connections as usize).div_ceil(workers);
    let head_timeout = Duration::from_millis(http.header_timeout_ms);
    // The two services are of two types, and what is common to them cannot be named.
    macro_rules! serve {
        ($app:expr) => {
            HttpServer::new($app)
                .workers(workers)
                .max_connections(connections)
                .client_request_timeout(head_timeout)
                .shutdown_timeout(http.shutdown_s)
                .disable_signals()
                .on_connect(move |connection, _| limits::on_connect(connection, stall))
                .listen(listener)
                .map(HttpServer::run)
        };
    }
    // Middleware costs each request a little, a switched-off one too: so there is none without the log.
    if settings.log.access_log == Switch::On {
        let log = || middleware::Logger::default().log_target("access");
        serve!(move || App::new().app_data(site.clone()).wrap(log()).configure(routes))
    } else {
        serve!(move || App::new().app_data(site.clone()).configure(routes))
    }
}
