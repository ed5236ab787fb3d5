//! GET /v1/movies?…: the movies that match, a page at a time.

mod cursor;
mod links;
mod parameters;

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use tokio::time::timeout_at;

use crate::http::Site;
use crate::http::answer::Listed;
use crate::http::conditional::{is_known, page_tag};
use crate::http::negotiate;
use crate::http::problem::Problem;

/// Whether a query asks for nothing in particular: the whole collection.
pub(super) fn asks_for_all(query: &str) -> bool {
    query.split('&').all(str::is_empty)
}

pub(super) async fn page(request: &HttpRequest, site: &Site) -> Result<HttpResponse, Problem> {
    let query = parameters::read(request.query_string())?;
    let headers = request.headers();
    let (form, coding) = (negotiate::form(headers), negotiate::coding(headers)?);
    let deadline = site.reached(headers).await?;
    let found = timeout_at(deadline, site.catalogue.find(query.clone(), form));
    let found = found.await.map_err(|_| Problem::timeout())??;
    let page = &found.page;
    let tag = page_tag(page.print, form, coding);
    let known = is_known(headers, &tag);
    let of = Listed { head: page.head, form, coding, total: page.total, served: found.served, tag };
    let mut response = if known {
        site.dress.page(StatusCode::NOT_MODIFIED, of, ().boxed())
    } else {
        site.dress.page(StatusCode::OK, of, site.catalogue.page_body(page, coding).await?.boxed())
    };
    response.headers_mut().insert(header::LINK, links::of(&query, page));
    Ok(response)
}
