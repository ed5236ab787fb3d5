//! The order of a list, and places in it.

use std::fmt;

use super::Measure;
use crate::domain::{Invalid, Movie};

/// What movies can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// The title, without regard to case, by code points.
    Title,
    /// A number. Movies without it come last, whichever the direction.
    Measure(Measure),
    /// The id. No two movies tie in it.
    Id,
}

impl SortBy {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "title" => Some(Self::Title),
            "id" => Some(Self::Id),
            _ => Measure::ALL.into_iter().find(|measure| measure.name() == name).map(Self::Measure),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Measure(measure) => measure.name(),
            Self::Id => "id",
        }
    }
}

/// One key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortKey {
    /// What it orders by.
    pub by: SortBy,
    /// The greatest first.
    pub descending: bool,
}

/// An order in which no two movies tie: its last key is the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort(Vec<SortKey>);

impl Sort {
    /// The most keys that may be given.
    const MAX_KEYS: usize = 4;

    /// Reads `year,-votes`: keys, with `-` in front of what is to descend. Ties are in the order of their ids.
    ///
    /// # Errors
    /// When a key is not one, or is given twice.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut keys: Vec<SortKey> = Vec::new();
        for item in text.split(',') {
            let name = item.strip_prefix('-').unwrap_or(item);
            let by = SortBy::parse(name).ok_or_else(|| {
                Invalid::new(
                    "must be of title, year, rating, runtime_minutes, votes, popularity and id, with - in front of \
                     what is to descend: year,-votes",
                )
            })?;
            if keys.iter().any(|key| key.by == by) {
                return Err(Invalid::new(format!("names {name} twice")));
            }
            keys.push(SortKey { by, descending: name.len() < item.len() });
            if keys.len() > Self::MAX_KEYS {
                return Err(Invalid::new(format!("must have at most {} keys", Self::MAX_KEYS)));
            }
        }
        // Nothing is left to be ordered behind the id.
        match keys.iter().position(|key| key.by == SortBy::Id) {
            Some(id) => keys.truncate(id + 1),
            None => keys.push(SortKey { by: SortBy::Id, descending: false }),
        }
        Ok(Self(keys))
    }

    /// The keys, the id last.
    pub fn keys(&self) -> &[SortKey] {
        &self.0
    }

    /// The place of `movie` in this order.
    pub fn position(&self, movie: &Movie) -> Position {
        let value = |key: &SortKey| match key.by {
            SortBy::Title => Some(Value::Text(movie.title.sort_key())),
            SortBy::Measure(measure) => Some(Value::Number(measure.of(movie))),
            SortBy::Id => None,
        };
        Position { values: self.0.iter().filter_map(value).collect(), id: movie.id }
    }

    /// The place right behind `place`, or right in front of it: none lies between, so what ends before the one behind
    /// it, or begins after the one in front of it, has the movie of `place` itself. `None` where no id is left.
    pub fn next_to(&self, place: &Position, behind: bool) -> Option<Position> {
        let descending = self.0.last().is_some_and(|id| id.descending);
        let id = if behind == descending { place.id.checked_sub(1) } else { place.id.checked_add(1) };
        id.map(|id| Position { values: place.values.clone(), id })
    }
}

impl Default for Sort {
    /// By id.
    fn default() -> Self {
        Self(vec![SortKey { by: SortBy::Id, descending: false }])
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // That ties are in the order of their ids goes without saying.
        let said = match self.0.as_slice() {
            [said @ .., SortKey { by: SortBy::Id, descending: false }] if !said.is_empty() => said,
            all => all,
        };
        for (n, key) in said.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let minus = if key.descending { "-" } else { "" };
            write!(f, "{comma}{minus}{}", key.by.name())?;
        }
        Ok(())
    }
}

/// A place in an order: that of a movie, which need not be there any more, or one between two.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// What the movie has of each key but the id.
    pub values: Vec<Value>,
    /// Its id.
    pub id: u64,
}

/// What a movie has of one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of a measure.
    Number(Option<f64>),
    /// Of the title.
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_have_one_spelling() {
        for (text, expected) in [
            ("title", "title"),
            ("-rating", "-rating"),
            ("year,-votes", "year,-votes"),
            ("year,id", "year"),
            ("year,-id", "year,-id"),
            ("id", "id"),
            ("-id,year", "-id"),
            ("id,title,votes", "id"),
        ] {
            assert_eq!(Sort::parse(text).unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(Sort::parse("id").unwrap(), Sort::default());
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for text in [
            "",
            ",",
            "year,",
            "Year",
            "+year",
            "--year",
            "year,-year",
            "genre",
            "year votes",
            "title,year,rating,votes,id",
        ] {
            assert!(Sort::parse(text).is_err(), "{text}");
        }
    }
}
