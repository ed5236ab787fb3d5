//! PUT and PATCH /v1/movies/{id}: a movie that is there becomes another.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::{no_parameters, parse_id, written_one};
use crate::domain::{Change, InputError, patch_from_json, replacement_from_json};
use crate::http::Site;
use crate::http::body;
use crate::http::conditional::condition;
use crate::http::problem::{Answer, Problem};

/// PUT /v1/movies/{id}: the whole movie.
pub(in crate::http) async fn put(
    request: HttpRequest,
    site: Data<Site>,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let media = body::is_json(request.headers());
    Answer(change(&request, &site, &id, payload, media, replacement_from_json).await)
}

/// PATCH /v1/movies/{id}: the members that the body names (RFC 7396).
pub(in crate::http) async fn patch(
    request: HttpRequest,
    site: Data<Site>,
    id: Path<String>,
    payload: Payload,
) -> Answer {
    let media = body::is_patch(request.headers());
    Answer(change(&request, &site, &id, payload, media, patch_from_json).await)
}

async fn change(
    request: &HttpRequest,
    site: &Site,
    id: &str,
    payload: Payload,
    media: Result<(), Problem>,
    parse: fn(&[u8]) -> Result<Change, InputError>,
) -> Result<HttpResponse, Problem> {
    let id = parse_id(id)?;
    no_parameters(request)?;
    media?;
    let condition = condition(request.headers());
    let body = site.body_of_write(request, payload).await?;
    let parsed = site.bodies.parsed(body.bytes.len(), move || parse(&body.bytes)).await?;
    let change = parsed.value.map_err(Problem::of_input)?;
    let changed = parsed.turn.until_begun(site.catalogue.change(id, change, condition)).await;
    Ok(written_one(changed.map_err(|error| Problem::of_conditional(error, request.headers()))?))
}
