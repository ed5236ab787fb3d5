//! What `docs/API.md` promises a client, asked of the real binary on every database.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

#[path = "contract/changes.rs"]
mod changes;
#[path = "contract/document.rs"]
mod document;
#[path = "contract/find.rs"]
mod find;
#[path = "contract/genres.rs"]
mod genres;
#[path = "contract/headers.rs"]
mod headers;
#[path = "contract/idempotency.rs"]
mod idempotency;
#[path = "contract/kit.rs"]
mod kit;
#[path = "contract/min_revision.rs"]
mod min_revision;
#[path = "contract/movies.rs"]
mod movies;
#[path = "contract/operations.rs"]
mod operations;
#[path = "contract/problems.rs"]
mod problems;
