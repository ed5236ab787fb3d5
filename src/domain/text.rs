//! Texts with bounds: titles, names, IMDb ids.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::{Invalid, fold};

/// Trims `text` and checks its length in characters and that it holds no control character.
fn bounded(text: &str, max: usize) -> Result<Box<str>, Invalid> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err(Invalid::new("must not contain control characters"));
    }
    // A character takes at least one byte, so a short text need not be counted.
    if text.is_empty() || (text.len() > max && text.chars().count() > max) {
        return Err(Invalid::new(format!("must have between 1 and {max} characters")));
    }
    Ok(text.into())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// The most characters (Unicode scalar values) that it may have.
            pub const MAX: usize = $max;

            /// Trims and checks `text`.
            ///
            /// # Errors
            /// When nothing is left, when it is longer than [`Self::MAX`] characters, or when it
            /// holds a control character.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                bounded(text, Self::MAX).map(Self)
            }

            /// The text, trimmed.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text folded, so that two spellings that differ only in case are equal.
            pub fn key(&self) -> String {
                fold(&self.0)
            }
        }
    };
}

text_type!(
    /// A movie's title.
    Title,
    512
);
text_type!(
    /// A genre's name. Unique without regard to case; the first spelling stays.
    GenreName,
    64
);
text_type!(
    /// A director's name. Unique without regard to case; the first spelling stays.
    DirectorName,
    256
);

impl Title {
    /// What movies are ordered by: the first 512 characters of [`Self::key`], which are all of it unless
    /// folding made the title longer.
    pub fn sort_key(&self) -> String {
        let mut key = self.key();
        if let Some((end, _)) = key.char_indices().nth(Self::MAX) {
            key.truncate(end);
        }
        key
    }
}

/// IMDb's name for a title: `tt` and 7 to 10 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ImdbId(Box<str>);

impl ImdbId {
    /// How many digits follow `tt`.
    pub const DIGITS: RangeInclusive<usize> = 7..=10;

    /// Checks `text`; blanks around it are not forgiven, since it is a key.
    ///
    /// # Errors
    /// When it is not `tt` followed by 7 to 10 ASCII digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix("tt") {
            Some(digits)
                if Self::DIGITS.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(Invalid::new("must be \"tt\" followed by 7 to 10 digits")),
        }
    }

    /// The id, `tt` included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_trimmed_and_counted_in_characters() {
        assert_eq!(Title::parse("  The Wiz \u{2003}").unwrap().as_str(), "The Wiz");
        assert!(Title::parse(&"é".repeat(512)).is_ok());
        assert!(Title::parse(&"é".repeat(513)).is_err());
        assert!(Title::parse(" \u{a0}").is_err());
        assert!(Title::parse("a\u{0}b").is_err());
        assert!(Title::parse("a\u{85}b").is_err());
    }

    #[test]
    fn any_other_unicode_stays_as_it_is() {
        for text in ["👩‍👩‍👧 e\u{301} שלום \u{202e}abc", "ǅ", "\u{10ffff}", "I\u{307}"] {
            assert_eq!(Title::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn imdb_ids_have_seven_to_ten_digits() {
        for good in ["tt0032138", "tt1234567890"] {
            assert_eq!(ImdbId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "tt", "tt123456", "tt12345678901", "nm0032138", "tt003213８", " tt0032138"] {
            assert!(ImdbId::parse(bad).is_err(), "{bad}");
        }
    }
}
