//! Failures as `application/problem+json` (RFC 9457): one table of what there is, one mapping to it.

pub(super) mod kinds;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

use super::body;
use super::conditional::{never_holds, number};
use super::{observe, page};
use crate::catalogue::{Error, Head};
use crate::domain::{InputError, MAX_LINKS, MAX_NAMES, Violation};
use kinds::{KINDS, Kind};

/// The media type of every failure.
const PROBLEM_JSON: &str = "application/problem+json";
/// What a client that is told to come back waits, in seconds.
const RETRY_AFTER_S: &str = "1";

/// A failure, as a client is told of it. Nothing internal is in it: causes go to the log.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: &'static Kind,
    detail: String,
    errors: Vec<Violation>,
    head: Option<Head>,
    allow: Option<&'static str>,
    accept_patch: bool,
    challenge: Option<&'static str>,
}

/// What a handler answers.
pub(crate) struct Answer(pub(crate) Result<HttpResponse, Problem>);

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self.0 {
            Ok(response) => response,
            Err(problem) if problem.kind.status == 500 => problem.response_in_the_log(request),
            Err(problem) => problem.answer(request.path()),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Violation],
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Problem {
    fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            head: None,
            allow: None,
            accept_patch: false,
            challenge: None,
        }
    }

    fn at(mut self, head: Head) -> Self {
        self.head = Some(head);
        self
    }

    /// What it tells a client.
    #[cfg(test)]
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn no_route() -> Self {
        Self::new(&kinds::NOT_FOUND, "there is nothing at this path")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        Self { allow: Some(allow), ..Self::new(&kinds::METHOD_NOT_ALLOWED, detail) }
    }

    /// No token was sent (RFC 6750, section 3.1: then the challenge names no error).
    pub(super) fn no_token() -> Self {
        let detail = "send a token: Authorization: Bearer mq_…; whoever runs this server makes one with `marquee token create`";
        Self { challenge: Some("Bearer realm=\"marquee\""), ..Self::new(&kinds::UNAUTHORIZED, detail) }
    }

    /// What was sent is no token of ours.
    pub(super) fn invalid_token(detail: &str) -> Self {
        let challenge = "Bearer realm=\"marquee\", error=\"invalid_token\"";
        Self { challenge: Some(challenge), ..Self::new(&kinds::UNAUTHORIZED, detail) }
    }

    /// The token only allows `role`.
    pub(super) fn role_too_small(role: &str) -> Self {
        let challenge = "Bearer realm=\"marquee\", error=\"insufficient_scope\", scope=\"write\"";
        let detail = format!("the token has the role {role}: use one of the role write");
        Self { challenge: Some(challenge), ..Self::new(&kinds::FORBIDDEN, detail) }
    }

    /// Of a write that a page of another site may have made a browser send.
    pub(super) fn another_site(detail: &str) -> Self {
        Self::new(&kinds::ANOTHER_SITE, detail)
    }

    pub(super) fn uri_too_long(limit: usize) -> Self {
        Self::new(&kinds::URI_TOO_LONG, format!("a target may have at most {limit} bytes"))
    }

    pub(super) fn not_acceptable() -> Self {
        Self::new(
            &kinds::NOT_ACCEPTABLE,
            "Accept-Encoding refuses zstd, gzip and identity: allow one of them",
        )
    }

    pub(super) fn unknown_parameter(name: &str) -> Self {
        let short: String = name.chars().take(64).collect();
        Self::new(&kinds::UNKNOWN_PARAMETER, format!("there is no query parameter \"{short}\" here"))
    }

    pub(super) fn invalid_parameter(name: &str, must: &str) -> Self {
        let short: String = name.chars().take(64).collect();
        Self::new(&kinds::INVALID_PARAMETER, format!("{short} {must}"))
    }

    pub(super) fn invalid_header(name: &HeaderName, must: &str) -> Self {
        Self::new(&kinds::INVALID_HEADER, format!("{name} {must}"))
    }

    /// The database has not come to `revision`, as far as is known here.
    pub(super) fn not_reached(revision: u64, known: Head) -> Self {
        let detail = format!("revision {revision} is not known here yet: try again shortly");
        Self::new(&kinds::REVISION_NOT_REACHED, detail).at(known)
    }

    /// A path segment that is no id names no movie.
    pub(super) fn not_an_id(text: &str) -> Self {
        let short: String = text.chars().take(64).collect();
        Self::new(
            &kinds::NOT_FOUND,
            format!("there is no movie \"{short}\": an id is a whole number above 0"),
        )
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        Self::new(
            &kinds::BODY_TOO_LARGE,
            format!(
                "a body may have at most {limit} bytes (MARQUEE_BODY_LIMIT): send it in several requests"
            ),
        )
    }

    pub(super) fn body_timeout() -> Self {
        Self::new(
            &kinds::REQUEST_TIMEOUT,
            "the body stopped arriving, or came too slowly: send it again, without pauses",
        )
    }

    pub(super) fn body_broken() -> Self {
        Self::new(&kinds::MALFORMED_JSON, "the body ended before its time or was not framed well")
    }

    pub(super) fn unsupported_media_type(detail: &str) -> Self {
        Self::new(&kinds::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// As [`Self::unsupported_media_type`], of a PATCH (RFC 5789, section 2.2).
    pub(super) fn unsupported_patch(self) -> Self {
        Self { accept_patch: true, ..self }
    }

    pub(super) fn cross_origin_refused(reason: &str) -> Self {
        Self::new(&kinds::CROSS_ORIGIN_REFUSED, format!("{reason} (MARQUEE_CORS_ORIGINS)"))
    }

    pub(super) fn rate_limited(seconds: u64) -> Self {
        Self::new(&kinds::RATE_LIMITED, format!("this is asked too often: ask again in {seconds} s"))
    }

    pub(super) fn timeout() -> Self {
        Self::new(&kinds::TIMEOUT, "the answer was not ready in time: try again")
    }

    pub(super) fn invalid(kind: &'static Kind, errors: Vec<Violation>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => format!("the document {}", only.detail),
            [only] => format!("{only}"),
            several => format!("{} members are not acceptable: see errors", several.len()),
        };
        Self { errors, ..Self::new(kind, detail) }
    }

    /// What is wrong with movies that were sent.
    pub(super) fn of_input(error: InputError) -> Self {
        match error {
            InputError::Syntax(reason) => {
                Self::new(&kinds::MALFORMED_JSON, format!("the body is not JSON: {reason}"))
            }
            InputError::TooMany { limit } => Self::new(
                &kinds::TOO_MANY_MOVIES,
                format!("a request may bring at most {limit} movies (MARQUEE_ARRAY_LIMIT): send several"),
            ),
            InputError::TooManyNames => Self::new(
                &kinds::TOO_MANY_MOVIES,
                format!(
                    "a request may bring at most {MAX_NAMES} different genres and directors, and {MAX_LINKS} of them in all its movies: send several"
                ),
            ),
            InputError::Invalid(errors) => Self::invalid(&kinds::INVALID_MOVIE, errors),
        }
    }

    pub(super) fn malformed_json(reason: &str) -> Self {
        Self::new(&kinds::MALFORMED_JSON, format!("the body is not JSON: {reason}"))
    }

    pub(super) fn invalid_genre(pointer: &str, detail: &str) -> Self {
        Self::invalid(&kinds::INVALID_GENRE, vec![Violation::new(pointer, detail)])
    }

    /// A failure of a request whose document is the movie itself, not an array that has it at 0.
    pub(super) fn of_one(error: Error) -> Self {
        let mut problem = Self::from(error);
        for violation in &mut problem.errors {
            if let Some(member) = violation.pointer.strip_prefix("/0/") {
                violation.pointer = format!("/{member}");
            }
        }
        problem
    }

    /// As [`Self::of_one`], of a request with conditions: one that can never hold is told as such.
    pub(super) fn of_conditional(error: Error, headers: &HeaderMap) -> Self {
        let stale = matches!(error, Error::Stale { .. });
        let problem = Self::of_one(error);
        match never_holds(headers) {
            Some(reason) if stale => Self { detail: reason.to_owned(), ..problem },
            _ => problem,
        }
    }

    pub(super) fn condition_of_many() -> Self {
        Self::new(
            &kinds::PRECONDITION_FAILED,
            "a condition is on one movie: DELETE /v1/movies/{id} with it, or many without it",
        )
    }

    /// A fault of ours: the id that the client is told is in the log, right after the cause.
    fn response_in_the_log(&self, request: &HttpRequest) -> HttpResponse {
        let id = observe::request_id(request.headers());
        let told = id.to_str().unwrap_or_default();
        log::error!(
            request_id = told;
            "{} {} is answered {}: what was logged just before is why",
            request.method(),
            request.path(),
            self.kind.status
        );
        let mut response = self.response(request.path(), Some(told));
        response.headers_mut().insert(observe::X_REQUEST_ID.clone(), id);
        response
    }

    /// The answer to a request for the path `instance`, for a failure that is not a fault of ours.
    pub(super) fn answer(&self, instance: &str) -> HttpResponse {
        self.response(instance, None)
    }

    fn response(&self, instance: &str, request_id: Option<&str>) -> HttpResponse {
        self.with(self.document(instance, request_id))
    }

    fn document(&self, instance: &str, request_id: Option<&str>) -> Bytes {
        let document = Document {
            r#type: format!("/problems/{}", self.kind.slug),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            instance,
            errors: &self.errors,
            request_id,
        };
        serde_json::to_vec(&document).unwrap_or_default().into()
    }

    /// The answer that has `document`. Not by a builder, which looks at each header twice.
    fn with(&self, document: Bytes) -> HttpResponse {
        let status = StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::with_body(status, BoxBody::new(document));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static(page::NO_SNIFF));
        if let Some(head) = self.head {
            headers.insert(REVISION, number(head.revision));
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if self.accept_patch {
            headers.insert(ACCEPT_PATCH, HeaderValue::from_static(body::PATCHES));
        }
        // Who does not know whether it happened must not be told to do it again.
        if self.kind.status == 503 && *self.kind != kinds::OUTCOME_UNKNOWN {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}

/// The answer to a failure that many are told at one path: its document is made once, until there is another.
#[derive(Debug)]
pub(super) struct Repeated {
    instance: &'static str,
    last: Option<(Error, Problem, Bytes)>,
}

impl Repeated {
    /// For failures at the path `instance`.
    pub(super) fn at(instance: &'static str) -> Self {
        Self { instance, last: None }
    }

    /// As [`Problem::answer`], of the problem that `error` is.
    pub(super) fn answer(&mut self, error: &Error) -> HttpResponse {
        let last = self.last.take().filter(|(last, ..)| last == error);
        let (_, problem, document) = self.last.insert(last.unwrap_or_else(|| {
            let problem = Problem::from(error.clone());
            let document = problem.document(self.instance, None);
            (error.clone(), problem, document)
        }));
        problem.with(document.clone())
    }
}

/// RFC 5789, section 3.1.
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Which revision an answer reflects.
pub(super) const REVISION: HeaderName = HeaderName::from_static("marquee-revision");

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Cold => Self::new(&kinds::NOT_READY, detail + ": try again shortly"),
            Error::Away => {
                Self::new(&kinds::DATABASE_AWAY, detail + ", and this is not cached: try again shortly")
            }
            Error::NoMovie { head, .. } => Self::new(&kinds::NOT_FOUND, detail).at(head),
            Error::DuplicateImdbId { index, head, .. } => {
                let mut problem =
                    Self::new(&kinds::DUPLICATE_IMDB_ID, format!("{detail}: nothing was written")).at(head);
                problem.errors = vec![Violation::new(format!("/{index}/imdb_id"), "is taken")];
                problem
            }
            Error::Stale { head, .. } => {
                Self::new(&kinds::PRECONDITION_FAILED, detail + ": read it again and decide anew").at(head)
            }
            Error::Contradicts { violations, head } => {
                Self::invalid(&kinds::INVALID_MOVIE, violations).at(head)
            }
            Error::DuplicateGenre { head, .. } => Self::new(&kinds::DUPLICATE_GENRE, detail).at(head),
            Error::KeyReused { head } => Self::new(
                &kinds::KEY_REUSED,
                "the Idempotency-Key was used for another request: take a new one for each write, and send a \
                 write again exactly as it was",
            )
            .at(head),
            Error::Busy => Self::new(&kinds::NOT_EXECUTED, detail + ": nothing happened, try again shortly"),
            Error::Stopping => {
                Self::new(&kinds::NOT_EXECUTED, detail + ": nothing happened, try again elsewhere")
            }
            Error::NotExecuted(_) => {
                Self::new(&kinds::NOT_EXECUTED, detail + "; nothing happened, try again")
            }
            Error::OutcomeUnknown => Self::new(
                &kinds::OUTCOME_UNKNOWN,
                detail
                    + ": send it again with the Idempotency-Key that it had, or look at the collection first",
            ),
            Error::TooLarge => Self::new(&kinds::TOO_LARGE, detail),
            Error::Internal => Self::new(
                &kinds::INTERNAL,
                "this is a fault of the server; its log says more, under the id in request_id",
            ),
        }
    }
}

