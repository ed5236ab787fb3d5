//! Which movies a list has.

use std::collections::BTreeSet;
use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Measure, Span};
use crate::domain::words::in_order;
use crate::domain::{DirectorName, GenreName, ImdbId, Invalid, fold, movie_id};

/// Which movies a list has: those of which all that is said holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    ids: Option<BTreeSet<u64>>,
    imdb_ids: Option<BTreeSet<String>>,
    /// Slugs and names, each in its [`spelling`].
    genres: BTreeSet<String>,
    directors: BTreeSet<String>,
    words: BTreeSet<Word>,
    /// At most one of each measure, in their order.
    spans: Vec<Span>,
}

/// A word that a title must have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word {
    /// As [`words`](crate::domain::words) gives it.
    pub text: String,
    /// Whether the title's word may go on after it.
    pub prefix: bool,
}

impl Filter {
    /// The most ids of one list.
    pub const MAX_IDS: usize = 1000;
    /// The most genres, directors and words together: each is a table to be joined.
    pub const MAX_TERMS: usize = 12;

    /// Takes a list of ids: `1,2,3`.
    ///
    /// # Errors
    /// When it is none, or too long.
    pub fn set_ids(&mut self, text: &str) -> Result<(), Invalid> {
        self.ids = Some(list(text, "must be ids, whole numbers above 0: 1,2,3", movie_id)?);
        Ok(())
    }

    /// Takes a list of IMDb's ids: `tt0032138,tt0111161`.
    ///
    /// # Errors
    /// When it is none, or too long.
    pub fn set_imdb_ids(&mut self, text: &str) -> Result<(), Invalid> {
        let id = |text: &str| ImdbId::parse(text).ok().map(|id| id.as_str().to_owned());
        let must = "must be ids of \"tt\" and 7 to 10 digits: tt0032138,tt0111161";
        self.imdb_ids = Some(list(text, must, id)?);
        Ok(())
    }

    /// Takes the name or the slug of a genre.
    ///
    /// # Errors
    /// When it is neither, or one too many.
    pub fn add_genre(&mut self, text: &str) -> Result<(), Invalid> {
        // A slug may be a little longer than a name: it can have a number.
        let genre = if Self::is_slug(text) {
            text.to_owned()
        } else {
            let name = GenreName::parse(text)?;
            spelling(name.as_str(), name.key(), GenreName::MAX)
        };
        self.genres.insert(genre);
        self.count_terms()
    }

    /// Takes the name of a director.
    ///
    /// # Errors
    /// When it is none, or one too many.
    pub fn add_director(&mut self, text: &str) -> Result<(), Invalid> {
        let name = DirectorName::parse(text)?;
        self.directors.insert(spelling(name.as_str(), name.key(), DirectorName::MAX));
        self.count_terms()
    }

    /// Takes words of the title; one with `*` at its end is the beginning of a word.
    ///
    /// # Errors
    /// When there is none, or one too many.
    pub fn set_words(&mut self, text: &str) -> Result<(), Invalid> {
        for term in text.split_whitespace() {
            // `don't` is two words, and what `*` stands behind is the last of them.
            let mut words = in_order(term);
            if term.ends_with('*')
                && let Some(text) = words.pop()
            {
                self.words.insert(Word { text, prefix: true });
            }
            self.words.extend(words.into_iter().map(|text| Word { text, prefix: false }));
        }
        if self.words.is_empty() {
            return Err(Invalid::new("must have a word: letters or digits"));
        }
        self.count_terms()
    }

    /// Takes a range of a measure.
    ///
    /// # Errors
    /// When it is none.
    pub fn set_span(&mut self, measure: Measure, text: &str) -> Result<(), Invalid> {
        let span = Span::parse(measure, text)?;
        self.spans.retain(|other| other.measure() != measure);
        self.spans.push(span);
        self.spans.sort_by_key(|span| Measure::ALL.iter().position(|measure| *measure == span.measure()));
        Ok(())
    }

    /// The ids that a movie must have one of.
    pub fn ids(&self) -> Option<&BTreeSet<u64>> {
        self.ids.as_ref()
    }

    /// The `imdb_id`s that a movie must have one of.
    pub fn imdb_ids(&self) -> Option<&BTreeSet<String>> {
        self.imdb_ids.as_ref()
    }

    /// The genres that a movie must have: folded names, or slugs.
    pub fn genres(&self) -> BTreeSet<String> {
        self.genres.iter().map(|name| fold(name)).collect()
    }

    /// The directors that a movie must have: folded names.
    pub fn directors(&self) -> BTreeSet<String> {
        self.directors.iter().map(|name| fold(name)).collect()
    }

    /// The words that a title must have.
    pub fn words(&self) -> &BTreeSet<Word> {
        &self.words
    }

    /// The ranges that a movie must be in.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn is_slug(text: &str) -> bool {
        text.len() <= 90
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !text.is_empty()
    }

    fn count_terms(&self) -> Result<(), Invalid> {
        if self.genres.len() + self.directors.len() + self.words.len() <= Self::MAX_TERMS {
            return Ok(());
        }
        Err(Invalid::new(format!(
            "is one too many: genres, directors and words may be at most {} together",
            Self::MAX_TERMS
        )))
    }
}

/// How a name is spelt in the normal form, which is read as any name is: folded, unless that makes it longer than a name
/// may be (`ß` becomes `ss`).
fn spelling(name: &str, key: String, most: usize) -> String {
    if key.chars().count() <= most { key } else { name.to_owned() }
}

