//! The members of one movie: which there are, how each is spelt, and what it must be.

use jiff::Timestamp;

use crate::domain::change::Claims;
use crate::domain::read::{Element, GIVEN_BY_US, canonical};
use crate::domain::{
    DirectorName, GenreName, ImdbId, Invalid, MAX_DIRECTORS, MAX_GENRES, Member, NewMovie, Popularity,
    Rating, RuntimeMinutes, Title, Violation, Votes, Year,
};

/// What an object says of a movie.
pub(super) struct Given {
    /// What it gives; what it does not is empty, and the title then only stands in.
    pub(super) movie: NewMovie,
    /// The members that it gives, by the names that we give them.
    pub(super) seen: Vec<&'static str>,
}

impl Given {
    /// A movie as a whole, and what is wrong when it has no title.
    pub(super) fn whole(self, at: &str) -> (NewMovie, Option<Violation>) {
        let titled = self.seen.contains(&"title");
        (self.movie, (!titled).then(|| Violation::new(format!("{at}/title"), "is required")))
    }
}

/// Reads the members of an object. What marquee gives itself is taken where there is a place for it.
pub(super) fn given(
    element: Element,
    at: &str,
    mut claims: Option<&mut Claims>,
    violations: &mut Vec<Violation>,
) -> Option<Given> {
    let Element::Object(members) = element else {
        violations.push(Violation::new(at, "must be an object"));
        return None;
    };
    let mut seen: Vec<&'static str> = Vec::with_capacity(members.len());
    let mut movie = NewMovie::titled(Title::parse("-").ok()?);
    for (member, value) in members {
        let place = format!("{at}/{}", escaped(&member));
        let result = match (canonical(&member), claims.as_deref_mut()) {
            (None, Some(claims)) if GIVEN_BY_US.contains(&member.as_str()) => claim(&member, value, claims),
            (None, None) if GIVEN_BY_US.contains(&member.as_str()) => {
                Err(Invalid::new("is given by marquee and must be left out"))
            }
            (None, _) => Err(Invalid::new("is not a member of a movie")),
            (Some(name), _) if seen.contains(&name) => {
                Err(Invalid::new(format!("gives {name} a second time")))
            }
            (Some(name), _) => {
                seen.push(name);
                set(&mut movie, name, value, &place, violations)
            }
        };
        if let Err(Invalid(detail)) = result {
            violations.push(Violation::new(place, detail));
        }
    }
    Some(Given { movie, seen })
}

/// Sets one member. What is wrong with an item of it is told at the item.
fn set(
    movie: &mut NewMovie,
    name: &str,
    value: Member,
    place: &str,
    violations: &mut Vec<Violation>,
) -> Result<(), Invalid> {
    match name {
        "imdb_id" => optional_text(value, ImdbId::parse).map(|v| movie.imdb_id = v),
        "title" => text(value, Title::parse).map(|v| movie.title = v),
        "year" => optional_number(value, Year::parse).map(|v| movie.year = v),
        "runtime_minutes" => optional_number(value, RuntimeMinutes::parse).map(|v| movie.runtime_minutes = v),
        "rating" => optional_number(value, Rating::parse).map(|v| movie.rating = v),
        "votes" => optional_number(value, Votes::parse).map(|v| movie.votes = v),
        "popularity" => optional_number(value, Popularity::parse).map(|v| movie.popularity = v),
        "directors" => names(value, MAX_DIRECTORS, DirectorName::parse, DirectorName::key, place, violations)
            .map(|v| movie.directors = v),
        _ => names(value, MAX_GENRES, GenreName::parse, GenreName::key, place, violations)
            .map(|v| movie.genres = v),
    }
}

/// Notes what a client takes a movie of ours to be.
fn claim(member: &str, value: Member, claims: &mut Claims) -> Result<(), Invalid> {
    let slot_taken = match member {
        "id" => claims.id.replace(whole_number(value)?).is_some(),
        "version" => claims.version.replace(whole_number(value)?).is_some(),
        "created_at" => claims.created_at.replace(time(value)?).is_some(),
        _ => claims.updated_at.replace(time(value)?).is_some(),
    };
    if slot_taken { Err(Invalid::new(format!("gives {member} a second time"))) } else { Ok(()) }
}

fn whole_number(value: Member) -> Result<u64, Invalid> {
    match value {
        // Below 2^53 every whole number is exact.
        Member::Number(n) if n.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&n) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is whole and in bounds"
            )]
            Ok(n as u64)
        }
        _ => Err(Invalid::new("must be left out, or be the number that it is")),
    }
}

fn time(value: Member) -> Result<Timestamp, Invalid> {
    match value {
        Member::Text(text) => text.parse().ok(),
        _ => None,
    }
    .ok_or_else(|| Invalid::new("must be left out, or be the time that it is"))
}

/// A member's name within a JSON Pointer (RFC 6901, section 3), cut where a hostile one goes on for ever.
fn escaped(member: &str) -> String {
    let short: String = member.chars().take(64).collect();
    short.replace('~', "~0").replace('/', "~1")
}

fn text<V>(value: Member, parse: fn(&str) -> Result<V, Invalid>) -> Result<V, Invalid> {
    match value {
        Member::Text(text) => parse(&text),
        _ => Err(Invalid::new("must be a string")),
    }
}

fn optional_text<V>(value: Member, parse: fn(&str) -> Result<V, Invalid>) -> Result<Option<V>, Invalid> {
    match value {
        Member::Null => Ok(None),
        value => text(value, parse).map(Some),
    }
}

fn optional_number<V>(value: Member, parse: fn(f64) -> Result<V, Invalid>) -> Result<Option<V>, Invalid> {
    match value {
        Member::Null => Ok(None),
        Member::Number(number) => parse(number).map(Some),
        _ => Err(Invalid::new("must be a number")),
    }
}

/// Names in their order, a repeated one (without regard to case) kept only where it stands first.
///
/// What is wrong with an item is told at the item; the error returned is about the member as a whole.
fn names<N>(
    value: Member,
    max: usize,
    parse: fn(&str) -> Result<N, Invalid>,
    key: fn(&N) -> String,
    at: &str,
    violations: &mut Vec<Violation>,
) -> Result<Vec<N>, Invalid> {
    let items = match value {
        Member::Null => return Ok(Vec::new()),
        Member::Text(name) => return parse(&name).map(|name| vec![name]),
        Member::List(items) => items,
        _ => return Err(Invalid::new("must be an array of strings")),
    };
    if items.len() > max {
        return Err(Invalid::new(format!("must have at most {max} items")));
    }
    let mut names: Vec<N> = Vec::with_capacity(items.len());
    let mut keys: Vec<String> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let name = item.ok_or_else(|| Invalid::new("must be a string")).and_then(|item| parse(&item));
        match name {
            Ok(name) if keys.contains(&key(&name)) => {}
            Ok(name) => {
                keys.push(key(&name));
                names.push(name);
            }
            Err(Invalid(detail)) => violations.push(Violation::new(format!("{at}/{index}"), detail)),
        }
    }
    Ok(names)
}
