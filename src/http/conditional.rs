//! Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1).

use std::fmt::Write as _;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};

use crate::catalogue::{Coding, Condition, ENCODER_VERSION, Form, Known, fingerprint};

/// Never needed: hexadecimal digits and letters are always fit for a header.
const NO_TAG: HeaderValue = HeaderValue::from_static("\"\"");

fn letters(form: Form, coding: Coding) -> &'static str {
    match (form, coding) {
        (Form::Array, Coding::Identity) => "ai",
        (Form::Array, Coding::Gzip) => "ag",
        (Form::Array, Coding::Zstd) => "az",
        (Form::Lines, Coding::Identity) => "li",
        (Form::Lines, Coding::Gzip) => "lg",
        (Form::Lines, Coding::Zstd) => "lz",
    }
}

/// The strong tag of a list: made of the stamp of its state, so that replicas agree on it and a restored
/// database does not repeat it, and of what else its bytes depend on.
pub(super) fn list_tag(stamp: u64, form: Form, coding: Coding) -> HeaderValue {
    value(&format!("\"{stamp:016x}-{ENCODER_VERSION}{}\"", letters(form, coding)))
}

/// The strong tag of a page: made of its bytes, so that a write that leaves it as it is leaves its tag.
pub(super) fn page_tag(print: u64, form: Form, coding: Coding) -> HeaderValue {
    value(&format!("\"{print:016x}-p{ENCODER_VERSION}{}\"", letters(form, coding)))
}

/// The strong tag of one movie: made of its bytes, so that it changes with this movie and with no other.
pub(super) fn movie_tag(json: &[u8], coding: Coding) -> HeaderValue {
    // Each hit of a movie makes one, so not by a formatter.
    let mut tag = *b"\"0123456789abcdef-__\"";
    let print = fingerprint(json).to_be_bytes();
    let digits = print.iter().flat_map(|byte| [byte >> 4, byte & 0xf]).map(digit);
    let letters = letters(Form::Array, coding).bytes();
    let written = digits.chain([b'-']).chain(letters);
    tag.iter_mut().skip(1).zip(written).for_each(|(place, byte)| *place = byte);
    HeaderValue::from_bytes(&tag).unwrap_or(NO_TAG)
}

/// The hexadecimal digit of a number below 16.
fn digit(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' - 10 + number }
}

fn value(tag: &str) -> HeaderValue {
    HeaderValue::from_str(tag).unwrap_or(NO_TAG)
}

/// Whether `If-None-Match` names `tag`, so that the client has the answer already.
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    headers.get_all(IF_NONE_MATCH).any(|list| list == tag || names(list.as_bytes(), tag.as_bytes()))
}

/// Whether a list of tags names `tag`, by the weak comparison: `W/` makes no difference.
fn names(list: &[u8], tag: &[u8]) -> bool {
    list.trim_ascii() == b"*" || tags(list).any(|(_, this)| this == tag)
}

/// The tags of a list, quotes included, and whether each is weak; up to where it stops being a list.
fn tags(list: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let mut rest = list;
    std::iter::from_fn(move || {
        // Items may be empty (RFC 9110, section 5.6.1).
        rest = rest.trim_ascii_start();
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
        }
        let (weak, item) = rest.strip_prefix(b"W/").map_or((false, rest), |item| (true, item));
        // A comma may stand within the quotes.
        let end = item.iter().skip(1).position(|b| *b == b'"').filter(|_| item.starts_with(b"\""));
        let (this, after) = item.split_at_checked(end? + 2)?;
        rest = after;
        Some((weak, this))
    })
}

/// What `If-Match` and `If-None-Match` ask of the movie that a request is to change.
pub(super) fn condition(headers: &HeaderMap) -> Condition {
    Condition { matches: known(headers, IF_MATCH, false), none_matches: known(headers, IF_NONE_MATCH, true) }
}

/// The movies that a header names: the tags of all codings of one stand for it. `If-Match` compares strongly, so
/// that a weak tag names none.
fn known(headers: &HeaderMap, name: HeaderName, weak_too: bool) -> Option<Known> {
    let mut lists = headers.get_all(name).map(|list| list.as_bytes().trim_ascii()).peekable();
    lists.peek()?;
    let mut prints = Vec::new();
    for list in lists {
        if list == b"*" {
            return Some(Known::Any);
        }
        let named = tags(list).filter(|(weak, _)| weak_too || !weak);
        prints.extend(named.filter_map(|(_, tag)| fingerprint_of(tag)));
    }
    Some(Known::OneOf(prints))
}

/// Why `If-Match` holds of no movie that there ever was, where that is so: its client can try for ever.
pub(super) fn never_holds(headers: &HeaderMap) -> Option<&'static str> {
    let mut lists = headers.get_all(IF_MATCH).map(|list| list.as_bytes().trim_ascii()).peekable();
    lists.peek()?;
    let mut weak_ones = false;
    for list in lists {
        if list == b"*" || tags(list).any(|(weak, _)| !weak) {
            return None;
        }
        weak_ones |= tags(list).next().is_some();
    }
    Some(if weak_ones {
        "a weak tag (W/) never holds in If-Match: send the strong one, as marquee's ETag has it"
    } else {
        "If-Match takes tags within their quotes, as ETag has them: If-Match: \"…\""
    })
}

