//! The writer's mailbox: bounded in commands and in bytes, and how a command is claimed and answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::Error;
use super::plan::{Outcome, Work};
use crate::store::{Head, RetryKey};

/// What a client is told of its write.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The state that the outcome is of: the one that the write made, or in which it failed.
    pub head: Head,
    /// What came of it.
    pub outcome: Outcome,
}

/// Who has a command: the writer that executes it, or the client that gave it up before. Never both, so a
/// time-out can tell "nothing happened" from "it may have happened".
#[derive(Debug, Clone, Default)]
struct Claim(Arc<Mutex<Claimed>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Claimed {
    #[default]
    Waiting,
    Taken,
    GivenUp,
}

impl Claim {
    /// From one state to another; false when it is not in the one.
    fn turn(&self, from: Claimed, to: Claimed) -> bool {
        let mut claimed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = *claimed == from;
        if turns {
            *claimed = to;
        }
        turns
    }
}

/// Gives the command up when its client goes away before the writer has taken it.
struct GiveUp(Claim);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.turn(Claimed::Waiting, Claimed::GivenUp);
    }
}

/// A write on its way.
#[derive(Debug)]
pub struct Command {
    /// What is to be done.
    pub work: Work,
    /// Under what it is done only once, if at all.
    pub key: Option<RetryKey>,
    reply: oneshot::Sender<Result<Receipt, Error>>,
    claim: Claim,
    /// The bytes that it takes of the mailbox until it is answered.
    _room: OwnedSemaphorePermit,
}

impl Command {
    /// Takes the command for execution; false when its client has given it up.
    pub fn take(&self) -> bool {
        self.claim.turn(Claimed::Waiting, Claimed::Taken)
    }

    /// Gives a command that was not begun back to the mailbox's order.
    pub fn put_back(&self) {
        self.claim.turn(Claimed::Taken, Claimed::Waiting);
    }

    /// Answers the client, if it still waits.
    pub fn answer(self, result: Result<Receipt, Error>) {
        let _ = self.reply.send(result);
    }
}

/// Where clients leave their writes.
#[derive(Debug)]
pub struct Mailbox {
    /// `None` once it is closed.
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    observer: mpsc::WeakSender<Command>,
    capacity: usize,
    room: Arc<Semaphore>,
    bytes: usize,
}

