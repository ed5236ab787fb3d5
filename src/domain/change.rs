//! What a PUT or a PATCH says of a movie that is there.

use jiff::Timestamp;

use super::{Movie, NewMovie, Violation};

/// A change of one movie, every value of it within its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    given: NewMovie,
    /// The members that it changes; `None` is all.
    members: Option<Vec<&'static str>>,
    claims: Claims,
}

/// What a client takes the members to be that marquee gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) id: Option<u64>,
    pub(super) version: Option<u64>,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
}

impl Change {
    /// All members are changed.
    pub(super) fn replacement(given: NewMovie, claims: Claims) -> Self {
        Self { given, members: None, claims }
    }

    /// Only these members are changed.
    pub(super) fn patch(given: NewMovie, members: Vec<&'static str>, claims: Claims) -> Self {
        Self { given, members: Some(members), claims }
    }

    /// The values that it gives; what it does not change is empty in them.
    pub fn given(&self) -> &NewMovie {
        &self.given
    }

    /// Whether it was made for another version of the movie.
    pub fn is_stale(&self, movie: &Movie) -> bool {
        self.claims.version.is_some_and(|version| version != movie.version)
    }

    /// What it says of the members that marquee gives, where they are otherwise.
    pub fn contradictions(&self, movie: &Movie) -> Vec<Violation> {
        let Claims { id, created_at, updated_at, .. } = self.claims;
        let mut found = Vec::new();
        if id.is_some_and(|id| id != movie.id) {
            found.push(Violation::new("/id", format!("must be {}, or be left out", movie.id)));
        }
        for (name, claimed, time) in
            [("created_at", created_at, movie.created_at), ("updated_at", updated_at, movie.updated_at)]
        {
            if claimed.is_some_and(|claimed| claimed != time) {
                found.push(Violation::new(format!("/{name}"), format!("must be {time:.0}, or be left out")));
            }
        }
        found
    }

    /// The movie with the change made; its version and times stay as they are.
    pub fn apply(&self, movie: &Movie) -> Movie {
        let new = self.given.clone();
        let changes = |name: &str| self.members.as_ref().is_none_or(|members| members.contains(&name));
        let mut changed = movie.clone();
        macro_rules! take {
            ($($member:ident),*) => {$(
                if changes(stringify!($member)) {
                    changed.$member = new.$member;
                }
            )*};
        }
        take!(imdb_id, title, year, runtime_minutes, directors, genres, rating, votes, popularity);
        changed
    }

    /// About how many bytes of memory it holds.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.given.weight()
    }
}
