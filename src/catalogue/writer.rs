//! The writer: the actor that owns all writes of a replica.
//!
//! One transaction for all that waits: lock the revision row, ask what the batch needs to know, decide in
//! memory ([`plan`](super::plan)), write, encode the touched segments, COMMIT, publish, reply.
//! Everything that can fail happens before COMMIT; what comes after is a swap in memory.

mod attempt;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::mailbox::{Command, Receipt};
use super::{Error, Shared};
use crate::store::StoreError;
use attempt::Attempt;

/// What bounds one transaction.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Commands.
    pub commands: usize,
    /// Movies that are created or merged. A single command may bring more.
    pub movies: usize,
    /// Genres and directors of those movies. A single command may bring more.
    pub names: usize,
    /// Bytes of commands. A single command may bring more.
    pub bytes: usize,
    /// Segments that are touched. A single command may touch more.
    pub segments: usize,
    /// Segments that are encoded before COMMIT; further ones are loaded by the reads that need them. 0 where
    /// nobody reads.
    pub encoded: usize,
}

/// How long a batch is tried before its clients are told that it was not executed.
const PATIENCE: Duration = Duration::from_secs(8);
/// The pause before a batch is tried again: doubled each time, and drawn at random up to that, so that
/// replicas that met do not meet again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How many connections may break in a row before the database is taken to be away.
const BROKEN: u32 = 4;

/// Executes commands until the mailbox is closed and empty.
pub(super) async fn run(shared: Arc<Shared>, mut mailbox: mpsc::Receiver<Command>, limits: BatchLimits) {
    let mut writer = Writer { shared, limits };
    let mut left = VecDeque::new();
    let mut arrived = Vec::new();
    loop {
        if left.is_empty() && mailbox.recv_many(&mut arrived, limits.commands).await == 0 {
            return;
        }
        while arrived.len() + left.len() < limits.commands
            && let Ok(command) = mailbox.try_recv()
        {
            arrived.push(command);
        }
        left.extend(arrived.drain(..));
        let batch = next_batch(&mut left, &limits);
        let undone = writer.execute(batch).await;
        for command in undone.into_iter().rev() {
            command.put_back();
            left.push_front(command);
        }
    }
}

/// Takes commands from the front of `left`, as many as one transaction may have.
fn next_batch(left: &mut VecDeque<Command>, limits: &BatchLimits) -> Vec<Command> {
    let (mut movies, mut names, mut bytes) = (0, 0, 0);
    let mut batch: Vec<Command> = Vec::new();
    while let Some(command) = left.front() {
        movies += command.work.len();
        names += command.work.names();
        bytes += command.work.weight();
        let full = batch.len() >= limits.commands
            || movies > limits.movies
            || names > limits.names
            || bytes > limits.bytes;
        if full && !batch.is_empty() {
            break;
        }
        batch.extend(left.pop_front());
    }
    batch
}

struct Writer {
    shared: Arc<Shared>,
    limits: BatchLimits,
}

impl Writer {
    /// Executes and answers commands; returns those that were not begun, to come first next time.
    async fn execute(&mut self, batch: Vec<Command>) -> Vec<Command> {
        // From here on a time-out of the client can only mean "unknown".
        let batch: Vec<Command> = batch.into_iter().filter(Command::take).collect();
        let mut undone = Vec::new();
        // Halves of a batch that the database refused, the next one last.
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.transact(&part).await {
                Ok(receipts) => {
                    let rest = part.split_off(receipts.len().min(part.len()));
                    part.into_iter().zip(receipts).for_each(|(command, receipt)| command.answer(Ok(receipt)));
                    if parts.is_empty() {
                        undone = rest;
                    } else {
                        parts.push(rest);
                    }
                }
                Err(StoreError::Refused(reason) | StoreError::Corrupt(reason)) if part.len() > 1 => {
                    log::warn!(
                        "a batch of {} writes was refused and is run again in halves: {reason}",
                        part.len()
                    );
                    self.shared.metrics.retries.inc();
                    let second = part.split_off(part.len() / 2);
                    parts.push(second);
                    parts.push(part);
                }
                Err(error) => {
                    log::error!("a batch of {} writes failed: {error}", part.len());
                    let told = told(&error);
                    part.into_iter().for_each(|command| command.answer(Err(told.clone())));
                }
            }
        }
        undone
    }

    /// Runs one transaction, again and again while that can help. The receipts are of the commands from the
    /// first on, maybe not of all.
    async fn transact(&mut self, batch: &[Command]) -> Result<Vec<Receipt>, StoreError> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut broken = 0;
        let mut doubts = Vec::new();
        loop {
            let result = Attempt::new(&self.shared, &self.limits, &mut doubts).run(batch).await;
            let error = match result {
                Ok(receipts) => {
                    self.shared.link.observe::<()>(&Ok(()));
                    self.shared.metrics.batch_commands.observe(receipts.len() as f64);
                    self.shared.metrics.batch_duration.observe(began.elapsed().as_secs_f64());
                    return Ok(receipts);
                }
                Err(error) => error,
            };
            // Connections can break by themselves; when several in a row do, nobody is there.
            let again = match &error {
                StoreError::Contended(_) => began.elapsed() + pause < PATIENCE,
                StoreError::Away(_) => {
                    broken += 1;
                    broken < BROKEN
                }
                _ => false,
            };
            if !again {
                self.shared.link.observe::<()>(&Err(error.clone()));
                return Err(if doubts.is_empty() { error } else { StoreError::Unknown(error.to_string()) });
            }
            log::debug!("a batch of {} writes is tried again: {error}", batch.len());
            self.shared.metrics.retries.inc();
            tokio::time::sleep(pause.mul_f64(rand::random::<f64>())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What clients are told of a failure whose cause is in the log.
fn told(error: &StoreError) -> Error {
    match error {
        StoreError::Away(_) | StoreError::TimedOut(_) | StoreError::Misconfigured(_) => {
            Error::NotExecuted("the database does not answer")
        }
        StoreError::PoolExhausted(_) | StoreError::Contended(_) => Error::NotExecuted("the database is busy"),
        StoreError::ReadOnly(_) => Error::NotExecuted("the database takes no writes at the moment"),
        StoreError::Unknown(_) => Error::OutcomeUnknown,
        StoreError::Refused(_) | StoreError::Corrupt(_) => Error::Internal,
    }
}
