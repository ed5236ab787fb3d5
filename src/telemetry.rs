//! What marquee tells about itself: metrics. The log goes through the `log` crate everywhere.

pub mod log;

use std::fmt::Write;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Why a query was sent to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The follower's look at the revision row.
    Poll,
    /// Loading what a read misses, the follower's deltas included.
    Load,
    /// A write transaction.
    Write,
    /// Set-up, migrations, export.
    Other,
}

impl EncodeLabelValue for Purpose {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        encoder.write_str(match self {
            Self::Poll => "poll",
            Self::Load => "load",
            Self::Write => "write",
            Self::Other => "other",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PurposeLabel {
    purpose: Purpose,
}

/// Every counter of the process. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    queries: Family<PurposeLabel, Counter>,
    /// Segments read from the database, by loads and by writes.
    pub segments_read: Counter,
    /// Movies read from the database as rows of segments.
    pub movies_read: Counter,
    /// Segments encoded.
    pub segments_encoded: Counter,
    /// Bytes of JSON that were encoded.
    pub bytes_encoded: Counter,
    /// Reads that found everything in the cache.
    pub hits: Counter,
    /// Reads that had to load.
    pub misses: Counter,
    /// Reads that waited for another read's load.
    pub collapsed: Counter,
    /// Values too heavy for the cache, served all the same.
    pub oversize: Counter,
    /// Write transactions committed by this replica.
    pub commits: Counter,
    /// Write transactions that were rolled back and tried again.
    pub retries: Counter,
    /// Commands in a batch.
    pub batch_commands: Histogram,
    /// The newest revision that this replica knows.
    pub revision: Gauge,
    /// Commands that wait in the mailbox.
    pub mailbox: Gauge,
    /// What encoded segments weigh in memory.
    pub cache_bytes: Gauge,
    /// Connections to the database that are open.
    pub connections: Gauge,
    /// 1 while the database answers, 0 while it does not.
    pub database_up: Gauge,
}

impl Metrics {
    /// Counters at zero, registered with `registry`.
    pub fn registered(registry: &mut Registry) -> Self {
        let metrics = Self {
            queries: Family::default(),
            segments_read: Counter::default(),
            movies_read: Counter::default(),
            segments_encoded: Counter::default(),
            bytes_encoded: Counter::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            collapsed: Counter::default(),
            oversize: Counter::default(),
            commits: Counter::default(),
            retries: Counter::default(),
            batch_commands: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            revision: Gauge::default(),
            mailbox: Gauge::default(),
            cache_bytes: Gauge::default(),
            connections: Gauge::default(),
            database_up: Gauge::default(),
        };
        let counters = [
            ("segments_read", "Segments read from the database", &metrics.segments_read),
            ("movies_read", "Movies read from the database as rows of segments", &metrics.movies_read),
            ("segments_encoded", "Segments encoded", &metrics.segments_encoded),
            ("cache_hits", "Reads that found everything in the cache", &metrics.hits),
            ("cache_misses", "Reads that had to load", &metrics.misses),
            ("cache_collapsed", "Reads that waited for another read's load", &metrics.collapsed),
            ("cache_oversize", "Values too heavy for the cache, served all the same", &metrics.oversize),
            ("commits", "Write transactions committed by this replica", &metrics.commits),
            ("write_retries", "Write transactions rolled back and tried again", &metrics.retries),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register_with_unit(
            "encoded",
            "JSON that was encoded",
            Unit::Bytes,
            metrics.bytes_encoded.clone(),
        );
        registry.register("database_queries", "Queries sent to the database", metrics.queries.clone());
        registry.register(
            "batch_commands",
            "Commands in a write transaction",
            metrics.batch_commands.clone(),
        );
        registry.register(
            "revision",
            "The newest revision that this replica knows",
            metrics.revision.clone(),
        );
        registry.register("mailbox_commands", "Commands that wait for the writer", metrics.mailbox.clone());
        registry.register(
            "cache_held_bytes",
            "What encoded segments weigh in memory",
            metrics.cache_bytes.clone(),
        );
        registry.register(
            "database_connections",
            "Connections to the database that are open",
            metrics.connections.clone(),
        );
        registry.register("database_up", "1 while the database answers", metrics.database_up.clone());
        metrics
    }

    /// The counter of the queries sent for `purpose`.
    pub fn queries(&self, purpose: Purpose) -> Counter {
        self.queries.get_or_create_owned(&PurposeLabel { purpose })
    }
}
