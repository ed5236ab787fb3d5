//! The outermost layer: sees every answer, counts it, logs it, gives it the id of its request, and, while marquee is
//! stopping, has its connection closed.
//!
//! One middleware for all of it, since each layer costs each request. Its future is a struct, not a box;
//! what it counts are plain stores into memory of its own thread; with the access log off it neither
//! allocates nor touches the answer, unless the request brought an id of its own.
//!
//! What the HTTP parser itself refuses never reaches it.

mod access;
mod body;
mod ids;
mod requests;
mod route;

use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::{ConnectionType, Method};
use actix_web::{Error, HttpResponse};

pub(super) use access::is_listened_to;
pub(super) use ids::{TRACEPARENT, X_REQUEST_ID, request_id};
pub(super) use requests::Requests;
pub(super) use route::{Route, Verb};

use super::client::Proxies;
use access::Line;
use requests::Recorder;

/// The middleware of one worker.
pub(super) struct Observe(Rc<Worker>);

struct Worker {
    recorder: Rc<Recorder>,
    /// Who asks is told to the access log, where there is one.
    access_log: Option<Arc<Proxies>>,
    /// Whether clients are to go elsewhere.
    draining: Arc<AtomicBool>,
}

impl Observe {
    /// To be made on the worker that it serves: its counters are that thread's alone. With proxies there is an
    /// access log.
    pub(super) fn new(
        requests: &Requests,
        access_log: Option<Arc<Proxies>>,
        draining: Arc<AtomicBool>,
    ) -> Self {
        Self(Rc::new(Worker { recorder: Rc::new(requests.recorder()), access_log, draining }))
    }
}

impl<S, B> Transform<S, ServiceRequest> for Observe
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Observed<S>;
    type InitError = ();
    type Future = Ready<Result<Observed<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Observed { service, worker: Rc::clone(&self.0) }))
    }
}

/// Counts what one worker answers before this layer.
pub(super) struct Tally(Rc<Recorder>);

impl Tally {
    /// To be made on the worker that it serves, as [`Observe::new`].
    pub(super) fn new(requests: &Requests) -> Self {
        Self(Rc::new(requests.recorder()))
    }

    /// A request with a method whose answers have bodies was answered.
    pub(super) fn count(&self, route: Route, verb: Verb, response: &HttpResponse, took: Duration) {
        self.0.began();
        self.0.answered(route, verb, response.status().as_u16(), took, length(&Method::GET, response.body()));
    }
}

/// A service that is observed.
pub(super) struct Observed<S> {
    service: S,
    worker: Rc<Worker>,
}

impl<S, B> Service<ServiceRequest> for Observed<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Observation<S::Future>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let seen = Seen::new(&self.worker.recorder, Route::of(request.path()), Verb::of(request.method()));
        Observation { seen, worker: Rc::clone(&self.worker), inner: self.service.call(request) }
    }
}

/// What is known of a request before it is answered.
struct Seen {
    began: Instant,
    route: Route,
    verb: Verb,
    answered: bool,
    recorder: Rc<Recorder>,
}

impl Seen {
    fn new(recorder: &Rc<Recorder>, route: Route, verb: Verb) -> Self {
        recorder.began();
        Self { began: Instant::now(), route, verb, answered: false, recorder: Rc::clone(recorder) }
    }

    /// It was answered, with a body of so many bytes.
    fn count(&mut self, status: u16, bytes: u64) {
        self.answered = true;
        // What a path does not take is one series, whichever word it was.
        let verb = if status == 405 { Verb::Other } else { self.verb };
        self.recorder.answered(self.route, verb, status, self.began.elapsed(), bytes);
    }
}

impl Drop for Seen {
    /// A request whose connection broke before it had its answer is counted as such.
    fn drop(&mut self) {
        if !self.answered {
            self.recorder.abandoned();
        }
    }
}

/// The length of a body as its head tells it; 0 where a HEAD has none.
fn length<B: MessageBody>(method: &Method, body: &B) -> u64 {
    match body.size() {
        BodySize::Sized(bytes) if *method != Method::HEAD => bytes,
        _ => 0,
    }
}

/// While clients are to go elsewhere, an answer says that it is the last one of its connection: one that is kept would
/// break under a later request, when the server is gone.
pub(super) fn close_while<B>(draining: &AtomicBool, response: &mut HttpResponse<B>) {
    if draining.load(Ordering::Relaxed) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
}

pin_project_lite::pin_project! {
    /// An answer on its way.
    pub(super) struct Observation<F> {
        seen: Seen,
        worker: Rc<Worker>,
        #[pin]
        inner: F,
    }
}

impl<F, B> Future for Observation<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<BoxBody>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (seen, worker) = (this.seen, this.worker);
        let mut response = match std::task::ready!(this.inner.poll(cx)) {
            Ok(response) => response,
            Err(error) => {
                seen.count(error.as_response_error().status_code().as_u16(), 0);
                return Poll::Ready(Err(error));
            }
        };
        let bytes = length(response.request().method(), response.response().body());
        seen.count(response.status().as_u16(), bytes);
        close_while(&worker.draining, response.response_mut());
        let id = ids::settle(&mut response, worker.access_log.is_some());
        Poll::Ready(Ok(if let Some(proxies) = &worker.access_log {
            let line = Line::of(&response, proxies, id, seen.began);
            response.map_body(|_, body| body::logged(body.boxed(), line))
        } else {
            response.map_body(|_, body| body.boxed())
        }))
    }
}
