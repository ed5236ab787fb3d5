//! Reading a request's body: its type, its length, its pace.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::Problem;
use crate::catalogue::Error;

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

/// What bodies may hold, each and together, and how slow they may be.
pub(super) struct Bodies {
    limit: usize,
    stall: Duration,
    room: Arc<Semaphore>,
}

/// A body that was read, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Bodies of at most `limit` bytes each and `together` bytes in all (one of the longest always fits) that
    /// never pause for longer than `stall`.
    pub(super) fn new(limit: usize, together: usize, stall: Duration) -> Self {
        let room = together.max(limit).min(Semaphore::MAX_PERMITS);
        Self { limit, stall, room: Arc::new(Semaphore::new(room)) }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// 413; 408; 400 when it breaks off; 503 when others hold all the room there is.
    pub(super) async fn read(&self, headers: &HeaderMap, mut payload: Payload) -> Result<Body, Problem> {
        let limit = self.limit;
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        // A client hears a refusal only once it has sent its body, so a little more than the limit is read
        // and thrown away.
        let read_up_to = limit.saturating_mul(2);
        if announced.is_some_and(|n| n > read_up_to as u64) {
            return Err(Problem::body_too_large(limit));
        }
        let mut body = BytesMut::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        let mut length = 0;
        loop {
            match timeout(self.stall, payload.next()).await {
                Err(_) => return Err(Problem::body_timeout()),
                Ok(Some(Err(_))) => return Err(Problem::body_broken()),
                Ok(Some(Ok(chunk))) => {
                    length += chunk.len();
                    if length > read_up_to {
                        return Err(Problem::body_too_large(limit));
                    }
                    if length <= limit {
                        self.take_room(&mut room, chunk.len())?;
                        body.extend_from_slice(&chunk);
                    }
                }
                Ok(None) if length > limit => return Err(Problem::body_too_large(limit)),
                Ok(None) => return Ok(Body { bytes: body.freeze(), _room: room }),
            }
        }
    }

    fn take_room(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Problem> {
        let more = u32::try_from(bytes).map_err(|_| Problem::from(Error::Busy))?;
        let more =
            Arc::clone(&self.room).try_acquire_many_owned(more).map_err(|_| Problem::from(Error::Busy))?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
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

    #[test]
    fn room_is_bounded_together_and_given_back() {
        let bodies = Bodies::new(10, 15, Duration::from_secs(1));
        let (mut one, mut other) = (None, None);
        bodies.take_room(&mut one, 6).unwrap();
        bodies.take_room(&mut one, 4).unwrap();
        assert!(bodies.take_room(&mut other, 6).is_err());
        drop(one);
        bodies.take_room(&mut other, 6).unwrap();
        // One of the longest always fits.
        Bodies::new(10, 1, Duration::from_secs(1)).take_room(&mut None, 10).unwrap();
    }
}
