//! The words of the collection: a movie, its parts, and their bounds.
//!
//! Everything behind the edge of the process (HTTP, import, database rows) is made of these types.
//! Their fields are private and their constructors check, so that nothing further in checks again.
//! This module knows of no other.

mod invalid;
mod json;
mod key;
mod movie;
mod numbers;
mod read;
mod text;

pub use invalid::{Invalid, Violation};
pub use json::{Input, InputError, movie_from_json, movies_from_json, movies_from_lines};
pub use key::{fold, slug};
pub use movie::{Genre, Movie, NewMovie, Parts};
pub use numbers::{Popularity, Rating, RuntimeMinutes, Votes, Year};
pub use read::Member;
pub use text::{DirectorName, GenreName, ImdbId, Title};

/// The most genres that one movie may have.
pub const MAX_GENRES: usize = 32;
/// The most directors that one movie may have.
pub const MAX_DIRECTORS: usize = 64;
