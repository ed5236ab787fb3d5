//! POST /v1/movies: one movie, an array, or lines.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::{BufMut, Bytes, BytesMut};

use super::{no_parameters, written, written_one};
use crate::catalogue::{Coding, RetryKey, Written, Wrote};
use crate::domain::{Input, InputError, NewMovie, movies_from_json, movies_from_lines};
use crate::http::Site;
use crate::http::body::{self, Media, Parsed};
use crate::http::conditional::movie_tag;
use crate::http::idempotency::{self, Key, Scope};
use crate::http::prefer::{PREFERENCE_APPLIED, Resolution};
use crate::http::problem::{Answer, Problem};

/// POST /v1/movies
pub(in crate::http) async fn create(request: HttpRequest, site: Data<Site>, payload: Payload) -> Answer {
    Answer(create_movies(&request, &site, payload).await)
}

/// Whether the head of a POST is one that [`create`] goes on to the body of.
pub(in crate::http) fn is_to_create(headers: &HeaderMap) -> bool {
    body::media(headers).is_ok() && idempotency::text(headers).is_ok()
}

async fn create_movies(
    request: &HttpRequest,
    site: &Site,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    no_parameters(request)?;
    let media = body::media(request.headers())?;
    let resolution = Resolution::preferred(request.headers());
    let key = Key::of(request.headers(), Scope::of(request, "POST /v1/movies"))?;
    let Parsed { value, turn } = parse(request, site, media, resolution, key, payload).await?;
    let (input, key) = value.map_err(Problem::of_input)?;
    let mut response = match input {
        Input::One(movie) => {
            let write = turn.until_begun(write(site, vec![*movie], resolution, key));
            written_one(write.await.map_err(Problem::of_one)?)
        }
        Input::Many(movies) if movies.is_empty() && key.is_none() => {
            let (head, ..) = site.catalogue.current()?;
            written_many(&Wrote { head, movies: Vec::new(), created: true }, media)
        }
        Input::Many(movies) => {
            written_many(&turn.until_begun(write(site, movies, resolution, key)).await?, media)
        }
    };
    if let Some(applied) = resolution.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
}

/// Reads movies, and what makes the request the same when it comes again.
async fn parse(
    request: &HttpRequest,
    site: &Site,
    media: Media,
    resolution: Resolution,
    key: Option<Key>,
    payload: Payload,
) -> Result<Parsed<Result<(Input, Option<RetryKey>), InputError>>, Problem> {
    let body = site.body_of_write(request, payload).await?;
    let length = body.bytes.len();
    let limit = site.array_limit;
    let parse = move || {
        let input = match media {
            Media::Json => movies_from_json(&body.bytes, limit),
            Media::Lines => movies_from_lines(&body.bytes, limit).map(Input::Many),
        };
        let asked = [media.name().as_bytes(), resolution.name().as_bytes(), &body.bytes];
        input.map(|input| (input, key.map(|key| key.to(&asked))))
    };
    site.bodies.parsed(length, parse).await
}

async fn write(
    site: &Site,
    movies: Vec<NewMovie>,
    resolution: Resolution,
    key: Option<RetryKey>,
) -> Result<Wrote, crate::catalogue::Error> {
    match resolution {
        // No movies are none that exist.
        Resolution::Merge if !movies.is_empty() => site.catalogue.upsert(movies, key).await,
        _ => site.catalogue.create(movies, key).await,
    }
}

fn written_many(wrote: &Wrote, media: Media) -> HttpResponse {
    let status = if wrote.created { StatusCode::CREATED } else { StatusCode::OK };
    let body = match media {
        Media::Json => strung(&wrote.movies, b"[", b",", b"]"),
        Media::Lines => strung(&wrote.movies, b"", b"\n", b"\n"),
    };
    let mut response = written(status, wrote.head);
    response.insert_header((header::ETAG, movie_tag(&body, Coding::Identity)));
    response.content_type(media.name()).body(body)
}

/// The movies with something before, between and after them; nothing after no lines.
fn strung(movies: &[Written], before: &[u8], between: &[u8], after: &[u8]) -> Bytes {
    let mut body =
        BytesMut::with_capacity(movies.iter().map(|movie| movie.json.len() + 1).sum::<usize>() + 2);
    body.put_slice(before);
    for (index, movie) in movies.iter().enumerate() {
        if index > 0 {
            body.put_slice(between);
        }
        body.put_slice(&movie.json);
    }
    if !movies.is_empty() || !before.is_empty() {
        body.put_slice(after);
    }
    body.freeze()
}
