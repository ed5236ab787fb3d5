//! What is wrong with an input, said so that its sender can mend it.

use serde::Serialize;

/// Why one value is not acceptable, as a sentence's end: `must be between 0 and 10`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    /// A reason made of anything that can be shown.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// One member of an input that is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where it stands: a JSON Pointer (RFC 6901) into the document that was sent.
    pub pointer: String,
    /// What it must be.
    pub detail: String,
}

impl Violation {
    /// A violation at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pointer, self.detail)
    }
}
