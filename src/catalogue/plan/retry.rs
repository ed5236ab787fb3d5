//! Commands that came before: under one key one thing is done once.

use std::collections::HashMap;

use super::Outcome;
use super::packed::{Packer, unpacked};
use crate::store::{Digest, Head, KeptAnswer, RetryKey};

/// What was answered under the keys of a batch, before it and so far in it.
pub(super) struct Answers {
    before: HashMap<Digest, KeptAnswer>,
    /// In this batch.
    new: HashMap<Digest, (RetryKey, Outcome)>,
    packed: Vec<(RetryKey, Vec<u8>)>,
    packer: Packer,
    has_room: bool,
}

impl Answers {
    /// With the answers that are kept already; without room no new ones are.
    pub(super) fn new(kept: Vec<KeptAnswer>, has_room: bool) -> Self {
        Self {
            before: kept.into_iter().map(|kept| (kept.key.id, kept)).collect(),
            new: HashMap::new(),
            packed: Vec::new(),
            packer: Packer::default(),
            has_room,
        }
    }

    /// What a command with this key is told without being executed; `None` when it must be.
    pub(super) fn to(&self, key: &RetryKey) -> Option<Outcome> {
        if let Some((known, outcome)) = self.new.get(&key.id) {
            return Some(again(known, key, None, || Some(outcome.clone())));
        }
        match self.before.get(&key.id) {
            Some(kept) => Some(again(&kept.key, key, Some(kept.head), || unpacked(&kept.answer))),
            None if self.has_room => None,
            None => Some(Outcome::Refused(
                "the answers kept for retries take all their room (MARQUEE_IDEMPOTENCY_BYTES), so that no \
                 Idempotency-Key can be taken until older ones expire",
            )),
        }
    }

    /// Notes what came of a command that was executed. Failures are not kept: the command may be tried again.
    pub(super) fn note(&mut self, key: RetryKey, outcome: &Outcome) {
        if let Some(packed) = self.packer.packed(outcome) {
            self.packed.push((key, packed));
            self.new.insert(key.id, (key, outcome.clone()));
        }
    }

    /// What is to be kept.
    pub(super) fn finish(self) -> Vec<(RetryKey, Vec<u8>)> {
        self.packed
    }
}

fn again(
    known: &RetryKey,
    key: &RetryKey,
    head: Option<Head>,
    outcome: impl FnOnce() -> Option<Outcome>,
) -> Outcome {
    if known.request != key.request {
        return Outcome::KeyReused;
    }
    match outcome() {
        Some(outcome) => Outcome::Again { head, outcome: Box::new(outcome) },
        // Another release may have kept it: one that runs beside this one, while replicas are replaced.
        None => Outcome::Refused("the answer was kept in a form that this replica cannot read"),
    }
}
