//! The id of a request: taken over from the client, taken from its trace, or drawn.
//!
//! A request without either stays without one as long as nobody would read it.

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http::brings::Brings;

/// The id of a request, in what was asked and in what is answered.
pub(in crate::http) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context, level 1.
pub(in crate::http) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest id that is taken over, in bytes.
const LONGEST: usize = 128;

/// The id that a request brings: its `X-Request-Id`, or trace and span of its `traceparent`.
fn brought(headers: &HeaderMap) -> Option<HeaderValue> {
    if !Brings::of(headers).id {
        return None;
    }
    let id = headers.get(&X_REQUEST_ID).filter(|id| is_sane(id.as_bytes()));
    match id {
        Some(id) => Some(id.clone()),
        // The trace alone would not do: one trace may have many requests, and a span names one of them.
        None => HeaderValue::from_str(traceparent(headers)?.get(TRACE_AND_SPAN)?).ok(),
    }
}

/// The id that a request brings, or a new one.
pub(in crate::http) fn request_id(headers: &HeaderMap) -> HeaderValue {
    brought(headers).unwrap_or_else(drawn)
}

/// Gives an answer the id of its request: the one that it has, or that the request brought, or, where it is
/// `needed`, a new one.
pub(super) fn settle<B>(response: &mut ServiceResponse<B>, needed: bool) -> Option<HeaderValue> {
    // Only a fault has been given one already.
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR
        && let Some(given) = response.headers().get(&X_REQUEST_ID)
    {
        return Some(given.clone());
    }
    let id = brought(response.request().headers()).or_else(|| needed.then(drawn))?;
    response.headers_mut().insert(X_REQUEST_ID.clone(), id.clone());
    Some(id)
}

fn drawn() -> HeaderValue {
    let id = format!("{:032x}", rand::random::<u128>());
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

/// Signs that mean nothing to a log, a shell, a URL or HTML.
fn is_sane(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@~|".contains(b))
}

const TRACE: std::ops::Range<usize> = 3..35;
const SPAN: std::ops::Range<usize> = 36..52;
const TRACE_AND_SPAN: std::ops::Range<usize> = TRACE.start..SPAN.end;

/// The trace that a request is part of, and the span of its caller: 32 and 16 hexadecimal digits.
pub(super) fn trace(headers: &HeaderMap) -> Option<(&str, &str)> {
    let text = traceparent(headers)?;
    Some((text.get(TRACE)?, text.get(SPAN)?))
}

/// A `traceparent` that is well-formed (W3C Trace Context, section 3.2): `00-TRACE-SPAN-FLAGS`. A malformed
/// or repeated one is as good as none; one of a later version may go on after a hyphen.
fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(&TRACEPARENT);
    let (Some(only), None) = (all.next(), all.next()) else {
        return None;
    };
    let text = only.to_str().ok()?;
    let part = |range: std::ops::Range<usize>| text.get(range).filter(|part| part.bytes().all(is_hex));
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let (version, trace, span, _flags) = (part(0..2)?, part(TRACE)?, part(SPAN)?, part(53..55)?);
    let hyphens = [2, 35, 52].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-'));
    let ends = match text.as_bytes().get(55) {
        None => true,
        Some(next) => version != "00" && *next == b'-',
    };
    (hyphens && ends && version != "ff" && !is_zero(trace) && !is_zero(span)).then_some(text)
}

fn is_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn with(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        HeaderMap::from_iter(lines)
    }

    #[test]
    fn a_trace_is_read() {
        let later = format!("01{}-what-comes-then", &GOOD[2..]);
        for good in [GOOD, &later] {
            let headers = with(&[(TRACEPARENT.clone(), good)]);
            assert_eq!(
                trace(&headers),
                Some(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")),
                "{good}"
            );
            assert_eq!(brought(&headers).unwrap(), "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331");
        }
    }

    #[test]
    fn a_malformed_trace_is_none() {
        let zero_trace = GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32));
        let zero_span = GOOD.replace("b7ad6b7169203331", &"0".repeat(16));
        let (long, glued) = (format!("{GOOD}-00"), format!("01{}x", &GOOD[2..]));
        let (upper, invalid) = (GOOD.to_uppercase(), format!("ff{}", &GOOD[2..]));
        let (short, joined) = (&GOOD[..54], format!("{GOOD},{GOOD}"));
        let signs = GOOD.replace('-', "_");
        for bad in [
            "",
            "00",
            "x",
            &zero_trace,
            &zero_span,
            &long,
            &glued,
            &upper,
            &invalid,
            short,
            &joined,
            &signs,
            "é",
        ] {
            assert_eq!(trace(&with(&[(TRACEPARENT.clone(), bad)])), None, "{bad}");
        }
        assert_eq!(
            trace(&with(&[(TRACEPARENT.clone(), GOOD), (TRACEPARENT.clone(), GOOD)])),
            None,
            "repeated"
        );
    }

    #[test]
    fn an_id_is_taken_over_when_it_is_sane() {
        let longest = "a".repeat(LONGEST);
        for good in ["7", "a-B_c.9:/+=@~|", &longest] {
            let headers = with(&[(X_REQUEST_ID.clone(), good), (TRACEPARENT.clone(), GOOD)]);
            assert_eq!(brought(&headers).unwrap(), good);
        }
        let longer = "a".repeat(LONGEST + 1);
        for bad in ["", "a b", "<a>", "a,b", "\"a\"", "a\u{e9}", &longer] {
            assert_eq!(brought(&with(&[(X_REQUEST_ID.clone(), bad)])), None, "{bad}");
        }
        let headers = with(&[(X_REQUEST_ID.clone(), "a b"), (TRACEPARENT.clone(), GOOD)]);
        assert!(brought(&headers).is_some(), "the trace stands in for an id that is no good");
    }

    #[test]
    fn drawn_ids_differ() {
        assert_ne!(drawn(), drawn());
        assert_eq!(drawn().len(), 32);
    }
}
