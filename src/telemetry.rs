//! What marquee tells about itself: metrics. The log goes through the `log` crate everywhere.

pub mod exposition;
pub mod log;
mod per_thread;
pub mod process;
pub mod textfile;

use std::fmt::Write;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use per_thread::PerThread;

/// What the names of marquee's own metrics begin with.
pub const PREFIX: &str = "marquee";

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

/// What Redis was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RedisWork {
    /// Be connected to, and answer.
    Connect,
    /// Give what others left.
    Get,
    /// Keep what is left to others.
    Put,
    /// Wake others.
    Ring,
    /// Give what is right: what is not is never used.
    Value,
}

impl RedisWork {
    const ALL: [Self; 5] = [Self::Connect, Self::Get, Self::Put, Self::Ring, Self::Value];
}

impl std::fmt::Display for RedisWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Get => "get",
            Self::Put => "put",
            Self::Ring => "ring",
            Self::Value => "value",
        })
    }
}

impl EncodeLabelValue for RedisWork {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        write!(encoder, "{self}")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RedisLabel {
    work: RedisWork,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PurposeLabel {
    purpose: Purpose,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodingLabel {
    coding: &'static str,
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
    segments_coded: Family<CodingLabel, Counter>,
    /// Reads that found everything in the cache.
    pub hits: Counter<u64, PerThread>,
    /// Reads that had to load, or to make a form or coding that was not asked for yet.
    pub misses: Counter,
    /// Reads that waited for another read's load.
    pub collapsed: Counter,
    /// Values too heavy for the cache, served all the same.
    pub oversize: Counter,
    /// Write transactions committed by this replica.
    pub commits: Counter,
    /// Write transactions that were rolled back and tried again.
    pub retries: Counter,
    /// Writes with a key that was known, answered as before and not done again.
    pub replays: Counter,
    /// About what the answers that are kept for retries take, as a write with a key last saw it.
    pub kept_bytes: Gauge,
    /// About what they may take.
    pub kept_capacity: Gauge,
    /// Commands in a batch.
    pub batch_commands: Histogram,
    /// How long a batch took until it was durable and published, tries that failed included, in seconds.
    pub batch_duration: Histogram,
    /// The newest revision that this replica knows.
    pub revision: Gauge,
    /// Commands that wait in the mailbox.
    pub mailbox: Gauge,
    /// What commands in the mailbox and in the batch under way weigh.
    pub mailbox_bytes: Gauge,
    /// Writes that found the mailbox full.
    pub mailbox_refusals: Counter,
    /// What encoded segments weigh in memory.
    pub cache_bytes: Gauge,
    /// Encoded segments in memory.
    pub cache_entries: Gauge,
    /// What encoded segments may weigh in memory.
    pub cache_capacity: Gauge,
    connections: Family<StateLabel, Gauge>,
    /// Connections to the database that may be open.
    pub connections_limit: Gauge,
    /// Callers that wait for a connection.
    pub connections_wanted: Gauge,
    /// Callers that waited too long for a connection.
    pub connection_timeouts: Counter,
    /// Seconds since the database was last asked, with success, what others committed.
    pub follower_lag: Gauge<f64, AtomicU64>,
    /// How many revisions the database was seen to be ahead.
    pub follower_behind: Gauge,
    /// 1 while the database answers, 0 while it does not.
    pub database_up: Gauge,
    /// 1 while Redis answers.
    pub redis_up: Gauge,
    /// Segments that Redis had.
    pub redis_hits: Counter,
    /// Segments that Redis was asked for and did not have.
    pub redis_misses: Counter,
    /// Segments that were left in Redis.
    pub redis_puts: Counter,
    /// Other replicas' commits that were heard of from Redis before they were seen in the database.
    pub redis_rings: Counter,
    redis_errors: Family<RedisLabel, Counter>,
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
            segments_coded: Family::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            collapsed: Counter::default(),
            oversize: Counter::default(),
            commits: Counter::default(),
            retries: Counter::default(),
            replays: Counter::default(),
            kept_bytes: Gauge::default(),
            kept_capacity: Gauge::default(),
            batch_commands: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            batch_duration: Histogram::new([
                0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ]),
            revision: Gauge::default(),
            mailbox: Gauge::default(),
            mailbox_bytes: Gauge::default(),
            mailbox_refusals: Counter::default(),
            cache_bytes: Gauge::default(),
            cache_entries: Gauge::default(),
            cache_capacity: Gauge::default(),
            connections: Family::default(),
            connections_limit: Gauge::default(),
            connections_wanted: Gauge::default(),
            connection_timeouts: Counter::default(),
            follower_lag: Gauge::default(),
            follower_behind: Gauge::default(),
            database_up: Gauge::default(),
            redis_up: Gauge::default(),
            redis_hits: Counter::default(),
            redis_misses: Counter::default(),
            redis_puts: Counter::default(),
            redis_rings: Counter::default(),
            redis_errors: Family::default(),
        };
        // Zero is told too: what has not failed yet is told apart from what is not counted.
        RedisWork::ALL.iter().for_each(|work| drop(metrics.redis_errors(*work)));
        metrics.register_counters(registry);
        metrics.register_gauges(registry);
        metrics
    }

