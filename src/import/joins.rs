//! The files that are joined to `title.basics`, held in memory in a compact form.
//!
//! | file | kept of it | bytes |
//! |---|---|---|
//! | `title.ratings` | every row | 16 a row |
//! | `title.crew` | rows that name directors | 16 a row, and 8 for each director |
//! | `name.basics` | people whom `title.crew` names as directors | 16 each, and their names |
//!
//! Vectors grow by a quarter, so that at most a fifth of the room is spare; `docs/IMPORT.md` has measurements.

mod budget;
mod crew;
mod people;
mod ratings;

use std::io;

use super::columns::Columns;
use super::error::ImportError;
use super::lines::{Line, Lines};
use super::rejects::{Place, Rejects};
use super::source::{Text, cause};

pub(super) use budget::Budget;
pub(super) use crew::Crew;
pub(super) use people::People;
pub(super) use ratings::Ratings;

/// One file to be joined.
pub(super) struct Joined {
    /// Its name, for messages.
    pub(super) file: std::sync::Arc<str>,
    /// Its content, header row included.
    pub(super) text: Text,
}

/// Reads the rows of a joined file, in which a bad row is a reject, and a broken file an error.
fn rows<const N: usize>(
    joined: Joined,
    names: [&str; N],
    rejects: &mut Rejects,
    mut each: impl FnMut([&str; N]) -> Result<Option<String>, ImportError>,
) -> Result<u64, ImportError> {
    let Joined { file, text } = joined;
    let broken = |line: u64, reason: String| ImportError::Joined {
        file: file.to_string(),
        reason: format!("after line {line}, {reason}"),
    };
    let mut lines = Lines::new(text);
    let header = match lines.next() {
        Ok(Some(Line::Whole(header))) => Columns::find(header, names),
        Ok(_) => Err("it has no header".to_owned()),
        Err(e) => Err(cause(&e)),
    };
    let columns = header.map_err(|reason| broken(0, reason))?;
    let mut rows = 0;
    loop {
        let number = lines.number();
        let line = lines.next().map_err(|e: io::Error| broken(number, cause(&e)))?;
        let Some(line) = line else { return Ok(rows) };
        let place = Place { file: &file, line: number + 1 };
        rows += 1;
        match line {
            Line::TooLong(start) => rejects.joined(place, "is longer than 1 MiB", start)?,
            Line::Whole(row) => match columns.pick(row) {
                Err(reason) => rejects.joined(place, &reason, row)?,
                Ok(picked) => {
                    if let Some(reason) = each(picked)? {
                        rejects.joined(place, &reason, row)?;
                    }
                }
            },
        }
    }
}

/// Grows a vector by a quarter where it is full: doubling would leave up to half of it spare.
fn push<T>(to: &mut Vec<T>, value: T) {
    if to.len() == to.capacity() {
        to.reserve_exact((to.len() / 4).max(1024));
    }
    to.push(value);
}

fn bytes_of<T>(vector: &Vec<T>) -> usize {
    vector.capacity() * size_of::<T>()
}
