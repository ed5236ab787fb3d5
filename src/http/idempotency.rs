//! `Idempotency-Key`: the name that a client gives a POST, so that it may send it again
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! What is kept under a key is scoped to who sends it, the method and the path, and stands for one request: the
//! form of its body (`Content-Type`), what `Prefer` asks, and the body, byte for byte. Only hashes of these leave
//! this file.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

use super::auth::Caller;
use super::problem::Problem;
use crate::catalogue::{Digest, RetryKey};

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
const LONGEST: usize = 255;

/// What a key is good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    /// The token of who sends it; all who send none share theirs.
    token: Option<u64>,
    /// Method and path.
    route: &'static str,
}

impl Scope {
    /// Of a request to `route`: its method and path.
    pub(super) fn of(request: &HttpRequest, route: &'static str) -> Self {
        Self { token: Caller::of(request).token, route }
    }
}

/// A key in its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(Digest);

impl Key {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// 400 when it is not one key of 1 to 255 printable ASCII characters.
    pub(super) fn of(headers: &HeaderMap, scope: Scope) -> Result<Option<Self>, Problem> {
        let Some(key) = text(headers)? else {
            return Ok(None);
        };
        let token = scope.token.map_or_else(|| "anonymous".to_owned(), |token| token.to_string());
        Ok(Some(Self(digest(&[token.as_bytes(), scope.route.as_bytes(), &key]))))
    }

    /// The key for one request: the parts of it that decide what it does.
    pub(super) fn to(self, request: &[&[u8]]) -> RetryKey {
        RetryKey { id: self.0, request: digest(request) }
    }
}

/// The key that a request brings, as it is.
///
/// # Errors
/// As [`Key::of`].
pub(super) fn text(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = spelt(value.as_bytes()).filter(|key| (1..=LONGEST).contains(&key.len()));
    key.filter(|_| values.next().is_none()).map(Some).ok_or_else(|| {
        Problem::invalid_header(
            &IDEMPOTENCY_KEY,
            "must be one key of 1 to 255 printable ASCII characters, a UUID say; in quotes or not",
        )
    })
}

/// The hash of parts, each with its length, so that no two lists of them are the same bytes.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A key as it is written: a string in quotes, as the draft has it (RFC 9651, section 3.3.3), or just as it is,
/// as most clients send it.
fn spelt(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    let printable = value.iter().all(|b| matches!(b, b' '..=b'~'));
    let Some(quoted) = value.strip_prefix(b"\"").filter(|_| printable) else {
        return printable.then(|| value.to_vec());
    };
    let mut key = Vec::with_capacity(quoted.len());
    let mut rest = quoted.iter();
    loop {
        match rest.next()? {
            b'"' => return rest.next().is_none().then_some(key),
            b'\\' => key.push(*rest.next().filter(|b| matches!(b, b'"' | b'\\'))?),
            b => key.push(*b),
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const SCOPE: Scope = Scope { token: None, route: "POST /v1/movies" };

    fn key_in(values: &[&[u8]], scope: Scope) -> Option<Option<Key>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY.clone(), HeaderValue::from_bytes(value).unwrap());
        }
        Key::of(&headers, scope).ok()
    }

    fn key(value: &str) -> Key {
        key_in(&[value.as_bytes()], SCOPE).unwrap().unwrap()
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        assert_eq!(key_in(&[], SCOPE), Some(None));
        for (quoted, plain) in
            [(r#""a""#, "a"), (r#" "a b" "#, " a b "), (r#""\\""#, r"\"), (r#""a\"b""#, r#"a"b"#)]
        {
            assert_eq!(key(quoted), key(plain), "{quoted}");
        }
        assert_ne!(key("a"), key("A"));
    }

    #[test]
    fn what_is_not_one_key_is_refused() {
        let long = "x".repeat(256);
        for bad in
            ["", " ", r#""""#, r#"""#, r#""a"#, r#""a"b"#, r#""a\b""#, r#""a";q=1"#, r#""a", "b""#, &long]
        {
            assert_eq!(key_in(&[bad.as_bytes()], SCOPE), None, "{bad}");
        }
        assert_eq!(key_in(&["ü".as_bytes()], SCOPE), None);
        assert_eq!(key_in(&[b"a\tb"], SCOPE), None);
        assert_eq!(key_in(&[b"a", b"a"], SCOPE), None);
        assert!(key_in(&[&long.as_bytes()[1..]], SCOPE).is_some());
        assert!(key_in(&[format!("\"{}\"", &long[1..]).as_bytes()], SCOPE).is_some());
    }

    #[test]
    fn a_key_is_good_in_its_scope_and_for_its_request() {
        let mut ids = std::collections::BTreeSet::new();
        for token in [None, Some(1), Some(11)] {
            for route in ["POST /v1/movies", "POST /v1/genres"] {
                for value in [&b"1"[..], b"11"] {
                    assert!(ids.insert(key_in(&[value], Scope { token, route }).unwrap().unwrap().0));
                }
            }
        }
        let requests = [&[&b"a"[..], b"bc"][..], &[b"ab", b"c"], &[b"abc"], &[b"abc", b""], &[]];
        let hashes: std::collections::BTreeSet<_> =
            requests.iter().map(|parts| key("k").to(parts).request).collect();
        assert_eq!(hashes.len(), requests.len());
    }

    proptest! {
        #[test]
        fn quotes_change_nothing(plain in "[!#-~]([ -~]{0,200}[!-~])?") {
            let quoted = format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(spelt(quoted.as_bytes()), Some(plain.clone().into_bytes()));
            prop_assert_eq!(spelt(plain.as_bytes()), Some(plain.into_bytes()));
        }

        #[test]
        fn no_value_is_too_strange(value in "[ -~]{0,40}") {
            let _ = key_in(&[value.as_bytes()], SCOPE);
        }
    }
}
