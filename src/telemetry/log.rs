//! The log: env_logger on stderr, as text or as one JSON object a line.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

/// Begins to log what `filter` lets through, as env_logger reads it. A second call changes nothing.
pub fn begin(filter: &str, json: bool) {
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter);
    if json {
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
