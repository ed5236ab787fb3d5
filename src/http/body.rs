//! Reading a request's body: its type, its length, its pace.

use std::num::NonZero;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread::available_parallelism;

use actix_web::http::header::{self, HeaderMap};
use actix_web::rt::time::{Instant, timeout};
use actix_web::web::{Bytes, BytesMut, Payload, block};
use actix_web::{HttpRequest, error::PayloadError};
use futures_util::{Stream, StreamExt, poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Site;
use super::pace::Pace;
use super::problem::Problem;
use super::wire::{Link, Reading};
use crate::catalogue::Error;

/// What a body says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// One JSON document.
    Json,
    /// One a line.
    Lines,
}

impl Media {
    /// The type that an answer in the same form has.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }
}

/// The types of a PATCH.
pub(super) const PATCHES: &str = "application/merge-patch+json, application/json";

/// The type of a body that brings movies.
///
/// # Errors
/// 415 when it is missing or another, in another charset, or coded.
pub(super) fn media(headers: &HeaderMap) -> Result<Media, Problem> {
    let wanted = "send Content-Type: application/json, or application/x-ndjson for one a line";
    media_of(headers, wanted, |is| {
        let lines = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
        let of_lines = || lines.into_iter().any(is).then_some(Media::Lines);
        is("application/json").then_some(Media::Json).or_else(of_lines)
    })
}

/// That a body is one JSON document.
///
/// # Errors
/// As [`media`].
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    media_of(headers, "send Content-Type: application/json", |is| is("application/json").then_some(()))
}

/// That a body is a merge patch (RFC 7396), whose own type need not be named.
///
/// # Errors
/// As [`media`], with the types that are taken.
pub(super) fn is_patch(headers: &HeaderMap) -> Result<(), Problem> {
    media_of(headers, "send Content-Type: application/merge-patch+json", |is| {
        PATCHES.split(", ").any(is).then_some(())
    })
    .map_err(Problem::unsupported_patch)
}

fn media_of<T>(
    headers: &HeaderMap,
    wanted: &str,
    known: impl FnOnce(&dyn Fn(&str) -> bool) -> Option<T>,
) -> Result<T, Problem> {
    if headers
        .get_all(header::CONTENT_ENCODING)
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::unsupported_media_type("send the body without a Content-Encoding"));
    }
    let unsupported = || Problem::unsupported_media_type(wanted);
    let value =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or_else(unsupported)?;
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let media = known(&|name| media.eq_ignore_ascii_case(name)).ok_or_else(unsupported)?;
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

/// Bodies beyond this length are parsed off the threads that serve, which have others to answer meanwhile.
const PARSED_IN_PLACE: usize = 64 << 10;

/// What was made of a body. One that was long has a turn, since what is made of it can weigh several times as much:
/// there are as many turns as processors.
#[derive(Debug)]
pub(super) struct Parsed<T> {
    pub(super) value: T,
    pub(super) turn: Turn,
}

/// The next long body is parsed when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Ends when `write` has been begun: when the mailbox, which weighs what waits in it, has taken or refused what
    /// was parsed.
    pub(super) async fn until_begun<T>(self, write: impl Future<Output = T>) -> T {
        let mut write = pin!(write);
        let begun = poll!(write.as_mut());
        drop(self);
        match begun {
            Poll::Ready(done) => done,
            Poll::Pending => write.await,
        }
    }
}

/// What bodies may hold, each and together, and how slow they may be.
pub(super) struct Bodies {
    limit: usize,
    pace: Pace,
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// A body that was read, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Bodies of at most `limit` bytes each and `together` bytes in all (one of the longest always fits) that
    /// keep the pace.
    pub(super) fn new(limit: usize, together: usize, pace: Pace) -> Self {
        let room = together.max(limit).min(Semaphore::MAX_PERMITS);
        let turns = available_parallelism().map_or(1, NonZero::get);
        Self { limit, pace, room: Arc::new(Semaphore::new(room)), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// What `parse` makes of a body of `length` bytes.
    ///
    /// # Errors
    /// 500 when `parse` panicked.
    pub(super) async fn parsed<T: Send + 'static>(
        &self,
        length: usize,
        parse: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Parsed<T>, Problem> {
        if length <= PARSED_IN_PLACE {
            return Ok(Parsed { value: parse(), turn: Turn { _permit: None } });
        }
        let internal = || Problem::from(Error::Internal);
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| internal())?;
        // The turn goes along: a client that hangs up does not end what parses its body.
        let turn = Turn { _permit: Some(turn) };
        block(move || Parsed { value: parse(), turn }).await.map_err(|error| {
            log::error!("a body could not be parsed: {error}");
            internal()
        })
    }

    /// Reads the body of a request with such headers, whose connection is behind `link`.
    ///
    /// # Errors
    /// 413; 408; 400 when it breaks off; 503 when others hold all the room there is.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        link: Option<&Rc<Link>>,
        payload: impl Stream<Item = Result<Bytes, PayloadError>>,
    ) -> Result<Body, Problem> {
        let limit = self.limit;
        let mut payload = pin!(payload);
        let announced = self.announced(headers)?;
        let read_up_to = self.read_up_to();
        let mut body = BytesMut::new();
        let mut room: Option<OwnedSemaphorePermit> = None;
        let mut length = 0;
        // What has come need not be waited for: most bodies are small, and cost no clock.
        let is_whole = link.zip(announced).is_some_and(|(link, length)| link.came_whole(length));
        let _reading = (!is_whole).then(|| Reading::on(link));
        let began = Instant::now();
        loop {
            let next = if is_whole {
                Ok(payload.next().await)
            } else {
                let left = self.pace.allowed(length as u64).saturating_sub(began.elapsed());
                timeout(left.min(self.pace.stall), payload.next()).await
            };
            match next {
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
                Ok(None) => break,
            }
        }
        if let Some(link) = link {
            link.ends();
        }
        if length > limit {
            return Err(Problem::body_too_large(limit));
        }
        Ok(Body { bytes: body.freeze(), _room: room })
    }

