//! Lines of a bounded length.

use std::io::{self, BufRead, Read};

use super::source::Text;

/// The longest line, or element of an array, that is held in memory.
pub(super) const LONGEST: usize = 1024 * 1024;
/// How much of a longer one is kept to be shown.
pub(super) const SHOWN: usize = 1024;

/// Reads line by line; `\n` and `\r\n` end one.
pub(super) struct Lines {
    text: Text,
    number: u64,
    line: Vec<u8>,
}

/// One line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// Longer than [`LONGEST`]: its beginning.
    TooLong(&'a [u8]),
}

impl Lines {
    pub(super) fn new(text: Text) -> Self {
        Self { text, number: 0, line: Vec::new() }
    }

    /// The number of the line read last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line. After an error, what was read of the line is gone.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        self.line.shrink_to(BUFFERED);
        let bound = LONGEST as u64 + 2;
        let read = self.text.by_ref().take(bound).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let ended = self.line.last() == Some(&b'\n');
        if ended {
            self.line.pop();
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        }
        if self.line.len() <= LONGEST {
            return Ok(Some(Line::Whole(&self.line)));
        }
        if !ended {
            self.text.skip_until(b'\n')?;
        }
        self.line.truncate(SHOWN);
        Ok(Some(Line::TooLong(&self.line)))
    }
}

/// What the buffer of lines may keep after a long one.
const BUFFERED: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn lengths(text: Vec<u8>) -> Vec<(u64, bool, usize)> {
        let mut lines = Lines::new(Box::new(Cursor::new(text)));
        let mut seen = Vec::new();
        loop {
            let (whole, length) = match lines.next().unwrap() {
                None => return seen,
                Some(Line::Whole(line)) => (true, line.len()),
                Some(Line::TooLong(line)) => (false, line.len()),
            };
            seen.push((lines.number(), whole, length));
        }
    }

    #[test]
    fn both_ends_and_none() {
        assert_eq!(
            lengths(b"a\nbc\r\n\nd".to_vec()),
            [(1, true, 1), (2, true, 2), (3, true, 0), (4, true, 1)]
        );
        assert_eq!(lengths(Vec::new()), []);
    }

    #[test]
    fn a_line_beyond_the_bound_is_passed_over() {
        for (length, whole) in [(LONGEST, true), (LONGEST + 1, false), (5 * LONGEST, false)] {
            for end in ["\n", "\r\n"] {
                let mut text = vec![b'x'; length];
                text.extend_from_slice(end.as_bytes());
                text.extend_from_slice(b"next\n");
                let kept = if whole { length } else { SHOWN };
                assert_eq!(lengths(text), [(1, whole, kept), (2, true, 4)], "{length} {end:?}");
            }
        }
    }
}
