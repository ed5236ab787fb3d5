//! Reading a request's body: its type, its length, its pace.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::problem::Problem;

/// What a body says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// One JSON document.
    Json,
    /// One a line.
    Lines,
}

/// The type of a body that is acceptable.
///
/// # Errors
/// 415 when it is missing or another, in another charset, or coded.
pub(super) fn media(headers: &HeaderMap) -> Result<Media, Problem> {
    if headers
        .get_all(header::CONTENT_ENCODING)
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::unsupported_media_type("send the body without a Content-Encoding"));
    }
    let unsupported = || {
        Problem::unsupported_media_type(
            "send Content-Type: application/json, or application/x-ndjson for one a line",
        )
    };
    let value =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or_else(unsupported)?;
    let mut parts = value.split(';').map(str::trim);
    let media = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "application/json" => Media::Json,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Media::Lines,
        _ => return Err(unsupported()),
    };
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("charset")
            && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        {
            return Err(Problem::unsupported_media_type("send the body in UTF-8"));
        }
    }
    Ok(media)
}

/// Reads a body of at most `limit` bytes that never pauses for longer than `stall`.
///
/// # Errors
/// 413, 408, or 400 when it breaks off.
pub(super) async fn read(
    headers: &HeaderMap,
    mut payload: Payload,
    limit: usize,
    stall: Duration,
) -> Result<Bytes, Problem> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut body =
        BytesMut::with_capacity(announced.map_or(0, |n| usize::try_from(n).unwrap_or(limit).min(limit)));
    // A client hears a refusal only once it has sent its body, so a little more than the limit is read and
    // thrown away.
    let mut length = 0;
    let read_up_to = limit.saturating_mul(2);
    if announced.is_some_and(|n| n > read_up_to as u64) {
        return Err(Problem::body_too_large(limit));
    }
    loop {
        match timeout(stall, payload.next()).await {
            Err(_) => return Err(Problem::body_timeout()),
            Ok(Some(Err(_))) => return Err(Problem::body_broken()),
            Ok(Some(Ok(chunk))) => {
                length += chunk.len();
                if length > read_up_to {
                    return Err(Problem::body_too_large(limit));
                }
                if length <= limit {
                    body.extend_from_slice(&chunk);
                }
            }
            Ok(None) if length > limit => return Err(Problem::body_too_large(limit)),
            Ok(None) => return Ok(body.freeze()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn of(content_type: &'static str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        media(&headers).ok()
    }

    #[test]
    fn only_json_and_lines_in_utf_8_are_taken() {
        assert_eq!(of("application/json"), Some(Media::Json));
        assert_eq!(of("Application/JSON; charset=\"UTF-8\""), Some(Media::Json));
        assert_eq!(of("application/x-ndjson"), Some(Media::Lines));
        for other in
            ["", "text/json", "application/json; charset=latin1", "application/x-www-form-urlencoded"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert!(media(&HeaderMap::new()).is_err());
        let mut coded = HeaderMap::new();
        coded.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        coded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(media(&coded).is_err());
    }
}
