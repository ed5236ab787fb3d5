//! marquee
pub mod catalogue;
pub mod domain;
pub mod telemetry;
