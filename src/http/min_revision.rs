//! `Marquee-Min-Revision`: who names a revision is not answered from an earlier one.
//!
//! A client that sends back the `Marquee-Revision` of its last write reads that write on every replica.

use actix_web::http::header::{HeaderMap, HeaderName};
use tokio::time::{Instant, timeout_at};

use super::Site;
use super::problem::Problem;

pub(super) static MIN_REVISION: HeaderName = HeaderName::from_static("marquee-min-revision");

/// The revision that a request names.
///
/// # Errors
/// 400 when it is not one revision.
fn named(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(&MIN_REVISION);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(revision) if digits && values.next().is_none() => Ok(Some(revision)),
        _ => Err(Problem::invalid_header(
            &MIN_REVISION,
            "must be one whole number: send back the Marquee-Revision of an answer",
        )),
    }
}

impl Site {
    /// Whether the revision that a request names is known now.
    pub(super) fn has_reached(&self, headers: &HeaderMap) -> bool {
        matches!((named(headers), self.catalogue.current()),
            (Ok(Some(named)), Ok((head, ..))) if head.revision >= named)
    }

    /// Waits until the revision that a request names is known here. When its answer must be there.
    ///
    /// # Errors
    /// 400; 503 when it does not come in time.
    pub(super) async fn reached(&self, headers: &HeaderMap) -> Result<Instant, Problem> {
        let deadline = Instant::now() + self.request_timeout;
        if let Some(revision) = named(headers)? {
            match timeout_at(deadline, self.catalogue.reached(revision)).await {
                Ok(reached) => reached?,
                Err(_) => return Err(Problem::not_reached(revision, self.catalogue.current()?.0)),
            }
        }
        Ok(deadline)
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn of(values: &[&'static str]) -> Option<Option<u64>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(MIN_REVISION.clone(), HeaderValue::from_static(value));
        }
        named(&headers).ok()
    }

    #[test]
    fn one_whole_number_is_taken() {
        assert_eq!(of(&[]), Some(None));
        assert_eq!(of(&["0"]), Some(Some(0)));
        assert_eq!(of(&[" 12 "]), Some(Some(12)));
        assert_eq!(of(&["18446744073709551615"]), Some(Some(u64::MAX)));
        for nonsense in ["", "-1", "+1", "1.0", "1, 2", "0x1", "latest", "18446744073709551616", "\"1\""] {
            assert_eq!(of(&[nonsense]), None, "{nonsense}");
        }
        assert_eq!(of(&["1", "1"]), None);
    }
}
