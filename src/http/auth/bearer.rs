//! `Authorization: Bearer …` (RFC 6750, section 2.1). Tokens in a query or a form are not taken: they would stand
//! in logs.

use actix_web::http::header::{self, HeaderMap};

use crate::catalogue::{KnownToken, KnownTokens};
use crate::domain::looks_like_a_token;
use crate::http::problem::Problem;

/// The longest token that is looked up, in bytes.
const LONGEST: usize = 256;

/// The token that a request brings.
///
/// # Errors
/// 401 when there is none, or what is there cannot be one.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION);
    let (Some(value), None) = (all.next(), all.next()) else {
        return Err(match headers.contains_key(header::AUTHORIZATION) {
            true => Problem::invalid_token("Authorization may be given once"),
            false => Problem::no_token(),
        });
    };
    let text = value.to_str().map_err(|_| Problem::invalid_token("Authorization must be ASCII"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::no_token());
    }
    match token.trim_matches(' ') {
        token if (1..=LONGEST).contains(&token.len()) => Ok(token),
        _ => Err(Problem::invalid_token("what stands after Bearer is no token")),
    }
}

/// The live token of that text.
///
/// # Errors
/// 401 when there is none.
pub(super) fn known(tokens: &KnownTokens, text: &str) -> Result<KnownToken, Problem> {
    tokens.find(text).ok_or_else(|| {
        Problem::invalid_token(if text.starts_with("mq_") && !looks_like_a_token(text) {
            "the token is not whole: copy it again"
        } else {
            "there is no such token, or it was revoked"
        })
    })
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use actix_web::http::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_scheme_has_no_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER   abc  "] {
            assert_eq!(token(&headers(&[value.as_bytes()])).unwrap(), "abc", "{value}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let long = format!("Bearer {}", "a".repeat(LONGEST + 1));
        let values: [&[&[u8]]; 9] = [
            &[],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"abc"],
            &[b"Basic dTpw"],
            &[b"Bearer \xff"],
            &[long.as_bytes()],
            &[b"Bearer abc", b"Bearer abc"],
        ];
        for values in values {
            assert!(token(&headers(values)).is_err(), "{values:?}");
        }
    }
}
