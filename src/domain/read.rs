//! The members of one JSON object, read without building a tree.
//!
//! What a client sends can nest and repeat without end; what is kept of it here is bounded by the
//! members that a movie has.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most items that are kept of an array; more than any member may have, so that "too many" is seen.
const KEPT_ITEMS: usize = 65;

/// The members that marquee gives itself.
pub(super) const GIVEN_BY_US: [&str; 4] = ["id", "version", "created_at", "updated_at"];

/// The name that we give to a member, whichever spelling was sent.
pub(super) fn canonical(member: &str) -> Option<&'static str> {
    Some(match member {
        "imdb_id" => "imdb_id",
        "title" | "name" => "title",
        "year" => "year",
        "runtime_minutes" => "runtime_minutes",
        "directors" | "director" => "directors",
        "genres" | "genre" => "genres",
        "rating" | "imdb_score" => "rating",
        "votes" => "votes",
        "popularity" | "99popularity" => "popularity",
        _ => return None,
    })
}

/// The value of a member, as far as a movie's members can need it.
#[derive(Debug, Clone, PartialEq)]
pub enum Member {
    /// `null`.
    Null,
    /// A number; integers beyond 2^53 lose digits, which no bound allows anyway.
    Number(f64),
    /// A string.
    Text(String),
    /// An array. Its items are texts, or `None` for anything else; at most 65 are kept.
    List(Vec<Option<String>>),
    /// `true`, `false` or an object.
    Other,
}

/// One element of what was sent: an object's members in their order, repeated names included.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Element {
    Object(Vec<(String, Member)>),
    NotAnObject,
}

/// What was sent as a whole.
pub(super) enum Document {
    One(Element),
    /// An array of so many elements.
    Many(usize),
}

/// Reads a document: the elements of an array are handed on one by one, so that they are not all there at once,
/// the first so many of them and as long as they are wanted.
pub(super) struct DocumentSeed<F> {
    pub(super) limit: usize,
    /// Takes an element, and says whether it wants more.
    pub(super) take: F,
}

impl<'de, F: FnMut(Element) -> bool> serde::de::DeserializeSeed<'de> for DocumentSeed<F> {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! scalars {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de, F: FnMut(Element) -> bool> Visitor<'de> for DocumentSeed<F> {
    type Value = Document;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a movie or an array of movies")
    }

    scalars!(Document::One(Element::NotAnObject));

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
        members(map).map(|members| Document::One(Element::Object(members)))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Document, A::Error> {
        let mut elements = 0;
        let mut wanted = true;
        while wanted && elements < self.limit {
            let Some(element) = seq.next_element()? else {
                return Ok(Document::Many(elements));
            };
            elements += 1;
            wanted = (self.take)(element);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            elements += 1;
        }
        Ok(Document::Many(elements))
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a movie")
    }

    scalars!(Element::NotAnObject);

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
        members(map).map(Element::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Element, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Element::NotAnObject)
    }
}

/// Whether it is the name of a member, in any spelling, or of what marquee gives.
fn is_member(name: &str) -> bool {
    canonical(name).is_some() || GIVEN_BY_US.contains(&name)
}

/// The most members that are kept of an object: more than a movie has, under all its spellings.
const KEPT_MEMBERS: usize = 32;

fn members<'de, A: MapAccess<'de>>(mut map: A) -> Result<Vec<(String, Member)>, A::Error> {
    let mut members = Vec::new();
    while members.len() < KEPT_MEMBERS {
        let Some(name) = map.next_key::<String>()? else {
            return Ok(members);
        };
        // What has no name that we know is wrong whatever it is: nothing of it is kept.
        let value = if is_member(&name) {
            map.next_value()?
        } else {
            map.next_value::<IgnoredAny>()?;
            Member::Other
        };
        members.push((name, value));
    }
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(members)
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }

    #[expect(clippy::cast_precision_loss, reason = "no bound reaches 2^53")]
    fn visit_i64<E>(self, value: i64) -> Result<Member, E> {
        Ok(Member::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "no bound reaches 2^53")]
    fn visit_u64<E>(self, value: u64) -> Result<Member, E> {
        Ok(Member::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Member, E> {
        Ok(Member::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Member, E> {
        Ok(Member::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Member, E> {
        Ok(Member::Text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member, A::Error> {
        let mut items = Vec::new();
        while items.len() < KEPT_ITEMS {
            match seq.next_element::<Member>()? {
                Some(Member::Text(text)) => items.push(Some(text)),
                Some(_) => items.push(None),
                None => return Ok(Member::List(items)),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::List(items))
    }
}
