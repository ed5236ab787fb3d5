//! `/v1/movies` and `/v1/movies/{id}`.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::timeout;

use super::Site;
use super::answer::{Of, stored_gzip, tag_of};
use super::body::{self, Media};
use super::conditional::{is_known, movie_tag, number};
use super::negotiate;
use super::problem::{Answer, Problem, REVISION};
use super::stream::{FromFile, InPieces};
use crate::catalogue::{Body, Coding, Collection, Created, Form, Head};
use crate::domain::{Input, movies_from_json, movies_from_lines};

/// Bodies beyond this length are parsed off the threads that serve, which have others to answer meanwhile.
const PARSED_IN_PLACE: usize = 64 << 10;

/// GET /v1/movies: the whole collection.
pub(super) async fn all(request: HttpRequest, site: Data<Site>) -> Answer {
    Answer(match at_hand(&request, &site) {
        Some(response) => Ok(response),
        // Boxed, so that the future of the common case stays small.
        None => Box::pin(whole_collection(&request, &site)).await,
    })
}

/// The answer that needs no waiting: a 304, or a body that is there in one piece.
fn at_hand(request: &HttpRequest, site: &Site) -> Option<HttpResponse> {
    if !request.query_string().is_empty() {
        return None;
    }
    let headers = request.headers();
    let (form, coding) = (negotiate::form(headers), negotiate::coding(headers).ok()?);
    if headers.contains_key(header::IF_NONE_MATCH) {
        let (head, total, served) = site.catalogue.current().ok()?;
        let of = Of { head, form, coding, total, served };
        if is_known(headers, &tag_of(&of)) {
            return Some(site.dress.list(StatusCode::NOT_MODIFIED, &of).finish());
        }
    }
    site.catalogue.at_hand(form, coding).map(|collection| answer(site, form, coding, collection))
}

async fn whole_collection(request: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    no_parameters(request)?;
    let coding = negotiate::coding(request.headers())?;
    let form = negotiate::form(request.headers());
    let collection = timeout(site.request_timeout, site.catalogue.collection(form, coding));
    Ok(answer(site, form, coding, collection.await.map_err(|_| Problem::timeout())??))
}

fn answer(site: &Site, form: Form, coding: Coding, collection: Collection) -> HttpResponse {
    let Collection { head, movies, body, served } = collection;
    let mut response = site.dress.list(StatusCode::OK, &Of { head, form, coding, total: movies, served });
    match body {
        Body::Whole(bytes) => response.body(bytes),
        Body::Pieces(pieces) => response.body(InPieces(pieces)),
        Body::File(file) => response.body(FromFile::new(file)),
    }
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
    let movie =
        timeout(site.request_timeout, site.catalogue.movie(id)).await.map_err(|_| Problem::timeout())??;
    let tag = movie_tag(&movie.json, coding);
    let known = is_known(request.headers(), &tag);
    let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = site.dress.one(status, movie.head, coding, movie.served, tag);
    Ok(match coding {
        _ if known => response.finish(),
        Coding::Identity => response.body(movie.json),
        Coding::Gzip => response.body(stored_gzip(&movie.json)),
    })
}

/// An id as the path spells it: digits alone, without a sign or leading zeros.
fn parse_id(text: &str) -> Result<u64, Problem> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    match text.parse() {
        Ok(id) if canonical => Ok(id),
        _ => Err(Problem::not_an_id(text)),
    }
}

/// POST /v1/movies
pub(super) async fn create(request: HttpRequest, site: Data<Site>, payload: Payload) -> Answer {
    Answer(create_movies(&request, &site, payload).await)
}

async fn create_movies(
    request: &HttpRequest,
    site: &Site,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    no_parameters(request)?;
    let media = body::media(request.headers())?;
    let body = site.bodies.read(request.headers(), payload).await?;
    let length = body.bytes.len();
    let limit = site.array_limit;
    let parse = move || match media {
        Media::Json => movies_from_json(&body.bytes, limit),
        Media::Lines => movies_from_lines(&body.bytes, limit).map(Input::Many),
    };
    let parsed = if length > PARSED_IN_PLACE {
        actix_web::web::block(parse).await.map_err(|_| Problem::timeout())?
    } else {
        parse()
    };
    match parsed.map_err(Problem::of_input)? {
        Input::One(movie) => {
            let created = site.catalogue.create(vec![*movie]).await.map_err(Problem::of_one)?;
            Ok(created_one(&created))
        }
        Input::Many(movies) if movies.is_empty() => {
            let (head, ..) = site.catalogue.current()?;
            Ok(created_many(&Created { head, ids: Vec::new(), json: Vec::new() }, media))
        }
        Input::Many(movies) => Ok(created_many(&site.catalogue.create(movies).await?, media)),
    }
}

fn written(status: StatusCode, head: Head) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((REVISION, number(head.revision)));
    response
}

fn created_one(created: &Created) -> HttpResponse {
    let mut response = written(StatusCode::CREATED, created.head);
    if let Some(id) = created.ids.first() {
        response.insert_header((header::LOCATION, format!("/v1/movies/{id}")));
    }
    let json = created.json.first().cloned().unwrap_or_default();
    response.insert_header((header::ETAG, movie_tag(&json, Coding::Identity)));
    response.content_type("application/json").body(json)
}

fn created_many(created: &Created, media: Media) -> HttpResponse {
    let body = match media {
        Media::Json => array(&created.json),
        Media::Lines => lines(&created.json),
    };
    let mut response = written(StatusCode::CREATED, created.head);
    response.insert_header((header::ETAG, movie_tag(&body, Coding::Identity)));
    let media = match media {
        Media::Json => "application/json",
        Media::Lines => "application/x-ndjson",
    };
    response.content_type(media).body(body)
}

fn array(movies: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(movies.iter().map(|movie| movie.len() + 1).sum::<usize>() + 2);
    body.put_u8(b'[');
    for (index, movie) in movies.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(movie);
    }
    body.put_u8(b']');
    body.freeze()
}

fn lines(movies: &[Bytes]) -> Bytes {
    let mut body = BytesMut::with_capacity(movies.iter().map(|movie| movie.len() + 1).sum::<usize>());
    for movie in movies {
        body.put_slice(movie);
        body.put_u8(b'\n');
    }
    body.freeze()
}

/// DELETE /v1/movies/{id}
pub(super) async fn delete(request: HttpRequest, site: Data<Site>, id: Path<String>) -> Answer {
    Answer(delete_movie(&request, &site, &id).await)
}

async fn delete_movie(request: &HttpRequest, site: &Site, id: &str) -> Result<HttpResponse, Problem> {
    let id = parse_id(id)?;
    no_parameters(request)?;
    let head = site.catalogue.delete(id).await?;
    Ok(written(StatusCode::NO_CONTENT, head).finish())
}
