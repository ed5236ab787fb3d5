//! marquee
pub mod catalogue;
pub mod domain;
pub mod import;
pub mod telemetry;
