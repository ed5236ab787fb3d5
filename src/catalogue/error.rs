//! Why the catalogue has no answer.

use crate::domain::Violation;
use crate::store::Head;

/// Why the catalogue has no answer. It knows nothing of HTTP, and what it shows is fit for a client; causes
/// go to the log where they arise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing was read from the database yet.
    #[error("the collection has not been loaded from the database yet")]
    Cold,
    /// The database does not answer (in time), and the cache does not have it (or what it has is too old).
    #[error("the database does not answer")]
    Away,
    /// There is no such movie at that revision.
    #[error("there is no movie {id}")]
    NoMovie {
        /// The id that was asked for.
        id: u64,
        /// The state in which there is none.
        head: Head,
    },
    /// The movie is not as the client's condition wants it: it has changed since, most likely.
    #[error("movie {id} is not as the request takes it to be")]
    Stale {
        /// The movie.
        id: u64,
        /// The state in which it is otherwise.
        head: Head,
    },
    /// The document contradicts what marquee gives.
    #[error("the document contradicts the movie")]
    Contradicts {
        /// Where, and what would be right.
        violations: Vec<Violation>,
        /// The state that it contradicts.
        head: Head,
    },
    /// A movie with that `imdb_id` exists (or stands earlier in the same array).
    #[error("a movie with imdb_id {imdb_id} exists already")]
    DuplicateImdbId {
        /// The id that exists.
        imdb_id: String,
        /// Which of the movies sent has it, from 0.
        index: usize,
        /// The state in which it exists.
        head: Head,
    },
    /// A genre of that name exists.
    #[error("the genre {name} exists already")]
    DuplicateGenre {
        /// Its name, as it is spelt in the collection.
        name: String,
        /// The state in which it exists.
        head: Head,
    },
    /// The key of the write was used for another one.
    #[error("the key was used for another request")]
    KeyReused {
        /// The state in which that is so.
        head: Head,
    },
    /// The writer's mailbox is full: nothing happened.
    #[error("too many writes are waiting")]
    Busy,
    /// marquee is stopping: nothing happened.
    #[error("marquee is stopping")]
    Stopping,
    /// The write was not executed; trying again is safe. The reason is fit for a client.
    #[error("the write was not executed: {0}")]
    NotExecuted(&'static str),
    /// The write may or may not have been executed.
    #[error("whether the write was executed is not known")]
    OutcomeUnknown,
    /// The collection is larger than what may be written to a temporary file.
    #[error("the collection is larger than this server may send at once")]
    TooLarge,
    /// A fault of ours or of the database's.
    #[error("an internal error")]
    Internal,
}
