//! The driver: a thread reads and parses while the collection writes, with two chunks between them.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::error::ImportError;
use super::feed::{Chunk, ChunkBounds, Feed};
use super::joins::Budget;
use super::options::Options;
use super::progress::{Counters, Progress};
use super::read::read_all;
use super::rejects::Rejects;
use super::sink::Sink;
use super::summary::Summary;
use crate::catalogue::Merged;

/// How many chunks may wait for the collection.
const WAITING_CHUNKS: usize = 2;
/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(200);
/// How long a reader that is not listened to any more may take to say what it saw; one that waits for
/// standard input might never.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// An import that ended before its inputs did.
#[derive(Debug)]
pub struct Stopped {
    /// What it did until then.
    pub summary: Box<Summary>,
    /// Why it stopped.
    pub reason: ImportError,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Stopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// Imports what `options` name into `sink`.
///
/// Within one run the first row of an `imdb_id` counts and later ones are rejects: were the last to win, a
/// second run over the same inputs would change the movie to the first row's values and back again.
///
/// # Errors
/// When an input cannot be opened or is of no known kind, when joined files do not fit into memory or break
/// off, when rejects cannot be written, or when `sink` fails. Chunks that were taken before stay.
pub async fn run<S: Sink>(options: Options, sink: &S, mut progress: Progress) -> Result<Summary, Stopped> {
    let began = Instant::now();
    let counters = Arc::new(Counters::default());
    let consumed = Arc::new(AtomicU64::new(0));
    let mut summary = Summary::default();
    let (chunks, waiting) = mpsc::channel(WAITING_CHUNKS);
    let reader = spawn_reader(options, chunks, Arc::clone(&counters), Arc::clone(&consumed));

    let delivered =
        showing(deliver(waiting, sink, &mut summary, &counters), &mut progress, &counters, &consumed);
    let delivered = delivered.await;
    progress.finish();
    // The channel is closed by now: the reader has ended, or ends with the next chunk that it has.
    let read = match tokio::time::timeout(LAST_WORDS, reader).await {
        Ok(Ok(Read { feed, result })) => {
            let held = feed.budget.held();
            summary.take(feed.tally, &feed.rejects, held);
            result
        }
        _ => {
            summary.rows = counters.rows.load(Ordering::Relaxed);
            summary.rejected = counters.rejected.load(Ordering::Relaxed);
            Err(ImportError::Stopped)
        }
    };
    summary.seconds = began.elapsed().as_secs_f64();
    // When the collection failed, the reader failed only because of that.
    match delivered.and(read) {
        Ok(()) => Ok(summary),
        Err(reason) => Err(Stopped { summary: Box::new(summary), reason }),
    }
}

/// What the reading thread leaves behind.
struct Read {
    feed: Feed,
    result: Result<(), ImportError>,
}

fn spawn_reader(
    mut options: Options,
    chunks: mpsc::Sender<Chunk>,
    counters: Arc<Counters>,
    consumed: Arc<AtomicU64>,
) -> impl Future<Output = Result<Read, ImportError>> {
    let (done, read) = oneshot::channel();
    let reading = move || {
        let bounds = ChunkBounds { movies: options.chunk_movies, bytes: options.chunk_bytes };
        let emit = move |chunk| chunks.blocking_send(chunk).map_err(|_| ImportError::Stopped);
        let rejects = Rejects::new(options.rejects.take());
        let budget = Budget::new(options.join_memory);
        let mut feed = Feed::new(rejects, budget, bounds, Arc::clone(&counters), Box::new(emit));
        let result = read_all(&options, &mut feed, &counters, &consumed);
        // Whatever happened, what was rejected so far is worth reading.
        let flushed = feed.rejects.flush();
        feed.close();
        // Nobody listens any more when the import was given up.
        let _ = done.send(Read { feed, result: result.and(flushed) });
    };
    // A thread, not the runtime's pool: one that waits for standard input must not keep the runtime alive.
    let spawned = std::thread::Builder::new().name("import".to_owned()).spawn(reading);
    async move {
        spawned.map_err(|_| ImportError::Stopped)?;
        read.await.map_err(|_| ImportError::Stopped)
    }
}

async fn deliver<S: Sink>(
    mut waiting: mpsc::Receiver<Chunk>,
    sink: &S,
    summary: &mut Summary,
    counters: &Counters,
) -> Result<(), ImportError> {
    while let Some(chunk) = waiting.recv().await {
        let merged = match chunk {
            Chunk::Merge(movies, parts) => sink.merge(movies, parts).await,
            Chunk::Create(movies) => {
                let created = movies.len() as u64;
                sink.create(movies).await.map(|()| Merged { created, ..Merged::default() })
            }
        };
        let Merged { created, changed, unchanged } = merged.map_err(|e| ImportError::Sink(Box::new(e)))?;
        summary.created += created;
        summary.changed += changed;
        summary.unchanged += unchanged;
        counters.taken.fetch_add(created + changed + unchanged, Ordering::Relaxed);
    }
    Ok(())
}

/// Awaits `work` and shows the progress meanwhile.
async fn showing<V>(
    work: impl Future<Output = V>,
    progress: &mut Progress,
    counters: &Counters,
    consumed: &AtomicU64,
) -> V {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => progress.show(counters, consumed.load(Ordering::Relaxed)),
        }
    }
}
