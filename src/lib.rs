//! marquee
pub mod domain;
pub mod store;
pub mod telemetry;
