//! A replica as a library: no process, no HTTP.

use std::time::Duration;

use marquee::catalogue::{BatchLimits, Catalogue, Options};
use marquee::store::{Store, StoreOptions};
use marquee::telemetry::Metrics;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;

/// The longest that anything in it is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A replica of the database at `url`, which it prepares, that may cache so many bytes. It follows nobody.
pub(crate) async fn replica(url: &str, cache_bytes: u64) -> (Catalogue, Metrics) {
    let metrics = Metrics::registered(&mut Registry::default());
    let options = StoreOptions { location: url.parse().unwrap(), pool_size: None, step: PATIENCE };
    let store = Store::new(&options, &metrics).unwrap();
    store.migrate().await.unwrap();
    let options = Options {
        cache_bytes,
        spool_bytes: 1 << 30,
        mailbox: 4096,
        mailbox_bytes: 64 << 20,
        batch: BatchLimits {
            commands: 256,
            movies: 10_000,
            names: 32_768,
            bytes: 16 << 20,
            segments: 64,
            encoded: 200,
        },
        poll: Duration::from_millis(100),
        patience: PATIENCE,
        stale: None,
        kept_bytes: 1 << 30,
    };
    let (catalogue, _writer) = Catalogue::new(store, None, &options, &Handle::current(), &metrics);
    catalogue.refresh().await.unwrap();
    (catalogue, metrics)
}