impl Mailbox {
    /// A mailbox for `commands` commands of `bytes` bytes together, and its other end.
    pub fn new(commands: usize, bytes: usize) -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(commands.max(1));
        let bytes = bytes.clamp(1, u32::MAX as usize);
        let capacity = sender.max_capacity();
        (
            Self {
                observer: sender.downgrade(),
                commands: Mutex::new(Some(sender)),
                capacity,
                room: Arc::new(Semaphore::new(bytes)),
                bytes,
            },
            receiver,
        )
    }

    /// How many commands wait. Takes no lock: whoever asks is in nobody's way.
    pub fn waiting(&self) -> usize {
        self.observer.upgrade().map_or(0, |commands| self.capacity - commands.capacity())
    }

    /// Whether it takes no further command now. Takes no lock either.
    pub fn is_full(&self) -> bool {
        self.waiting() >= self.capacity
    }

    /// What commands that are not answered yet weigh, in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.bytes - self.room.available_permits().min(self.bytes)
    }

    /// Takes no more commands.
    pub fn close(&self) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn sender(&self) -> Option<mpsc::Sender<Command>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves `work` and waits for its receipt, at most for `patience`. With a `key` it is done once.
    ///
    /// # Errors
    /// [`Error::Busy`] at once when it has no room; [`Error::NotExecuted`] or [`Error::OutcomeUnknown`] when
    /// patience ends; else what the writer says.
    pub async fn send(
        &self,
        work: Work,
        key: Option<RetryKey>,
        patience: Duration,
    ) -> Result<Receipt, Error> {
        let weight = work.weight().min(self.bytes);
        let permits = u32::try_from(weight).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(permits) else {
            return Err(Error::Busy);
        };
        let (reply, receipt) = oneshot::channel();
        let claim = Claim::default();
        let command = Command { work, key, reply, claim: claim.clone(), _room: room };
        self.sender().ok_or(Error::Stopping)?.try_send(command).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Busy,
            mpsc::error::TrySendError::Closed(_) => Error::Stopping,
        })?;
        let _give_up = GiveUp(claim.clone());
        match tokio::time::timeout(patience, receipt).await {
            Ok(Ok(result)) => result,
            // The writer is gone, or it takes too long.
            Ok(Err(_)) | Err(_) => {
                if claim.turn(Claimed::Waiting, Claimed::GivenUp) {
                    Err(Error::NotExecuted("it waited too long for its turn"))
                } else {
                    Err(Error::OutcomeUnknown)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::plan::Condition;

    fn mailbox(commands: usize, bytes: usize) -> (Arc<Mailbox>, mpsc::Receiver<Command>) {
        let (mailbox, receiver) = Mailbox::new(commands, bytes);
        (Arc::new(mailbox), receiver)
    }

    const LONG: Duration = Duration::from_secs(600);
    const SHORT: Duration = Duration::from_millis(10);

    fn receipt() -> Receipt {
        Receipt { head: Head { revision: 1, stamp: 1 }, outcome: Outcome::Deleted }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_mailbox_refuses_at_once() {
        let (mailbox, _writer) = mailbox(1, 1 << 20);
        let first = tokio::spawn({
            let mailbox = Arc::clone(&mailbox);
            async move { mailbox.send(Work::Delete(1, Condition::default()), None, LONG).await }
        });
        assert!(!mailbox.is_full());
        tokio::task::yield_now().await;
        assert!(mailbox.is_full());
        assert_eq!(mailbox.send(Work::Delete(2, Condition::default()), None, LONG).await, Err(Error::Busy));
        first.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_bounded_and_given_back() {
        let weight = Work::Delete(1, Condition::default()).weight();
        let (mailbox, mut writer) = mailbox(100, weight + 1);
        let send = |id| {
            let mailbox = Arc::clone(&mailbox);
            tokio::spawn(
                async move { mailbox.send(Work::Delete(id, Condition::default()), None, LONG).await },
            )
        };
        let first = send(1);
        tokio::task::yield_now().await;
        assert_eq!(send(2).await.unwrap(), Err(Error::Busy));
        let command = writer.recv().await.unwrap();
        assert!(command.take());
        command.answer(Ok(receipt()));
        assert_eq!(first.await.unwrap(), Ok(receipt()));
        drop(send(3));
        tokio::task::yield_now().await;
        assert!(writer.recv().await.unwrap().take());
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_knows_whether_the_writer_had_it() {
        let (mailbox, mut writer) = mailbox(10, 1 << 20);
        assert!(matches!(
            mailbox.send(Work::Delete(1, Condition::default()), None, SHORT).await,
            Err(Error::NotExecuted(_))
        ));
        assert!(!writer.recv().await.unwrap().take(), "given up before it was taken");

        let taken = tokio::spawn({
            let mailbox = Arc::clone(&mailbox);
            async move { mailbox.send(Work::Delete(2, Condition::default()), None, SHORT).await }
        });
        let command = writer.recv().await.unwrap();
        assert!(command.take());
        assert_eq!(taken.await.unwrap(), Err(Error::OutcomeUnknown));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_hangs_up_gives_its_command_up() {
        let (mailbox, mut writer) = mailbox(10, 1 << 20);
        let sent =
            tokio::spawn(
                async move { mailbox.send(Work::Delete(1, Condition::default()), None, LONG).await },
            );
        let command = writer.recv().await.unwrap();
        sent.abort();
        let _ = sent.await;
        assert!(!command.take());
    }
}
