//! Brings movies in from files: IMDb's TSV, the `imdb.json` shape, JSON arrays and NDJSON.
//!
//! ```text
//! source ─▶ kind ─▶ titles (+ joins) ┐
//!  gzip,    by its   objects, lines   ├─▶ feed ─▶ 2 chunks ─▶ sink
//!  BOM      content  objects, array  ┘    └▶ rejects
//! ```
//!
//! A thread reads and parses; the collection writes meanwhile. What is held in memory is bounded whatever
//! the inputs are: a line or element (1 MiB), four chunks of movies, the files that are joined and a bit for
//! each id met (`--join-memory`). `title.basics`, arrays and lines are streamed.
//!
//! A bad row never stops a run: it is a reject. A run stops where going on would do harm, or nothing at all:
//! see [`ImportError`]. The same inputs imported again change nothing, because `imdb_id` is the key and the
//! first row of each counts.
//!
//! This module knows the domain, and of the catalogue only what it takes: [`Sink`].

mod array;
mod columns;
mod error;
mod feed;
#[cfg(test)]
mod fuzz;
mod ids;
mod joins;
mod kind;
mod lines;
mod metrics;
mod objects;
mod options;
mod progress;
mod read;
mod rejects;
mod run;
mod sink;
mod source;
mod summary;
mod titles;

#[cfg(test)]
mod tests;

pub use error::ImportError;
pub use options::Options;
pub use progress::Progress;
pub use run::{Stopped, run};
pub use sink::Sink;
pub use source::Source;
pub use summary::Summary;
pub use titles::Wanted;