/// What a [`movie_tag`] was made of; `None` when it is none.
fn fingerprint_of(tag: &[u8]) -> Option<u64> {
    let tag = std::str::from_utf8(tag).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    let (print, coding) = tag.split_once('-')?;
    let ours = Coding::ALL.iter().any(|known| letters(Form::Array, *known) == coding);
    // As we spell it: tags are compared character by character.
    let whole = print.len() == 16 && print.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u64::from_str_radix(print, 16).ok().filter(|_| ours && whole)
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
    let _ = write!(text, "db;dur={:.3}, ", ms(cost.db));
    if !cost.redis.is_zero() {
        let _ = write!(text, "redis;dur={:.3}, ", ms(cost.redis));
    }
    let _ = write!(text, "encode;dur={:.3}, segments;desc=\"{}\"", ms(cost.encode), cost.segments);
    value(&text)
}

#[cfg(test)]
mod fuzz;

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
    fn the_tag_of_a_movie_is_its_fingerprint_and_its_coding() {
        for n in 0..1000 {
            let json = format!("{{\"id\":{n}}}");
            for coding in Coding::ALL {
                let print = fingerprint(json.as_bytes());
                let tag = format!("\"{print:016x}-{}\"", letters(Form::Array, coding));
                assert_eq!(movie_tag(json.as_bytes(), coding), tag);
            }
        }
    }

    #[test]
    fn tags_are_found_in_lists() {
        for list in [
            "\"a\"",
            "W/\"a\"",
            "\"b\", \"a\"",
            "\"b\",W/\"a\"",
            "\"x,y\" ,\"a\"",
            ", \"a\"",
            "\"b\",\t,,\"a\",",
            "*",
            " * ",
        ] {
            assert!(known(&[list], "\"a\""), "{list}");
        }
        assert!(known(&["\"b\"", "\"a\""], "\"a\""));
        for list in ["", "a", "\"b\"", "\"a", "\"ab\"", "\"b\" nonsense \"a\"", "W/a"] {
            assert!(!known(&[list], "\"a\""), "{list}");
        }
        assert!(!known(&[], "\"a\""));
    }

    #[test]
    fn the_tag_of_any_coding_names_its_movie_and_weak_ones_do_not_match_strongly() {
        let asked = |name: HeaderName, lists: &[&str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(name.clone(), HeaderValue::from_str(list).unwrap());
            }
            condition(&headers)
        };
        let print = fingerprint(b"{}");
        for coding in Coding::ALL {
            let tag = movie_tag(b"{}", coding);
            let tag = tag.to_str().unwrap();
            let matches = Some(Known::OneOf(vec![print]));
            assert_eq!(asked(IF_MATCH, &["\"x\"", tag]).matches, matches);
            assert_eq!(asked(IF_MATCH, &[&format!("\"x,y\", {tag}")]).matches, matches);
            assert_eq!(asked(IF_MATCH, &[&format!("W/{tag}")]).matches, Some(Known::OneOf(Vec::new())));
            assert_eq!(asked(IF_NONE_MATCH, &[&format!("W/{tag}")]).none_matches, matches);
        }
        assert_eq!(asked(IF_MATCH, &["*"]).matches, Some(Known::Any));
        assert_eq!(
            asked(IF_MATCH, &["\"0123456789abcdef-ai\""]).matches,
            Some(Known::OneOf(vec![0x0123_4567_89ab_cdef]))
        );
        for nonsense in [
            "",
            "x",
            "\"0\"",
            "\"0123456789abcdef-zz\"",
            "\"+123456789abcdef-ai\"",
            "\"0123456789ABCDEF-ai\"",
        ] {
            assert_eq!(asked(IF_MATCH, &[nonsense]).matches, Some(Known::OneOf(Vec::new())), "{nonsense}");
        }
        assert_eq!(asked(IF_NONE_MATCH, &["*"]).none_matches, Some(Known::Any));
        assert_eq!(condition(&HeaderMap::new()), Condition::default());
    }

    #[test]
    fn what_can_never_hold_is_told() {
        let told = |lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(IF_MATCH, HeaderValue::from_static(list));
            }
            never_holds(&headers)
        };
        for may_hold in [&[][..], &["*"], &["\"x\""], &["W/\"x\", \"y\""], &["x", "\"y\""]] {
            assert_eq!(told(may_hold), None, "{may_hold:?}");
        }
        assert!(told(&["W/\"x\"", "x"]).unwrap().contains("weak"));
        for bare in ["", "x", "\"x"] {
            assert!(told(&[bare]).unwrap().contains("quotes"), "{bare}");
        }
    }

    #[test]
    fn tags_differ_by_all_that_the_bytes_depend_on() {
        let mut tags = std::collections::BTreeSet::new();
        for stamp in [1, 2] {
            for form in Form::ALL {
                for coding in Coding::ALL {
                    assert!(tags.insert(list_tag(stamp, form, coding).as_bytes().to_vec()));
                }
            }
        }
        for coding in Coding::ALL {
            assert!(tags.insert(movie_tag(b"{}", coding).as_bytes().to_vec()));
        }
    }
}
