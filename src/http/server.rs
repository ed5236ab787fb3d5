//! The server that carries the routes: its threads, its connections, and the streams between.
//!
//! It is what actix-web's `HttpServer` would put together, with a [`Wire`] around each connection.

use std::future::ready;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Server, ServiceFactory, ServiceRequest, ServiceResponse, fn_service};
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};

use super::hot::{Behind, Hot};
use super::limits;
use super::pace::Pace;
use super::wire::{Limits, Link, Wire};
use crate::config::HttpSettings;

/// How many bytes of a body that comes in pieces are put together for one write to its connection. Twice actix-http's
/// own measure: a coded segment has some 9 kB, and half as many writes wake a reader half as often. More would have
/// the buffer of a connection given back and made again after each answer (it keeps 128 KiB).
const WRITE_BUFFER: usize = 64 << 10;
/// How long a client may take to hear that a connection is closed.
const FAREWELL: Duration = Duration::from_secs(1);

/// A server on `listener`, which begins when it is awaited. Each worker makes an application of its own, behind the hot
/// way where there is one.
///
/// # Errors
/// When the system refuses the listener.
pub(super) fn on<F, T>(
    listener: TcpListener,
    http: &HttpSettings,
    hot: Option<Hot>,
    application: F,
) -> std::io::Result<Server>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
        > + 'static,
{
    let workers = http.workers.map_or_else(
        || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        usize::from,
    );
    // They are counted by each worker for itself.
    let connections = http.max_connections as usize;
    let workers = workers.min(connections);
    let pace = pace(http);
    let head = Duration::from_millis(http.header_timeout_ms);
    let wait = Duration::from_millis(http.request_timeout_ms);
    let keep_alive = Duration::from_millis(http.keep_alive_ms);
    let limits = Limits { head, keep_alive, unread: head + wait, pace };
    let server = Server::build();
    let stopping = server.graceful_shutdown_signal();
    let server = server
        .workers(workers)
        .max_concurrent_connections(connections / workers)
        .shutdown_timeout(http.shutdown_s)
        .disable_signals()
        .listen("marquee", listener, move || {
            let stopping = stopping.clone();
            let application = application().into_factory().map_err(|error| error.error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                // Kept for as long as the wire lets it.
                .keep_alive(KeepAlive::Os)
                .h1_write_buffer_size(WRITE_BUFFER)
                .client_request_timeout(head)
                .client_disconnect_timeout(FAREWELL)
                .h1_allow_half_closed(true)
                .on_connect_ext(|wire: &Wire, data| {
                    data.insert::<Rc<Link>>(Rc::clone(wire.link()));
                })
                .h1(Behind {
                    hot: hot.clone(),
                    application: map_config(application, |()| AppConfig::default()),
                });
            fn_service(move |stream: TcpStream| {
                limits::on_connect(&stream, pace.stall);
                let peer = stream.peer_addr().ok();
                ready(Ok::<_, DispatchError>((Wire::new(stream, limits), peer)))
            })
            .and_then(http)
        })?;
    Ok(server.run())
}

/// What the settings ask of bodies, whichever way they go.
pub(super) fn pace(http: &HttpSettings) -> Pace {
    Pace { stall: Duration::from_millis(http.stall_ms), rate: http.min_rate.0 }
}
