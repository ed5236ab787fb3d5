//! The statements that find movies: how many there are, and the ids of one page.
//!
//! They ask `movie_keys` and the tables of links alone; the movies themselves are read by their ids. A table is
//! asked only where it is needed: the movies of a genre in the order of their ids are a walk of one index.
//!
//! A page that goes on from a place in its order is asked for in steps, each the walk of one index from a
//! point on: first those that tie with the place in all keys but the id, then in all but the last, …, at last
//! those beyond it in the first key. One condition with ORs would be planned otherwise by each database, and
//! by some as a walk over all the ties.

use super::derive::{down, title_down, up};
use super::statement::{Bind, Statement};
use crate::domain::{Position, Sort, SortBy, SortKey, Span, Start, Value, Word};

/// What movies are asked for, with all names looked up.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookup {
    pub(super) ids: Option<Vec<i64>>,
    pub(super) genres: Vec<i64>,
    pub(super) directors: Vec<i64>,
    pub(super) words: Vec<Word>,
    pub(super) spans: Vec<Span>,
}

/// How many movies there are.
pub(super) fn count(lookup: &Lookup) -> Statement {
    let from = From::new(lookup, false);
    let mut statement = Statement::default();
    statement.sql("SELECT COUNT(*)");
    from.write(&mut statement, None);
    statement
}

/// The steps of a page, to be taken until there are `rows` of them. The ids of each are in the order of `sort`, or in
/// the opposite one where the page [ends](Start::Before) at its place.
pub(super) fn page<'a>(lookup: &'a Lookup, sort: &Sort, start: &Start, rows: u64) -> Vec<Page<'a>> {
    let (place, backward) = match start {
        Start::First | Start::Offset(_) => (None, false),
        Start::After(place) => (Some(place), false),
        Start::Before(place) => (Some(place), true),
    };
    let keys = Key::of(sort, place, backward);
    let by_keys = keys.len() > 1;
    let offset = if let Start::Offset(offset) = start { *offset } else { 0 };
    let lead = sort.keys().first().copied();
    let steps = if place.is_some() { (0..keys.len()).rev().map(Some).collect() } else { vec![None] };
    let page = |step: Option<usize>| Page {
        from: From::new(lookup, by_keys),
        keys: keys.clone(),
        lead,
        step,
        rows,
        offset,
    };
    steps.into_iter().map(page).collect()
}

/// One step of a page.
#[derive(Debug)]
pub(super) struct Page<'a> {
    from: From<'a>,
    keys: Vec<Key>,
    lead: Option<SortKey>,
    /// The key in which the movies of this step are beyond the place; they tie with it in those before.
    step: Option<usize>,
    rows: u64,
    offset: u64,
}

impl Page<'_> {
    /// The statement, for `rows` less those that are `there` already.
    pub(super) fn statement(&self, there: u64) -> Statement {
        let id = self.from.id();
        let mut statement = Statement::default();
        statement.sql(&format!("SELECT {id}"));
        let mut before = self.from.write(&mut statement, self.lead);
        let open = self.step.unwrap_or_default();
        for (n, key) in self.keys.iter().enumerate() {
            let Some(at) = key.at.as_ref().filter(|_| self.step.is_some_and(|step| n <= step)) else {
                continue;
            };
            let compare = if n < open {
                "="
            } else if key.descending {
                "<"
            } else {
                ">"
            };
            statement.sql(&format!("{before}{} {compare} ", key.column(&id)));
            statement.bind(at.clone());
            before = " AND ";
        }
        for (n, key) in self.keys.iter().enumerate().skip(open) {
            let before = if n == open { " ORDER BY " } else { ", " };
            statement.sql(&format!(
                "{before}{}{}",
                key.column(&id),
                if key.descending { " DESC" } else { "" }
            ));
        }
        statement.sql(&format!(" LIMIT {}", self.rows.saturating_sub(there)));
        if self.offset > 0 {
            statement.sql(&format!(" OFFSET {}", self.offset));
        }
        statement
    }
}

/// A column that a page is ordered by, and where in it the page goes on.
#[derive(Debug, Clone)]
struct Key {
    /// A column of `movie_keys`; `None` is the id, which every table has.
    column: Option<String>,
    descending: bool,
    at: Option<Bind>,
}

impl Key {
    fn of(sort: &Sort, place: Option<&Position>, backward: bool) -> Vec<Self> {
        let mut values = place.map(|place| place.values.iter());
        let keys = sort.keys().iter().map(|key| {
            let Some(column) = column(key.by, key.descending) else {
                let at = place.map(|place| Bind::Integer(place.id.cast_signed()));
                return Self { column: None, descending: key.descending != backward, at };
            };
            let at =
                values.as_mut().and_then(|values| values.next()).map(|value| match (value, key.descending) {
                    (Value::Text(text), false) => Bind::Text(text.clone()),
                    (Value::Text(text), true) => Bind::Bytes(title_down(text)),
                    (Value::Number(number), false) => Bind::Real(up(*number)),
                    (Value::Number(number), true) => Bind::Real(down(*number)),
                });
            // The column is turned round already.
            Self { column: Some(column), descending: backward, at }
        });
        keys.collect()
    }

