//! marquee
pub mod domain;
pub mod catalogue;
pub mod store;
pub mod telemetry;
