//! The words of the collection: a movie, its parts, and their bounds.
//!
//! Everything behind the edge of the process (HTTP, import, database rows) is made of these types.
//! Their fields are private and their constructors check, so that nothing further in checks again.
//! This module knows of no other.

mod change;
mod invalid;
mod json;
mod key;
mod movie;
mod numbers;
mod query;
mod read;
mod text;
mod token;
mod words;

pub use change::Change;
pub use invalid::{Invalid, Violation};
pub use json::{
    Input, InputError, MAX_LINKS, MAX_NAMES, movie_from_json, movies_from_json, movies_from_lines,
    patch_from_json, replacement_from_json,
};
pub use key::{fold, slug};
pub use movie::{Genre, Movie, NewMovie, Parts, movie_id};
pub use numbers::{Popularity, Rating, RuntimeMinutes, Votes, Year};
pub use query::{
    Fields, Filter, Measure, Position, Query, Selected, Sort, SortBy, SortKey, Span, Start, Value, Word,
};
pub use read::Member;
pub use text::{DirectorName, GenreName, ImdbId, Title};
pub use token::{Digest, Role, Secret, Token, TokenName, looks_like_a_token};
pub use words::words;

/// The most genres that one movie may have.
pub const MAX_GENRES: usize = 32;
/// The most directors that one movie may have.
pub const MAX_DIRECTORS: usize = 64;
