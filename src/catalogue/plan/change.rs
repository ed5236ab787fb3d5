//! Changes of movies that are there.

use std::collections::BTreeSet;

use super::{Condition, Merged, Outcome, Planner, written};
use crate::domain::{Change, Movie, NewMovie, Parts};

impl Planner<'_> {
    /// That an `imdb_id` of `movies` is taken: the first one that is.
    pub(super) fn duplicate(&self, movies: &[NewMovie]) -> Option<Outcome> {
        repeated(movies, |imdb_id| self.by_imdb_id.contains_key(imdb_id))
    }

    pub(super) fn change(&mut self, id: u64, change: &Change, condition: &Condition) -> Outcome {
        let Some(current) = self.current(id).cloned() else {
            return Outcome::NoMovie;
        };
        if !condition.holds(&current) || change.is_stale(&current) {
            return Outcome::Stale;
        }
        let contradictions = change.contradictions(&current);
        if !contradictions.is_empty() {
            return Outcome::Contradicts(contradictions);
        }
        let next = change.apply(&current);
        if let Some(imdb_id) = &next.imdb_id
            && self.by_imdb_id.get(imdb_id.as_str()).is_some_and(|taken| *taken != id)
        {
            return Outcome::DuplicateImdbId { index: 0, imdb_id: imdb_id.as_str().to_owned() };
        }
        Outcome::Changed(written(&self.replace(&current, next).0))
    }

    pub(super) fn delete(&mut self, id: u64, condition: &Condition) -> Outcome {
        match self.current(id) {
            None => Outcome::NoMovie,
            Some(current) if !condition.holds(current) => Outcome::Stale,
            Some(_) => {
                self.discard(id);
                Outcome::Deleted
            }
        }
    }

    /// Makes or replaces movies, which all have another `imdb_id` or none.
    pub(super) fn upsert(&mut self, movies: &[NewMovie]) -> Outcome {
        if let Some(outcome) = repeated(movies, |_| false) {
            return outcome;
        }
        let mut merged = Merged::default();
        let all = movies.iter().map(|movie| written(&self.merge(movie, Parts::ALL, &mut merged)));
        Outcome::Upserted(all.collect(), merged)
    }

    /// Merges one movie; one without an `imdb_id` is new. The movie as it is then.
    pub(super) fn merge(&mut self, new: &NewMovie, parts: Parts, merged: &mut Merged) -> Movie {
        let known = new.imdb_id.as_ref().and_then(|imdb_id| self.by_imdb_id.get(imdb_id.as_str()));
        let Some(current) = known.and_then(|id| self.current(*id)).cloned() else {
            merged.created += 1;
            return self.create(new);
        };
        let mut next = current.clone();
        next.title = new.title.clone();
        next.year = new.year;
        next.runtime_minutes = new.runtime_minutes;
        next.genres = new.genres.clone();
        if parts.directors {
            next.directors = new.directors.clone();
        }
        if parts.ratings {
            (next.rating, next.votes) = (new.rating, new.votes);
        }
        if parts.popularity {
            next.popularity = new.popularity;
        }
        let (movie, changed) = self.replace(&current, next);
        *if changed { &mut merged.changed } else { &mut merged.unchanged } += 1;
        movie
    }

    /// Puts `next` in the place of `current`, unless it is the same: then there is no new version of it. The
    /// movie as it is then, and whether it changed.
    fn replace(&mut self, current: &Movie, mut next: Movie) -> (Movie, bool) {
        next.genres = self.names.spelt_genres(&next.genres);
        next.directors = self.names.spelt_directors(&next.directors);
        if next == *current {
            return (next, false);
        }
        next.version += 1;
        next.updated_at = self.now.max(current.updated_at);
        if self.stored.contains_key(&next.id) {
            self.remove.insert(next.id);
        }
        self.forget_imdb_id(current);
        self.touch(next.id, 0);
        self.names.count(&current.genres, -1);
        self.names.count(&next.genres, 1);
        (self.write(next), true)
    }
}

/// That an `imdb_id` is taken, or stands earlier among `movies`: the first one that does.
fn repeated(movies: &[NewMovie], is_taken: impl Fn(&str) -> bool) -> Option<Outcome> {
    let mut seen = BTreeSet::new();
    let all = movies.iter().enumerate().filter_map(|(index, movie)| Some((index, movie.imdb_id.as_ref()?)));
    let mut taken = all.filter(|(_, imdb_id)| is_taken(imdb_id.as_str()) || !seen.insert(imdb_id.as_str()));
    let (index, imdb_id) = taken.next()?;
    Some(Outcome::DuplicateImdbId { index, imdb_id: imdb_id.as_str().to_owned() })
}
