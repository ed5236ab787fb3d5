//! What a batch of writes comes to: decided in memory, from what the database knows.
//!
//! The commands are taken in their order, each on top of the ones before. A command that must fail (a
//! duplicate, a movie that is not there) fails alone and leaves nothing. A command that this batch cannot
//! express (a delete of a movie that the same batch makes) ends it: the next batch begins there.

mod names;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::manifest::Manifest;
use crate::domain::{GenreName, Movie, NewMovie, Parts};
use crate::store::{Changeset, Facts, Head, NextIds, Put, SegmentRef, Wanted};
use names::Names;

/// What a client wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// All of these movies are made, or none.
    Create(Vec<NewMovie>),
    /// Those that are not there are made, and these parts of the others replaced. Each has an `imdb_id`.
    Merge(Vec<NewMovie>, Parts),
    /// A movie goes.
    Delete(u64),
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
            Self::Create(movies) | Self::Merge(movies, _) | Self::Sample { movies, .. } => movies,
            Self::Delete(_) | Self::CreateGenre(_) => &[],
        }
    }

    /// How many movies it brings; at least 1.
    pub fn len(&self) -> usize {
        self.movies().len().max(1)
    }

    /// About how many bytes of memory it holds.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.movies().iter().map(NewMovie::weight).sum::<usize>()
    }
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
    /// The movies have these ids, in their order.
    Created(Vec<u64>),
    /// The movies were merged.
    Merged(Merged),
    /// The movie is gone.
    Deleted,
    /// The genre is there, under this slug.
    GenreCreated {
        /// Its slug.
        slug: String,
    },
    /// There is no such movie.
    NoMovie,
    /// An `imdb_id` is taken, by a movie that is there or by one earlier in the same array.
    DuplicateImdbId {
        /// The place of the movie in the array.
        index: usize,
    },
    /// The genre exists, in this spelling.
    DuplicateGenre {
        /// Its name.
        name: String,
    },
}

/// The state that a batch builds on.
pub struct Base<'a> {
    /// Its segments.
    pub manifest: &'a Manifest,
    /// The ids to give next.
    pub next_ids: NextIds,
    /// What the database knows of what the batch names.
    pub facts: Facts,
    /// The time that the batch writes.
    pub now: Timestamp,
    /// The stamp of the state that it makes.
    pub stamp: u64,
    /// The most segments that it may touch, unless a single command touches more.
    pub max_segments: usize,
}

/// What a batch comes to.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// What came of the commands that were taken: from the first on, maybe not all.
    pub outcomes: Vec<Outcome>,
    /// What is to be written; `None` when nothing changes.
    pub changes: Option<Changeset>,
}

/// What the database must be asked before `work` can be planned.
pub fn wanted<'a>(work: impl IntoIterator<Item = &'a Work>) -> Wanted {
    let mut wanted = Wanted::default();
    for work in work {
        for movie in work.movies() {
            wanted.imdb_ids.extend(movie.imdb_id.as_ref().map(|id| id.as_str().to_owned()));
            wanted.genres.extend(movie.genres.iter().map(GenreName::key));
            wanted.directors.extend(movie.directors.iter().map(crate::domain::DirectorName::key));
        }
        match work {
            Work::Delete(id) => drop(wanted.ids.insert(*id)),
            Work::CreateGenre(name) => drop(wanted.genres.insert(name.key())),
            Work::Merge(..) => wanted.whole = true,
            Work::Create(_) | Work::Sample { .. } => {}
        }
    }
    wanted
}

/// Plans as many of `work`, from the first on, as one transaction can do.
pub fn plan<'a>(work: impl IntoIterator<Item = &'a Work>, base: Base<'_>) -> Plan {
    let mut planner = Planner::new(base);
    let mut outcomes = Vec::new();
    for work in work {
        if planner.is_full() {
            break;
        }
        match planner.one(work) {
            Some(outcome) => outcomes.push(outcome),
            None => break,
        }
    }
    Plan { outcomes, changes: planner.finish() }
}

struct Planner<'a> {
    manifest: &'a Manifest,
    next_movie: u64,
    names: Names,
    by_imdb_id: HashMap<String, u64>,
    /// Movies as the database has them.
    stored: HashMap<u64, Movie>,
    now: Timestamp,
    stamp: u64,
    max_segments: usize,
    /// Movies whose stored row goes.
    remove: BTreeSet<u64>,
    /// Movies as they will be written.
    put: BTreeMap<u64, Put>,
    /// Touched segments, and by how much their count changes.
    segments: BTreeMap<u64, i64>,
}

