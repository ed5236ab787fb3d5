//! `marquee export`: the whole collection at one revision.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::store;
use crate::app::{AppError, database_runtime};
use crate::catalogue::{Coding, EncodedSegment, Form, Framing};
use crate::config::{ExportArgs, ExportFormat, Settings};
use crate::store::{History, Snapshot};
use crate::telemetry::Purpose;

/// Writes every movie, read from one snapshot: the database may change meanwhile, the export does not.
/// One segment is held at a time.
///
/// # Errors
/// When the database cannot be read, or the output cannot be written.
pub fn export(settings: &Settings, args: &ExportArgs) -> Result<(), AppError> {
    let form = match args.format {
        ExportFormat::Ndjson => Form::Lines,
        ExportFormat::Json => Form::Array,
    };
    let output: Box<dyn Write> = match &args.output {
        Some(path) => {
            Box::new(File::create(path).map_err(|source| AppError::File { path: path.clone(), source })?)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut output = BufWriter::with_capacity(1 << 20, output);
    let store = store(settings)?;
    database_runtime()?.block_on(async {
        store.prepare().await?;
        let mut snapshot = store.snapshot(Purpose::Other).await?;
        let (revision, movies) = write(&mut snapshot, form, &mut output).await?;
        snapshot.finish().await;
        output.flush()?;
        log::info!("exported {movies} movies at revision {revision}");
        Ok(())
    })
}

async fn write(snapshot: &mut Snapshot, form: Form, output: &mut impl Write) -> Result<(u64, u64), AppError> {
    let changes = snapshot.changes_since(None).await?;
    let segments = match changes.history {
        History::Another(segments) | History::Follows(segments) => segments,
        History::Same => Vec::new(),
    };
    let mut framing = Framing::new(form, Coding::Identity);
    let mut movies = 0;
    output.write_all(framing.begin())?;
    for segment in segments.iter().filter(|segment| segment.movies > 0) {
        let read = snapshot.segment(segment.number).await?;
        movies += read.len() as u64;
        let encoded = EncodedSegment::encode(&read).to(form, Coding::Identity);
        output.write_all(framing.add(&encoded))?;
        output.write_all(encoded.bytes())?;
    }
    output.write_all(framing.finish().end())?;
    Ok((changes.head.revision, movies))
}
