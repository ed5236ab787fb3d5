//! The hot way: the whole collection, or one movie, as it lies ready, and the refusal of a movie that cannot be
//! taken, answered before there is a router.
//!
//! What lies between actix-http and a handler of actix-web (a request from a pool, router, guards, extractors,
//! boxed futures) costs more than what the handler does for the requests that are asked most. So they are
//! seen first. They have the answers that `movies::all` and `movies::one` would give, by the same code, and are
//! counted as there; whatever is not answered at once, and whatever is not exactly one of them, goes on to the
//! application.
//!
//! Under more writes than can be done, what refuses one takes from what does another: so refusals cost as little as
//! hits do.
//!
//! There is no hot way where a layer has to see each request: see [`super::serve`].

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use actix_http::{HttpMessage, Request, Response};
use actix_service::{Service, ServiceFactory, forward_ready};
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::web::Data;
use futures_util::future::{Either, FutureExt, LocalBoxFuture, MapOk, TryFutureExt};

use super::Site;
use super::auth::Gate;
use super::brings::Brings;
use super::movies;
use super::observe::{Requests, Route, Seen, Tally, close_while, length};
use crate::catalogue::Error;
use crate::domain::movie_id;

/// What is hot, and what is below it.
const MOVIES: &str = "/v1/movies";

/// What answers what is hot, for all workers.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) site: Data<Site>,
    pub(super) gate: Arc<Gate>,
    pub(super) requests: Requests,
}

/// An application behind the hot way, where there is one.
pub(super) struct Behind<F> {
    pub(super) hot: Option<Hot>,
    pub(super) application: F,
}

impl<F> ServiceFactory<Request> for Behind<F>
where
    F: ServiceFactory<Request, Response = ServiceResponse<BoxBody>>,
    F::Future: 'static,
    F::Error: 'static,
{
    type Response = Response<BoxBody>;
    type Error = F::Error;
    type Config = F::Config;
    type Service = Serving<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: Self::Config) -> Self::Future {
        // On the worker that it serves: what it counts is that thread's alone.
        let hot = self.hot.as_ref().map(|hot| {
            let (site, gate) = (hot.site.clone(), Arc::clone(&hot.gate));
            OnWorker { site, gate, tally: Tally::new(&hot.requests) }
        });
        let application = self.application.new_service(config);
        Box::pin(async move { Ok(Serving { hot, application: application.await? }) })
    }
}

/// As [`Hot`], on one worker.
struct OnWorker {
    site: Data<Site>,
    gate: Arc<Gate>,
    tally: Tally,
}

/// As [`Behind`], on one worker.
pub(super) struct Serving<S> {
    hot: Option<OnWorker>,
    application: S,
}

impl<S> Service<Request> for Serving<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>>,
    S::Error: 'static,
{
    type Response = Response<BoxBody>;
    type Error = S::Error;
    type Future = Either<
        Either<
            Ready<Result<Self::Response, S::Error>>,
            LocalBoxFuture<'static, Result<Self::Response, S::Error>>,
        >,
        MapOk<S::Future, fn(ServiceResponse<BoxBody>) -> Response<BoxBody>>,
    >;

    forward_ready!(application);

    fn call(&self, request: Request) -> Self::Future {
        if let Some(hot) = &self.hot {
            if request.method() == Method::GET {
                if let Some(response) = hit(&request, hot) {
                    return Either::Left(Either::Left(ready(Ok(response))));
                }
            } else if request.method() == Method::POST
                && let Some(refused) = refusal(&request, hot)
            {
                let seen = hot.tally.began_post(Route::Movies);
                return Either::Left(Either::Right(
                    refuse(request, hot.site.clone(), refused, seen).map(Ok).boxed_local(),
                ));
            }
        }
        Either::Right(self.application.call(request).map_ok(Response::from))
    }
}

/// The answer to a GET that is hot, and a hit.
fn hit(request: &Request, hot: &OnWorker) -> Option<Response<BoxBody>> {
    let (site, headers) = (&hot.site, request.headers());
    let brings = Brings::of(headers);
    // While draining, each answer says that its connection is closed: the layers do that.
    if brings.id || site.draining.load(Ordering::Relaxed) {
        return None;
    }
    let began = Instant::now();
    let below = request.uri().path_and_query()?.as_str().strip_prefix(MOVIES)?;
    let (route, response) = if below.is_empty() {
        (Route::Movies, movies::at_hand(headers, brings, site)?)
    } else {
        let id = movie_id(below.strip_prefix('/')?)?;
        (Route::Movie, movies::one_at_hand(headers, brings, site, id)?)
    };
    hot.tally.count(route, response.status(), response.body(), began.elapsed());
    Some(response.into())
}

/// Why the movie that a POST sends is not taken, whatever it is.
fn refusal(request: &Request, hot: &OnWorker) -> Option<Error> {
    let headers = request.headers();
    let refused = hot.site.catalogue.takes_writes().err()?;
    let is_hot = request.uri().path_and_query()?.as_str() == MOVIES && !Brings::of(headers).id;
    (is_hot && hot.gate.lets_write(headers)).then_some(refused)
}

/// The answer to a movie that is not taken. It comes behind the body, as from the application: the connection is kept.
async fn refuse(mut request: Request, site: Data<Site>, refused: Error, mut seen: Seen) -> Response<BoxBody> {
    let payload = request.take_payload();
    let problem = match site.bodies.read(request.headers(), request.conn_data(), payload).await {
        Ok(_) => {
            site.catalogue.count_refused(&refused);
            refused.into()
        }
        Err(problem) => problem,
    };
    let mut response = problem.answer(MOVIES);
    close_while(&site.draining, &mut response);
    seen.count(response.status().as_u16(), length(request.method(), response.body()));
    response.into()
}
