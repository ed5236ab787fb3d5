//! What an import did.

use std::collections::BTreeMap;
use std::fmt;

use super::feed::Tally;
use super::progress::rate;
use super::rejects::Rejects;

/// What an import did. `rows` is the sum of created, changed, unchanged, rejected and skipped, when it ran
/// to its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Rows that might have been movies.
    pub rows: u64,
    /// Movies that were not there.
    pub created: u64,
    /// Movies that were there and differed.
    pub changed: u64,
    /// Movies that were there just so.
    pub unchanged: u64,
    /// Rows that could not be read as a movie, or repeated an earlier one.
    pub rejected: u64,
    /// Titles passed over because of `isAdult`.
    pub skipped_adult: u64,
    /// Titles passed over because of their `titleType`, by type.
    pub skipped_types: BTreeMap<Box<str>, u64>,
    /// Rows of joined files.
    pub joined_rows: u64,
    /// Rows of joined files that could not be read.
    pub joined_rejected: u64,
    /// Directors that `name.basics` does not know.
    pub unknown_directors: u64,
    /// Directors beyond the most that a movie may have.
    pub surplus_directors: u64,
    /// Bytes of memory that the joined files, and the set of ids, took.
    pub held_bytes: usize,
    /// Inputs that broke off, with place and reason.
    pub broken: Vec<String>,
    /// The first few rejects, with place and reason.
    pub samples: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Summary {
    pub(super) fn take(&mut self, tally: Tally, rejects: &Rejects, held_bytes: usize) {
        let Tally {
            rows,
            skipped_adult,
            skipped_types,
            joined_rows,
            unknown_directors,
            surplus_directors,
            broken,
        } = tally;
        self.rows = rows;
        self.rejected = rejects.movies;
        self.skipped_adult = skipped_adult;
        self.skipped_types = skipped_types;
        self.joined_rows = joined_rows;
        self.joined_rejected = rejects.joined;
        self.unknown_directors = unknown_directors;
        self.surplus_directors = surplus_directors;
        self.held_bytes = held_bytes;
        self.broken = broken;
        self.samples.clone_from(&rejects.samples);
    }

    /// Whether the collection is as it was before.
    pub fn nothing_changed(&self) -> bool {
        self.created == 0 && self.changed == 0
    }

    /// Rows a second.
    pub fn rate(&self) -> u64 {
        rate(self.rows, self.seconds)
    }

    /// 0, or 1 when an input broke off or when there were rows of which not one was understood.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.broken.is_empty() || (self.rows > 0 && self.rejected == self.rows))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, created, changed, unchanged, seconds, .. } = self;
        writeln!(f, "{rows} rows in {seconds:.1} s ({} rows/s)", self.rate())?;
        writeln!(f, "  created {created}, changed {changed}, unchanged {unchanged}")?;
        let adult = (self.skipped_adult > 0).then(|| format!("{} isAdult", self.skipped_adult));
        let types = self.skipped_types.iter().map(|(name, count)| format!("{count} {name}"));
        let skipped: Vec<String> = adult.into_iter().chain(types).collect();
        if !skipped.is_empty() {
            writeln!(f, "  skipped {}", skipped.join(", "))?;
        }
        if self.joined_rows > 0 {
            let (joined, held) = (self.joined_rows, self.held_bytes.div_ceil(1024 * 1024));
            writeln!(f, "  joined {joined} rows, held in {held} MiB")?;
        }
        if self.unknown_directors > 0 {
            writeln!(f, "  left out {} directors that name.basics does not know", self.unknown_directors)?;
        }
        if self.surplus_directors > 0 {
            writeln!(f, "  left out {} directors beyond the bound of a movie", self.surplus_directors)?;
        }
        let rejected = self.rejected + self.joined_rejected;
        if rejected > 0 {
            writeln!(f, "  rejected {rejected} rows")?;
            for sample in &self.samples {
                writeln!(f, "    {sample}")?;
            }
            let untold = rejected.saturating_sub(self.samples.len() as u64);
            if untold > 0 {
                writeln!(f, "    and {untold} more: --rejects FILE has each of them")?;
            }
        }
        for broken in &self.broken {
            writeln!(f, "  broke off: {broken}")?;
        }
        if self.nothing_changed() {
            writeln!(f, "nothing changed")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_happened() {
        let mut summary = Summary { rows: 10, unchanged: 4, rejected: 3, seconds: 2.0, ..Summary::default() };
        summary.skipped_adult = 1;
        summary.skipped_types.insert("short".into(), 2);
        summary.samples.push("a:3: bad".to_owned());
        let text = summary.to_string();
        for part in
            ["10 rows in 2.0 s (5 rows/s)", "1 isAdult, 2 short", "a:3: bad", "and 2 more", "nothing changed"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(summary.exit_code(), 0);
        summary.created = 1;
        assert!(!summary.to_string().contains("nothing changed"));
    }

    #[test]
    fn the_exit_code_tells_a_run_that_failed() {
        assert_eq!(Summary { rows: 2, rejected: 2, ..Summary::default() }.exit_code(), 1);
        assert_eq!(Summary { broken: vec!["x".to_owned()], ..Summary::default() }.exit_code(), 1);
        assert_eq!(Summary::default().exit_code(), 0);
    }
}
