//! `marquee import`: movies from files into the collection.

use std::time::Duration;

use super::{metrics, store};
use crate::app::{AppError, catalogue_options, database_runtime};
use crate::catalogue::{BatchLimits, Catalogue};
use crate::config::{ImportArgs, Migrate, Settings};
use crate::import::{self, Options, Progress};

/// Reads the files into the database, in transactions of the same kind as the API's, many movies each: a
/// replica that serves meanwhile shows them within a poll. Nothing is encoded, since nobody reads here.
///
/// # Errors
/// When the run stopped before its inputs ended, or a part of them was not taken.
pub fn import(settings: &Settings, args: ImportArgs) -> Result<(), AppError> {
    let runtime = database_runtime()?;
    let store = store(settings)?;
    let mut options = catalogue_options(settings);
    options.patience = Duration::from_secs(300);
    options.batch = BatchLimits { movies: usize::MAX, bytes: usize::MAX, encoded: 0, ..options.batch };
    runtime.block_on(async {
        if settings.database.migrate == Migrate::Auto {
            store.migrate().await?;
        }
        let prepared = store.prepare().await?;
        prepared.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let (catalogue, writer) = Catalogue::new(store, &options, runtime.handle(), &metrics());
        catalogue.refresh().await?;
        let imported = import::run(Options::from_args(args)?, &catalogue, Progress::on_stderr()).await;
        catalogue.close();
        let _ = writer.await;
        let (summary, reason) = match imported {
            Ok(summary) => (summary, None),
            Err(stopped) => (*stopped.summary, Some(stopped.reason)),
        };
        for line in summary.to_string().lines() {
            log::info!("{line}");
        }
        match reason {
            Some(reason) => Err(reason.into()),
            None if summary.exit_code() != 0 => Err(AppError::ImportIncomplete),
            None => Ok(()),
        }
    })
}
