//! How much memory an import may hold.

use crate::import::error::ImportError;

/// A bound in bytes, and what is held under it.
pub(in crate::import) struct Budget {
    limit: usize,
    held: usize,
}

impl Budget {
    pub(in crate::import) fn new(limit: usize) -> Self {
        Self { limit, held: 0 }
    }

    /// Adds `bytes` for good.
    pub(in crate::import) fn charge(&mut self, bytes: usize, what: &'static str) -> Result<(), ImportError> {
        self.check(bytes, what)?;
        self.held += bytes;
        Ok(())
    }

    /// Whether `bytes` more would be within the bound.
    pub(in crate::import) fn check(&self, bytes: usize, what: &'static str) -> Result<(), ImportError> {
        if self.held.saturating_add(bytes) <= self.limit {
            Ok(())
        } else {
            Err(ImportError::Memory { what, limit: self.limit / (1024 * 1024) })
        }
    }

    /// What is held.
    pub(in crate::import) fn held(&self) -> usize {
        self.held
    }
}
