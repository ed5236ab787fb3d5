//! The hot way: the whole collection, or one movie, as it lies ready, answered before there is a router.
//!
//! What lies between actix-http and a handler of actix-web (a request from a pool, router, guards, extractors,
//! boxed futures) costs more than what the handler does for the two requests that are asked most. So they are
//! seen first. They have the answers that `movies::all` and `movies::one` would give, by the same code, and are
//! counted as there; whatever is not answered at once, and whatever is not exactly one of them, goes on to the
//! application.
//!
//! There is no hot way where a layer has to see each request: see [`super::serve`].

use std::future::{Ready, ready};
use std::sync::atomic::Ordering;
use std::time::Instant;

use actix_http::{HttpMessage, Request, Response};
use actix_service::{Service, ServiceFactory, forward_ready};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::web::Data;
use futures_util::future::{Either, LocalBoxFuture, MapOk, TryFutureExt};

use super::Site;
use super::brings::Brings;
use super::movies;
use super::observe::{Requests, Route, Tally};
use crate::domain::movie_id;

/// What is hot, and what is below it.
const MOVIES: &str = "/v1/movies";

/// What answers hits, for all workers.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) site: Data<Site>,
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
{
    type Response = Response<BoxBody>;
    type Error = F::Error;
    type Config = F::Config;
    type Service = Serving<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: Self::Config) -> Self::Future {
        // On the worker that it serves: what it counts is that thread's alone.
        let hot = self.hot.as_ref().map(|hot| (hot.site.clone(), Tally::new(&hot.requests)));
        let application = self.application.new_service(config);
        Box::pin(async move { Ok(Serving { hot, application: application.await? }) })
    }
}

/// As [`Behind`], on one worker.
pub(super) struct Serving<S> {
    hot: Option<(Data<Site>, Tally)>,
    application: S,
}

impl<S> Service<Request> for Serving<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>>,
{
    type Response = Response<BoxBody>;
    type Error = S::Error;
    type Future = Either<
        Ready<Result<Self::Response, S::Error>>,
        MapOk<S::Future, fn(ServiceResponse<BoxBody>) -> Response<BoxBody>>,
    >;

    forward_ready!(application);

    fn call(&self, request: Request) -> Self::Future {
        match self.hot.as_ref().and_then(|(site, tally)| hit(&request, site, tally)) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.application.call(request).map_ok(Response::from)),
        }
    }
}

/// The answer to a request that is hot, and a hit.
fn hit(request: &Request, site: &Site, tally: &Tally) -> Option<Response<BoxBody>> {
    let headers = request.headers();
    let brings = Brings::of(headers);
    // While draining, each answer says that its connection is closed: the layers do that.
    if request.method() != Method::GET || brings.id || site.draining.load(Ordering::Relaxed) {
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
    tally.count(route, response.status(), response.body().size(), began.elapsed());
    Some(response.into())
}
