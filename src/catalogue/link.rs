//! Whether the database answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::store::StoreError;
use crate::telemetry::Metrics;

/// Since when the database is away, if it is: one atomic, read by every request.
#[derive(Debug)]
pub struct Link {
    start: Instant,
    /// Milliseconds since `start`, plus one; 0 while the database answers.
    away_since: AtomicU64,
    /// When the follower last knew all that there was, in milliseconds since `start`.
    caught_up: AtomicU64,
    /// The revision that it last saw.
    seen: AtomicU64,
    /// Rung where the database is to be looked at now.
    doubt: Notify,
    metrics: Metrics,
}

impl Link {
    /// Taken to be there until it is seen not to be.
    pub fn new(metrics: &Metrics) -> Self {
        metrics.database_up.set(1);
        let zero = || AtomicU64::new(0);
        let (away_since, caught_up, seen) = (zero(), zero(), zero());
        let (start, doubt) = (Instant::now(), Notify::new());
        Self { start, away_since, caught_up, seen, doubt, metrics: metrics.clone() }
    }

    /// The follower was told that the database is at `revision`.
    pub fn sees(&self, revision: u64) {
        self.seen.store(revision, Ordering::Relaxed);
    }

    /// The follower has learnt what it was told of.
    pub fn caught_up(&self) {
        self.caught_up.store(self.millis(), Ordering::Relaxed);
    }

    /// How long ago the follower last knew all that there was (or this was made, before the first time), and the revision that
    /// it last saw.
    pub fn lag(&self) -> (Duration, u64) {
        let at = Duration::from_millis(self.caught_up.load(Ordering::Relaxed));
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

    /// Comes when somebody was told that the database is away, or waited for it in vain, since this last came.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }

    /// The database is away.
    pub fn lost(&self, error: &StoreError) {
        let now = self.millis() + 1;
        if self.away_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.metrics.database_up.set(0);
            log::warn!("{error}; cached reads go on, writes are refused until it is back");
            self.doubt.notify_one();
        }
    }

    /// Learns from what came of talking to the database.
    pub fn observe<T>(&self, result: &Result<T, StoreError>) {
        match result {
            Err(error @ (StoreError::Away(_) | StoreError::Misconfigured(_))) => self.lost(error),
            // That may be this one statement, a list that takes long: the follower, which asks for a single row, sees to it.
            Err(StoreError::TimedOut(_)) => self.doubt.notify_one(),
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
