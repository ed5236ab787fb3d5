//! Finding movies: the answers of a model, the plans of its statements, walks under fire, what is cached, and
//! what older movies need.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may stop at the first surprise")]

#[macro_use]
mod support;

#[path = "find/cached.rs"]
mod cached;
#[path = "find/kit.rs"]
mod kit;
#[path = "find/model.rs"]
mod model;
#[path = "find/plans.rs"]
mod plans;
#[path = "find/upgrade.rs"]
mod upgrade;
#[path = "find/walks.rs"]
mod walks;
