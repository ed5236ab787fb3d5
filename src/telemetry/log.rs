//! The log: env_logger on stderr, as text or as one JSON object a line.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use crate::config::{LogFormat, LogSettings};

/// Begins to log. A second call changes nothing.
pub fn begin(settings: &LogSettings) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&settings.filter);
    if settings.log_format == LogFormat::Json {
        builder.format(|out, record| {
            let line = json!({
                "time": Timestamp::now().to_string(),
                "level": record.level().as_str(),
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        });
    }
    // Only the first logger of a process is taken.
    let _ = builder.try_init();
}
