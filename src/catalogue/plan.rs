//! What a batch of writes comes to: decided in memory, from what the database knows.
//!
//! The commands are taken in their order, each on top of the ones before: what a command is told is what it
//! made of the movies, whatever a later one of the same batch makes of them. A command that must fail (a
//! duplicate, a movie that is not there or is not as it was) fails alone and leaves nothing.

mod change;
mod names;
mod packed;
mod retry;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

pub use work::{Condition, Known, Merged, Outcome, Work, Written, wanted};

use super::manifest::Manifest;
use super::segment::{fingerprint, movie_json};
use crate::domain::{Movie, NewMovie};
use crate::store::{Changeset, Facts, Head, KeptAnswer, NextIds, Put, RetryKey, SegmentRef};
use names::Names;
use retry::Answers;

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
    /// What was answered before under the keys of the batch.
    pub answers: Vec<KeptAnswer>,
    /// Whether more answers may be kept.
    pub has_room: bool,
}

/// What a batch comes to.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// What came of the commands that were taken: from the first on, maybe not all.
    pub outcomes: Vec<Outcome>,
    /// What is to be written; `None` when nothing changes.
    pub changes: Option<Changeset>,
    /// The answers that are to be kept under their keys: each with what makes it, and in one transaction with
    /// it, whether there are changes or not.
    pub keep: Vec<(RetryKey, Vec<u8>)>,
}

/// Plans as many of `work`, from the first on, as one transaction can do. What has a key is done once.
pub fn plan<'a>(
    work: impl IntoIterator<Item = (&'a Work, Option<&'a RetryKey>)>,
    mut base: Base<'_>,
) -> Plan {
    let mut answers = Answers::new(std::mem::take(&mut base.answers), base.has_room);
    let mut planner = Planner::new(base);
    let mut outcomes = Vec::new();
    for (work, key) in work {
        if planner.is_full() {
            break;
        }
        let outcome = key.and_then(|key| answers.to(key)).unwrap_or_else(|| {
            let outcome = planner.one(work);
            if let Some(key) = key {
                answers.note(*key, &outcome);
            }
            outcome
        });
        outcomes.push(outcome);
    }
    Plan { outcomes, changes: planner.finish(), keep: answers.finish() }
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
        let Facts { by_imdb_id, movies, genres, directors, slugs, numbers } = base.facts;
        Self {
            manifest: base.manifest,
            next_movie: base.next_ids.movie,
            names: Names::new(genres, directors, slugs, numbers, base.next_ids),
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

    /// The outcome of one command.
    fn one(&mut self, work: &Work) -> Outcome {
        match work {
            Work::Create(movies) => self.duplicate(movies).unwrap_or_else(|| {
                Outcome::Created(movies.iter().map(|movie| written(&self.create(movie))).collect())
            }),
            Work::Sample { only_new, movies } => self.sample(*only_new, movies),
            Work::Merge(movies, parts) => {
                let mut merged = Merged::default();
                for movie in movies {
                    self.merge(movie, *parts, &mut merged);
                }
                Outcome::Merged(merged)
            }
            Work::Upsert(movies) => self.upsert(movies),
            Work::Change(id, change, condition) => self.change(*id, change, condition),
            Work::Delete(id, condition) => self.delete(*id, condition),
            Work::DeleteMany(ids) => {
                let (deleted, missing) = ids.iter().partition(|id| self.discard(**id));
                Outcome::DeletedMany { deleted, missing }
            }
            Work::CreateGenre(name) => match self.names.existing_genre(name) {
                Some(name) => Outcome::DuplicateGenre { name },
                None => Outcome::GenreCreated { slug: self.names.create_genre(name) },
            },
        }
    }

    fn sample(&mut self, only_new: bool, movies: &[NewMovie]) -> Outcome {
        let Head { revision, .. } = self.manifest.head();
        let wanted = if only_new { revision == 0 } else { self.manifest.movies() == 0 };
        // An earlier command of this batch counts as well.
        if !wanted || !self.put.is_empty() || self.duplicate(movies).is_some() {
            return Outcome::Loaded(0);
        }
        movies.iter().for_each(|movie| drop(self.create(movie)));
        Outcome::Loaded(movies.len())
    }

    /// Makes a movie that may be made.
    fn create(&mut self, new: &NewMovie) -> Movie {
        let id = self.next_movie;
        self.next_movie += 1;
        self.touch(id, 1);
        self.names.count(&new.genres, 1);
        self.write(new.clone().first(id, self.now))
    }

    /// A movie as the batch has it so far.
    fn current(&self, id: u64) -> Option<&Movie> {
        self.put.get(&id).map(|put| &put.movie).or_else(|| self.stored.get(&id))
    }

    /// Removes a movie; whether there was one.
    fn discard(&mut self, id: u64) -> bool {
        let Some(movie) = self.current(id).cloned() else {
            return false;
        };
        self.put.remove(&id);
        if self.stored.remove(&id).is_some() {
            self.remove.insert(id);
        }
        self.forget_imdb_id(&movie);
        self.touch(id, -1);
        self.names.count(&movie.genres, -1);
        true
    }

    fn forget_imdb_id(&mut self, movie: &Movie) {
        if let Some(imdb_id) = &movie.imdb_id {
            self.by_imdb_id.remove(imdb_id.as_str());
        }
    }

    fn touch(&mut self, id: u64, movies: i64) {
        *self.segments.entry(id >> 8).or_default() += movies;
    }

    /// Notes a movie to be written, its names in the spelling that stays.
    fn write(&mut self, mut movie: Movie) -> Movie {
        let genres = self.names.genre_ids(&mut movie.genres);
        let directors = self.names.director_ids(&mut movie.directors);
        if let Some(imdb_id) = &movie.imdb_id {
            self.by_imdb_id.insert(imdb_id.as_str().to_owned(), movie.id);
        }
        self.put.insert(movie.id, Put { movie: movie.clone(), genres, directors });
        movie
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

/// What a client is told of a movie that it wrote.
fn written(movie: &Movie) -> Written {
    Written { id: movie.id, json: movie_json(movie) }
}

#[cfg(test)]
mod tests;