/// A list's items, each once.
fn list<T: Ord>(text: &str, must: &str, parse: impl Fn(&str) -> Option<T>) -> Result<BTreeSet<T>, Invalid> {
    let mut items = BTreeSet::new();
    for item in text.split(',') {
        items.insert(parse(item).ok_or_else(|| Invalid::new(must))?);
        if items.len() > Filter::MAX_IDS {
            return Err(Invalid::new(format!("must be at most {} ids", Filter::MAX_IDS)));
        }
    }
    Ok(items)
}

/// The filter as a query string, each part with `&` behind it; empty where everything is asked for. Two filters
/// that are spelt alike are equal.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        if let Some(ids) = &self.ids {
            listed(f, "id", ids.iter())?;
        }
        if let Some(imdb_ids) = &self.imdb_ids {
            listed(f, "imdb_id", imdb_ids.iter())?;
        }
        for genre in &self.genres {
            write!(f, "genre={}&", encoded(genre))?;
        }
        for director in &self.directors {
            write!(f, "director={}&", encoded(director))?;
        }
        for (n, Word { text, prefix }) in self.words.iter().enumerate() {
            let before = if n == 0 { "q=" } else { "+" };
            write!(f, "{before}{}{}", encoded(text), if *prefix { "*" } else { "" })?;
        }
        if !self.words.is_empty() {
            f.write_str("&")?;
        }
        self.spans.iter().try_for_each(|span| write!(f, "{}={span}&", span.measure().name()))
    }
}

fn listed(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    items: impl Iterator<Item = impl fmt::Display>,
) -> fmt::Result {
    write!(f, "{name}=")?;
    for (n, item) in items.enumerate() {
        write!(f, "{}{item}", if n > 0 { "," } else { "" })?;
    }
    f.write_str("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Take = fn(&mut Filter, &str) -> Result<(), Invalid>;

    fn spelt(take: Take, texts: &[&str]) -> String {
        let mut filter = Filter::default();
        for text in texts {
            take(&mut filter, text).unwrap_or_else(|e| panic!("{text} {e}"));
        }
        filter.to_string()
    }

    #[test]
    fn filters_have_one_spelling() {
        let cases: &[(Take, &[&str], &str)] = &[
            (Filter::set_ids, &["3,1,3,2"], "id=1,2,3&"),
            (Filter::set_imdb_ids, &["tt9999999,tt0032138,tt9999999"], "imdb_id=tt0032138,tt9999999&"),
            (Filter::add_genre, &[" DRAMA ", "Sci-Fi", "drama"], "genre=drama&genre=sci%2Dfi&"),
            (Filter::add_director, &["Ang Lee", "ANG LEE"], "director=ang%20lee&"),
            (Filter::set_words, &["The  WIZARD the"], "q=the+wizard&"),
            (Filter::set_words, &["wiz* of"], "q=of+wiz*&"),
            (Filter::set_words, &["M*A*S*H"], "q=a+h+m+s&"),
            (Filter::set_words, &["don't-wiz* É! ami\u{301}e*"], "q=amie*+don+e+t+wiz*&"),
        ];
        for (take, texts, expected) in cases {
            assert_eq!(spelt(*take, texts), *expected, "{texts:?}");
        }
        let mut filter = Filter::default();
        filter.set_span(Measure::Rating, "7.50..").unwrap();
        filter.set_span(Measure::Year, "1990..1999").unwrap();
        assert_eq!(filter.to_string(), "year=1990..1999&rating=7.5..&");
        assert_eq!(Filter::default().to_string(), "");
    }

    /// What a filter is spelt as is a filter, also where folding makes a name longer than one may be; and names that
    /// differ only in case are one, however they are spelt.
    #[test]
    fn names_that_grow_are_read_again() {
        for (take, most, name) in
            [(Filter::add_genre as Take, 64, "genre"), (Filter::add_director as Take, 256, "director")]
        {
            for grows in ["\u{df}", "\u{130}", "\u{fb03}"] {
                let mut filter = Filter::default();
                let text = format!("A{}", grows.repeat(most - 1));
                take(&mut filter, &text).unwrap();
                let spelt = filter.to_string();
                let value = spelt.strip_prefix(&format!("{name}=")).unwrap().strip_suffix('&').unwrap();
                let value = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
                let mut again = Filter::default();
                take(&mut again, &value).unwrap();
                assert_eq!(again, filter);
                take(&mut filter, &text.replace('A', "a")).unwrap();
                let keys = if name == "genre" { filter.genres() } else { filter.directors() };
                assert_eq!(keys, [fold(&text)].into());
            }
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut filter = Filter::default();
        for text in
            ["", "1,", "a", "-1", "01", "0", "1;2", "1, 2", "9223372036854775808", "99999999999999999999"]
        {
            assert!(filter.set_ids(text).is_err(), "{text}");
        }
        assert!(filter.set_imdb_ids("tt1").is_err());
        for text in ["", " ", "a\nb"] {
            assert!(filter.add_genre(text).is_err() && filter.add_director(text).is_err(), "{text}");
        }
        for text in ["", "*", "?!", " * "] {
            assert!(filter.set_words(text).is_err(), "{text}");
        }
        assert_eq!(filter, Filter::default());
    }

    #[test]
    fn a_filter_has_an_end() {
        let mut filter = Filter::default();
        let ids = |n: u32| (1..=n).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        assert!(filter.set_ids(&ids(1000)).is_ok());
        assert!(filter.set_ids(&ids(1001)).is_err());
        for n in 0..Filter::MAX_TERMS {
            assert!(filter.add_genre(&format!("g{n}")).is_ok());
        }
        assert!(filter.clone().add_genre("one more").is_err());
        assert!(filter.clone().add_director("one more").is_err());
        assert!(filter.clone().set_words("more").is_err());
    }
}
