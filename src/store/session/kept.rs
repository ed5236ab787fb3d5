//! What writes with an Idempotency-Key were answered, kept for those that come again.
//!
//! All of it is read and written under the lock of the revision row. A row that has expired is as good as
//! gone; it is removed later, a bounded number at a time, by writes.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::{LIST, queries};
use super::WriteTx;
use crate::store::StoreError;
use crate::store::model::{Digest, Head, Kept, KeptAnswer, RetryKey};
use crate::store::rows::KeptRow;

/// For how long an answer is kept, in seconds.
const KEPT_S: i64 = 24 * 60 * 60;
/// The most bytes of answers in one row, and about in one statement: far from what any server takes.
const PART: usize = 1 << 20;
/// What a row takes beside its answer, in bytes, with its entries in three indexes.
const ROW: i64 = 256;
/// How many expired rows a write removes beyond twice those that it may add: removing catches up with adding.
const REMOVED: usize = 32;
/// How many are removed where the log of commits is cut, so that they go when no key comes any more.
const REMOVED_AT_CUT: i64 = 256;

fn now() -> i64 {
    Timestamp::now().as_second()
}

impl WriteTx {
    pub(in crate::store) async fn kept(&mut self, ids: &[Digest]) -> Result<Kept, StoreError> {
        let now = now();
        let mut kept = Kept::default();
        let asked: Vec<Vec<u8>> = ids.iter().map(|id| id.to_vec()).collect();
        let mut stale = BTreeSet::new();
        for list in asked.chunks(LIST) {
            for row in self.lease.run(async |conn| queries::kept_with_ids(conn, list).await).await? {
                if row.expires_at <= now {
                    stale.insert(digest(&row.id)?);
                } else if row.part == 0 {
                    kept.answers.push(answer(row)?);
                } else if let Some(begun) = kept.answers.last_mut().filter(|begun| row.id == begun.key.id) {
                    begun.answer.extend(row.answer);
                }
            }
        }
        kept.stale = stale.into_iter().collect();
        let some = i64::try_from(ids.len() * 2 + REMOVED).unwrap_or(i64::MAX);
        let (end, oldest, first) = self
            .lease
            .run(async |conn| {
                let oldest = queries::kept_oldest(conn, some).await?;
                let first = match oldest.iter().find(|(_, expires_at)| *expires_at > now) {
                    Some((position, _)) => Some(*position),
                    None => queries::kept_first_after(conn, now).await?,
                };
                Ok((queries::kept_end(conn).await?, oldest, first))
            })
            .await?;
        kept.end = end;
        kept.bytes = first.map_or(0, |first| end.saturating_sub(first).unsigned_abs());
        let expired = oldest.iter().take_while(|(_, expires_at)| *expires_at <= now);
        kept.expired = expired.map(|(position, _)| *position).collect();
        Ok(kept)
    }

    pub(in crate::store) async fn keep(
        &mut self,
        kept: &Kept,
        answers: &[KeptAnswer],
    ) -> Result<(), StoreError> {
        self.remove_kept(&kept.expired).await?;
        let stale: Vec<Vec<u8>> = kept.stale.iter().map(|id| id.to_vec()).collect();
        for list in stale.chunks(LIST) {
            self.lease.run(async |conn| queries::kept_delete_ids(conn, list).await).await?;
        }
        let expires_at = now() + KEPT_S;
        let mut position = kept.end;
        let mut rows = Vec::new();
        let mut bytes = 0;
        for kept in answers {
            // An answer of no bytes has a part as well.
            let parts = kept.answer.chunks(PART).chain(kept.answer.is_empty().then_some(&[][..]));
            for (part, answer) in (0..).zip(parts) {
                if bytes + answer.len() > PART {
                    self.insert_kept(std::mem::take(&mut rows)).await?;
                    bytes = 0;
                }
                bytes += answer.len();
                position += ROW + i64::try_from(answer.len()).unwrap_or(i64::MAX);
                rows.push(row(kept, position, part, expires_at, answer));
            }
        }
        self.insert_kept(rows).await
    }

    /// Removes some that have expired.
    pub(super) async fn forget_expired(&mut self) -> Result<(), StoreError> {
        let now = now();
        let oldest = self.lease.run(async |conn| queries::kept_oldest(conn, REMOVED_AT_CUT).await).await?;
        let expired = oldest.iter().take_while(|(_, expires_at)| *expires_at <= now);
        let expired: Vec<i64> = expired.map(|(position, _)| *position).collect();
        self.remove_kept(&expired).await
    }

    async fn remove_kept(&mut self, positions: &[i64]) -> Result<(), StoreError> {
        for list in positions.chunks(LIST) {
            self.lease.run(async |conn| queries::kept_delete(conn, list).await).await?;
        }
        Ok(())
    }

    async fn insert_kept(&mut self, rows: Vec<KeptRow>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.lease.run(async |conn| queries::kept_insert(conn, rows).await).await
    }
}

fn row(kept: &KeptAnswer, position: i64, part: i32, expires_at: i64, answer: &[u8]) -> KeptRow {
    KeptRow {
        position,
        id: kept.key.id.to_vec(),
        part,
        request: kept.key.request.to_vec(),
        revision: kept.head.revision.cast_signed(),
        stamp: kept.head.stamp.cast_signed(),
        expires_at,
        answer: answer.to_vec(),
    }
}

fn answer(row: KeptRow) -> Result<KeptAnswer, StoreError> {
    let key = RetryKey { id: digest(&row.id)?, request: digest(&row.request)? };
    let head = Head { revision: row.revision.cast_unsigned(), stamp: row.stamp.cast_unsigned() };
    Ok(KeptAnswer { key, head, answer: row.answer })
}

fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a key that is no SHA-256".to_owned()))
}
