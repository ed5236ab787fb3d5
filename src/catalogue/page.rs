//! One page of found movies, as the bytes that go out.

use std::sync::OnceLock;

use bytes::Bytes;

use super::coding::{Coding, compressed, exact};
use super::segment::{Form, fingerprint, write_movie};
use crate::domain::{Fields, Movie, Position, Query, Selected};
use crate::store::{Found, Head};

/// A page at one state. It never changes.
#[derive(Debug)]
pub struct Page {
    /// That state.
    pub head: Head,
    /// How many movies match.
    pub total: u64,
    /// The places of its first and its last movie in the order that was asked for; `None` when it has none.
    pub ends: Option<(Position, Position)>,
    /// Whether there are movies beyond it, in the direction in which it was asked for.
    pub more: bool,
    /// What tells its bytes from others.
    pub print: u64,
    plain: Bytes,
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
}

impl Page {
    /// Encodes what was found.
    pub(super) fn encode(query: &Query, form: Form, head: Head, found: &Found) -> Self {
        let place = |movie| query.sort.position(movie);
        let plain = exact(list(&found.movies, query.fields, form));
        Self {
            head,
            total: found.total,
            ends: found.movies.first().zip(found.movies.last()).map(|(a, b)| (place(a), place(b))),
            more: found.more,
            print: fingerprint(&plain),
            plain,
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
        }
    }

    /// The body in a coding, when it has been made.
    pub fn body(&self, coding: Coding) -> Option<&Bytes> {
        match coding {
            Coding::Identity => Some(&self.plain),
            Coding::Gzip => self.gzip.get(),
            Coding::Zstd => self.zstd.get(),
        }
    }

    /// The body in a coding, which is made by the first who asks and kept with the page.
    pub(super) fn make(&self, coding: Coding) -> &Bytes {
        let make = || compressed(&self.plain, coding);
        match coding {
            Coding::Identity => &self.plain,
            Coding::Gzip => self.gzip.get_or_init(make),
            Coding::Zstd => self.zstd.get_or_init(make),
        }
    }

    /// About how many bytes of memory it holds, or will when it has been asked for in every coding.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + 2 * self.plain.len() + 512
    }
}

/// The movies in their order, each as it is in its segment, or some of its members.
fn list(movies: &[Movie], fields: Fields, form: Form) -> Vec<u8> {
    let (begin, between, end) = match form {
        Form::Array => ("[", ",", "]"),
        Form::Lines => ("", "\n", "\n"),
    };
    let mut json = Vec::with_capacity(movies.len() * 256 + 2);
    json.extend(begin.as_bytes());
    for (n, movie) in movies.iter().enumerate() {
        json.extend(if n > 0 { between.as_bytes() } else { b"" });
        if fields == Fields::ALL {
            write_movie(&mut json, movie);
        } else if let Err(error) = serde_json::to_writer(&mut json, &Selected { movie, fields }) {
            // Writing to a vector cannot fail, and every member of a movie can be written.
            log::error!("movie {} cannot be encoded: {error}", movie.id);
        }
    }
    if form == Form::Array || !movies.is_empty() {
        json.extend(end.as_bytes());
    }
    json
}
