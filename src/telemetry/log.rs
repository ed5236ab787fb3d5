//! The log: env_logger on stderr, as text or as one JSON object a line.
//!
//! Whoever logs hands over a line and goes on; a thread writes. When stderr is read too slowly, lines are
//! kept up to a bound and then lost, and counted: a request never waits for a log. On a terminal lines are
//! written at once, in colour.

mod format;
mod pipe;

use std::io::IsTerminal;

use env_logger::{Target, WriteStyle};

pub use pipe::{flush, lost};

/// Begins to log what `filter` lets through, as env_logger reads it. A second call changes nothing.
pub fn begin(filter: &str, json: bool) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter);
    builder.format(if json { format::json } else { format::text });
    if std::io::stderr().is_terminal() {
        builder.write_style(WriteStyle::Auto);
    } else if let Some(pipe) = pipe::to_stderr(if json { format::lost_json } else { format::lost_text }) {
        builder.write_style(WriteStyle::Never).target(Target::Pipe(Box::new(pipe)));
    }
    // Only the first logger of a process is taken.
    let _ = builder.try_init();
}
