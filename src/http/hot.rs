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

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_http::{HttpMessage, Payload, Request, Response};
use actix_service::{Service, ServiceFactory, forward_ready};
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::web::Data;
use futures_util::Stream;
use futures_util::future::{Either, FutureExt, LocalBoxFuture, Map};

use super::Site;
use super::auth::Gate;
use super::brings::Brings;
use super::movies;
use super::observe::{Requests, Route, Tally, Verb, close_while};
use super::problem::Repeated;
use super::wire::{Link, UnderWay};
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
            OnWorker { site, gate, tally: Tally::new(&hot.requests), refusals: Repeated::at(MOVIES).into() }
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
    refusals: RefCell<Repeated>,
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
    type Future =
        Either<Map<AtHand, fn(Response<BoxBody>) -> Result<Response<BoxBody>, S::Error>>, Asked<S::Future>>;

    forward_ready!(application);

    fn call(&self, mut request: Request) -> Self::Future {
        let has_body = !matches!(request.payload(), Payload::None);
        let under_way = request.conn_data::<Rc<Link>>().map(|link| link.begins(has_body));
        match self.hot.as_ref().and_then(|hot| answer(&mut request, hot)) {
            Some(at_hand) => Either::Left(at_hand.map(Ok)),
            None => Either::Right(Asked { answer: self.application.call(request), under_way }),
        }
    }
}

pin_project_lite::pin_project! {
    /// What the application was asked. Until it answers, the connection knows of it.
    pub(super) struct Asked<F> {
        #[pin]
        answer: F,
        under_way: Option<UnderWay>,
    }
}

impl<F, E> Future for Asked<F>
where
    F: Future<Output = Result<ServiceResponse<BoxBody>, E>>,
{
    type Output = Result<Response<BoxBody>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.answer.poll(context));
        this.under_way.take();
        Poll::Ready(answer.map(Response::from))
    }
}

/// The answer to a request that is hot, if it is at hand.
fn answer(request: &mut Request, hot: &OnWorker) -> Option<AtHand> {
    if request.method() == Method::GET {
        let response = Some(hit(request, hot)?);
        Some(AtHand { body: Payload::None, response })
    } else if request.method() == Method::POST {
        let response = Some(refusal(request, hot)?);
        Some(AtHand { body: request.take_payload(), response })
    } else {
        None
    }
}

/// An answer at hand. It leaves behind the body of its request, read to its end whatever it is: actix-http would close the
/// connection of one that was not.
pub(super) struct AtHand {
    body: Payload,
    response: Option<Response<BoxBody>>,
}

impl Future for AtHand {
    type Output = Response<BoxBody>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(Ok(_)) = ready!(Pin::new(&mut self.body).poll_next(context)) {}
        self.response.take().map_or(Poll::Pending, Poll::Ready)
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
    hot.tally.count(route, Verb::Get, &response, began.elapsed());
    Some(response.into())
}

/// The answer to a POST of a movie that is not taken, whatever it is: where its head is as it should be, and its body lies
/// there.
fn refusal(request: &Request, hot: &OnWorker) -> Option<Response<BoxBody>> {
    let (site, headers) = (&hot.site, request.headers());
    let refused = site.catalogue.takes_writes().err()?;
    let began = Instant::now();
    let is_hot = request.uri().path_and_query()?.as_str() == MOVIES && !Brings::of(headers).id;
    if !is_hot || !hot.gate.lets_write(headers) || !movies::is_to_create(headers) {
        return None;
    }
    if !site.bodies.lies_there(headers, request.conn_data()) {
        return None;
    }
    site.catalogue.count_refused(&refused);
    let mut response = hot.refusals.borrow_mut().answer(&refused);
    close_while(&site.draining, &mut response);
    hot.tally.count(Route::Movies, Verb::Post, &response, began.elapsed());
    Some(response.into())
}
