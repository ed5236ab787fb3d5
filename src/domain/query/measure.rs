//! The numbers of a movie, and ranges of them.

use std::fmt;

use crate::domain::{Invalid, Movie, Popularity, Rating, RuntimeMinutes, Votes, Year};

/// A number that movies have, or do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// `year`
    Year,
    /// `runtime_minutes`
    RuntimeMinutes,
    /// `rating`
    Rating,
    /// `votes`
    Votes,
    /// `popularity`
    Popularity,
}

impl Measure {
    /// Every one there is, in the order of a movie's members.
    pub const ALL: [Self; 5] =
        [Self::Year, Self::RuntimeMinutes, Self::Rating, Self::Votes, Self::Popularity];

    /// The member's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::RuntimeMinutes => "runtime_minutes",
            Self::Rating => "rating",
            Self::Votes => "votes",
            Self::Popularity => "popularity",
        }
    }

    /// The least and the greatest that it can be.
    pub fn bounds(self) -> (f64, f64) {
        match self {
            Self::Year => Year::BOUNDS,
            Self::RuntimeMinutes => RuntimeMinutes::BOUNDS,
            Self::Rating => Rating::BOUNDS,
            Self::Votes => Votes::BOUNDS,
            Self::Popularity => Popularity::BOUNDS,
        }
    }

    /// What it is of `movie`.
    pub fn of(self, movie: &Movie) -> Option<f64> {
        match self {
            Self::Year => movie.year.map(|v| f64::from(v.get())),
            Self::RuntimeMinutes => movie.runtime_minutes.map(|v| f64::from(v.get())),
            Self::Rating => movie.rating.map(Rating::get),
            Self::Votes => movie.votes.map(|v| f64::from(v.get())),
            Self::Popularity => movie.popularity.map(Popularity::get),
        }
    }

    fn is_whole(self) -> bool {
        !matches!(self, Self::Rating | Self::Popularity)
    }

    fn number(self, text: &str) -> Result<f64, Invalid> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let plain = match unsigned.split_once('.') {
            Some((whole, fraction)) => !self.is_whole() && digits(whole) && digits(fraction),
            None => digits(unsigned),
        };
        match text.parse() {
            Ok(number) if plain => Ok(number),
            _ => Err(Invalid::new(if self.is_whole() {
                "must be a whole number, or a range of them: 2, 2..5, 2.. or ..5"
            } else {
                "must be a number, or a range of them: 7.5, 7.5..9, 7.5.. or ..9"
            })),
        }
    }
}

/// A range of a measure with both its ends. What is no number is never within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    measure: Measure,
    low: f64,
    high: f64,
}

impl Span {
    /// Reads `1990`, `1990..1999`, `1990..` or `..1999`. A range may go beyond the bounds of its measure, and
    /// one whose ends are the wrong way round has nothing in it.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(measure: Measure, text: &str) -> Result<Self, Invalid> {
        let (least, greatest) = measure.bounds();
        let (low, high) = match text.split_once("..") {
            None => {
                let value = measure.number(text)?;
                (value, value)
            }
            // Without either end it is a mistake, which this tells.
            Some(("", "")) => (measure.number("")?, 0.0),
            Some((low, "")) => (measure.number(low)?, greatest),
            Some(("", high)) => (least, measure.number(high)?),
            Some((low, high)) => (measure.number(low)?, measure.number(high)?),
        };
        // Adding zero makes minus zero zero.
        let (low, high) = (low.max(least) + 0.0, high.min(greatest) + 0.0);
        let (low, high) = if low <= high { (low, high) } else { (greatest, least) };
        Ok(Self { measure, low, high })
    }

    /// What it is a range of.
    pub fn measure(self) -> Measure {
        self.measure
    }

    /// Its ends, both within it and within the bounds of the measure; `None` when nothing is.
    pub fn ends(self) -> Option<(f64, f64)> {
        (self.low <= self.high).then_some((self.low, self.high))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, greatest) = self.measure.bounds();
        let Self { low, high, .. } = *self;
        if low == high {
            write!(f, "{low}")
        } else if low == least && high != greatest {
            write!(f, "..{high}")
        } else if high == greatest && low != least {
            write!(f, "{low}..")
        } else {
            write!(f, "{low}..{high}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(measure: Measure, text: &str) -> Option<String> {
        let span = Span::parse(measure, text).ok()?;
        // What it is spelt as is the same range again.
        assert_eq!(Span::parse(measure, &span.to_string()).unwrap(), span);
        Some(span.to_string())
    }

    #[test]
    fn ranges_have_one_spelling() {
        for (text, expected) in [
            ("1990", "1990"),
            ("1990..1990", "1990"),
            ("01990..1999", "1990..1999"),
            ("1990..", "1990.."),
            ("1990..2100", "1990.."),
            ("1990..99999", "1990.."),
            ("..1999", "..1999"),
            ("-5..1999", "..1999"),
            ("1870..", "1870..2100"),
            ("0..9999", "1870..2100"),
            ("1999..1990", "2100..1870"),
            ("1869", "2100..1870"),
            ("2101..", "2100..1870"),
        ] {
            assert_eq!(spelt(Measure::Year, text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(spelt(Measure::Rating, "7.50..9.00").as_deref(), Some("7.5..9"));
        assert_eq!(spelt(Measure::Rating, "-0.0").as_deref(), Some("0"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "..",
            "...",
            "1..2..3",
            "a",
            "1990-1999",
            "1 ..2",
            "+1",
            "1e3",
            "1990.5",
            "NaN",
            "inf",
            "--1",
        ] {
            assert_eq!(spelt(Measure::Year, text), None, "{text}");
        }
        for text in [".5", "5.", "7,5", "7.5.", "7...8", "0x1"] {
            assert_eq!(spelt(Measure::Rating, text), None, "{text}");
        }
    }
}
