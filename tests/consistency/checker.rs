//! A checker for runs of any length: its work grows as the number of operations does.
//!
//! To search for an order that explains a history takes exponential time in general. Here each answer names its
//! place in the order, its revision, so there is nothing to search for; the order is only to be checked:
//! - *real time:* an answer is of no older revision than any that had been told before it was asked for, and a write
//!   makes a newer one
//! - *content:* an answer is, byte for byte, what the writes up to its revision make: nothing lost, nothing torn, nothing
//!   without a cause
//! - *one order:* no revision without a write, no id given twice, no version passed over

use std::collections::BTreeMap;

use bytes::Bytes;

use super::words::{Content, Movie, Told, join};

/// What a client did.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// The newest revision that had been told when it asked, to whom it may matter.
    pub(crate) after: u64,
    pub(crate) told: Told,
}

/// The catalogue as the writes up to a revision make it.
pub(crate) struct Replay {
    revision: u64,
    movies: BTreeMap<u64, Bytes>,
    highest: u64,
}

impl Replay {
    pub(crate) fn from(revision: u64, movies: Vec<Bytes>) -> Self {
        let movies: BTreeMap<u64, Bytes> =
            movies.into_iter().map(|movie| (Movie::of(&movie).id, movie)).collect();
        let highest = movies.keys().next_back().copied().unwrap_or_default();
        Self { revision, movies, highest }
    }

    /// The newest revision that was checked.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Checks what was done since the last time, all of it: no operation may be under way, and what is asked later
    /// must be of what is the newest revision now.
    pub(crate) fn check(&mut self, operations: &[Operation]) -> Result<(), String> {
        let first = self.revision;
        let last = operations.iter().map(|done| done.told.revision).max().unwrap_or(first).max(first);
        let mut by_revision: Vec<Vec<&Operation>> = vec![Vec::new(); (last - first + 1) as usize];
        for done in operations {
            let (revision, after) = (done.told.revision, done.after.max(first));
            if revision < after || done.told.content.is_change() && revision == after {
                return Err(format!("time went back: revision {revision} after {after}: {:?}", done.told));
            }
            by_revision[(revision - first) as usize].push(done);
        }
        for (revision, operations) in (first..).zip(by_revision) {
            if revision > first {
                self.apply(revision, &operations)?;
            }
            let mut whole = None;
            for done in operations {
                self.compare(revision, &done.told.content, &mut whole)?;
            }
        }
        Ok(())
    }

    /// All writes of one revision. They were planned one after the other, but are told together: what orders two of
    /// the same movie is its version, and that nothing comes after its end.
    fn apply(&mut self, revision: u64, operations: &[&Operation]) -> Result<(), String> {
        let changes: Vec<&Content> =
            operations.iter().map(|done| &done.told.content).filter(|told| told.is_change()).collect();
        if changes.is_empty() {
            return Err(format!("nobody made revision {revision}"));
        }
        let (mut created, mut renamed, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match change {
                Content::Created(movies) => {
                    created.extend(movies.iter().map(|movie| (Movie::of(movie), movie)))
                }
                Content::Renamed(_, Some(movie)) => renamed.push((Movie::of(movie), movie)),
                Content::Deleted { deleted: ids, .. } => deleted.extend(ids),
                Content::Whole(_) | Content::One(..) | Content::Renamed(_, None) => {}
            }
        }
        created.sort_by_key(|(movie, _)| movie.id);
        for (movie, bytes) in created {
            if movie.id <= self.highest {
                return Err(format!("revision {revision} gives the id {} again", movie.id));
            }
            self.highest = movie.id;
            self.movies.insert(movie.id, bytes.clone());
        }
        renamed.sort_by_key(|(movie, _)| (movie.id, movie.version));
        for (movie, bytes) in renamed {
            let before = self.movies.insert(movie.id, bytes.clone()).map(|before| Movie::of(&before).version);
            if before != Some(movie.version - 1) {
                return Err(format!("revision {revision} makes of version {before:?} {movie:?}"));
            }
        }
        for id in deleted {
            if self.movies.remove(&id).is_none() {
                return Err(format!("revision {revision} deletes movie {id}, which is not there"));
            }
        }
        self.revision = revision;
        Ok(())
    }

    /// What was told of a revision, beside what it is. `whole` is made of it when it is first asked for.
    fn compare(&self, revision: u64, told: &Content, whole: &mut Option<Vec<u8>>) -> Result<(), String> {
        match told {
            Content::Whole(told) => {
                let expected = whole.get_or_insert_with(|| join(self.movies.values()));
                if told == expected {
                    return Ok(());
                }
                let same = told.iter().zip(expected.iter()).take_while(|(a, b)| a == b).count();
                let part = |bytes: &[u8]| {
                    let part = &bytes[same.saturating_sub(100).min(bytes.len())..bytes.len().min(same + 200)];
                    String::from_utf8_lossy(part).into_owned()
                };
                Err(format!(
                    "revision {revision} is not that: from byte {same} on\n  {}\nand not\n  {}",
                    part(told),
                    part(expected)
                ))
            }
            Content::One(id, Some(movie)) => {
                let expected = self.movies.get(id);
                if expected == Some(movie) {
                    return Ok(());
                }
                Err(format!("revision {revision} has of movie {id} {expected:?} and not {movie:?}"))
            }
            Content::One(id, None) | Content::Renamed(id, None) => self.is_missing(revision, *id),
            Content::Deleted { missing, .. } => {
                missing.iter().try_for_each(|id| self.is_missing(revision, *id))
            }
            Content::Created(_) | Content::Renamed(_, Some(_)) => Ok(()),
        }
    }

    fn is_missing(&self, revision: u64, id: u64) -> Result<(), String> {
        match self.movies.get(&id) {
            None => Ok(()),
            Some(movie) => {
                Err(format!("revision {revision} has movie {id}, which was told to be missing: {movie:?}"))
            }
        }
    }
}
