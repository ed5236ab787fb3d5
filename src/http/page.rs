//! How what browsers show is dressed: nothing from another host, in nobody's frame, as what it says it is.

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{self, HeaderName, HeaderValue};

/// What browsers may load and run for a page: what this server has, and pictures within the page. Swagger UI
/// writes `style` attributes; no script may stand in a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Puts the headers on that every answer for people has. What programs read, the hot path above all, goes
/// without them: browsers do not take `application/json` for anything else.
pub(super) fn dress(response: &mut HttpResponseBuilder) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    ] {
        response.insert_header((name, HeaderValue::from_static(value)));
    }
}

/// That a browser takes an answer for what it says it is.
pub(super) const NO_SNIFF: &str = "nosniff";

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
