//! Which of the headers that decide about a read a request brings: found in one pass over their names. A look-up of
//! each would cost a hit more than all the names that most clients send.

use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, IF_NONE_MATCH};

use super::min_revision::MIN_REVISION;
use super::observe::{TRACEPARENT, X_REQUEST_ID};

/// Whether a request brings each of them. What they say is not looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Brings {
    pub(super) accept: bool,
    pub(super) accept_encoding: bool,
    pub(super) if_none_match: bool,
    pub(super) min_revision: bool,
    /// `X-Request-Id` or `traceparent`.
    pub(super) id: bool,
}

impl Brings {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut brings = Self::default();
        for name in headers.keys() {
            if *name == ACCEPT {
                brings.accept = true;
            } else if *name == ACCEPT_ENCODING {
                brings.accept_encoding = true;
            } else if *name == IF_NONE_MATCH {
                brings.if_none_match = true;
            } else if *name == MIN_REVISION {
                brings.min_revision = true;
            } else if *name == X_REQUEST_ID || *name == TRACEPARENT {
                brings.id = true;
            }
        }
        brings
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn each_header_is_seen_and_no_other() {
        let of = |names: &[&'static str]| {
            let name = |name: &&'static str| (HeaderName::from_static(name), HeaderValue::from_static("x"));
            Brings::of(&names.iter().map(name).collect())
        };
        let none = Brings::default();
        assert_eq!(of(&["host", "user-agent", "accept-language", "if-match", "x-request"]), none);
        assert_eq!(of(&["host", "accept"]), Brings { accept: true, ..none });
        assert_eq!(of(&["accept-encoding", "host"]), Brings { accept_encoding: true, ..none });
        assert_eq!(of(&["if-none-match"]), Brings { if_none_match: true, ..none });
        assert_eq!(of(&["marquee-min-revision"]), Brings { min_revision: true, ..none });
        for id in ["x-request-id", "traceparent"] {
            assert_eq!(of(&[id]), Brings { id: true, ..none });
        }
        let all = ["accept", "traceparent", "accept-encoding", "marquee-min-revision", "if-none-match"];
        let every =
            Brings { accept: true, accept_encoding: true, if_none_match: true, min_revision: true, id: true };
        assert_eq!(of(&all), every);
    }
}
