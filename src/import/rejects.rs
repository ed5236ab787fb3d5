//! Rows that could not be read: counted, and written down with their place and reason.

use std::io::Write;

use serde::Serialize;

use super::error::ImportError;
use super::lines::SHOWN;

/// How many rejects the summary shows.
const SAMPLES: usize = 5;

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    /// From 1.
    pub(super) line: u64,
}

/// The rejects of a run.
pub(super) struct Rejects {
    to: Option<Box<dyn Write + Send>>,
    /// Rows of movies.
    pub(super) movies: u64,
    /// Rows of joined files.
    pub(super) joined: u64,
    /// The first few, as `file:line: reason`.
    pub(super) samples: Vec<String>,
}

/// One line of the file of rejects.
#[derive(Serialize)]
struct Written<'a> {
    file: &'a str,
    line: u64,
    reason: &'a str,
    raw: &'a str,
}

impl Rejects {
    pub(super) fn new(to: Option<Box<dyn Write + Send>>) -> Self {
        Self { to, movies: 0, joined: 0, samples: Vec::new() }
    }

    /// A row that would have been a movie.
    pub(super) fn movie(&mut self, place: Place<'_>, reason: &str, raw: &[u8]) -> Result<(), ImportError> {
        self.movies += 1;
        self.write(place, reason, raw)
    }

    /// A row of a joined file.
    pub(super) fn joined(&mut self, place: Place<'_>, reason: &str, raw: &[u8]) -> Result<(), ImportError> {
        self.joined += 1;
        self.write(place, reason, raw)
    }

    fn write(&mut self, place: Place<'_>, reason: &str, raw: &[u8]) -> Result<(), ImportError> {
        let Place { file, line } = place;
        if self.samples.len() < SAMPLES {
            self.samples.push(format!("{file}:{line}: {reason}"));
        }
        let Some(to) = &mut self.to else { return Ok(()) };
        let raw = String::from_utf8_lossy(raw.get(..SHOWN).unwrap_or(raw));
        let written = Written { file, line, reason, raw: &raw };
        serde_json::to_writer(&mut *to, &written).map_err(|e| ImportError::Rejects(e.into()))?;
        to.write_all(b"\n").map_err(ImportError::Rejects)
    }

    /// Has everything written out.
    pub(super) fn flush(&mut self) -> Result<(), ImportError> {
        self.to.as_mut().map_or(Ok(()), |to| to.flush()).map_err(ImportError::Rejects)
    }
}
