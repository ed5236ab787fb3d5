//! Reads all inputs of an import, on a thread of its own: first what is joined, then the movies in their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ImportError;
use super::feed::Feed;
use super::joins::{Crew, Joined, People, Ratings};
use super::kind::{Kind, Unknown, recognise};
use super::objects;
use super::options::Options;
use super::progress::Counters;
use super::source::{Source, Text};
use super::titles::{self, Joins, Wanted};

/// An input that was opened and recognised.
struct Input {
    file: Arc<str>,
    kind: Kind,
    text: Text,
}

/// Reads everything that `options` name into `feed`.
pub(super) fn read_all(
    options: &Options,
    feed: &mut Feed,
    counters: &Counters,
    consumed: &Arc<AtomicU64>,
) -> Result<(), ImportError> {
    let inputs = open_all(options, counters, consumed)?;
    let mut movies = Vec::new();
    let mut joined = JoinedInputs::default();
    for input in inputs {
        let place = match input.kind {
            Kind::Ratings => &mut joined.ratings,
            Kind::Crew => &mut joined.crew,
            Kind::Names => &mut joined.names,
            _ => {
                movies.push(input);
                continue;
            }
        };
        if let Some(other) = place.replace(input) {
            let kind = other.kind.name();
            return Err(ImportError::Together(format!("{kind} was given more than once")));
        }
    }
    let joins = joined.read(movies.iter().any(|input| input.kind == Kind::Titles), feed, counters)?;
    for input in movies {
        told(counters, &input.file);
        one(input, &options.wanted, &joins, feed)?;
    }
    feed.finish()
}

fn one(input: Input, wanted: &Wanted, joins: &Joins, feed: &mut Feed) -> Result<(), ImportError> {
    let Input { file, kind, text } = input;
    match kind {
        Kind::Titles => titles::read(&file, text, wanted, joins, feed),
        Kind::Array => objects::read_array(&file, text, feed),
        _ => objects::read_lines(&file, text, feed),
    }
}

fn told(counters: &Counters, file: &str) {
    if let Ok(mut told) = counters.file.lock() {
        file.clone_into(&mut told);
    }
}

#[derive(Default)]
struct JoinedInputs {
    ratings: Option<Input>,
    crew: Option<Input>,
    names: Option<Input>,
}

impl JoinedInputs {
    fn read(self, has_titles: bool, feed: &mut Feed, counters: &Counters) -> Result<Joins, ImportError> {
        let is_any = self.ratings.is_some() || self.crew.is_some() || self.names.is_some();
        if is_any && !has_titles {
            let reason =
                "title.ratings, title.crew and name.basics are joined to title.basics: give that too";
            return Err(ImportError::Together(reason.to_owned()));
        }
        let mut joins = Joins::default();
        let mut rows_read = 0;
        let joined = |input: Input| {
            told(counters, &input.file);
            Joined { file: input.file, text: input.text }
        };
        if let Some(input) = self.ratings {
            let (ratings, rows) = Ratings::read(joined(input), &mut feed.budget, &mut feed.rejects)?;
            joins.ratings = Some(ratings);
            rows_read += rows;
        }
        match (self.crew, self.names) {
            (None, None) => {}
            (Some(crew), Some(names)) => {
                let (crew, rows) = Crew::read(joined(crew), &mut feed.budget, &mut feed.rejects)?;
                let wanted = crew.people(&feed.budget)?;
                let (people, more) =
                    People::read(joined(names), wanted, &mut feed.budget, &mut feed.rejects)?;
                joins.directors = Some((crew, people));
                rows_read += rows + more;
            }
            _ => {
                let reason = "directors need both title.crew and name.basics: give both or neither";
                return Err(ImportError::Together(reason.to_owned()));
            }
        }
        feed.tally.joined_rows = rows_read;
        Ok(joins)
    }
}

fn open_all(
    options: &Options,
    counters: &Counters,
    consumed: &Arc<AtomicU64>,
) -> Result<Vec<Input>, ImportError> {
    let explicit =
        [(&options.ratings, Kind::Ratings), (&options.crew, Kind::Crew), (&options.names, Kind::Names)];
    let wanted = options.sources.iter().map(|source| (source, None));
    let wanted = wanted.chain(explicit.iter().filter_map(|(s, kind)| s.as_ref().map(|s| (s, Some(*kind)))));
    let wanted: Vec<(&Source, Option<Kind>)> = wanted.collect();
    if wanted.iter().filter(|(source, _)| **source == Source::Stdin).count() > 1 {
        return Err(ImportError::Together("standard input (-) can be read only once".to_owned()));
    }
    let mut inputs = Vec::with_capacity(wanted.len());
    let mut bytes = Some(0);
    for (source, expected) in wanted {
        let (input, size) = open(source, expected, consumed)?;
        bytes = bytes.zip(size).map(|(sum, size): (u64, u64)| sum + size);
        inputs.push(input);
    }
    counters.bytes.store(bytes.unwrap_or(0), Ordering::Relaxed);
    Ok(inputs)
}

fn open(
    source: &Source,
    expected: Option<Kind>,
    consumed: &Arc<AtomicU64>,
) -> Result<(Input, Option<u64>), ImportError> {
    let file = source.name();
    let (text, size) =
        source.open(Arc::clone(consumed)).map_err(|cause| ImportError::Open { file: file.clone(), cause })?;
    let (kind, text) = recognise(text).map_err(|unknown| match unknown {
        Unknown::Unreadable(cause) => ImportError::Open { file: file.clone(), cause },
        Unknown::Foreign(reason) => ImportError::Kind { file: file.clone(), reason },
    })?;
    if let Some(expected) = expected
        && expected != kind
    {
        let reason = format!("was given as {}, but is {}", expected.name(), kind.name());
        return Err(ImportError::Kind { file, reason });
    }
    Ok((Input { file: file.into(), kind, text }, size))
}
