//! What an input is, told by its content.

use std::io::{self, BufRead, Cursor, Read};

use super::source::Text;

/// How much is looked at: more than any header row has.
const LOOKED_AT: u64 = 64 * 1024;

/// The kinds of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `title.basics`
    Titles,
    /// `title.ratings`
    Ratings,
    /// `title.crew`
    Crew,
    /// `name.basics`
    Names,
    /// A JSON array.
    Array,
    /// JSON objects, one a line.
    Lines,
    /// Nothing at all.
    Empty,
}

impl Kind {
    /// What IMDb calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Titles => "title.basics",
            Self::Ratings => "title.ratings",
            Self::Crew => "title.crew",
            Self::Names => "name.basics",
            Self::Array => "a JSON array",
            Self::Lines => "NDJSON",
            Self::Empty => "empty",
        }
    }
}

/// Why an input is of no kind.
#[derive(Debug)]
pub(super) enum Unknown {
    /// It cannot be read.
    Unreadable(io::Error),
    /// Its beginning is foreign.
    Foreign(String),
}

/// Looks at the beginning of `text`; what is handed back begins there again.
pub(super) fn recognise(mut text: Text) -> Result<(Kind, Text), Unknown> {
    let mut head = Vec::new();
    loop {
        let start = head.len();
        let left = LOOKED_AT.saturating_sub(start as u64);
        let read = text.by_ref().take(left).read_until(b'\n', &mut head).map_err(Unknown::Unreadable)?;
        let line = head.get(start..).unwrap_or_default();
        if read == 0 || left == 0 || !line.iter().all(u8::is_ascii_whitespace) {
            // Blanks as far as one looks may still be followed by something.
            let kind = if left == 0 { Kind::Lines } else { kind_of(line, start == 0)? };
            return Ok((kind, Box::new(Cursor::new(head).chain(text))));
        }
    }
}

fn kind_of(line: &[u8], is_first: bool) -> Result<Kind, Unknown> {
    let foreign = |reason: String| Err(Unknown::Foreign(reason));
    match line.trim_ascii_start().first() {
        None => return Ok(Kind::Empty),
        Some(b'[') => return Ok(Kind::Array),
        Some(b'{') => return Ok(Kind::Lines),
        Some(_) if !line.contains(&b'\t') => return Ok(Kind::Lines),
        Some(_) if !is_first => {
            return foreign("a TSV file must begin with its header row, not with blank lines".to_owned());
        }
        Some(_) => {}
    }
    let header = String::from_utf8_lossy(line);
    let columns: Vec<&str> = header.trim_end_matches(['\n', '\r']).split('\t').collect();
    let has = |names: &[&str]| names.iter().all(|name| columns.contains(name));
    if has(&["tconst", "titleType", "primaryTitle"]) {
        Ok(Kind::Titles)
    } else if has(&["tconst", "averageRating", "numVotes"]) {
        Ok(Kind::Ratings)
    } else if has(&["tconst", "directors"]) {
        Ok(Kind::Crew)
    } else if has(&["nconst", "primaryName"]) {
        Ok(Kind::Names)
    } else {
        foreign(
            "is tab-separated, but its first row is not the header of title.basics, title.ratings, \
             title.crew or name.basics"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> Option<Kind> {
        recognise(Box::new(Cursor::new(text.as_bytes().to_vec()))).ok().map(|(kind, mut again)| {
            let mut whole = String::new();
            again.read_to_string(&mut whole).unwrap();
            assert_eq!(whole, text);
            kind
        })
    }

    #[test]
    fn kinds_are_told_by_content() {
        assert_eq!(kind("tconst\ttitleType\tprimaryTitle\tx\r\ntt1"), Some(Kind::Titles));
        assert_eq!(kind("numVotes\ttconst\taverageRating\n"), Some(Kind::Ratings));
        assert_eq!(kind("tconst\tdirectors\twriters"), Some(Kind::Crew));
        assert_eq!(kind("nconst\tprimaryName\n"), Some(Kind::Names));
        assert_eq!(kind("  \n\n [1]"), Some(Kind::Array));
        assert_eq!(kind("[\t{"), Some(Kind::Array));
        assert_eq!(kind("{\t\"title\":\"a\"}\n"), Some(Kind::Lines));
        assert_eq!(kind("anything else"), Some(Kind::Lines));
        assert_eq!(kind(""), Some(Kind::Empty));
        assert_eq!(kind(" \r\n\n"), Some(Kind::Empty));
    }

    #[test]
    fn foreign_tables_are_refused() {
        assert_eq!(kind("tconst\tparentTconst\tseasonNumber\n"), None);
        assert_eq!(kind("\ntconst\tdirectors\n"), None);
    }

    #[test]
    fn blanks_without_end_are_looked_at_within_a_bound() {
        assert_eq!(kind(&" ".repeat(200_000)), Some(Kind::Lines));
        assert_eq!(kind(&"\n".repeat(200_000)), Some(Kind::Lines));
    }
}
