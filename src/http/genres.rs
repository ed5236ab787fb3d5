//! `/v1/genres`.

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use tokio::time::timeout_at;

use super::Site;
use super::answer::{Of, has_list};
use super::body;
use super::conditional::{movie_tag, number};
use super::idempotency::{Key, Scope};
use super::movies::no_parameters;
use super::negotiate;
use super::problem::{Answer, Problem, REVISION};
use crate::catalogue::{Coding, Form, stored};
use crate::domain::GenreName;

/// GET /v1/genres
pub(super) async fn all(request: HttpRequest, site: Data<Site>) -> Answer {
    Answer(all_genres(&request, &site).await)
}

async fn all_genres(request: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    no_parameters(request)?;
    let coding = negotiate::coding_of_small(request.headers())?;
    let deadline = site.reached(request.headers()).await?;
    let genres = timeout_at(deadline, site.catalogue.genres()).await.map_err(|_| Problem::timeout())??;
    let of = Of { head: genres.head, form: Form::Array, coding, total: genres.count, served: genres.served };
    if has_list(request.headers(), &of) {
        return Ok(site.dress.list(StatusCode::NOT_MODIFIED, &of, ().boxed()));
    }
    Ok(site.dress.list(StatusCode::OK, &of, stored(&genres.json, coding).boxed()))
}

/// The names of an object's members, repeated ones included.
struct MemberNames(Vec<String>);

impl<'de> Deserialize<'de> for MemberNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = MemberNames;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MemberNames, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(MemberNames(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// POST /v1/genres
pub(super) async fn create(request: HttpRequest, site: Data<Site>, payload: Payload) -> Answer {
    Answer(create_genre(&request, &site, payload).await)
}

async fn create_genre(request: &HttpRequest, site: &Site, payload: Payload) -> Result<HttpResponse, Problem> {
    no_parameters(request)?;
    body::is_json(request.headers())?;
    let key = Key::of(request.headers(), Scope::of(request, "POST /v1/genres"))?;
    let body = site.body_of_write(request, payload).await?;
    let key = key.map(|key| key.to(&[&body.bytes]));
    let created = site.catalogue.create_genre(parse(&body.bytes)?, key).await?;
    let json = serde_json::to_vec(&created.genre).unwrap_or_default();
    Ok(HttpResponse::Created()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::ETAG, movie_tag(&json, Coding::Identity)))
        .insert_header((REVISION, number(created.head.revision)))
        .content_type("application/json")
        .body(json))
}

fn parse(body: &[u8]) -> Result<GenreName, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|e| Problem::malformed_json(&e.to_string()))?;
    // A tree keeps only the last of two members of one name: the others must not vanish.
    let (Value::Object(members), Ok(MemberNames(names))) = (value, serde_json::from_slice(body)) else {
        return Err(Problem::invalid_genre("", "must be an object"));
    };
    if let Some(other) = names.iter().find(|member| *member != "name") {
        let short: String = other.chars().take(64).collect();
        let pointer = format!("/{}", short.replace('~', "~0").replace('/', "~1"));
        return Err(Problem::invalid_genre(&pointer, "is not a member of a genre"));
    }
    match members.get("name") {
        Some(_) if names.len() > 1 => Err(Problem::invalid_genre("/name", "gives the name a second time")),
        Some(Value::String(name)) => {
            GenreName::parse(name).map_err(|e| Problem::invalid_genre("/name", &e.0))
        }
        Some(_) => Err(Problem::invalid_genre("/name", "must be a string")),
        None => Err(Problem::invalid_genre("/name", "is required")),
    }
}
