//! Why an import stops. What is wrong with one row is no such thing: that is a reject.

use std::io;

/// Why the import ended before its inputs did, said so that it can be mended.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An input cannot be opened, or its first bytes cannot be read.
    #[error("{file}: {cause}")]
    Open {
        /// Which input.
        file: String,
        /// Why.
        cause: io::Error,
    },
    /// An input is of no kind that is read here, or not of the kind that it was given as.
    #[error("{file}: {reason}")]
    Kind {
        /// Which input.
        file: String,
        /// What it seems to be, and what to do.
        reason: String,
    },
    /// The inputs do not make sense together.
    #[error("{0}")]
    Together(String),
    /// A joined file broke off. Going on would take ratings or directors away from what lies beyond.
    #[error("{file}: {reason}; nothing was imported, because movies would lose what the rest of it says")]
    Joined {
        /// Which input.
        file: String,
        /// Where and why.
        reason: String,
    },
    /// What must be held in memory is more than it may be.
    #[error(
        "{what} needs more than the {limit} MiB that may be held in memory: allow more with --join-memory, or import with fewer joined files"
    )]
    Memory {
        /// What was being read.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The rejects cannot be written down.
    #[error("the rejects cannot be written: {0}")]
    Rejects(io::Error),
    /// The collection refused a chunk. What it took before stays.
    #[error("the collection did not take the movies: {0}")]
    Sink(Box<dyn std::error::Error + Send + Sync>),
    /// The reading thread ended without a word, or the collection is not taken from any more.
    #[error("the reader of the inputs was stopped")]
    Stopped,
}
