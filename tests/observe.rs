//! What marquee tells about itself: metrics, the access log, ids of requests, and what is made ready to show
//! them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

#[path = "observe/deploy.rs"]
mod deploy;
#[path = "observe/ids.rs"]
mod ids;
#[path = "observe/import.rs"]
mod import;
#[path = "observe/log.rs"]
mod log;
#[path = "observe/metrics.rs"]
mod metrics;
#[path = "observe/timing.rs"]
mod timing;

use support::{Marquee, TestDatabase};

/// A marquee without the sample collection, ready.
async fn start(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").start().await;
    marquee.wait_ready().await;
    marquee
}
