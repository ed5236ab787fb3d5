//! What may stand in `Authorization`.

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// A token that is read stands there, and is read again where it stands alone.
#[test]
fn bearer() {
    target("bearer", 10_000, |line| {
        let Some(headers) = header(&header::AUTHORIZATION, line) else { return };
        let Ok(token) = token(&headers) else { return };
        assert!((1..=LONGEST).contains(&token.len()) && line[..7].eq_ignore_ascii_case(b"bearer "));
        assert_eq!(line[7..].trim_ascii(), token.as_bytes().trim_ascii());
        let anew = header(&header::AUTHORIZATION, format!("Bearer {token}").as_bytes()).unwrap();
        assert_eq!(super::token(&anew).unwrap(), token);
    });
}
