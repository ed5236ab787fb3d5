//! What a list of movies is asked for: which of them, in which order, how many from where, which members.
//!
//! Every part is kept in a normal form, so that two spellings of one question are equal and share what is
//! cached. The texts of parameters are read by the part that they are of; which parameter is which, and how a
//! query string is taken apart, is not known here.

mod fields;
mod filter;
mod measure;
mod sort;

pub use fields::{Fields, Selected};
pub use filter::{Filter, Word};
pub use measure::{Measure, Span};
pub use sort::{Position, Sort, SortBy, SortKey, Value};

/// What a page of movies is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Which movies.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// How many: 1 to [`Self::MAX_LIMIT`].
    pub limit: u32,
    /// From where.
    pub start: Start,
    /// Which of their members.
    pub fields: Fields,
}

impl Query {
    /// How many movies a page has when nothing is said.
    pub const DEFAULT_LIMIT: u32 = 50;
    /// The most movies of a page.
    pub const MAX_LIMIT: u32 = 1000;
}

impl Default for Query {
    /// The first page of everything.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            sort: Sort::default(),
            limit: Self::DEFAULT_LIMIT,
            start: Start::First,
            fields: Fields::ALL,
        }
    }
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// With the first movie.
    First,
    /// After so many movies.
    Offset(u64),
    /// After this place, wherever it is by now.
    After(Position),
    /// It ends before this place.
    Before(Position),
}
