//! Migrations that a database lacks: where they are run by hand, marquee may be newer than its schema.

use diesel::backend::Backend;
use diesel::migration::MigrationSource;

use super::{StoreError, error};

/// That none of the migrations of `known` is missing among the versions that were `applied`.
///
/// # Errors
/// [`StoreError::Misconfigured`], naming those that are.
pub(super) fn none_missing<DB: Backend>(
    known: &impl MigrationSource<DB>,
    applied: &[String],
) -> Result<(), StoreError> {
    let known = known.migrations().map_err(|e| error::of_migration(e.as_ref()))?;
    let missing = known.iter().map(|migration| migration.name());
    let missing = missing.filter(|name| !applied.contains(&name.version().to_string()));
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StoreError::Misconfigured(format!(
        "the schema of the database is older than this marquee and lacks {}; run `marquee migrate`, or start with \
         MARQUEE_MIGRATE=auto",
        missing.join(", ")
    )))
}
