//! Whole runs, from files to a collection in memory.

mod imdb;
mod json;
mod random;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{ImportError, Options, Progress, Sink, Source, Stopped, Summary, run};
use crate::catalogue::{Error, Merged};
use crate::domain::{NewMovie, Parts};

/// A writer whose text can be looked at.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A collection that merges as the catalogue does.
#[derive(Default)]
struct Memory {
    movies: Mutex<BTreeMap<String, NewMovie>>,
    created: Mutex<Vec<NewMovie>>,
    /// The most chunks that it takes.
    takes: Option<usize>,
    chunks: Mutex<Vec<usize>>,
}

impl Memory {
    fn chunk(&self, movies: usize) -> Result<(), Error> {
        let mut chunks = self.chunks.lock().unwrap();
        if self.takes.is_some_and(|most| chunks.len() >= most) {
            return Err(Error::Away);
        }
        chunks.push(movies);
        Ok(())
    }

    fn get(&self, imdb_id: &str) -> NewMovie {
        self.movies.lock().unwrap().get(imdb_id).unwrap().clone()
    }

    fn titles(&self) -> Vec<String> {
        let created = self.created.lock().unwrap();
        created.iter().map(|movie| movie.title.as_str().to_owned()).collect()
    }
}

impl Sink for Memory {
    type Error = Error;

    async fn merge(&self, movies: Vec<NewMovie>, parts: Parts) -> Result<Merged, Error> {
        self.chunk(movies.len())?;
        let mut merged = Merged::default();
        let mut there = self.movies.lock().unwrap();
        for mut movie in movies {
            let id = movie.imdb_id.clone().unwrap().as_str().to_owned();
            match there.get_mut(&id) {
                None => {
                    merged.created += 1;
                    there.insert(id, movie);
                }
                Some(old) => {
                    if !parts.directors {
                        movie.directors.clone_from(&old.directors);
                    }
                    if !parts.ratings {
                        (movie.rating, movie.votes) = (old.rating, old.votes);
                    }
                    if !parts.popularity {
                        movie.popularity = old.popularity;
                    }
                    if *old == movie {
                        merged.unchanged += 1;
                    } else {
                        merged.changed += 1;
                        *old = movie;
                    }
                }
            }
        }
        Ok(merged)
    }

    async fn create(&self, movies: Vec<NewMovie>) -> Result<(), Error> {
        self.chunk(movies.len())?;
        self.created.lock().unwrap().extend(movies);
        Ok(())
    }
}

pub(super) fn gz(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Imports `files` (contents) into `sink`, with options that `tweak` may change.
fn import_with(sink: &Memory, files: &[&[u8]], tweak: impl FnOnce(&mut Options)) -> Result<Summary, Stopped> {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = Vec::new();
    for (number, content) in files.iter().enumerate() {
        let path = folder.path().join(format!("file{number}"));
        std::fs::write(&path, content).unwrap();
        sources.push(Source::from(path));
    }
    let mut options = Options::of(sources);
    tweak(&mut options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(run(options, sink, Progress::nothing()))
}

fn import(sink: &Memory, files: &[&[u8]]) -> Summary {
    import_with(sink, files, |_| {}).unwrap()
}

fn reason(sink: &Memory, files: &[&[u8]], tweak: impl FnOnce(&mut Options)) -> ImportError {
    import_with(sink, files, tweak).unwrap_err().reason
}

/// Every row is accounted for.
fn assert_adds_up(summary: &Summary) {
    let skipped = summary.skipped_adult + summary.skipped_types.values().sum::<u64>();
    let known = summary.created + summary.changed + summary.unchanged + summary.rejected + skipped;
    assert_eq!(summary.rows, known, "{summary}");
}
