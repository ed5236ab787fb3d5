//! One attempt at one write transaction, from the lock to the receipts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::BatchLimits;
use crate::catalogue::Shared;
use crate::catalogue::cache::Key;
use crate::catalogue::mailbox::{Command, Receipt};
use crate::catalogue::manifest::Manifest;
use crate::catalogue::plan::{Base, Outcome, Plan, Work, plan, wanted};
use crate::catalogue::segment::{EncodedSegment, Form};
use crate::store::{Changeset, Head, SegmentRef, StoreError, WriteTx};

/// For how long the outcome of a COMMIT is looked for when its answer was lost.
const RESOLVE_FOR: Duration = Duration::from_secs(5);

type Encoded = HashMap<u64, Arc<EncodedSegment>>;

pub(super) struct Attempt<'a> {
    shared: &'a Shared,
    limits: &'a BatchLimits,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(shared: &'a Shared, limits: &'a BatchLimits) -> Self {
        Self { shared, limits }
    }

    pub(super) async fn run(self, batch: &[Command]) -> Result<Vec<Receipt>, StoreError> {
        // The lock comes first: the view that the transaction reads from is taken after it, so it holds
        // everything that was committed.
        let mut tx = self.shared.store.begin_write().await?;
        let prepared = self.prepare(&mut tx, batch).await;
        let (base, Plan { outcomes, changes }) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return give_up(tx, error).await,
        };
        let Some(changes) = changes else {
            // Nothing to write: no revision is raised. What others committed is published all the same,
            // since the clients will be told what was seen in it.
            tx.rollback().await;
            let head = base.head();
            self.shared.published.publish(base);
            return Ok(receipts(batch, outcomes, head, &Encoded::new()));
        };
        let encoded = match self.write(&mut tx, &changes).await {
            Ok(encoded) => encoded,
            Err(error) => return give_up(tx, error).await,
        };
        // In the cache before COMMIT: nobody asks for these stamps until they are published.
        for segment in &changes.segments {
            if let Some(encoded) = encoded.get(&segment.number) {
                self.shared.cache.insert(Key::new(*segment, Form::Array), Arc::clone(encoded)).await;
            }
        }
        if let Err(error) = self.commit(tx, changes.head).await {
            if !matches!(error, StoreError::Unknown(_)) {
                self.shared.cache.remove(&changes.segments).await;
            }
            return Err(error);
        }
        self.shared.metrics.commits.inc();
        self.shared.published.publish(base.written(changes.head, &changes.segments));
        Ok(receipts(batch, outcomes, changes.head, &encoded))
    }

    /// The manifest that the transaction builds on, others' commits included, and what to do on top of it.
    async fn prepare(
        &self,
        tx: &mut WriteTx,
        batch: &[Command],
    ) -> Result<(Arc<Manifest>, Plan), StoreError> {
        let known = self.shared.published.load();
        let changes = tx.changes_since(known.as_ref().map(|known| known.head())).await?;
        let base = Manifest::advanced(known.as_ref(), changes);
        let facts = tx.facts(&wanted(batch.iter().map(|command| &command.work))).await?;
        let plan = plan(
            batch.iter().map(|command| &command.work),
            Base {
                manifest: &base,
                next_ids: tx.next_ids(),
                facts,
                now: now(),
                stamp: rand::random(),
                max_segments: self.limits.segments,
            },
        );
        Ok((base, plan))
    }

    /// Writes, and reads back and encodes what was touched.
    async fn write(&self, tx: &mut WriteTx, changes: &Changeset) -> Result<Encoded, StoreError> {
        tx.apply(changes).await?;
        let mut encoded = Encoded::new();
        // The last ones, where new movies are, are the likeliest to be asked for.
        for SegmentRef { number, .. } in changes.segments.iter().rev().take(self.limits.encoded) {
            let movies = tx.segment(*number).await?;
            encoded.insert(*number, Arc::new(self.shared.encode(&movies)));
        }
        Ok(encoded)
    }

    async fn commit(&self, tx: WriteTx, head: Head) -> Result<(), StoreError> {
        let Err(error) = tx.commit().await else {
            return Ok(());
        };
        let StoreError::Unknown(reason) = &error else {
            return Err(error);
        };
        log::warn!("{reason}; looking for commit {} in the log of commits", head.revision);
        let began = Instant::now();
        while began.elapsed() < RESOLVE_FOR {
            match self.was_committed(head).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(StoreError::Contended(format!("{reason}; it was not committed"))),
                Err(error) => log::warn!("the outcome of commit {} is still unknown: {error}", head.revision),
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(error)
    }

    /// Looks on a new connection, under the lock of the revision row: it waits until the old transaction is
    /// over, whichever way.
    async fn was_committed(&self, head: Head) -> Result<bool, StoreError> {
        let mut tx = self.shared.store.begin_write().await?;
        let committed = tx.was_committed(head).await;
        tx.rollback().await;
        committed
    }
}

/// Rolls back whole, whatever the error undid already: a deadlock undoes everything, a lock time-out only
/// its statement.
async fn give_up<T>(tx: WriteTx, error: StoreError) -> Result<T, StoreError> {
    tx.rollback().await;
    Err(error)
}

/// To the second, as times are stored and told.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

fn receipts(batch: &[Command], outcomes: Vec<Outcome>, head: Head, encoded: &Encoded) -> Vec<Receipt> {
    let receipts = batch.iter().zip(outcomes).map(|(command, outcome)| {
        let json = match (&command.work, &outcome) {
            (Work::Create(_), Outcome::Created(ids)) => slices(ids, encoded),
            _ => Vec::new(),
        };
        Receipt { head, outcome, json }
    });
    receipts.collect()
}

fn slices(ids: &[u64], encoded: &Encoded) -> Vec<Bytes> {
    ids.iter().filter_map(|id| encoded.get(&(id >> 8))?.movie(*id)).collect()
}
