//! `/v1/movies` and `/v1/movies/{id}`: what reads. Lists that are not of everything are in `find`; what writes is in
//! `create`, `change` and `delete`.

mod change;
mod create;
mod delete;
mod find;

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use tokio::time::timeout_at;

pub(super) use change::{patch, put};
pub(super) use create::{create, is_to_create};
pub(super) use delete::{delete, delete_many};

use super::Site;
use super::answer::{Of, One, has_list};
use super::brings::Brings;
use super::conditional::{is_known, movie_tag, number};
use super::negotiate;
use super::problem::{Answer, Problem, REVISION};
use super::stream::{FromFile, InPieces};
use crate::catalogue::{Body, Coding, Collection, Form, Head, OneMovie, Wrote, stored};
use crate::domain::movie_id;

/// GET /v1/movies: the whole collection, or with parameters a page of what matches.
pub(super) async fn all(request: HttpRequest, site: Data<Site>) -> Answer {
    let plain = request.query_string().is_empty();
    Answer(match plain.then(|| at_hand(request.headers(), Brings::of(request.headers()), &site)).flatten() {
        Some(response) => Ok(response),
        // Boxed, so that the future of the common case stays small.
        None => Box::pin(waited_for(&request, &site)).await,
    })
}

/// The answer to a GET of the whole collection that needs no waiting: a 304, or a body that is there in one piece.
pub(super) fn at_hand(headers: &HeaderMap, brings: Brings, site: &Site) -> Option<HttpResponse> {
    if brings.min_revision && !site.has_reached(headers) {
        return None;
    }
    let form = if brings.accept { negotiate::form(headers) } else { Form::Array };
    let coding = if brings.accept_encoding { negotiate::coding(headers).ok()? } else { Coding::Identity };
    if brings.if_none_match {
        let (head, total, served) = site.catalogue.current().ok()?;
        let of = Of { head, form, coding, total, served };
        if has_list(headers, &of) {
            site.catalogue.count_known();
            return Some(site.dress.list(StatusCode::NOT_MODIFIED, &of, ().boxed()));
        }
    }
    site.catalogue.at_hand(form, coding).map(|collection| answer(site, form, coding, collection))
}

async fn waited_for(request: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    if !find::asks_for_all(request.query_string()) {
        return find::page(request, site).await;
    }
    let coding = negotiate::coding(request.headers())?;
    let form = negotiate::form(request.headers());
    let deadline = site.reached(request.headers()).await?;
    let collection = timeout_at(deadline, site.catalogue.collection(form, coding));
    Ok(answer(site, form, coding, collection.await.map_err(|_| Problem::timeout())??))
}

fn answer(site: &Site, form: Form, coding: Coding, collection: Collection) -> HttpResponse {
    let Collection { head, movies, body, served } = collection;
    let body = match body {
        Body::Whole(bytes) => bytes.boxed(),
        Body::Pieces(pieces) => InPieces(pieces).boxed(),
        Body::File(file) => FromFile::new(file).boxed(),
    };
    site.dress.list(StatusCode::OK, &Of { head, form, coding, total: movies, served }, body)
}

/// No query parameter exists here. A misspelt one must not vanish.
pub(super) fn no_parameters(request: &HttpRequest) -> Result<(), Problem> {
    if request.query_string().len() > super::LONGEST_URI {
        return Err(Problem::uri_too_long(super::LONGEST_URI));
    }
    match request.query_string().split('&').find(|pair| !pair.is_empty()) {
        None => Ok(()),
        Some(pair) => Err(Problem::unknown_parameter(pair.split('=').next().unwrap_or(pair))),
    }
}

/// GET /v1/movies/{id}
pub(super) async fn one(request: HttpRequest, site: Data<Site>, id: Path<String>) -> Answer {
    Answer(one_movie(&request, &site, &id).await)
}

async fn one_movie(request: &HttpRequest, site: &Site, id: &str) -> Result<HttpResponse, Problem> {
    let id = parse_id(id)?;
    no_parameters(request)?;
    // One movie is sent as it is, unless the client refuses that.
    let coding = negotiate::coding_of_small(request.headers())?;
    let deadline = site.reached(request.headers()).await?;
    let movie = timeout_at(deadline, site.catalogue.movie(id)).await.map_err(|_| Problem::timeout())??;
    Ok(answer_one(request.headers(), Brings::of(request.headers()), site, coding, movie))
}

/// The answer to a GET of one movie that needs no waiting.
pub(super) fn one_at_hand(headers: &HeaderMap, brings: Brings, site: &Site, id: u64) -> Option<HttpResponse> {
    if brings.min_revision && !site.has_reached(headers) {
        return None;
    }
    let coding =
        if brings.accept_encoding { negotiate::coding_of_small(headers).ok()? } else { Coding::Identity };
    Some(answer_one(headers, brings, site, coding, site.catalogue.movie_at_hand(id)?))
}

fn answer_one(
    headers: &HeaderMap,
    brings: Brings,
    site: &Site,
    coding: Coding,
    movie: OneMovie,
) -> HttpResponse {
    let tag = movie_tag(&movie.json, coding);
    let known = brings.if_none_match && is_known(headers, &tag);
    let one = One { head: movie.head, coding, served: movie.served, tag };
    if known {
        site.dress.one(StatusCode::NOT_MODIFIED, one, ().boxed())
    } else {
        site.dress.one(StatusCode::OK, one, stored(&movie.json, coding).boxed())
    }
}

/// The id that a path ends with.
fn parse_id(text: &str) -> Result<u64, Problem> {
    movie_id(text).ok_or_else(|| Problem::not_an_id(text))
}

/// An answer to a write.
fn written(status: StatusCode, head: Head) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((REVISION, number(head.revision)));
    response
}

/// The answer to a write of one movie: the movie.
fn written_one(wrote: Wrote) -> HttpResponse {
    let status = if wrote.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = written(status, wrote.head);
    let Some(movie) = wrote.movies.into_iter().next() else {
        return response.finish();
    };
    if wrote.created {
        response.insert_header((header::LOCATION, format!("/v1/movies/{}", movie.id)));
    }
    response.insert_header((header::ETAG, movie_tag(&movie.json, Coding::Identity)));
    response.content_type("application/json").body(movie.json)
}
