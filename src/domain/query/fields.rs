//! Which members of a movie are told.

use std::fmt;

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};

use crate::domain::movie::to_the_second;
use crate::domain::{Invalid, Movie};

/// A movie's members, in the order in which they are told.
const MEMBERS: [&str; 13] = [
    "id",
    "imdb_id",
    "title",
    "year",
    "runtime_minutes",
    "directors",
    "genres",
    "rating",
    "votes",
    "popularity",
    "version",
    "created_at",
    "updated_at",
];

/// Some of the members, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields(u16);

impl Fields {
    /// All of them.
    pub const ALL: Self = Self((1 << MEMBERS.len()) - 1);

    /// Reads `id,title,genres`, in any order.
    ///
    /// # Errors
    /// When a name is not one of a member.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let mut fields = 0;
        for name in text.split(',') {
            let member = MEMBERS.iter().position(|member| *member == name);
            let member = member.ok_or_else(|| Invalid::new(format!("must be of {}", MEMBERS.join(", "))))?;
            fields |= 1 << member;
        }
        Ok(Self(fields))
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        (0..).zip(MEMBERS).filter(move |(n, _)| self.0 & (1 << n) != 0).map(|(_, name)| name)
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.names().enumerate() {
            write!(f, "{}{name}", if n > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// A movie of which some members are told, as they are when all are.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'a> {
    /// The movie.
    pub movie: &'a Movie,
    /// The members.
    pub fields: Fields,
}

impl Serialize for Selected<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let movie = self.movie;
        let mut map = serializer.serialize_map(None)?;
        for name in self.fields.names() {
            match name {
                "id" => map.serialize_entry(name, &movie.id),
                "imdb_id" => map.serialize_entry(name, &movie.imdb_id),
                "title" => map.serialize_entry(name, &movie.title),
                "year" => map.serialize_entry(name, &movie.year),
                "runtime_minutes" => map.serialize_entry(name, &movie.runtime_minutes),
                "directors" => map.serialize_entry(name, &movie.directors),
                "genres" => map.serialize_entry(name, &movie.genres),
                "rating" => map.serialize_entry(name, &movie.rating),
                "votes" => map.serialize_entry(name, &movie.votes),
                "popularity" => map.serialize_entry(name, &movie.popularity),
                "version" => map.serialize_entry(name, &movie.version),
                "created_at" => map.serialize_entry(name, &Time(&movie.created_at)),
                "updated_at" => map.serialize_entry(name, &Time(&movie.updated_at)),
                other => Err(S::Error::custom(format!("{other} is no member"))),
            }?;
        }
        map.end()
    }
}

struct Time<'a>(&'a jiff::Timestamp);

impl Serialize for Time<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        to_the_second(self.0, serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NewMovie, Title};

    fn told(fields: Fields) -> String {
        let movie = NewMovie::titled(Title::parse("Oz").unwrap()).first(7, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(
            serde_json::to_string(&Selected { movie: &movie, fields: Fields::ALL }).unwrap(),
            serde_json::to_string(&movie).unwrap(),
            "all members are told as a movie is"
        );
        serde_json::to_string(&Selected { movie: &movie, fields }).unwrap()
    }

    #[test]
    fn members_are_told_in_their_own_order_and_once() {
        let fields = Fields::parse("genres,id,title,id").unwrap();
        assert_eq!(fields.to_string(), "id,title,genres");
        assert_eq!(told(fields), r#"{"id":7,"title":"Oz","genres":[]}"#);
        assert_eq!(told(Fields::parse("updated_at").unwrap()), r#"{"updated_at":"1970-01-01T00:00:00Z"}"#);
        assert_eq!(Fields::parse(&Fields::ALL.to_string()).unwrap(), Fields::ALL);
    }

    #[test]
    fn what_is_no_member_is_refused() {
        for text in ["", "id,", "id, title", "Title", "genre", "imdb"] {
            assert!(Fields::parse(text).is_err(), "{text}");
        }
    }
}
