//! A summary as metrics: gauges, since they are of the last run.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::summary::Summary;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rows {
    table: &'static str,
    outcome: &'static str,
}

impl Summary {
    /// Registers what the run did with `registry`; `complete` when all of the inputs was taken.
    pub fn register(&self, registry: &mut Registry, complete: bool) {
        let rows = Family::<Rows, Gauge>::default();
        let skipped = self.skipped_adult + self.skipped_types.values().sum::<u64>();
        for (table, outcome, count) in [
            ("movies", "read", self.rows),
            ("movies", "created", self.created),
            ("movies", "changed", self.changed),
            ("movies", "unchanged", self.unchanged),
            ("movies", "rejected", self.rejected),
            ("movies", "skipped", skipped),
            ("joined", "read", self.joined_rows),
            ("joined", "rejected", self.joined_rejected),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            rows.get_or_create_owned(&Rows { table, outcome }).set(count);
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let registry = registry.sub_registry_with_prefix("import");
        let gauges = [
            ("duration_seconds", "How long the last import took", self.seconds),
            ("complete", "1 when the last import took all of its inputs", f64::from(u8::from(complete))),
            ("finished_timestamp_seconds", "When the last import ended, since 1970", now.as_secs_f64()),
            ("broken_inputs", "Inputs of the last import that broke off", self.broken.len() as f64),
            ("joined_held_bytes", "Memory that joined files of the last import took", self.held_bytes as f64),
        ];
        registry.register(
            "rows",
            "Rows of the last import: of movies, and of the files joined to them",
            rows,
        );
        for (name, help, value) in gauges {
            let gauge = Gauge::<f64, AtomicU64>::default();
            gauge.set(value);
            registry.register(name, help, gauge);
        }
    }
}