    fn column(&self, id: &str) -> String {
        self.column.clone().unwrap_or_else(|| id.to_owned())
    }
}

/// The column whose ascending order is that of `by`; the id has none but itself.
fn column(by: SortBy, descending: bool) -> Option<String> {
    let name = match by {
        SortBy::Title => "title",
        SortBy::Measure(measure) => measure.name(),
        SortBy::Id => return None,
    };
    Some(format!("k.{name}_{}", if descending { "down" } else { "up" }))
}

/// The tables to be asked and what must hold of each.
#[derive(Debug)]
struct From<'a> {
    lookup: &'a Lookup,
    links: Vec<Link<'a>>,
    keys: bool,
}

/// What a movie must be linked to. The rarest kind comes first.
#[derive(Debug)]
enum Link<'a> {
    Word(&'a str),
    Director(i64),
    Genre(i64),
    /// A word that begins so. Several words of one title can.
    Beginning(&'a str),
}

impl<'a> From<'a> {
    fn new(lookup: &'a Lookup, ordered_by_keys: bool) -> Self {
        let words = |prefix| lookup.words.iter().filter(move |word| word.prefix == prefix);
        let mut links: Vec<Link<'_>> = words(false).map(|word| Link::Word(&word.text)).collect();
        links.extend(lookup.directors.iter().map(|id| Link::Director(*id)));
        links.extend(lookup.genres.iter().map(|id| Link::Genre(*id)));
        links.extend(words(true).map(|word| Link::Beginning(&word.text)));
        let keys = ordered_by_keys || !lookup.spans.is_empty() || links.is_empty();
        Self { lookup, links, keys }
    }

    /// The id of the movie.
    fn id(&self) -> String {
        format!("{}.movie_id", if self.keys { "k" } else { "t0" })
    }

    /// Writes FROM and WHERE; what a further condition begins with. A range is looked for in the column of its measure
    /// that the page is ordered by, when it is.
    fn write(&self, statement: &mut Statement, lead: Option<SortKey>) -> &'static str {
        let id = self.id();
        statement.sql(if self.keys { " FROM movie_keys k" } else { " FROM " });
        for (n, link) in self.links.iter().enumerate() {
            let joined = self.keys || n > 0;
            statement.sql(if joined { " JOIN " } else { "" });
            link.write(statement);
            statement.sql(&format!(" t{n}"));
            if joined {
                statement.sql(&format!(" ON t{n}.movie_id = {id}"));
            }
        }
        let mut before = " WHERE ";
        for (n, link) in self.links.iter().enumerate() {
            if let Some((column, value)) = link.condition() {
                statement.sql(&format!("{before}t{n}.{column} = "));
                statement.bind(value);
                before = " AND ";
            }
        }
        if let Some(ids) = &self.lookup.ids {
            statement.sql(&format!("{before}{id} IN ("));
            for (n, id) in ids.iter().enumerate() {
                statement.sql(if n > 0 { ", " } else { "" });
                statement.bind(Bind::Integer(*id));
            }
            statement.sql(")");
            before = " AND ";
        }
        for span in &self.lookup.spans {
            let Some((low, high)) = span.ends() else { continue };
            let descending =
                lead.is_some_and(|lead| lead.descending && lead.by == SortBy::Measure(span.measure()));
            let (low, high) = if descending { (down(Some(high)), down(Some(low))) } else { (low, high) };
            let column = column(SortBy::Measure(span.measure()), descending).unwrap_or_default();
            statement.sql(&format!("{before}{column} BETWEEN "));
            statement.bind(Bind::Real(low));
            statement.sql(" AND ");
            statement.bind(Bind::Real(high));
            before = " AND ";
        }
        before
    }
}

impl Link<'_> {
    fn write(&self, statement: &mut Statement) {
        match self {
            Self::Word(_) => statement.sql("movie_words"),
            Self::Director(_) => statement.sql("movie_directors"),
            Self::Genre(_) => statement.sql("movie_genres"),
            Self::Beginning(text) => {
                statement.sql("(SELECT DISTINCT movie_id FROM movie_words WHERE word >= ");
                statement.bind(Bind::Text((*text).to_owned()));
                statement.sql(" AND word < ");
                // The last character there is: no word has it.
                statement.bind(Bind::Text(format!("{text}\u{10ffff}")));
                statement.sql(")");
            }
        }
    }

    fn condition(&self) -> Option<(&'static str, Bind)> {
        match self {
            Self::Word(text) => Some(("word", Bind::Text((*text).to_owned()))),
            Self::Director(id) => Some(("director_id", Bind::Integer(*id))),
            Self::Genre(id) => Some(("genre_id", Bind::Integer(*id))),
            Self::Beginning(_) => None,
        }
    }
}
