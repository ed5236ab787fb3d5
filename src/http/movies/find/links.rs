//! `Link` (RFC 8288) of a page: where the others are.
//!
//! Who began with `offset` goes on by offsets. Everyone else goes on by cursors, which stay right while others
//! write. `first` and `last` are known of every page; `last` is an offset, and who follows it goes on by offsets.

use std::fmt::Write;

use actix_web::http::header::HeaderValue;

use super::cursor;
use crate::catalogue::Page;
use crate::domain::{Fields, Query, Sort, Start};

const PATH: &str = "/v1/movies?";

/// The header.
pub(super) fn of(query: &Query, page: &Page) -> HeaderValue {
    let base = base(query);
    let mut header = String::with_capacity(4 * (base.len() + 40));
    let mut add = |rel: &str, start: String| {
        let comma = if header.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(header, "{comma}<{base}{start}>; rel=\"{rel}\"");
    };
    let limit = u64::from(query.limit);
    let last = page.total.saturating_sub(1) / limit * limit;
    let by_offset = matches!(query.start, Start::Offset(_));
    let offset = |offset: u64| format!("&offset={offset}");
    add("first", if by_offset { offset(0) } else { String::new() });
    let by_cursor = |place, before| format!("&cursor={}", cursor::write(place, before, query));
    match (&query.start, &page.ends) {
        (Start::Offset(at), _) => {
            if *at > 0 && page.total > 0 {
                add("prev", offset(at.saturating_sub(limit).min(last)));
            }
            if page.more {
                add("next", offset(at + limit));
            }
        }
        // All that lay behind the cursor, or in front of it, is gone: what is there is on its other side.
        (Start::After(place), None) if page.total > 0 => {
            if let Some(behind) = query.sort.next_to(place, true) {
                add("prev", by_cursor(&behind, true));
            }
        }
        (Start::Before(place), None) if page.total > 0 => {
            if let Some(in_front) = query.sort.next_to(place, false) {
                add("next", by_cursor(&in_front, false));
            }
        }
        (_, None) => {}
        (start, Some((first_place, last_place))) => {
            let (before, after) = match start {
                Start::After(_) => (true, page.more),
                // What it ends before was there when its cursor was given.
                Start::Before(_) => (page.more, true),
                Start::First | Start::Offset(_) => (false, page.more),
            };
            if before {
                add("prev", by_cursor(first_place, true));
            }
            if after {
                add("next", by_cursor(last_place, false));
            }
        }
    }
    add("last", offset(last));
    HeaderValue::from_str(&header).unwrap_or(HeaderValue::from_static(""))
}

/// How long the query of a link of this question can be, a cursor aside: whatever page it leads to, this is no longer
/// than it may be when it was not at first.
pub(super) fn longest(query: &Query) -> usize {
    base(query).len() - PATH.len() + "&offset=9007199254740991".len()
}

/// The target of the same question, but for where it begins.
pub(super) fn base(query: &Query) -> String {
    let Query { filter, sort, limit, fields, .. } = query;
    let mut base = format!("{PATH}{filter}");
    if *sort != Sort::default() {
        let _ = write!(base, "sort={sort}&");
    }
    if *fields != Fields::ALL {
        let _ = write!(base, "fields={fields}&");
    }
    let _ = write!(base, "limit={limit}");
    base
}
