//! Genres and directors within a batch: which are there, which are made, and how the counts change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{DirectorName, GenreName, slug};
use crate::store::{GenreRow, NewDirector, NewGenre, NextIds};

/// What becomes of the names of a batch.
#[derive(Debug, Default)]
pub(super) struct NameChanges {
    pub(super) genres: Vec<NewGenre>,
    pub(super) directors: Vec<NewDirector>,
    /// By genre; no zeros.
    pub(super) counts: Vec<(u64, i64)>,
}

/// The names of a batch, by folded name. The first spelling stays.
pub(super) struct Names {
    genres: HashMap<String, GenreRow>,
    directors: HashMap<String, (u64, DirectorName)>,
    slugs: BTreeSet<String>,
    /// The number to try next for a slug that is taken.
    numbers: HashMap<String, u64>,
    next_genre: u64,
    next_director: u64,
    new_genres: Vec<NewGenre>,
    new_directors: Vec<NewDirector>,
    counts: BTreeMap<u64, i64>,
}

impl Names {
    pub(super) fn new(
        genres: HashMap<String, GenreRow>,
        directors: HashMap<String, (u64, DirectorName)>,
        slugs: BTreeSet<String>,
        numbers: HashMap<String, u64>,
        next: NextIds,
    ) -> Self {
        Self {
            genres,
            directors,
            slugs,
            numbers,
            next_genre: next.genre,
            next_director: next.director,
            new_genres: Vec::new(),
            new_directors: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// How a genre is spelt, when it is there.
    pub(super) fn existing_genre(&self, name: &GenreName) -> Option<String> {
        self.genres.get(&name.key()).map(|genre| genre.name.as_str().to_owned())
    }

    /// Makes a genre that is not there; its slug.
    pub(super) fn create_genre(&mut self, name: &GenreName) -> String {
        let base = slug(name.as_str());
        let slug = if self.slugs.insert(base.clone()) { base } else { self.numbered(&base) };
        let id = self.next_genre;
        self.next_genre += 1;
        self.genres.insert(name.key(), GenreRow { id, name: name.clone() });
        self.new_genres.push(NewGenre { id, name: name.clone(), slug: slug.clone() });
        slug
    }

    /// A slug that is taken, with a number: no number is tried twice, however many genres share the slug.
    fn numbered(&mut self, base: &str) -> String {
        let number = self.numbers.entry(base.to_owned()).or_insert(2);
        loop {
            let slug = format!("{base}-{number}");
            *number += 1;
            if self.slugs.insert(slug.clone()) {
                return slug;
            }
        }
    }

    fn genre(&mut self, name: &GenreName) -> GenreRow {
        let key = name.key();
        if let Some(genre) = self.genres.get(&key) {
            return genre.clone();
        }
        let id = self.next_genre;
        self.create_genre(name);
        GenreRow { id, name: name.clone() }
    }

    fn director(&mut self, name: &DirectorName) -> (u64, DirectorName) {
        let key = name.key();
        if let Some(director) = self.directors.get(&key) {
            return director.clone();
        }
        let id = self.next_director;
        self.next_director += 1;
        self.directors.insert(key, (id, name.clone()));
        self.new_directors.push(NewDirector { id, name: name.clone() });
        (id, name.clone())
    }

    /// Genres as they are spelt in the collection; new ones are made.
    pub(super) fn spelt_genres(&mut self, names: &[GenreName]) -> Vec<GenreName> {
        names.iter().map(|name| self.genre(name).name).collect()
    }

    /// Directors as they are spelt in the collection; new ones are made.
    pub(super) fn spelt_directors(&mut self, names: &[DirectorName]) -> Vec<DirectorName> {
        names.iter().map(|name| self.director(name).1).collect()
    }

    /// The ids of `names`, which are respelt; new ones are made.
    pub(super) fn genre_ids(&mut self, names: &mut [GenreName]) -> Vec<u64> {
        let ids = names.iter_mut().map(|name| {
            let genre = self.genre(name);
            *name = genre.name;
            genre.id
        });
        ids.collect()
    }

    /// As [`Self::genre_ids`].
    pub(super) fn director_ids(&mut self, names: &mut [DirectorName]) -> Vec<u64> {
        let ids = names.iter_mut().map(|name| {
            let (id, spelt) = self.director(name);
            *name = spelt;
            id
        });
        ids.collect()
    }

    /// One movie more or less has these genres.
    pub(super) fn count(&mut self, names: &[GenreName], delta: i64) {
        for name in names {
            let id = self.genre(name).id;
            *self.counts.entry(id).or_default() += delta;
        }
    }

    /// What is to be written, and the ids to give next.
    pub(super) fn finish(self) -> (NameChanges, u64, u64) {
        let counts = self.counts.into_iter().filter(|(_, delta)| *delta != 0).collect();
        let changes = NameChanges { genres: self.new_genres, directors: self.new_directors, counts };
        (changes, self.next_genre, self.next_director)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers go on from where the database was found to have room, pass over what is taken, and none is tried twice.
    #[test]
    fn numbers_go_on() {
        let slugs = BTreeSet::from(["genre", "genre-7", "war"].map(str::to_owned));
        let numbers = HashMap::from([("genre".to_owned(), 5)]);
        let next = NextIds { movie: 1, genre: 1, director: 1 };
        let mut names = Names::new(HashMap::new(), HashMap::new(), slugs, numbers, next);
        let mut made = |name: &str| names.create_genre(&GenreName::parse(name).unwrap());
        assert_eq!(
            ["戦", "争", "War!", "記", "Oz"].map(&mut made),
            ["genre-5", "genre-6", "war-2", "genre-8", "oz"]
        );
        assert_eq!(names.numbers, HashMap::from([("genre".to_owned(), 9), ("war".to_owned(), 3)]));
    }
}
