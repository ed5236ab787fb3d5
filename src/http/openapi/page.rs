//! `/docs`: Swagger UI, its files compiled in. The page has no script or style of its own inline, so that a strict
//! Content-Security-Policy holds, and nothing of it comes from another host.

use std::sync::{Arc, LazyLock};

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use super::asset::Asset;
use crate::http::page;
use crate::http::problem::{Answer, Problem};

/// The page.
static PAGE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/html; charset=utf-8", Bytes::from_static(include_bytes!("page/index.html")))
});

/// What the page loads, by name.
static FILES: LazyLock<[(&str, Asset); 4]> = LazyLock::new(|| {
    let script = "text/javascript; charset=utf-8";
    [
        ("start.js", Asset::new(script, Bytes::from_static(include_bytes!("page/start.js")))),
        ("swagger-ui-bundle.js", Asset::new(script, vendored("swagger-ui-bundle.js"))),
        ("swagger-ui.css", Asset::new("text/css; charset=utf-8", vendored("swagger-ui.css"))),
        ("favicon-32x32.png", Asset::new("image/png", vendored("favicon-32x32.png"))),
    ]
});

/// The names of what the page loads.
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// A file of Swagger UI as it was released.
fn vendored(name: &str) -> Bytes {
    match utoipa_swagger_ui::serve(name, Arc::new(Config::default())) {
        Ok(Some(file)) => file.bytes.into_owned().into(),
        Ok(None) | Err(_) => Bytes::new(),
    }
}

/// GET /docs
pub(in crate::http) async fn index(request: HttpRequest) -> Answer {
    Answer(Ok(PAGE.dressed(&request, page::dress)))
}

/// GET /docs/{file}
pub(in crate::http) async fn file(request: HttpRequest, name: Path<String>) -> Answer {
    Answer(match FILES.iter().find(|(known, _)| *known == name.as_str()) {
        Some((_, asset)) => Ok(asset.dressed(&request, |response| {
            response.insert_header((header::X_CONTENT_TYPE_OPTIONS, page::NO_SNIFF));
        })),
        None => Err(Problem::no_route()),
    })
}

/// GET /: there is no web page yet but the one that documents.
pub(in crate::http) async fn root() -> HttpResponse {
    HttpResponse::Found()
        .insert_header((header::LOCATION, HeaderValue::from_static("/docs")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that a later release of Swagger UI no longer has would be an empty file.
    #[test]
    fn every_file_is_there_and_the_page_loads_just_these() {
        let page = include_str!("page/index.html");
        for (name, _) in FILES.iter() {
            assert!(page.contains(&format!("\"docs/{name}\"")), "{name}");
        }
        assert_eq!(page.matches("docs/").count(), FILES.len());
        for name in ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"] {
            assert!(!vendored(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
        let page = include_str!("page/index.html");
        for inline in ["<style", " style=", " onload=", "<script>", "://", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
        assert!(!include_str!("page/start.js").contains("://"));
    }
}
