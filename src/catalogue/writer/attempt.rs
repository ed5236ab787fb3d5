//! One attempt at one write transaction, from the lock to the receipts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::BatchLimits;
use crate::catalogue::Shared;
use crate::catalogue::cache::Key;
use crate::catalogue::mailbox::{Command, Receipt};
use crate::catalogue::manifest::Manifest;
use crate::catalogue::plan::{Base, Outcome, Plan, plan, wanted};
use crate::catalogue::segment::EncodedSegment;
use crate::catalogue::shelf::Segments;
use crate::store::{Changeset, Digest, Head, Kept, KeptAnswer, RetryKey, SegmentRef, StoreError, WriteTx};

/// For how long the outcome of a COMMIT is looked for when its answer was lost.
const RESOLVE_FOR: Duration = Duration::from_secs(5);

/// How many segments of a batch are made ready in every form and coding that is asked for.
const READY: usize = 8;

/// A transaction of the same batch whose COMMIT had no answer and was not found in the log of commits. Where the lock of
/// the revision row is one node's (Galera), or connections were led to another server meanwhile, that does
/// not say that it is over: it may be committed yet.
pub(super) struct Doubt {
    head: Head,
    /// What the commands are told if it was.
    outcomes: Vec<Outcome>,
}

pub(super) struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    limits: &'a BatchLimits,
    /// What earlier attempts left.
    doubts: &'a mut Vec<Doubt>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, limits: &'a BatchLimits, doubts: &'a mut Vec<Doubt>) -> Self {
        Self { shared, limits, doubts }
    }

    pub(super) async fn run(mut self, batch: &[Command]) -> Result<Vec<Receipt>, StoreError> {
        // The lock comes first: the view that the transaction reads from is taken after it, so it holds
        // everything that was committed.
        let mut tx = self.shared.store.begin_write().await?;
        match self.settled(&mut tx).await {
            Ok(None) => {}
            Ok(Some(Doubt { head, outcomes })) => {
                tx.rollback().await;
                return Ok(self.receipts(outcomes, head));
            }
            Err(error) => return give_up(tx, error).await,
        }
        let prepared = self.prepare(&mut tx, batch).await;
        let (base, kept, Plan { outcomes, changes, keep }) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return give_up(tx, error).await,
        };
        if changes.is_none() && !tx.has_the_lock().await {
            return give_up(tx, StoreError::overtaken()).await;
        }
        if changes.is_none() && keep.is_empty() {
            // Nothing to write: no revision is raised. What others committed is published all the same,
            // since the clients will be told what was seen in it.
            tx.rollback().await;
            let head = base.head();
            self.shared.published.publish(base);
            return Ok(self.receipts(outcomes, head));
        }
        let head = changes.as_ref().map_or(base.head(), |changes| changes.head);
        let written = match &changes {
            Some(changes) => self.write(&mut tx, &base, changes).await,
            None => Ok(Segments::new()),
        };
        let encoded = match written {
            Ok(encoded) => encoded,
            Err(error) => return give_up(tx, error).await,
        };
        if let Err(error) = keep_all(&mut tx, &kept, keep, head).await {
            return give_up(tx, error).await;
        }
        let Some(changes) = changes else {
            commit_kept(tx).await?;
            self.shared.published.publish(base);
            return Ok(self.receipts(outcomes, head));
        };
        // In the cache before COMMIT: nobody asks for these stamps until they are published.
        for (segment, array) in &encoded {
            self.shared.cache.insert(Key::of_array(*segment), Arc::clone(array)).await;
        }
        // Others find them there when they are rung for. What is not committed has a stamp that nobody will ask for.
        let lent = self.shared.lend(&encoded);
        let ready = self.make_ready(encoded);
        let committed = self.commit(tx, changes.head).await;
        let committed = committed.and_then(|found| match found {
            Found::There => Ok(()),
            Found::NotYet(reason) => {
                self.doubts.push(Doubt { head, outcomes: outcomes.clone() });
                Err(StoreError::Contended(format!("{reason}; it was not committed")))
            }
        });
        if let Some(ready) = ready
            && let Err(error) = ready.await
        {
            log::error!("forms and codings are left to those who ask: {error}");
        }
        if let Err(error) = committed {
            if !matches!(error, StoreError::Unknown(_)) {
                self.shared.cache.remove(&changes.segments).await;
                self.shared.take_back(lent, changes.segments);
            }
            return Err(error);
        }
        self.shared.metrics.commits.inc();
        self.shared.published.publish(base.written(changes.head, &changes.segments));
        let superseded = changes.segments.iter().filter_map(|segment| base.segment(segment.number));
        self.shared.ring(head, lent, superseded.filter(|segment| segment.movies > 0).collect());
        Ok(self.receipts(outcomes, head))
    }

    /// The manifest that the transaction builds on, others' commits included, what is kept for retries, and what
    /// to do on top of it.
    async fn prepare(
        &self,
        tx: &mut WriteTx,
        batch: &[Command],
    ) -> Result<(Arc<Manifest>, Kept, Plan), StoreError> {
        let known = self.shared.published.load();
        let changes = tx.changes_since(known.as_ref().map(|known| known.head())).await?;
        let base = Manifest::advanced(known.as_ref(), changes);
        let facts = tx.facts(&wanted(batch.iter().map(|command| &command.work))).await?;
        let mut kept = self.kept(tx, batch).await?;
        let plan = plan(
            batch.iter().map(|command| (&command.work, command.key.as_ref())),
            Base {
                manifest: &base,
                next_ids: tx.next_ids(),
                facts,
                now: now(),
                stamp: rand::random(),
                max_segments: self.limits.segments,
                answers: std::mem::take(&mut kept.answers),
                has_room: kept.bytes < self.shared.kept_bytes,
            },
        );
        Ok((base, kept, plan))
    }

    /// What is kept under the keys of a batch. One without any asks nothing.
    async fn kept(&self, tx: &mut WriteTx, batch: &[Command]) -> Result<Kept, StoreError> {
        let ids: BTreeSet<Digest> = batch.iter().filter_map(|command| Some(command.key?.id)).collect();
        if ids.is_empty() {
            return Ok(Kept::default());
        }
        let kept = tx.kept(&Vec::from_iter(ids)).await?;
        self.shared.metrics.kept_bytes.set(i64::try_from(kept.bytes).unwrap_or(i64::MAX));
        Ok(kept)
    }

    /// Writes, and encodes what was touched.
    async fn write(
        &self,
        tx: &mut WriteTx,
        base: &Manifest,
        changes: &Changeset,
    ) -> Result<Segments, StoreError> {
        tx.apply(changes).await?;
        let mut encoded = Segments::new();
        // The last ones, where new movies are, are the likeliest to be asked for.
        for segment in changes.segments.iter().rev().take(self.limits.encoded) {
            let array = match self.changed(base, changes, *segment).await {
                Some(array) => array,
                None => self.shared.encode(&tx.segment(segment.number).await?),
            };
            encoded.push((*segment, Arc::new(array)));
        }
        Ok(encoded)
    }

    /// A touched segment, made of what the cache has of it as it was; `None` where that is nothing. Under the lock
    /// of the revision row nobody else writes, so these are the bytes that its rows would be encoded to.
    async fn changed(
        &self,
        base: &Manifest,
        changes: &Changeset,
        segment: SegmentRef,
    ) -> Option<EncodedSegment> {
        let before = match base.segment(segment.number) {
            Some(before) => self.shared.cache.get(Key::of_array(before)).await?,
            None => Arc::new(EncodedSegment::encode(&[])),
        };
        let array = self.shared.change(&before, segment.number, changes);
        let counted = u32::try_from(array.movies()) == Ok(segment.movies);
        if !counted {
            log::error!(
                "segment {} has {} movies and should have {}: it is read anew",
                segment.number,
                array.movies(),
                segment.movies
            );
        }
        counted.then_some(array)
    }

    /// What clients are told: of what was done now, and of what was done before.
    fn receipts(&self, outcomes: Vec<Outcome>, head: Head) -> Vec<Receipt> {
        let receipts = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Again { head: then, outcome } => {
                self.shared.metrics.replays.inc();
                Receipt { head: then.unwrap_or(head), outcome: *outcome }
            }
            outcome => Receipt { head, outcome },
        });
        receipts.collect()
    }

    /// Makes of the likeliest segments what the collection is asked for now, so that the next reader need not,
    /// while the database makes the transaction durable. What nobody asks for costs nothing.
    fn make_ready(&self, mut encoded: Segments) -> Option<JoinHandle<()>> {
        let asked = self.shared.published.load().map(|current| current.asked()).unwrap_or_default();
        encoded.truncate(READY);
        if asked.is_empty() || encoded.is_empty() {
            return None;
        }
        let shared = Arc::clone(self.shared);
        Some(self.shared.runtime.spawn(async move {
            for (segment, array) in encoded {
                for (form, coding) in &asked {
                    let made = Arc::new(shared.make(&array, *form, *coding));
                    shared.cache.insert(Key::new(segment, *form, *coding), made).await;
                }
            }
        }))
    }

    /// What an earlier attempt left in doubt and was committed, if any was: published. Whatever this attempt commits takes
    /// the place of those that are left, since it takes their revision.
    async fn settled(&mut self, tx: &mut WriteTx) -> Result<Option<Doubt>, StoreError> {
        for at in 0..self.doubts.len() {
            let Some(head) = self.doubts.get(at).map(|doubt| doubt.head) else { break };
            if tx.was_committed(head).await? {
                let known = self.shared.published.load();
                let changes = tx.changes_since(known.as_ref().map(|known| known.head())).await?;
                if !tx.has_the_lock().await {
                    return Err(StoreError::overtaken());
                }
                self.shared.published.publish(Manifest::advanced(known.as_ref(), changes));
                return Ok(Some(self.doubts.swap_remove(at)));
            }
        }
        // Another transaction has their revision: they can be committed no more.
        let now = tx.head().revision;
        self.doubts.retain(|doubt| doubt.head.revision > now);
        Ok(None)
    }

    async fn commit(&self, tx: WriteTx, head: Head) -> Result<Found, StoreError> {
        let Err(error) = tx.commit().await else {
            return Ok(Found::There);
        };
        let StoreError::Unknown(reason) = &error else {
            return Err(error);
        };
        log::warn!("{reason}; looking for commit {} in the log of commits", head.revision);
        let began = Instant::now();
        while began.elapsed() < RESOLVE_FOR {
            match self.was_committed(head).await {
                Ok(true) => return Ok(Found::There),
                Ok(false) => return Ok(Found::NotYet(reason.clone())),
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

/// What the log of commits says of a COMMIT.
enum Found {
    There,
    /// Not, and why it was looked for.
    NotYet(String),
}

/// Keeps answers for retries, with the state that they are of.
async fn keep_all(
    tx: &mut WriteTx,
    kept: &Kept,
    keep: Vec<(RetryKey, Vec<u8>)>,
    head: Head,
) -> Result<(), StoreError> {
    if keep.is_empty() {
        return Ok(());
    }
    let answers: Vec<KeptAnswer> =
        keep.into_iter().map(|(key, answer)| KeptAnswer { key, head, answer }).collect();
    tx.keep(kept, &answers).await
}

/// Commits a transaction that keeps answers and changes nothing else. It is in no log, and needs none: where the
/// answer to COMMIT is lost, the batch is run again, which waits for the lock, and so until this is over, and
/// then finds the answers or not.
async fn commit_kept(tx: WriteTx) -> Result<(), StoreError> {
    tx.commit().await.map_err(|error| match error {
        StoreError::Unknown(reason) => StoreError::Contended(reason),
        error => error,
    })
}

/// Rolls back whole, whatever the error undid already: a deadlock undoes everything, a lock time-out only
/// its statement.
async fn give_up<T>(mut tx: WriteTx, error: StoreError) -> Result<T, StoreError> {
    let error = match error {
        // A key that nobody had under the lock is taken, say.
        StoreError::Refused(_) | StoreError::Corrupt(_) if !tx.has_the_lock().await => {
            StoreError::overtaken()
        }
        error => error,
    };
    tx.rollback().await;
    Err(error)
}

/// To the second, as times are stored and told.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}
