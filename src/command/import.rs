//! `marquee import`: movies from files into the collection.

use std::time::Duration;

use prometheus_client::registry::Registry;

use super::{metrics, store};
use crate::app::{AppError, catalogue_options, database_runtime};
use crate::catalogue::{BatchLimits, Catalogue};
use crate::config::{ImportArgs, Migrate, Settings};
use crate::import::{self, Options, Progress, Summary};
use crate::telemetry::PREFIX;
use crate::telemetry::textfile::TextFile;

/// Reads the files into the database, in transactions of the same kind as the API's, many movies each: a
/// replica that serves meanwhile shows them within a poll. Nothing is encoded, since nobody reads here.
///
/// # Errors
/// When the run stopped before its inputs ended, or a part of them was not taken.
pub fn import(settings: &Settings, args: ImportArgs) -> Result<(), AppError> {
    let metrics_file = args.metrics_file.clone();
    let unwritable = |source| {
        let path = metrics_file.clone().unwrap_or_default();
        AppError::File { path, source }
    };
    // Not found out at the end of a long run.
    let textfile = metrics_file.as_deref().map(TextFile::begin).transpose().map_err(unwritable)?;
    // One that did not even begin has a summary, too: what an earlier one left must not pass for its own.
    let (summary, result) = match run(settings, args) {
        Ok((summary, result)) => (summary, result),
        Err(error) => (Summary::default(), Err(error)),
    };
    if let Some(textfile) = textfile {
        let mut registry = Registry::with_prefix(PREFIX);
        summary.register(&mut registry, result.is_ok());
        return result.and(textfile.write(&registry).map_err(unwritable));
    }
    result
}

/// What the import did, and whether it took all that there was; an error when it did not begin.
fn run(settings: &Settings, args: ImportArgs) -> Result<(Summary, Result<(), AppError>), AppError> {
    let runtime = database_runtime()?;
    let store = store(settings)?;
    let mut options = catalogue_options(settings);
    options.patience = Duration::from_secs(300);
    options.batch =
        BatchLimits { movies: usize::MAX, names: usize::MAX, bytes: usize::MAX, encoded: 0, ..options.batch };
    runtime.block_on(async {
        if settings.database.migrate == Migrate::Auto {
            store.migrate().await?;
        }
        let prepared = store.prepare().await?;
        prepared.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let (catalogue, writer) = Catalogue::new(store, None, &options, runtime.handle(), &metrics());
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
        let result = match reason {
            Some(reason) => Err(reason.into()),
            None if summary.exit_code() != 0 => Err(AppError::ImportIncomplete),
            None => Ok(()),
        };
        Ok((summary, result))
    })
}
