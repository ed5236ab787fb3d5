//! What clients want done, and what came of it.

use bytes::Bytes;

use super::{fingerprint, movie_json};
use crate::domain::{Change, DirectorName, GenreName, Movie, NewMovie, Parts, Violation};
use crate::store::{Head, Wanted};

/// What a client wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// All of these movies are made, or none.
    Create(Vec<NewMovie>),
    /// Those whose `imdb_id` is not there are made, and these parts of the others replaced. Only counted.
    Merge(Vec<NewMovie>, Parts),
    /// Those whose `imdb_id` is not there are made, and the others replaced whole. Answered with the movies.
    Upsert(Vec<NewMovie>),
    /// A movie is changed, when the condition holds.
    Change(u64, Box<Change>, Condition),
    /// A movie goes, when the condition holds.
    Delete(u64, Condition),
    /// These movies go, as far as they are there.
    DeleteMany(Vec<u64>),
    /// A genre without movies is made.
    CreateGenre(GenreName),
    /// Movies for a collection that has none; nothing where it has some.
    Sample {
        /// Only into a database that was never written to.
        only_new: bool,
        /// The movies.
        movies: Vec<NewMovie>,
    },
}

impl Work {
    fn movies(&self) -> &[NewMovie] {
        match self {
            Self::Create(movies)
            | Self::Merge(movies, _)
            | Self::Upsert(movies)
            | Self::Sample { movies, .. } => movies,
            Self::Change(_, change, _) => std::slice::from_ref(change.given()),
            Self::Delete(..) | Self::DeleteMany(_) | Self::CreateGenre(_) => &[],
        }
    }

    /// How many movies it brings or takes away; at least 1.
    pub fn len(&self) -> usize {
        match self {
            Self::DeleteMany(ids) => ids.len(),
            _ => self.movies().len(),
        }
        .max(1)
    }

    /// How many genres and directors its movies have together, each of which may have to be made.
    pub fn names(&self) -> usize {
        let movies = self.movies().iter();
        movies.map(|movie| movie.genres.len() + movie.directors.len()).sum::<usize>().max(1)
    }

    /// About how many bytes of memory it holds.
    pub fn weight(&self) -> usize {
        let more = match self {
            Self::Change(_, change, condition) => change.weight() + condition.weight(),
            Self::Delete(_, condition) => condition.weight(),
            Self::DeleteMany(ids) => size_of_val(ids.as_slice()),
            _ => self.movies().iter().map(NewMovie::weight).sum(),
        };
        size_of::<Self>() + more
    }
}

/// What must hold of a movie for a write to be made: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// That it is one of these.
    pub matches: Option<Known>,
    /// That it is none of these.
    pub none_matches: Option<Known>,
}

/// The states of a movie that a client names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Any state of it: that it is there.
    Any,
    /// Those whose JSON has one of these [fingerprints](fingerprint).
    OneOf(Vec<u64>),
}

impl Condition {
    /// About how many bytes of memory it holds beyond itself.
    fn weight(&self) -> usize {
        let known = [&self.matches, &self.none_matches].into_iter().flatten();
        known
            .map(|known| if let Known::OneOf(prints) = known { size_of_val(prints.as_slice()) } else { 0 })
            .sum()
    }

    pub(super) fn holds(&self, movie: &Movie) -> bool {
        let Self { matches: None, none_matches: None } = self else {
            let print = fingerprint(&movie_json(movie));
            let is = |known: &Known| match known {
                Known::Any => true,
                Known::OneOf(prints) => prints.contains(&print),
            };
            return self.matches.as_ref().is_none_or(is) && !self.none_matches.as_ref().is_some_and(is);
        };
        true
    }
}

/// A movie as a write left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its id.
    pub id: u64,
    /// Its JSON: the same bytes as the answer to a GET.
    pub json: Bytes,
}

/// What a merge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Movies that were not there.
    pub created: u64,
    /// Movies that were there and differed.
    pub changed: u64,
    /// Movies that were there just so. A merge of these alone raises no revision.
    pub unchanged: u64,
}

/// What came of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The movies were made, in their order.
    Created(Vec<Written>),
    /// The sample was made: so many movies.
    Loaded(usize),
    /// The movies were merged.
    Merged(Merged),
    /// The movies are there, in their order.
    Upserted(Vec<Written>, Merged),
    /// The movie is as it was to be.
    Changed(Written),
    /// The movie is gone.
    Deleted,
    /// These are gone, and these were not there.
    DeletedMany {
        /// Movies that are gone, in the order that they were named in.
        deleted: Vec<u64>,
        /// Ids that name no movie.
        missing: Vec<u64>,
    },
    /// The genre is there, under this slug.
    GenreCreated {
        /// Its slug.
        slug: String,
    },
    /// There is no such movie.
    NoMovie,
    /// The movie is another than the client takes it to be.
    Stale,
    /// The document says otherwise of what marquee gives.
    Contradicts(Vec<Violation>),
    /// An `imdb_id` is taken, by a movie that is there or by one earlier in the same array.
    DuplicateImdbId {
        /// The place of the movie in the array.
        index: usize,
        /// What is taken.
        imdb_id: String,
    },
    /// The genre exists, in this spelling.
    DuplicateGenre {
        /// Its name.
        name: String,
    },
    /// The same was done before, under the same key: this came of it then.
    Again {
        /// The state that it was done in; `None` where that is this batch.
        head: Option<Head>,
        /// What came of it.
        outcome: Box<Outcome>,
    },
    /// The key stands for another request.
    KeyReused,
    /// It is not to be executed, for a reason that is fit for a client.
    Refused(&'static str),
}

/// What the database must be asked before `work` can be planned.
pub fn wanted<'a>(work: impl IntoIterator<Item = &'a Work>) -> Wanted {
    let mut wanted = Wanted::default();
    for work in work {
        for movie in work.movies() {
            wanted.imdb_ids.extend(movie.imdb_id.as_ref().map(|id| id.as_str().to_owned()));
            wanted.genres.extend(movie.genres.iter().map(GenreName::key));
            wanted.directors.extend(movie.directors.iter().map(DirectorName::key));
        }
        match work {
            Work::Delete(id, _) | Work::Change(id, ..) => drop(wanted.ids.insert(*id)),
            Work::DeleteMany(ids) => wanted.ids.extend(ids),
            Work::CreateGenre(name) => drop(wanted.genres.insert(name.key())),
            Work::Merge(..) | Work::Upsert(_) => wanted.whole = true,
            Work::Create(_) | Work::Sample { .. } => {}
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_weighs_what_it_names() {
        let delete = |tags| {
            Work::Delete(1, Condition { matches: Some(Known::OneOf(vec![0; tags])), none_matches: None })
        };
        assert_eq!(delete(1000).weight() - delete(0).weight(), 8000);
    }
}
