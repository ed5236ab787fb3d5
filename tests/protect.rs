//! What protects marquee and what it holds: tokens, and where it can be reached without any; and what clients may not
//! do to marquee, nor to each other: too often, too slowly, in ways that no two readers agree on, or by hanging up.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

#[path = "contract/kit.rs"]
#[expect(clippy::allow_attributes, reason = "expect() would fail where all is used")]
#[allow(dead_code, reason = "the tests of the contract use the rest")]
mod kit;
#[path = "protect/tools.rs"]
mod tools;

#[path = "protect/cancelled.rs"]
mod cancelled;
#[path = "protect/cors.rs"]
mod cors;
#[path = "protect/document.rs"]
mod document;
#[path = "protect/framing.rs"]
mod framing;
#[path = "protect/held.rs"]
mod held;
#[path = "protect/open.rs"]
mod open;
#[path = "protect/pages.rs"]
mod pages;
#[path = "protect/rate.rs"]
mod rate;
#[path = "protect/replicas.rs"]
mod replicas;
#[path = "protect/retries.rs"]
mod retries;
#[path = "protect/roles.rs"]
mod roles;
#[path = "protect/slow.rs"]
mod slow;
#[path = "protect/start.rs"]
mod start;
#[path = "protect/tokens.rs"]
mod tokens;
