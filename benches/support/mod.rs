//! What several benchmarks measure on.

use std::path::Path;
use std::time::Duration;

use marquee::catalogue::{BatchLimits, Catalogue, Options};
use marquee::store::{Store, StoreOptions};
use marquee::telemetry::Metrics;
use prometheus_client::registry::Registry;
use tokio::runtime::Runtime;

/// An empty catalogue over a SQLite file of its own. It follows nobody.
pub(crate) fn catalogue(runtime: &Runtime, directory: &Path) -> Catalogue {
    let metrics = Metrics::registered(&mut Registry::default());
    let url = format!("sqlite://{}", directory.join("marquee.db").display());
    let step = Duration::from_secs(60);
    let store = StoreOptions { location: url.parse().unwrap(), pool_size: None, step };
    let store = Store::new(&store, &metrics).unwrap();
    let options = Options {
        cache_bytes: 512 << 20,
        spool_bytes: 1 << 30,
        mailbox: 4096,
        mailbox_bytes: 64 << 20,
        batch: BatchLimits {
            commands: 256,
            movies: 10_000,
            names: 32_768,
            bytes: 16 << 20,
            segments: 64,
            encoded: 128,
        },
        poll: Duration::from_millis(100),
        patience: step,
        stale: None,
        kept_bytes: 1 << 30,
    };
    runtime.block_on(async {
        store.migrate().await.unwrap();
        let (catalogue, _) = Catalogue::new(store, None, &options, runtime.handle(), &metrics);
        catalogue.refresh().await.unwrap();
        catalogue
    })
}
