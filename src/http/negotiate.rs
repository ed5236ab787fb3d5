//! Which coding and form a client takes: `Accept-Encoding` and `Accept` (RFC 9110, section 12.5).

use actix_web::http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::problem::Problem;
use crate::catalogue::{Coding, Form};

/// A weight in thousandths; `None` when it is not one.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// The items of a header that lists choices, with their weights. What makes no sense is passed over.
fn choices(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, u16)> {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let choice = parts.next().filter(|choice| !choice.is_empty())?;
        let mut q = 1000;
        for parameter in parts {
            if let Some(value) = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) {
                q = weight(value)?;
            }
        }
        Some((choice, q))
    })
}

/// The coding to answer in: the one with the highest weight, gzip before identity where they tie.
///
/// # Errors
/// 406 when the client refuses every coding, identity included.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let Some(first) = headers.get(ACCEPT_ENCODING) else {
        return Ok(Coding::Identity);
    };
    // What browsers and most clients send.
    match first.as_bytes() {
        b"gzip" | b"gzip, deflate" | b"gzip, deflate, br" | b"gzip, deflate, br, zstd" | b"deflate, gzip"
            if headers.get_all(ACCEPT_ENCODING).count() == 1 =>
        {
            return Ok(Coding::Gzip);
        }
        _ => {}
    }
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for (choice, q) in choices(headers, ACCEPT_ENCODING) {
        let of = if choice.eq_ignore_ascii_case("gzip") || choice.eq_ignore_ascii_case("x-gzip") {
            &mut gzip
        } else if choice.eq_ignore_ascii_case("identity") {
            &mut identity
        } else if choice == "*" {
            &mut any
        } else {
            continue;
        };
        *of = (*of).max(Some(q));
    }
    // What is not named is taken by `*`; identity is acceptable unless it is refused.
    let gzip = gzip.or(any).unwrap_or(0);
    let named = identity.is_some();
    let identity = identity.or(any.filter(|q| *q == 0)).unwrap_or(1);
    if gzip > 0 && (gzip >= identity || !named) {
        Ok(Coding::Gzip)
    } else if identity > 0 {
        Ok(Coding::Identity)
    } else {
        Err(Problem::not_acceptable())
    }
}

/// The coding of what is small and not kept deflated: as it is, unless the client refuses that.
///
/// # Errors
/// As [`coding`].
pub(super) fn coding_of_small(headers: &HeaderMap) -> Result<Coding, Problem> {
    match coding(headers)? {
        Coding::Gzip if takes_identity(headers) => Ok(Coding::Identity),
        coding => Ok(coding),
    }
}

/// Whether the client takes an answer that is not coded, whatever it prefers.
fn takes_identity(headers: &HeaderMap) -> bool {
    let refused = |name| {
        choices(headers, ACCEPT_ENCODING).any(|(choice, q)| choice.eq_ignore_ascii_case(name) && q == 0)
    };
    let named =
        choices(headers, ACCEPT_ENCODING).any(|(choice, q)| choice.eq_ignore_ascii_case("identity") && q > 0);
    named || !(refused("identity") || refused("*"))
}

/// The form to answer in: lines where the client prefers them, else an array.
pub(super) fn form(headers: &HeaderMap) -> Form {
    if !headers.contains_key(ACCEPT) {
        return Form::Array;
    }
    let (mut lines, mut array) = (0, 0);
    for (choice, q) in choices(headers, ACCEPT) {
        match choice.to_ascii_lowercase().as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => lines = lines.max(q),
            "application/json" | "application/*" | "*/*" => array = array.max(q),
            _ => {}
        }
    }
    // A client that names lines and leaves anything else open prefers lines.
    let named =
        choices(headers, ACCEPT).any(|(choice, q)| choice.eq_ignore_ascii_case("application/json") && q > 0);
    if lines > 0 && (lines > array || (lines == array && !named)) { Form::Lines } else { Form::Array }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn chosen(values: &[&str]) -> Option<Coding> {
        coding(&headers(ACCEPT_ENCODING, values)).ok()
    }

    #[test]
    fn weights_decide() {
        for (values, expected) in [
            (&[][..], Some(Coding::Identity)),
            (&[""], Some(Coding::Identity)),
            (&["gzip"], Some(Coding::Gzip)),
            (&["GZIP"], Some(Coding::Gzip)),
            (&["gzip;q=0"], Some(Coding::Identity)),
            (&["gzip;q=0.001"], Some(Coding::Gzip)),
            (&["identity, gzip;q=0.5"], Some(Coding::Identity)),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Coding::Gzip)),
            (&["identity;q=0"], None),
            (&["identity;q=0, gzip;q=0"], None),
            (&["identity;q=0, br"], None),
            (&["identity;q=0, gzip"], Some(Coding::Gzip)),
            (&["*"], Some(Coding::Gzip)),
            (&["*;q=0"], None),
            (&["*;q=0, identity"], Some(Coding::Identity)),
            (&["*;q=0, gzip"], Some(Coding::Gzip)),
            (&["gzip;q=0, *"], Some(Coding::Identity)),
            (&["br", "gzip"], Some(Coding::Gzip)),
            (&["gzip", "gzip;q=0"], Some(Coding::Gzip)),
            (&["gzip;q=nonsense, ;;;, ,"], Some(Coding::Identity)),
            (&["deflate, br"], Some(Coding::Identity)),
            (&["gzip;q=2"], Some(Coding::Identity)),
        ] {
            assert_eq!(chosen(values), expected, "{values:?}");
        }
    }

    #[test]
    fn lines_are_chosen_where_they_are_preferred() {
        for (values, expected) in [
            (&[][..], Form::Array),
            (&["*/*"], Form::Array),
            (&["application/x-ndjson"], Form::Lines),
            (&["application/x-ndjson, */*;q=0.1"], Form::Lines),
            (&["application/x-ndjson, */*"], Form::Lines),
            (&["application/json, application/x-ndjson"], Form::Array),
            (&["application/json;q=0.9, application/x-ndjson"], Form::Lines),
            (&["application/x-ndjson;q=0"], Form::Array),
            (&["text/html"], Form::Array),
        ] {
            assert_eq!(form(&headers(ACCEPT, values)), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(value in "[ -~]{0,60}") {
            let _ = coding(&headers(ACCEPT_ENCODING, &[&value]));
            let _ = form(&headers(ACCEPT, &[&value]));
        }

        #[test]
        fn the_higher_weight_wins(gzip in 1u16..=1000, identity in 1u16..=1000) {
            let q = |n: u16| format!("{}.{:03}", n / 1000, n % 1000);
            let value = format!("gzip;q={}, identity;q={}", q(gzip), q(identity));
            let expected = if gzip >= identity { Coding::Gzip } else { Coding::Identity };
            prop_assert_eq!(chosen(&[&value]), Some(expected));
        }
    }
}
