//! What marquee does besides serving: migrate, import, export, health, token.

mod export;
mod health;
mod import;
mod token;

use std::time::Duration;

use prometheus_client::registry::Registry;

pub use export::export;
pub use health::health;
pub use import::import;
pub use token::token;

use crate::app::{AppError, database_runtime, store_options};
use crate::config::Settings;
use crate::store::Store;
use crate::telemetry::Metrics;

fn metrics() -> Metrics {
    Metrics::registered(&mut Registry::default())
}

/// A store for work by hand: a step may take long.
fn store(settings: &Settings) -> Result<Store, AppError> {
    let mut options = store_options(settings);
    options.step = Duration::from_secs(300);
    Ok(Store::new(&options, &metrics())?)
}

/// `marquee migrate`
///
/// # Errors
/// When the database cannot be reached or refuses.
pub fn migrate(settings: &Settings) -> Result<(), AppError> {
    let runtime = database_runtime()?;
    let store = store(settings)?;
    runtime.block_on(async {
        store.migrate().await?;
        let prepared = store.prepare().await?;
        prepared.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        log::info!("{} ({}) is up to date", settings.database.url, prepared.server);
        Ok(())
    })
}
