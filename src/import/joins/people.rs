//! `name.basics`: the names of those who directed anything; all others are passed over.

use super::{Budget, Joined, rows};
use crate::domain::DirectorName;
use crate::import::error::ImportError;
use crate::import::ids::Key;
use crate::import::rejects::Rejects;

const WHAT: &str = "name.basics";

/// Names by person, in one arena.
pub(in crate::import) struct People {
    /// In order.
    people: Vec<Key>,
    /// For each of them, where the name stands in `arena`; an empty one is unknown.
    names: Vec<Span>,
    arena: String,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
}

impl People {
    /// Reads the names of `people`, who are in order.
    pub(in crate::import) fn read(
        file: Joined,
        people: Vec<Key>,
        budget: &mut Budget,
        rejects: &mut Rejects,
    ) -> Result<(Self, u64), ImportError> {
        let fixed = people.capacity() * (size_of::<Key>() + size_of::<Span>());
        budget.check(fixed, WHAT)?;
        let mut names = vec![Span::default(); people.len()];
        let mut arena = String::new();
        let read = rows(file, ["nconst", "primaryName"], rejects, |[nconst, name]| {
            let Some(person) = Key::parse("nm", nconst) else {
                return Ok(Some("nconst must be \"nm\" followed by 7 to 10 digits".to_owned()));
            };
            let Ok(index) = people.binary_search(&person) else { return Ok(None) };
            let name = match DirectorName::parse(name) {
                Ok(name) if name.as_str() != r"\N" => name,
                Ok(_) => return Ok(None),
                Err(invalid) => return Ok(Some(format!("primaryName {invalid}"))),
            };
            let (Some(slot), Ok(start)) = (names.get_mut(index), u32::try_from(arena.len())) else {
                return Ok(Some("comes after more names than can be held".to_owned()));
            };
            #[expect(clippy::cast_possible_truncation, reason = "a name has at most 1,024 bytes")]
            let length = name.as_str().len() as u32;
            *slot = Span { start, length };
            if arena.capacity() - arena.len() < name.as_str().len() {
                arena.reserve_exact((arena.len() / 4).max(64 * 1024));
                budget.check(fixed + arena.capacity(), WHAT)?;
            }
            arena.push_str(name.as_str());
            Ok(None)
        })?;
        budget.charge(fixed + arena.capacity(), WHAT)?;
        Ok((Self { people, names, arena }, read))
    }

    /// The name of a person, where it is known.
    pub(in crate::import) fn name(&self, person: Key) -> Option<&str> {
        let index = self.people.binary_search(&person).ok()?;
        let Span { start, length } = self.names.get(index)?;
        let (start, length) = (*start as usize, *length as usize);
        self.arena.get(start..start + length).filter(|name| !name.is_empty())
    }
}
