//! The access log: one record for each answer, its parts as fields of their own.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderValue};

use super::ids;
use crate::http::answer::CACHE_STATUS;
use crate::http::auth::Caller;
use crate::http::client::Proxies;

/// The target of the records, to be filtered by.
const TARGET: &str = "access";
/// The most of a target and of a client's description of itself that is logged, in bytes.
const LONGEST_TARGET: usize = 2048;
const LONGEST_AGENT: usize = 512;

/// Whether records would go anywhere.
pub(in crate::http) fn is_listened_to() -> bool {
    log::log_enabled!(target: TARGET, log::Level::Info)
}

/// What is known of an answer before its body has gone.
pub(super) struct Line {
    request: HttpRequest,
    status: u16,
    cache: Option<HeaderValue>,
    client: Option<IpAddr>,
    id: Option<HeaderValue>,
    began: Instant,
}

impl Line {
    pub(super) fn of<B>(
        response: &ServiceResponse<B>,
        proxies: &Proxies,
        id: Option<HeaderValue>,
        began: Instant,
    ) -> Self {
        Self {
            request: response.request().clone(),
            status: response.status().as_u16(),
            cache: response.headers().get(&CACHE_STATUS).cloned(),
            client: proxies.client(response.request()),
            id,
            began,
        }
    }

    /// Whether the answer has no body whatever its head says.
    pub(super) fn is_of_head(&self) -> bool {
        *self.request.method() == actix_web::http::Method::HEAD
    }

    /// Logs it. `bytes` of the body were handed over; `broken` when that was not all.
    pub(super) fn write(&self, bytes: u64, broken: bool) {
        let headers = self.request.headers();
        let uri = self.request.uri();
        let target = uri.path_and_query().map_or_else(|| uri.path(), |target| target.as_str());
        let agent = headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let client = self.client.map(|address| address.to_string());
        let text = |value: &Option<HeaderValue>| {
            value.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let trace = ids::trace(headers);
        // To the microsecond.
        let duration_ms = (self.began.elapsed().as_nanos() / 1000) as f64 / 1000.0;
        log::info!(
            target: TARGET,
            method = shortened(self.request.method().as_str(), 32).as_ref(),
            path = shortened(target, LONGEST_TARGET).as_ref(),
            status = self.status,
            bytes = bytes,
            duration_ms = duration_ms,
            client = client.as_deref(),
            token = Caller::of(&self.request).token,
            request_id = text(&self.id).as_deref(),
            trace_id = trace.map(|(trace, _)| trace),
            parent_id = trace.map(|(_, parent)| parent),
            cache = text(&self.cache).as_deref(),
            user_agent = agent.as_deref().map(|agent| shortened(agent, LONGEST_AGENT)).as_deref(),
            broken = broken.then_some(true);
            "answered"
        );
    }
}

/// At most `bytes` of a text, and a sign that there was more.
fn shortened(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "abc…");
        assert_eq!(shortened("aéé", 2), "a…");
    }
}
