//! What several benchmarks measure on.

#[path = "../../tests/support/library.rs"]
mod library;

use std::path::Path;

use marquee::catalogue::Catalogue;
use tokio::runtime::Runtime;

/// An empty catalogue over a SQLite file of its own.
pub(crate) fn catalogue(runtime: &Runtime, directory: &Path) -> Catalogue {
    let url = format!("sqlite://{}", directory.join("marquee.db").display());
    runtime.block_on(library::replica(&url, 512 << 20)).0
}
