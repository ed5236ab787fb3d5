//! How the answer to a GET is dressed: validators, caching, coding, and how it was come by.

use std::cell::RefCell;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::conditional::{list_tag, number, server_timing};
use super::problem::REVISION;
use crate::catalogue::{Coding, Form, Head, Served, Source};

/// RFC 9211.
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// What an answer is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of {
    pub(super) head: Head,
    pub(super) form: Form,
    pub(super) coding: Coding,
    /// The length of the list.
    pub(super) total: u64,
    pub(super) served: Served,
}

/// The headers that change only with the state: made once for each, not for each request.
#[derive(Clone)]
struct Validators {
    stamp: u64,
    total: u64,
    tag: HeaderValue,
    revision: HeaderValue,
    count: HeaderValue,
}

thread_local! {
    /// The last ones that this worker made, by form and coding.
    static VALIDATORS: RefCell<[Option<Validators>; 4]> = const { RefCell::new([const { None }; 4]) };
}

fn validators(of: &Of) -> Validators {
    let slot = match (of.form, of.coding) {
        (Form::Array, Coding::Identity) => 0,
        (Form::Array, Coding::Gzip) => 1,
        (Form::Lines, Coding::Identity) => 2,
        (Form::Lines, Coding::Gzip) => 3,
    };
    VALIDATORS.with_borrow_mut(|all| {
        let Some(slot) = all.get_mut(slot) else {
            return make_validators(of);
        };
        match slot {
            Some(made) if made.stamp == of.head.stamp && made.total == of.total => made.clone(),
            _ => slot.insert(make_validators(of)).clone(),
        }
    })
}

fn make_validators(of: &Of) -> Validators {
    Validators {
        stamp: of.head.stamp,
        total: of.total,
        tag: list_tag(of.head.stamp, of.form, of.coding),
        revision: number(of.head.revision),
        count: number(of.total),
    }
}

/// The tag of a list, to be compared before its body is made.
pub(super) fn tag_of(of: &Of) -> HeaderValue {
    validators(of).tag
}

/// What the settings say of answers.
pub(super) struct Dress {
    cache_control: HeaderValue,
}

impl Dress {
    pub(super) fn new(cache_control: &str) -> Self {
        let cache_control = HeaderValue::from_str(cache_control);
        Self { cache_control: cache_control.unwrap_or(HeaderValue::from_static("no-cache")) }
    }

    /// An answer that is a list.
    pub(super) fn list(&self, status: StatusCode, of: &Of) -> HttpResponseBuilder {
        let made = validators(of);
        let mut response = self.common(status, of.coding, of.served, made.tag, made.revision);
        response.insert_header((TOTAL_COUNT, made.count));
        response.insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding, Accept")));
        if status == StatusCode::OK {
            response.insert_header((
                header::CONTENT_TYPE,
                match of.form {
                    Form::Array => JSON,
                    Form::Lines => NDJSON,
                },
            ));
        }
        response
    }

    /// An answer that is one movie.
    pub(super) fn one(
        &self,
        status: StatusCode,
        head: Head,
        coding: Coding,
        served: Served,
        tag: HeaderValue,
    ) -> HttpResponseBuilder {
        let mut response = self.common(status, coding, served, tag, number(head.revision));
        response.insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")));
        if status == StatusCode::OK {
            response.insert_header((header::CONTENT_TYPE, JSON));
        }
        response
    }

    fn common(
        &self,
        status: StatusCode,
        coding: Coding,
        served: Served,
        tag: HeaderValue,
        revision: HeaderValue,
    ) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        response.insert_header((header::ETAG, tag));
        response.insert_header((REVISION, revision));
        response.insert_header((header::CACHE_CONTROL, self.cache_control.clone()));
        response.insert_header((CACHE_STATUS, cache_status(served)));
        if coding == Coding::Gzip && status == StatusCode::OK {
            response.insert_header((header::CONTENT_ENCODING, GZIP));
        }
        if let Source::Load(cost) = served.from {
            response.insert_header((SERVER_TIMING, server_timing(cost)));
        }
        response
    }
}

fn cache_status(served: Served) -> HeaderValue {
    match (served.from, served.away) {
        (Source::Cache, None) => HeaderValue::from_static("marquee; hit"),
        (Source::Cache, Some(away)) => {
            HeaderValue::from_str(&format!("marquee; hit; ttl=-{}", away.as_secs().max(1)))
                .unwrap_or(HeaderValue::from_static("marquee; hit"))
        }
        (Source::Load(_), _) => HeaderValue::from_static("marquee; fwd=miss; stored"),
        (Source::Collapsed, _) => HeaderValue::from_static("marquee; fwd=miss; collapsed"),
    }
}

/// A gzip member (RFC 1952) of one stored block: for a client that takes nothing but gzip, where there is
/// nothing in the cache that is deflated. Nothing is compressed for a single request.
pub(super) fn stored_gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = bytes.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend([3, 0]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "RFC 1952 wants the length modulo 2^32")]
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn stored_members_are_read_back() {
        for length in [0, 1, 170, 0xffff, 0x10000, 200_000] {
            let bytes = vec![b'x'; length];
            let mut plain = Vec::new();
            flate2::bufread::GzDecoder::new(stored_gzip(&bytes).as_slice()).read_to_end(&mut plain).unwrap();
            assert_eq!(plain, bytes);
        }
    }

    #[test]
    fn an_answer_known_to_be_stale_says_so() {
        let away = Some(std::time::Duration::from_millis(5500));
        assert_eq!(cache_status(Served { from: Source::Cache, away }), "marquee; hit; ttl=-5");
        assert_eq!(cache_status(Served { from: Source::Cache, away: None }), "marquee; hit");
    }
}
