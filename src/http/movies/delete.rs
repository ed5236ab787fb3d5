//! DELETE /v1/movies/{id}, and DELETE /v1/movies?id=1,2,3.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use url::form_urlencoded;

use super::{no_parameters, parse_id, written};
use crate::catalogue::{Coding, Condition, Known};
use crate::domain::movie_id;
use crate::http::Site;
use crate::http::conditional::{condition, movie_tag};
use crate::http::problem::{Answer, Problem};

/// DELETE /v1/movies/{id}
pub(in crate::http) async fn delete(request: HttpRequest, site: Data<Site>, id: Path<String>) -> Answer {
    Answer(delete_movie(&request, &site, &id).await)
}

async fn delete_movie(request: &HttpRequest, site: &Site, id: &str) -> Result<HttpResponse, Problem> {
    let id = parse_id(id)?;
    no_parameters(request)?;
    let deleted = site.catalogue.delete(id, condition(request.headers())).await;
    let head = deleted.map_err(|error| Problem::of_conditional(error, request.headers()))?;
    Ok(written(StatusCode::NO_CONTENT, head).finish())
}

/// DELETE /v1/movies?id=1,2,3
pub(in crate::http) async fn delete_many(request: HttpRequest, site: Data<Site>) -> Answer {
    Answer(delete_movies(&request, &site).await)
}

async fn delete_movies(request: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let ids = ids(request.query_string(), site.array_limit)?;
    // Whose? Nothing is deleted on a condition that nobody looked at; that there is a collection is true.
    let Condition { matches: None | Some(Known::Any), none_matches: None } = condition(request.headers())
    else {
        return Err(Problem::condition_of_many());
    };
    let gone = site.catalogue.delete_many(ids).await?;
    let body = json!({ "deleted": gone.deleted, "missing": gone.missing }).to_string();
    let mut response = written(StatusCode::OK, gone.head);
    response.insert_header((header::ETAG, movie_tag(body.as_bytes(), Coding::Identity)));
    Ok(response.content_type("application/json").body(body))
}

/// The movies to delete, each once, in the order that they are named in. Without any, nothing is deleted: nobody
/// empties a collection by a slip.
fn ids(query: &str, limit: usize) -> Result<Vec<u64>, Problem> {
    if query.len() > crate::http::LONGEST_URI {
        return Err(Problem::uri_too_long(crate::http::LONGEST_URI));
    }
    let mut list = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "id" {
            return Err(Problem::unknown_parameter(&name));
        }
        if list.replace(value).is_some() {
            return Err(Problem::invalid_parameter("id", "may be given once: id=1,2,3"));
        }
    }
    let must = "must list the movies to delete: id=1,2,3";
    let list = list.ok_or_else(|| Problem::invalid_parameter("id", must))?;
    let mut ids: Vec<u64> = Vec::new();
    for text in list.split(',') {
        let id = movie_id(text).ok_or_else(|| Problem::invalid_parameter("id", must))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.len() > limit {
        let must = format!("may list at most {limit} movies (MARQUEE_ARRAY_LIMIT): send several requests");
        return Err(Problem::invalid_parameter("id", &must));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_once_and_nothing_else_is() {
        assert_eq!(ids("id=3,1,3,2", 10).unwrap(), [3, 1, 2]);
        assert_eq!(ids("id=1%2C2", 10).unwrap(), [1, 2]);
        for bad in
            ["", "id", "id=", "id=1,", "id=1&id=2", "id=a", "id=-1", "id=01", "id=1;2", "id=1, 2", "ids=1"]
        {
            assert!(ids(bad, 10).is_err(), "{bad}");
        }
        assert!(ids("id=1,2,3", 2).is_err());
    }
}