impl<'a> Planner<'a> {
    fn new(base: Base<'a>) -> Self {
        let Facts { by_imdb_id, movies, genres, directors, slugs } = base.facts;
        Self {
            manifest: base.manifest,
            next_movie: base.next_ids.movie,
            names: Names::new(genres, directors, slugs, base.next_ids),
            by_imdb_id,
            stored: movies,
            now: base.now,
            stamp: base.stamp,
            max_segments: base.max_segments,
            remove: BTreeSet::new(),
            put: BTreeMap::new(),
            segments: BTreeMap::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.segments.len() >= self.max_segments
    }

    /// The outcome of one command; `None` when this batch cannot take it.
    fn one(&mut self, work: &Work) -> Option<Outcome> {
        Some(match work {
            Work::Create(movies) => self.create_all(movies),
            Work::Sample { only_new, movies } => {
                let Head { revision, .. } = self.manifest.head();
                let wanted = if *only_new { revision == 0 } else { self.manifest.movies() == 0 };
                // An earlier command of this batch counts as well.
                if wanted && self.put.is_empty() {
                    self.create_all(movies)
                } else {
                    Outcome::Created(Vec::new())
                }
            }
            Work::Merge(movies, parts) => {
                let mut merged = Merged::default();
                for movie in movies {
                    self.merge(movie, *parts, &mut merged);
                }
                Outcome::Merged(merged)
            }
            Work::Delete(id) if self.put.contains_key(id) => return None,
            Work::Delete(id) => self.delete(*id),
            Work::CreateGenre(name) => match self.names.existing_genre(name) {
                Some(name) => Outcome::DuplicateGenre { name },
                None => Outcome::GenreCreated { slug: self.names.create_genre(name) },
            },
        })
    }

    fn create_all(&mut self, movies: &[NewMovie]) -> Outcome {
        let mut seen = BTreeSet::new();
        for (index, movie) in movies.iter().enumerate() {
            if let Some(imdb_id) = &movie.imdb_id
                && (self.by_imdb_id.contains_key(imdb_id.as_str()) || !seen.insert(imdb_id.as_str()))
            {
                return Outcome::DuplicateImdbId { index };
            }
        }
        Outcome::Created(movies.iter().map(|movie| self.create(movie)).collect())
    }

    fn create(&mut self, new: &NewMovie) -> u64 {
        let id = self.next_movie;
        self.next_movie += 1;
        let movie = Movie {
            id,
            imdb_id: new.imdb_id.clone(),
            title: new.title.clone(),
            year: new.year,
            runtime_minutes: new.runtime_minutes,
            directors: new.directors.clone(),
            genres: new.genres.clone(),
            rating: new.rating,
            votes: new.votes,
            popularity: new.popularity,
            version: 1,
            created_at: self.now,
            updated_at: self.now,
        };
        if let Some(imdb_id) = &movie.imdb_id {
            self.by_imdb_id.insert(imdb_id.as_str().to_owned(), id);
        }
        self.touch(id, 1);
        self.names.count(&movie.genres, 1);
        self.write(movie);
        id
    }

    /// Merges one movie; one without an `imdb_id` is new.
    fn merge(&mut self, new: &NewMovie, parts: Parts, merged: &mut Merged) {
        let known = new.imdb_id.as_ref().and_then(|imdb_id| self.by_imdb_id.get(imdb_id.as_str())).copied();
        let Some((id, current)) = known.and_then(|id| Some((id, self.current(id)?))) else {
            merged.created += 1;
            self.create(new);
            return;
        };
        let mut next = current.clone();
        next.title = new.title.clone();
        next.year = new.year;
        next.runtime_minutes = new.runtime_minutes;
        next.genres = self.names.spelt_genres(&new.genres);
        if parts.directors {
            next.directors = self.names.spelt_directors(&new.directors);
        }
        if parts.ratings {
            (next.rating, next.votes) = (new.rating, new.votes);
        }
        if parts.popularity {
            next.popularity = new.popularity;
        }
        if next == current {
            merged.unchanged += 1;
            return;
        }
        merged.changed += 1;
        next.version += 1;
        next.updated_at = self.now;
        if self.stored.contains_key(&id) {
            self.remove.insert(id);
        }
        self.touch(id, 0);
        self.names.count(&current.genres, -1);
        self.names.count(&next.genres, 1);
        self.write(next);
    }

    fn current(&self, id: u64) -> Option<Movie> {
        match self.put.get(&id) {
            Some(put) => Some(put.movie.clone()),
            None => self.stored.get(&id).cloned(),
        }
    }

    fn delete(&mut self, id: u64) -> Outcome {
        let Some(movie) = self.stored.remove(&id) else {
            return Outcome::NoMovie;
        };
        if let Some(imdb_id) = &movie.imdb_id {
            self.by_imdb_id.remove(imdb_id.as_str());
        }
        self.remove.insert(id);
        self.touch(id, -1);
        self.names.count(&movie.genres, -1);
        Outcome::Deleted
    }

    fn touch(&mut self, id: u64, movies: i64) {
        *self.segments.entry(id >> 8).or_default() += movies;
    }

    /// Notes a movie to be written, its names in the spelling that stays.
    fn write(&mut self, mut movie: Movie) {
        let genres = self.names.genre_ids(&mut movie.genres);
        let directors = self.names.director_ids(&mut movie.directors);
        self.put.insert(movie.id, Put { movie, genres, directors });
    }

    fn finish(self) -> Option<Changeset> {
        let (names, next_genre, next_director) = self.names.finish();
        if self.segments.is_empty() && names.genres.is_empty() {
            return None;
        }
        let segments = self.segments.iter().map(|(number, delta)| {
            let before = self.manifest.segment(*number).map_or(0, |segment| segment.movies);
            let movies = u32::try_from(i64::from(before) + delta).unwrap_or_default();
            SegmentRef { number: *number, stamp: self.stamp, movies }
        });
        Some(Changeset {
            head: Head { revision: self.manifest.head().revision + 1, stamp: self.stamp },
            next_ids: NextIds { movie: self.next_movie, genre: next_genre, director: next_director },
            remove: self.remove.into_iter().collect(),
            genres: names.genres,
            directors: names.directors,
            put: self.put.into_values().collect(),
            genre_counts: names.counts,
            segments: segments.collect(),
        })
    }
}

#[cfg(test)]
mod tests;
