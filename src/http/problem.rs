//! Failures as `application/problem+json` (RFC 9457): one table of what there is, one mapping to it.

mod kinds;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use serde::Serialize;

use super::conditional::number;
use crate::catalogue::{Error, Head};
use crate::domain::{InputError, Violation};
use kinds::{KINDS, Kind};

/// The media type of every failure.
const PROBLEM_JSON: &str = "application/problem+json";
/// What a client that is told to come back waits, in seconds.
const RETRY_AFTER_S: u64 = 1;

/// A failure, as a client is told of it. Nothing internal is in it: causes go to the log.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: &'static Kind,
    detail: String,
    errors: Vec<Violation>,
    head: Option<Head>,
    allow: Option<&'static str>,
}

/// What a handler answers.
pub(crate) struct Answer(pub(crate) Result<HttpResponse, Problem>);

impl Responder for Answer {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self.0 {
            Ok(response) => response,
            Err(problem) => problem.response(request.path()),
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
}

impl Problem {
    fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), head: None, allow: None }
    }

    fn at(mut self, head: Head) -> Self {
        self.head = Some(head);
        self
    }

    pub(super) fn no_route() -> Self {
        Self::new(&kinds::NOT_FOUND, "there is nothing at this path")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        Self { allow: Some(allow), ..Self::new(&kinds::METHOD_NOT_ALLOWED, detail) }
    }

    pub(super) fn uri_too_long(limit: usize) -> Self {
        Self::new(&kinds::URI_TOO_LONG, format!("a target may have at most {limit} bytes"))
    }

    pub(super) fn not_acceptable() -> Self {
        Self::new(&kinds::NOT_ACCEPTABLE, "Accept-Encoding refuses both gzip and identity: allow one of them")
    }

    pub(super) fn unknown_parameter(name: &str) -> Self {
        let short: String = name.chars().take(64).collect();
        Self::new(&kinds::UNKNOWN_PARAMETER, format!("there is no query parameter \"{short}\" here"))
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
        Self::new(&kinds::REQUEST_TIMEOUT, "the body stopped arriving: send it again, without pauses")
    }

    pub(super) fn body_broken() -> Self {
        Self::new(&kinds::MALFORMED_JSON, "the body ended before its time or was not framed well")
    }

    pub(super) fn unsupported_media_type(detail: &str) -> Self {
        Self::new(&kinds::UNSUPPORTED_MEDIA_TYPE, detail)
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

    fn response(&self, instance: &str) -> HttpResponse {
        let status = StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        if let Some(head) = self.head {
            response.insert_header((REVISION, number(head.revision)));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        // Who does not know whether it happened must not be told to do it again.
        if self.kind.status == 503 && *self.kind != kinds::OUTCOME_UNKNOWN {
            response.insert_header((header::RETRY_AFTER, number(RETRY_AFTER_S)));
        }
        let document = Document {
            r#type: format!("/problems/{}", self.kind.slug),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            instance,
            errors: &self.errors,
        };
        response.body(serde_json::to_vec(&document).unwrap_or_default())
    }
}

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
                    Self::new(&kinds::DUPLICATE_IMDB_ID, format!("{detail}: nothing was created")).at(head);
                problem.errors = vec![Violation::new(format!("/{index}/imdb_id"), "is taken")];
                problem
            }
            Error::DuplicateGenre { head, .. } => Self::new(&kinds::DUPLICATE_GENRE, detail).at(head),
            Error::Busy => Self::new(&kinds::NOT_EXECUTED, detail + ": nothing happened, try again shortly"),
            Error::Stopping => {
                Self::new(&kinds::NOT_EXECUTED, detail + ": nothing happened, try again elsewhere")
            }
            Error::NotExecuted(_) => {
                Self::new(&kinds::NOT_EXECUTED, detail + "; nothing happened, try again")
            }
            Error::OutcomeUnknown => Self::new(
                &kinds::OUTCOME_UNKNOWN,
                detail + ": look at the collection before you send it again",
            ),
            Error::TooLarge => Self::new(&kinds::TOO_LARGE, detail),
            Error::Internal => {
                Self::new(&kinds::INTERNAL, "this is a fault of the server; its log says more")
            }
        }
    }
}

/// GET /problems/{slug}: what a problem type means, so that the URIs of the types lead somewhere.
pub(super) async fn describe(slug: web::Path<String>) -> Answer {
    Answer(match KINDS.iter().find(|kind| kind.slug == slug.as_str()) {
        Some(kind) => Ok(HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .content_type("text/plain; charset=utf-8")
            .body(format!("{} ({})\n\n{}\n", kind.title, kind.status, kind.meaning))),
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
            (Error::DuplicateImdbId { imdb_id: "tt0000001".into(), index: 2, head: HEAD }, 409),
            (Error::DuplicateGenre { name: "Drama".into(), head: HEAD }, 409),
            (Error::Busy, 503),
            (Error::Stopping, 503),
            (Error::NotExecuted("the database does not answer"), 503),
            (Error::OutcomeUnknown, 503),
            (Error::TooLarge, 503),
            (Error::Internal, 500),
        ];
        for (error, status) in errors {
            let response = Problem::from(error.clone()).response("/v1/movies");
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