    /// Whether the body of a request with such headers is one to be read, and has come: nothing of it is waited for.
    pub(super) fn lies_there(&self, headers: &HeaderMap, link: Option<&Rc<Link>>) -> bool {
        let length = self.announced(headers).ok().flatten().filter(|length| *length <= self.limit as u64);
        length.zip(link).is_some_and(|(length, link)| link.came_whole(length))
    }

    /// A client hears a refusal only once it has sent its body, so a little more than the limit is read and thrown away.
    fn read_up_to(&self) -> usize {
        self.limit.saturating_mul(2)
    }

    /// How long the body of a request with such headers says that it is.
    fn announced(&self, headers: &HeaderMap) -> Result<Option<u64>, Problem> {
        // actix-http takes all that follows such a head for another protocol, whatever Content-Length says.
        if headers
            .get_all(header::UPGRADE)
            .any(|to| to.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"))
        {
            return Err(Problem::body_broken());
        }
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > self.read_up_to() as u64) {
            return Err(Problem::body_too_large(self.limit));
        }
        Ok(announced)
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

impl Site {
    /// The body of a write, if that would be begun now: a refusal costs no more than reading it.
    ///
    /// # Errors
    /// As [`Bodies::read`]; 503 when it would not.
    pub(super) async fn body_of_write(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Body, Problem> {
        let body = self.bodies.read(request.headers(), request.conn_data(), payload).await?;
        self.catalogue.takes_writes().inspect_err(|refused| self.catalogue.count_refused(refused))?;
        Ok(body)
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const PACE: Pace = Pace { stall: std::time::Duration::from_secs(1), rate: 1024 };

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

    #[actix_web::test]
    async fn what_is_long_is_parsed_elsewhere() {
        let thread = || std::thread::current().id();
        let bodies = Bodies::new(10, 15, PACE);
        assert_eq!(bodies.parsed(PARSED_IN_PLACE, thread).await.unwrap().value, thread());
        assert_ne!(bodies.parsed(PARSED_IN_PLACE + 1, thread).await.unwrap().value, thread());
    }

    /// As many long bodies as there are processors are parsed at a time, and what was made of one counts until the
    /// mailbox has it, though not until the write is done.
    #[actix_web::test]
    async fn long_bodies_take_turns() {
        let bodies = Bodies::new(10, 15, PACE);
        let mut held = Vec::new();
        for _ in 0..available_parallelism().unwrap().get() {
            held.push(bodies.parsed(PARSED_IN_PLACE + 1, || ()).await.unwrap());
        }
        let (begun, begins) = std::sync::mpsc::channel();
        let mut next = pin!(bodies.parsed(PARSED_IN_PLACE + 1, move || begun.send(()).unwrap()));
        assert!(poll!(next.as_mut()).is_pending() && begins.try_recv().is_err());
        // A short one waits for nobody.
        assert!(bodies.parsed(PARSED_IN_PLACE, || ()).await.is_ok());
        let mut write = pin!(held.pop().unwrap().turn.until_begun(std::future::pending::<()>()));
        assert!(poll!(write.as_mut()).is_pending());
        next.await.unwrap();
        begins.try_recv().unwrap();
    }

    #[test]
    fn room_is_bounded_together_and_given_back() {
        let bodies = Bodies::new(10, 15, PACE);
        let (mut one, mut other) = (None, None);
        bodies.take_room(&mut one, 6).unwrap();
        bodies.take_room(&mut one, 4).unwrap();
        assert!(bodies.take_room(&mut other, 6).is_err());
        drop(one);
        bodies.take_room(&mut other, 6).unwrap();
        // One of the longest always fits.
        Bodies::new(10, 1, PACE).take_room(&mut None, 10).unwrap();
    }
}
