//! How the answer to a GET is dressed: validators, caching, coding, and how it was come by.

use std::cell::RefCell;

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::conditional::{is_known, list_tag, number, server_timing};
use super::problem::REVISION;
use crate::catalogue::{Coding, Each, Form, Head, LoadCost, Served, Source};

/// RFC 9211.
pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

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

/// A page to be answered.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) head: Head,
    pub(super) form: Form,
    pub(super) coding: Coding,
    /// How many match.
    pub(super) total: u64,
    pub(super) served: Served,
    pub(super) tag: HeaderValue,
}

/// One movie to be answered.
#[derive(Debug, Clone)]
pub(super) struct One {
    pub(super) head: Head,
    pub(super) coding: Coding,
    pub(super) served: Served,
    pub(super) tag: HeaderValue,
}

/// The headers that change only with the state: made once for each, not for each request.
struct Validators {
    stamp: u64,
    total: u64,
    tag: HeaderValue,
    revision: HeaderValue,
    count: HeaderValue,
}

thread_local! {
    /// The last ones that this worker made, by form and coding.
    static VALIDATORS: Each<RefCell<Option<Validators>>> =
        const { Each::new([const { RefCell::new(None) }; 6]) };
}

/// What `look` makes of the headers that change only with the state.
fn validators<T>(of: &Of, look: impl FnOnce(&Validators) -> T) -> T {
    VALIDATORS.with(|all| {
        let mut slot = all.of(of.form, of.coding).borrow_mut();
        let made = slot.take_if(|made| made.stamp == of.head.stamp && made.total == of.total);
        look(slot.insert(made.unwrap_or_else(|| make_validators(of))))
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

/// Whether a client has a list already, as far as its request tells: to be asked before the body is made.
pub(super) fn has_list(headers: &HeaderMap, of: &Of) -> bool {
    validators(of, |made| is_known(headers, &made.tag))
}

/// What the settings say of answers.
pub(super) struct Dress {
    cache_control: HeaderValue,
}

impl Dress {
    /// `cache_control` as it is set; where not everybody may read, caches that several people share must not keep
    /// what one of them was told.
    pub(super) fn new(cache_control: &str, public: bool) -> Self {
        let cache_control = if public { cache_control.to_owned() } else { private(cache_control) };
        let cache_control = HeaderValue::from_str(&cache_control);
        Self { cache_control: cache_control.unwrap_or(HeaderValue::from_static("no-cache")) }
    }

    /// An answer that is a list.
    pub(super) fn list(&self, status: StatusCode, of: &Of, body: BoxBody) -> HttpResponse {
        validators(of, |made| {
            let (tag, revision) = (made.tag.clone(), made.revision.clone());
            let mut response = self.common(status, of.coding, of.served, tag, revision, body);
            describe_list(response.headers_mut(), status, of.form, made.count.clone());
            response
        })
    }

    /// An answer that is a page: no two pages have the same, so nothing is kept for the next.
    pub(super) fn page(&self, status: StatusCode, page: Listed, body: BoxBody) -> HttpResponse {
        let Listed { head, form, coding, total, served, tag } = page;
        let mut response = self.common(status, coding, served, tag, number(head.revision), body);
        describe_list(response.headers_mut(), status, form, number(total));
        response
    }

    /// An answer that is one movie.
    pub(super) fn one(&self, status: StatusCode, one: One, body: BoxBody) -> HttpResponse {
        let One { head, coding, served, tag } = one;
        let mut response = self.common(status, coding, served, tag, number(head.revision), body);
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if status == StatusCode::OK {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        response
    }

    /// Not by a builder, which looks at each header twice.
    fn common(
        &self,
        status: StatusCode,
        coding: Coding,
        served: Served,
        tag: HeaderValue,
        revision: HeaderValue,
        body: BoxBody,
    ) -> HttpResponse {
        let mut response = HttpResponse::with_body(status, body);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, tag);
        headers.insert(REVISION, revision);
        headers.insert(header::CACHE_CONTROL, self.cache_control.clone());
        headers.insert(CACHE_STATUS, cache_status(served));
        if coding != Coding::Identity && status == StatusCode::OK {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        match served.from {
            Source::Cache => {}
            Source::Load(cost) => {
                headers.insert(SERVER_TIMING, server_timing(cost));
            }
            // It missed, but another request's load was to be had.
            Source::Collapsed => {
                headers.insert(SERVER_TIMING, server_timing(LoadCost::default()));
            }
        }
        response
    }
}

fn describe_list(headers: &mut HeaderMap, status: StatusCode, form: Form, count: HeaderValue) {
    headers.insert(TOTAL_COUNT, count);
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding, Accept"));
    if status == StatusCode::OK {
        let form = match form {
            Form::Array => JSON,
            Form::Lines => NDJSON,
        };
        headers.insert(header::CONTENT_TYPE, form);
    }
}

/// A Cache-Control without what would have shared caches keep it in spite of a token (RFC 9111, section 3.5).
fn private(cache_control: &str) -> String {
    let shares = |directive: &str| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        ["public", "private", "s-maxage"].iter().any(|other| name.eq_ignore_ascii_case(other))
    };
    let others = cache_control.split(',').map(str::trim).filter(|directive| !shares(directive));
    ["private"].into_iter().chain(others).collect::<Vec<_>>().join(", ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_token_is_kept_by_nobody_else() {
        for (set, told) in [
            ("no-cache", "private, no-cache"),
            ("max-age=60, stale-while-revalidate=600", "private, max-age=60, stale-while-revalidate=600"),
            ("Public,max-age=5, S-MaxAge=9", "private, max-age=5"),
            ("private", "private"),
        ] {
            assert_eq!(private(set), told);
        }
    }

    #[test]
    fn an_answer_known_to_be_stale_says_so() {
        let away = Some(std::time::Duration::from_millis(5500));
        assert_eq!(cache_status(Served { from: Source::Cache, away }), "marquee; hit; ttl=-5");
        assert_eq!(cache_status(Served { from: Source::Cache, away: None }), "marquee; hit");
    }
}
