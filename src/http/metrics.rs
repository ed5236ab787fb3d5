//! `/metrics`: everything that is counted, in the text format of Prometheus, or as OpenMetrics for who asks.

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::Site;
use super::problem::{Answer, Problem};
use crate::catalogue::Error;
use crate::telemetry::exposition;

/// GET /metrics
pub(super) async fn all(request: HttpRequest, site: Data<Site>) -> Answer {
    site.catalogue.gauge().await;
    let format = exposition::Format::accepted(accept(request.headers()));
    match exposition::told(&site.registry, format) {
        Ok(text) => Answer(Ok(HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::VARY, "Accept"))
            .content_type(format.media_type())
            .body(text))),
        Err(error) => {
            log::error!("the metrics cannot be encoded: {error}");
            Answer(Err(Problem::from(Error::Internal)))
        }
    }
}

fn accept(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::ACCEPT).filter_map(|accept| accept.to_str().ok())
}
