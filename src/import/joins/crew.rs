//! `title.crew`: who directed what, by number.

use super::{Budget, Joined, bytes_of, push, rows};
use crate::import::columns::present;
use crate::import::error::ImportError;
use crate::import::ids::Key;
use crate::import::rejects::Rejects;

const WHAT: &str = "title.crew";

/// The directors of each title, in their order. Titles without any are not kept.
pub(in crate::import) struct Crew {
    titles: Vec<Directed>,
    directors: Vec<Key>,
}

/// A title, and where its directors stand.
struct Directed {
    title: Key,
    start: u32,
    count: u32,
}

impl Crew {
    /// Reads the file.
    pub(in crate::import) fn read(
        file: Joined,
        budget: &mut Budget,
        rejects: &mut Rejects,
    ) -> Result<(Self, u64), ImportError> {
        let mut crew = Self { titles: Vec::new(), directors: Vec::new() };
        let read = rows(file, ["tconst", "directors"], rejects, |[tconst, directors]| {
            let Some(title) = Key::parse("tt", tconst) else {
                return Ok(Some("tconst must be \"tt\" followed by 7 to 10 digits".to_owned()));
            };
            let Some(directors) = present(directors) else { return Ok(None) };
            let reason = crew.take(title, directors);
            budget.check(crew.bytes(), WHAT)?;
            Ok(reason)
        })?;
        // Stable: of a title that came twice, the later row stands behind, and counts.
        crew.titles.sort_by_key(|directed| directed.title);
        budget.charge(crew.bytes(), WHAT)?;
        Ok((crew, read))
    }

    fn take(&mut self, title: Key, directors: &str) -> Option<String> {
        let (Ok(start), mut count) = (u32::try_from(self.directors.len()), 0) else {
            return Some("comes after more directors than can be held".to_owned());
        };
        for nconst in directors.split(',') {
            let Some(person) = Key::parse("nm", nconst) else {
                self.directors.truncate(start as usize);
                return Some("directors must each be \"nm\" followed by 7 to 10 digits".to_owned());
            };
            push(&mut self.directors, person);
            count += 1;
        }
        push(&mut self.titles, Directed { title, start, count });
        None
    }

    fn bytes(&self) -> usize {
        bytes_of(&self.titles) + bytes_of(&self.directors)
    }

    /// The directors of a title.
    pub(in crate::import) fn get(&self, title: Key) -> &[Key] {
        let end = self.titles.partition_point(|directed| directed.title <= title);
        let last = end.checked_sub(1).and_then(|last| self.titles.get(last));
        let Some(directed) = last.filter(|directed| directed.title == title) else { return &[] };
        let start = directed.start as usize;
        self.directors.get(start..start + directed.count as usize).unwrap_or_default()
    }

    /// Everybody who directed anything, in order, none twice.
    pub(in crate::import) fn people(&self, budget: &Budget) -> Result<Vec<Key>, ImportError> {
        budget.check(self.directors.len() * size_of::<Key>(), WHAT)?;
        let mut people = self.directors.clone();
        people.sort_unstable();
        people.dedup();
        people.shrink_to_fit();
        Ok(people)
    }
}
