//! marquee: a movie collection over HTTP.
//!
//! To view all, or one, costs what sending the bytes costs; a write costs what one block of 256 movies
//! costs, however large the collection is; and no read is older than a write that was acknowledged before it.
//!
//! Read the modules in this order: [`domain`] (the words), [`catalogue`] (the use cases and the
//! invariants), [`store`] (the database), [`relay`] (what replicas leave for each other), [`http`] (the contract),
//! [`app`] (how they are put together). `main → app → http → catalogue → store → domain`, and never back. `docs/ARCHITECTURE.md` is the map.

// Tests in here use what tests in tests/ use, which know the crate by its name.
#[cfg(test)]
extern crate self as marquee;

pub mod app;
pub mod catalogue;
pub mod command;
pub mod config;
pub mod domain;
pub mod http;
pub mod import;
pub mod relay;
pub mod store;
pub mod telemetry;

#[cfg(test)]
mod fuzz;
