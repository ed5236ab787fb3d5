//! Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1).

use std::fmt::Write as _;

use actix_web::http::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use xxhash_rust::xxh3::xxh3_64;

use crate::catalogue::{Coding, ENCODER_VERSION, Form};

fn letters(form: Form, coding: Coding) -> &'static str {
    match (form, coding) {
        (Form::Array, Coding::Identity) => "ai",
        (Form::Array, Coding::Gzip) => "ag",
        (Form::Lines, Coding::Identity) => "li",
        (Form::Lines, Coding::Gzip) => "lg",
    }
}

/// The strong tag of a list: made of the stamp of its state, so that replicas agree on it and a restored
/// database does not repeat it, and of what else its bytes depend on.
pub(super) fn list_tag(stamp: u64, form: Form, coding: Coding) -> HeaderValue {
    value(&format!("\"{stamp:016x}-{ENCODER_VERSION}{}\"", letters(form, coding)))
}

/// The strong tag of one movie: made of its bytes, so that it changes with this movie and with no other.
pub(super) fn movie_tag(json: &[u8], coding: Coding) -> HeaderValue {
    value(&format!("\"{:016x}-{}\"", xxh3_64(json), letters(Form::Array, coding)))
}

fn value(tag: &str) -> HeaderValue {
    // Hexadecimal digits and letters are always fit for a header.
    HeaderValue::from_str(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names `tag`, so that the client has the answer already.
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers.contains_key(IF_NONE_MATCH)
        && headers.get_all(IF_NONE_MATCH).any(|list| list == tag || names(list.as_bytes(), tag.as_bytes()))
}

/// Whether a list of tags names `tag`, by the weak comparison: `W/` makes no difference.
fn names(list: &[u8], tag: &[u8]) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    while !rest.is_empty() {
        let item = rest.strip_prefix(b"W/").unwrap_or(rest);
        // A comma may stand within the quotes.
        let Some(end) = item.iter().skip(1).position(|b| *b == b'"').filter(|_| item.starts_with(b"\""))
        else {
            return false;
        };
        let (this, after) = item.split_at(end + 2);
        if this == tag {
            return true;
        }
        rest = after.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
    }
    false
}

/// A number as a header.
pub(super) fn number(n: u64) -> HeaderValue {
    HeaderValue::from(n)
}

/// Durations as `Server-Timing` spells them.
pub(super) fn server_timing(cost: crate::catalogue::LoadCost) -> HeaderValue {
    let mut text = String::new();
    let ms = |d: std::time::Duration| d.as_secs_f64() * 1000.0;
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "db;dur={:.3}, encode;dur={:.3}, segments;desc=\"{}\"",
        ms(cost.db),
        ms(cost.encode),
        cost.segments
    );
    value(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(lists: &[&'static str], tag: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(IF_NONE_MATCH, HeaderValue::from_static(list));
        }
        is_known(&headers, &HeaderValue::from_static(tag))
    }

    #[test]
    fn tags_are_found_in_lists() {
        for list in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\"", "\"x,y\" ,\"a\"", "*", " * "] {
            assert!(known(&[list], "\"a\""), "{list}");
        }
        assert!(known(&["\"b\"", "\"a\""], "\"a\""));
        for list in ["", "a", "\"b\"", "\"a", "\"ab\"", "\"b\" nonsense \"a\"", "W/a"] {
            assert!(!known(&[list], "\"a\""), "{list}");
        }
        assert!(!known(&[], "\"a\""));
    }

    #[test]
    fn tags_differ_by_all_that_the_bytes_depend_on() {
        let mut tags = std::collections::BTreeSet::new();
        for stamp in [1, 2] {
            for form in [Form::Array, Form::Lines] {
                for coding in [Coding::Identity, Coding::Gzip] {
                    assert!(tags.insert(list_tag(stamp, form, coding).as_bytes().to_vec()));
                }
            }
        }
        assert!(tags.insert(movie_tag(b"{}", Coding::Identity).as_bytes().to_vec()));
        assert!(tags.insert(movie_tag(b"{}", Coding::Gzip).as_bytes().to_vec()));
    }
}
