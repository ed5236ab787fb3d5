//! The follower: learns of revisions that other processes committed.
//!
//! The revision row is the truth; it is polled. What was missed costs one poll, never correctness.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use super::read::persist;
use crate::store::{Head, StoreError};
use crate::telemetry::Purpose;

/// Polls until the process stops.
pub(super) async fn run(shared: Arc<Shared>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let polled = poll(&shared).await;
        shared.link.observe(&polled);
        if let Err(error) = polled
            && !matches!(error, StoreError::Away(_) | StoreError::TimedOut(_))
        {
            log::warn!("looking for other replicas' writes: {error}");
        }
    }
}

async fn poll(shared: &Arc<Shared>) -> Result<Head, StoreError> {
    let head = persist(|| shared.store.head()).await?;
    let known = shared.published.load().map(|manifest| manifest.head());
    if known != Some(head) {
        refresh(shared).await?;
    }
    Ok(head)
}

/// Reads what was committed since the current manifest, and publishes it.
pub(super) async fn refresh(shared: &Arc<Shared>) -> Result<(), StoreError> {
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
