//! Whether the database answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::store::StoreError;
use crate::telemetry::Metrics;

/// Since when the database is away, if it is: one atomic, read by every request.
#[derive(Debug)]
pub struct Link {
    start: Instant,
    /// Milliseconds since `start`, plus one; 0 while the database answers.
    away_since: AtomicU64,
    /// When the follower last had an answer, in milliseconds since `start`, and the revision in it.
    polled: AtomicU64,
    seen: AtomicU64,
    metrics: Metrics,
}

impl Link {
    /// Taken to be there until it is seen not to be.
    pub fn new(metrics: &Metrics) -> Self {
        metrics.database_up.set(1);
        let zero = || AtomicU64::new(0);
        let (away_since, polled, seen) = (zero(), zero(), zero());
        Self { start: Instant::now(), away_since, polled, seen, metrics: metrics.clone() }
    }

    /// The follower was told that the database is at `revision`.
    pub fn polled(&self, revision: u64) {
        self.seen.store(revision, Ordering::Relaxed);
        self.polled.store(self.millis(), Ordering::Relaxed);
    }

    /// How long ago the follower last had an answer (or this was made, before the first), and the revision
    /// in it.
    pub fn last_poll(&self) -> (Duration, u64) {
        let at = Duration::from_millis(self.polled.load(Ordering::Relaxed));
        (self.start.elapsed().saturating_sub(at), self.seen.load(Ordering::Relaxed))
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// For how long the database has been away.
    pub fn away(&self) -> Option<Duration> {
        let since = self.away_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start.elapsed().saturating_sub(Duration::from_millis(since)))
    }

    /// Learns from what came of talking to the database.
    pub fn observe<T>(&self, result: &Result<T, StoreError>) {
        match result {
            Err(StoreError::Away(_) | StoreError::TimedOut(_) | StoreError::Misconfigured(_)) => {
                let now = self.millis() + 1;
                if self.away_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                    self.metrics.database_up.set(0);
                    if let Err(error) = result {
                        log::warn!("{error}; cached reads go on, writes are refused until it is back");
                    }
                }
            }
            // These say nothing of the database.
            Err(StoreError::PoolExhausted(_) | StoreError::Unknown(_)) => {}
            // Contended or refusing: it is there.
            Ok(_) | Err(_) => {
                if self.away_since.swap(0, Ordering::Relaxed) != 0 {
                    self.metrics.database_up.set(1);
                    log::info!("the database answers again");
                }
            }
        }
    }
}
