//! Bytes that are the same for everybody until the next release: sent whole, or not at all to who has them.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;

use crate::catalogue::Coding;
use crate::http::conditional::{is_known, movie_tag};

/// A ready answer.
#[derive(Debug)]
pub(in crate::http) struct Asset {
    media: &'static str,
    bytes: Bytes,
    tag: HeaderValue,
}

impl Asset {
    pub(super) fn new(media: &'static str, bytes: Bytes) -> Self {
        Self { media, tag: movie_tag(&bytes, Coding::Identity), bytes }
    }

    /// The bytes, or a 304 when the client has them.
    pub(super) fn answer(&self, request: &HttpRequest) -> HttpResponse {
        self.dressed(request, |_| ())
    }

    /// The same with more headers.
    pub(super) fn dressed(
        &self,
        request: &HttpRequest,
        dress: impl FnOnce(&mut HttpResponseBuilder),
    ) -> HttpResponse {
        let known = is_known(request.headers(), &self.tag);
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        dress(&mut response);
        response.insert_header((header::ETAG, self.tag.clone()));
        response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
        if known {
            return response.finish();
        }
        response.content_type(self.media).body(self.bytes.clone())
    }
}
