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

#[path = "contract/genres.rs"]
mod genres;
#[path = "contract/headers.rs"]
mod headers;
#[path = "contract/kit.rs"]
mod kit;
#[path = "contract/movies.rs"]
mod movies;
#[path = "contract/operations.rs"]
mod operations;
#[path = "contract/problems.rs"]
mod problems;
