//! How often one client may ask: a bucket of requests for each, which fills up again at a steady rate
//! (GCRA), told in the fields of the IETF draft "RateLimit header fields for HTTP".
//!
//! This layer is there only where `MARQUEE_RATE_LIMIT` asks for it.

mod buckets;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest, Responder};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};

use super::auth::Gate;
use super::client::Proxies;
use super::conditional::number;
use super::problem::{Answer, Problem};
use crate::config::Rate;
use buckets::{Buckets, Key};

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Who asks on behalf of the installation must not be refused for what clients do.
const EXEMPT: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The buckets of all workers.
pub(super) struct Limit<C: Clock = DefaultClock> {
    limiter: RateLimiter<Key, Buckets, C, StateInformationMiddleware>,
    rate: Rate,
    policy: HeaderValue,
    proxies: Arc<Proxies>,
}

/// What a client is told of its bucket.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It may ask; this many requests are left, and in so many seconds the bucket is full.
    Passed { left: u32, full_in: u64 },
    /// It may ask again in so many seconds.
    Refused { again_in: u64 },
}

impl Limit {
    pub(super) fn new(rate: Rate, proxies: &Arc<Proxies>) -> Self {
        Self::with_clock(rate, proxies, DefaultClock::default())
    }
}

impl<C: Clock> Limit<C> {
    fn with_clock(rate: Rate, proxies: &Arc<Proxies>, clock: C) -> Self {
        // A period is never 0: at most 1,000,000 requests are allowed in a second.
        let quota = Quota::with_period(rate.period).unwrap_or(Quota::per_second(rate.burst));
        let window = seconds(rate.period * rate.burst.get());
        let policy = HeaderValue::from_str(&format!("\"default\";q={};w={window}", rate.burst));
        Self {
            limiter: RateLimiter::new(quota.allow_burst(rate.burst), Buckets::default(), clock),
            rate,
            policy: policy.unwrap_or(HeaderValue::from_static("\"default\"")),
            proxies: Arc::clone(proxies),
        }
    }

    fn ask(&self, key: Key) -> Verdict {
        match self.limiter.check_key(&key) {
            Ok(bucket) => {
                let left = bucket.remaining_burst_capacity();
                let taken = self.rate.burst.get().saturating_sub(left);
                Verdict::Passed { left, full_in: seconds(self.rate.period * taken) }
            }
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                Verdict::Refused { again_in: seconds(wait) }
            }
        }
    }

    /// Whose bucket a request is taken from: its token's, if that is a live one, so that nobody makes himself
    /// a new bucket with a token that he invents; else that of the client's address.
    fn key(&self, gate: &Gate, request: &HttpRequest) -> Key {
        match gate.token(request.headers()) {
            Some(id) => Key::Token(id),
            None => Key::of(self.proxies.client(request).unwrap_or(IpAddr::from([0, 0, 0, 0]))),
        }
    }

    fn tell(&self, headers: &mut HeaderMap, left: u32, seconds: u64) {
        headers.insert(RATE_LIMIT_POLICY, self.policy.clone());
        if let Ok(value) = HeaderValue::from_str(&format!("\"default\";r={left};t={seconds}")) {
            headers.insert(RATE_LIMIT, value);
        }
    }
}

/// Whole seconds, at least one: what is too early is refused again.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The layer: lets a request pass and tells what is left, or refuses it.
pub(super) async fn limited<B: MessageBody + 'static>(
    limit: Data<Limit>,
    gate: Data<Gate>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if EXEMPT.contains(&request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    match limit.ask(limit.key(&gate, request.request())) {
        Verdict::Passed { left, full_in } => {
            let mut response = next.call(request).await?.map_into_boxed_body();
            limit.tell(response.headers_mut(), left, full_in);
            Ok(response)
        }
        Verdict::Refused { again_in } => {
            let refusal = Answer(Err(Problem::rate_limited(again_in)));
            let mut response = refusal.respond_to(request.request());
            response.headers_mut().insert(header::RETRY_AFTER, number(again_in));
            limit.tell(response.headers_mut(), 0, again_in);
            Ok(request.into_response(response))
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(rate: &str) -> (Limit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limit::with_clock(rate.parse().unwrap(), &Arc::default(), clock.clone()), clock)
    }

    fn key(address: &str) -> Key {
        Key::of(address.parse().unwrap())
    }

    #[test]
    fn a_bucket_empties_and_fills_up_again() {
        let (limit, clock) = limit("10/s");
        assert_eq!(limit.policy, "\"default\";q=10;w=1");
        for left in (0..10).rev() {
            assert_eq!(limit.ask(key("192.0.2.1")), Verdict::Passed { left, full_in: 1 });
        }
        assert_eq!(limit.ask(key("192.0.2.1")), Verdict::Refused { again_in: 1 });
        assert_eq!(limit.ask(key("192.0.2.2")), Verdict::Passed { left: 9, full_in: 1 });
        clock.advance(Duration::from_millis(100));
        assert_eq!(limit.ask(key("192.0.2.1")), Verdict::Passed { left: 0, full_in: 1 });
        assert_eq!(limit.ask(key("192.0.2.1")), Verdict::Refused { again_in: 1 });
        clock.advance(Duration::from_secs(60));
        assert_eq!(limit.ask(key("192.0.2.1")), Verdict::Passed { left: 9, full_in: 1 });
    }

    #[test]
    fn a_burst_is_another_bucket_at_the_same_rate() {
        let (limit, clock) = limit("1/m,burst=2");
        assert_eq!(limit.policy, "\"default\";q=2;w=120");
        assert_eq!(limit.ask(key("::1")), Verdict::Passed { left: 1, full_in: 60 });
        assert_eq!(limit.ask(key("::1")), Verdict::Passed { left: 0, full_in: 120 });
        clock.advance(Duration::from_millis(59_500));
        assert_eq!(limit.ask(key("::1")), Verdict::Refused { again_in: 1 });
        clock.advance(Duration::from_millis(500));
        assert_eq!(limit.ask(key("::1")), Verdict::Passed { left: 0, full_in: 120 });
    }

    #[test]
    fn who_has_a_network_of_addresses_has_one_bucket() {
        assert_eq!(key("2001:db8::1"), key("2001:db8:0:0:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_ne!(key("0.0.0.1"), key("0:0:0:1::"));
    }
}
