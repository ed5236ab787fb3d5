//! The follower: learns of revisions that other processes committed, and of tokens that were made or revoked.
//!
//! The revision row is the truth; it is polled, and while the database is away that is how it is found again. A reader that
//! waits for a revision rings, and so does, by way of Redis, who committed one, and whoever doubts that the database is there:
//! the next poll is made at once. What was missed costs one poll, never correctness.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::Shared;
use super::read::persist;
use crate::store::{Head, Polled, StoreError};
use crate::telemetry::Purpose;

/// The rest after a poll before one that was rung for: whoever waits for revisions that never come must not
/// keep the database busy.
const REST: Duration = Duration::from_millis(5);
/// The same for one that another replica rang for: there is something to be learnt, but a burst of commits is
/// learnt at once.
const SHORT_REST: Duration = Duration::from_millis(1);
/// The rest while the database is away, however seldom it is polled otherwise: writes are refused until it is found again.
const WHILE_AWAY: Duration = Duration::from_millis(500);

/// Polls until the process stops, first after a while: who begins to follow has just looked.
pub(super) async fn run(shared: Arc<Shared>, every: Duration) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut polled_at = Instant::now();
    loop {
        let away = shared.link.away().is_some();
        tokio::select! {
            _ = ticks.tick() => {}
            () = sleep_until(polled_at + WHILE_AWAY), if away => {}
            () = shared.link.doubted() => sleep_until(polled_at + REST).await,
            () = shared.rung.notified() => sleep_until(polled_at + SHORT_REST).await,
            () = shared.doorbell.notified() => sleep_until(polled_at + REST).await,
        }
        let polled = poll(&shared).await;
        polled_at = Instant::now();
        match &polled {
            Err(error @ StoreError::TimedOut(_)) => shared.link.lost(error),
            polled => shared.link.observe(polled),
        }
        if let Err(error) = polled
            && !matches!(error, StoreError::Away(_) | StoreError::TimedOut(_))
        {
            log::warn!("looking for other replicas' writes: {error}");
        }
    }
}

/// Looks at the database once, and learns what is new.
pub(super) async fn poll(shared: &Arc<Shared>) -> Result<Head, StoreError> {
    let Polled { head, tokens, database } = persist(|| shared.store.poll()).await?;
    shared.link.sees(head.revision);
    shared.serves(database);
    let known = shared.published.load().map(|manifest| manifest.head());
    let learnt = shared.learn_tokens(Some(tokens)).await;
    if known != Some(head) {
        refresh(shared).await?;
    }
    learnt?;
    shared.link.caught_up();
    Ok(head)
}

/// Reads what was committed since the current manifest, and publishes it.
async fn refresh(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let known = shared.published.load();
    let changes = persist(|| async {
        let mut snapshot = shared.store.snapshot(Purpose::Load).await?;
        let changes = snapshot.changes_since(known.as_ref().map(|known| known.head())).await?;
        snapshot.finish().await;
        Ok(changes)
    })
    .await?;
    shared.advance(known.as_ref(), changes);
    Ok(())
}
