//! Headers for targets of fuzzing.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// A header that has a line for each line of `input`; `None` where it has what no header can have.
pub(super) fn header(name: &HeaderName, input: &[u8]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        headers.append(name.clone(), HeaderValue::from_bytes(line).ok()?);
    }
    Some(headers)
}