/// GET /problems/{slug}: what a problem type means, so that the URIs of the types lead somewhere.
pub(super) async fn describe(slug: web::Path<String>) -> Answer {
    Answer(match KINDS.iter().find(|kind| kind.slug == slug.as_str()) {
        Some(kind) => {
            let mut response = HttpResponse::Ok();
            page::dress(&mut response);
            Ok(response
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .content_type("text/plain; charset=utf-8")
                .body(format!("{} ({})\n\n{}\n", kind.title, kind.status, kind.meaning)))
        }
        None => Err(Problem::no_route()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { revision: 7, stamp: 70 };

    #[actix_web::test]
    async fn every_error_of_the_catalogue_is_a_problem_that_says_what_to_do() {
        let errors = [
            (Error::Cold, 503),
            (Error::Away, 503),
            (Error::NoMovie { id: 1, head: HEAD }, 404),
            (Error::Stale { id: 1, head: HEAD }, 412),
            (Error::Contradicts { violations: vec![Violation::new("/id", "must be 1")], head: HEAD }, 422),
            (Error::DuplicateImdbId { imdb_id: "tt0000001".into(), index: 2, head: HEAD }, 409),
            (Error::DuplicateGenre { name: "Drama".into(), head: HEAD }, 409),
            (Error::KeyReused { head: HEAD }, 422),
            (Error::Busy, 503),
            (Error::Stopping, 503),
            (Error::NotExecuted("the database does not answer"), 503),
            (Error::OutcomeUnknown, 503),
            (Error::TooLarge, 503),
            (Error::Internal, 500),
        ];
        for (error, status) in errors {
            let response = Problem::from(error.clone()).response("/v1/movies", None);
            assert_eq!(response.status(), status, "{error}");
            let again = status == 503 && error != Error::OutcomeUnknown;
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), again);
            assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), PROBLEM_JSON);
            let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
            let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(document["status"], status);
            assert_eq!(document["instance"], "/v1/movies");
            let slug = document["type"].as_str().unwrap().strip_prefix("/problems/").unwrap();
            assert!(KINDS.iter().any(|kind| kind.slug == slug), "{slug}");
        }
    }

    #[test]
    fn a_refused_write_says_whether_it_happened() {
        assert_eq!(Problem::from(Error::Busy).kind.slug, "not-executed");
        assert_eq!(Problem::from(Error::OutcomeUnknown).kind.slug, "outcome-unknown");
    }
}
