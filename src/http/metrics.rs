//! `/metrics`: everything that is counted, in the text format of Prometheus.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;

use super::Site;
use super::problem::{Answer, Problem};
use crate::catalogue::Error;

/// GET /metrics
pub(super) async fn all(site: Data<Site>) -> Answer {
    site.catalogue.gauge();
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &site.registry) {
        log::error!("the metrics cannot be encoded: {error}");
        return Answer(Err(Problem::from(Error::Internal)));
    }
    Answer(Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text)))
}