    fn register_counters(&self, registry: &mut Registry) {
        let counters = [
            ("segments_read", "Segments read from the database", &self.segments_read),
            ("movies_read", "Movies read from the database as rows of segments", &self.movies_read),
            ("segments_encoded", "Segments encoded", &self.segments_encoded),
            ("encoded_bytes", "JSON that was encoded", &self.bytes_encoded),
            ("cache_misses", "Reads that had to load or to encode", &self.misses),
            ("cache_collapsed", "Reads that waited for another read's load", &self.collapsed),
            ("cache_oversize", "Values too heavy for the cache, served all the same", &self.oversize),
            ("commits", "Write transactions committed by this replica", &self.commits),
            ("write_retries", "Write transactions rolled back and tried again", &self.retries),
            ("idempotent_replays", "Writes answered as before, since their key was known", &self.replays),
            ("mailbox_refusals", "Writes that found the mailbox full", &self.mailbox_refusals),
            (
                "database_connection_timeouts",
                "Callers that waited too long for a connection to the database",
                &self.connection_timeouts,
            ),
            ("redis_hits", "Segments that Redis had", &self.redis_hits),
            ("redis_misses", "Segments that Redis was asked for and did not have", &self.redis_misses),
            ("redis_puts", "Segments that were left in Redis", &self.redis_puts),
            ("redis_rings", "Other replicas' commits that were heard of by way of Redis", &self.redis_rings),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register("cache_hits", "Reads that found everything in the cache", self.hits.clone());
        registry.register(
            "segments_coded",
            "Segments brought into another form or coding than that in which they are read",
            self.segments_coded.clone(),
        );
        registry.register("database_queries", "Queries sent to the database", self.queries.clone());
        registry.register(
            "redis_errors",
            "What Redis did not do, or not in time, and values that were not right, by what was to be done",
            self.redis_errors.clone(),
        );
        registry.register("batch_commands", "Commands in a write transaction", self.batch_commands.clone());
        registry.register(
            "batch_duration_seconds",
            "From taking a batch of writes to answering it, retries included",
            self.batch_duration.clone(),
        );
    }

    fn register_gauges(&self, registry: &mut Registry) {
        let gauges = [
            ("revision", "The newest revision that this replica knows", &self.revision),
            ("mailbox_commands", "Commands that wait for the writer", &self.mailbox),
            ("mailbox_bytes", "What commands that are not answered yet weigh", &self.mailbox_bytes),
            ("cache_held_bytes", "What encoded segments weigh in memory", &self.cache_bytes),
            ("cache_capacity_bytes", "What encoded segments may weigh in memory", &self.cache_capacity),
            ("cache_entries", "Encoded segments in memory", &self.cache_entries),
            ("database_connections_limit", "The most connections of the pool", &self.connections_limit),
            ("database_connections_wanted", "Callers that wait for a connection", &self.connections_wanted),
            (
                "idempotency_kept_bytes",
                "What answers kept for retries take, as a write with a key last saw it",
                &self.kept_bytes,
            ),
            ("idempotency_capacity_bytes", "What answers kept for retries may take", &self.kept_capacity),
            ("database_up", "1 while the database answers", &self.database_up),
            ("redis_up", "1 while Redis answers, 0 where there is none", &self.redis_up),
            (
                "follower_behind_revisions",
                "Revisions that the database was seen to be ahead of this replica",
                &self.follower_behind,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "database_connections",
            "Connections to the database that are open, by what they do",
            self.connections.clone(),
        );
        registry.register(
            "follower_lag_seconds",
            "Time since other replicas' writes were last looked for with success",
            self.follower_lag.clone(),
        );
    }

    /// Tells how many connections to the database are in use, and how many are idle.
    pub fn set_connections(&self, in_use: usize, idle: usize) {
        for (state, connections) in [("in_use", in_use), ("idle", idle)] {
            let connections = i64::try_from(connections).unwrap_or(i64::MAX);
            self.connections.get_or_create_owned(&StateLabel { state }).set(connections);
        }
    }

    /// The counter of the segments that were brought into `coding`, or, not coded, into another form.
    pub fn segments_coded(&self, coding: &'static str) -> Counter {
        self.segments_coded.get_or_create_owned(&CodingLabel { coding })
    }

    /// The counter of what Redis did not do of `work`.
    pub fn redis_errors(&self, work: RedisWork) -> Counter {
        self.redis_errors.get_or_create_owned(&RedisLabel { work })
    }

    /// The counter of the queries sent for `purpose`.
    pub fn queries(&self, purpose: Purpose) -> Counter {
        self.queries.get_or_create_owned(&PurposeLabel { purpose })
    }
}
