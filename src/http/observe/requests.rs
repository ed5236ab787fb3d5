//! How many requests were answered, how, and how fast: counted by each worker for itself, added up when
//! somebody asks.
//!
//! A worker's counters are atomics that only its own thread changes: a plain load and a plain store each, no
//! locked instruction, no line of memory that two workers write.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::route::{Route, Verb};

/// The upper bounds of the buckets, in nanoseconds: from 50 µs to 10 s.
const BOUNDS: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// The statuses that have a label; any other is counted as the last.
const STATUSES: [(u16, &str); 29] = [
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (206, "206"),
    (302, "302"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (411, "411"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (417, "417"),
    (422, "422"),
    (428, "428"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (0, "other"),
];

const SERIES: usize = Route::LABELS.len() * Verb::LABELS.len() * STATUSES.len();

/// Adds to a counter that only this thread changes.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// One route, method and status.
#[derive(Debug, Default)]
struct Series {
    /// By bucket; the last one has what is beyond all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Series {
    fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        // From the fastest on: that is where most are.
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            add(bucket, 1);
        }
        add(&self.nanoseconds, took);
    }
}

/// What one worker counts.
struct Shard {
    began: AtomicU64,
    abandoned: AtomicU64,
    bytes: AtomicU64,
    /// Made when they are first needed.
    series: Box<[OnceLock<Box<Series>>]>,
}

impl Shard {
    fn new() -> Self {
        Self {
            began: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            series: std::iter::repeat_with(OnceLock::new).take(SERIES).collect(),
        }
    }
}

/// Counts for one worker. It cannot be cloned, nor sent to another thread: its counters have one writer.
pub(super) struct Recorder {
    shard: Arc<Shard>,
    not_send: PhantomData<Rc<()>>,
}

impl Recorder {
    pub(super) fn began(&self) {
        add(&self.shard.began, 1);
    }

    /// Nobody waits for the answer any more.
    pub(super) fn abandoned(&self) {
        add(&self.shard.abandoned, 1);
    }

    pub(super) fn answered(&self, route: Route, verb: Verb, status: u16, took: Duration, bytes: u64) {
        add(&self.shard.bytes, bytes);
        let status = STATUSES.iter().position(|(code, _)| *code == status).unwrap_or(STATUSES.len() - 1);
        let place = (route as usize * Verb::LABELS.len() + verb as usize) * STATUSES.len() + status;
        if let Some(series) = self.shard.series.get(place) {
            series.get_or_init(Box::default).observe(took);
        }
    }
}

/// The counters of all workers. Cheap to clone; all clones are of the same.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<Vec<Arc<Shard>>>>);

impl Requests {
    /// Counters for the worker that this is called on.
    pub(super) fn recorder(&self) -> Recorder {
        let shard = Arc::new(Shard::new());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shard));
        Recorder { shard, not_send: PhantomData }
    }

    fn shards(&self) -> Vec<Arc<Shard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shards = self.shards();
        let sum = |of: fn(&Shard) -> &AtomicU64| shards.iter().map(|shard| get(of(shard))).sum::<u64>();
        // What has ended is read before what has begun, so that the difference is never below 0.
        let abandoned = sum(|shard| &shard.abandoned);
        let mut answered = 0;
        let mut durations = encoder.encode_descriptor(
            "http_request_duration_seconds",
            "From the head of a request to the head of its answer.",
            None,
            MetricType::Histogram,
        )?;
        for (place, (route, verb, status)) in labels().enumerate() {
            let mut buckets = [0; BOUNDS.len() + 1];
            let mut nanoseconds = 0;
            for series in shards.iter().filter_map(|shard| shard.series.get(place)?.get()) {
                buckets.iter_mut().zip(&series.buckets).for_each(|(sum, bucket)| *sum += get(bucket));
                nanoseconds += get(&series.nanoseconds);
            }
            let count: u64 = buckets.iter().sum();
            if count == 0 {
                continue;
            }
            answered += count;
            let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e9).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(buckets).collect();
            durations
                .encode_family(&[("route", route), ("method", verb), ("status", status)])?
                .encode_histogram::<[(&str, &str); 0]>(nanoseconds as f64 / 1e9, count, &buckets, None)?;
        }
        let under_way = sum(|shard| &shard.began).saturating_sub(answered + abandoned);
        let gauge = ConstGauge::new(i64::try_from(under_way).unwrap_or(i64::MAX));
        gauge.encode(encoder.encode_descriptor(
            "http_requests_in_flight",
            "Requests that wait for the head of their answer.",
            None,
            MetricType::Gauge,
        )?)?;
        ConstCounter::new(abandoned).encode(encoder.encode_descriptor(
            "http_requests_abandoned",
            "Requests whose connections broke before the answer began.",
            None,
            MetricType::Counter,
        )?)?;
        ConstCounter::new(sum(|shard| &shard.bytes)).encode(encoder.encode_descriptor(
            "http_response_body_bytes",
            "Bytes of bodies as the heads of the answers told their length.",
            None,
            MetricType::Counter,
        )?)
    }
}

/// The labels of all series, in the order of their places.
fn labels() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    Route::LABELS.iter().flat_map(|route| {
        Verb::LABELS
            .iter()
            .flat_map(move |verb| STATUSES.iter().map(move |(_, status)| (*route, *verb, *status)))
    })
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn told(requests: &Requests) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(requests.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn workers_are_added_up() {
        let requests = Requests::default();
        let recorders = [requests.recorder(), requests.recorder()];
        for recorder in &recorders {
            for (took, status) in
                [(Duration::from_micros(50), 200), (Duration::from_secs(60), 200), (Duration::ZERO, 777)]
            {
                recorder.began();
                recorder.answered(Route::Movies, Verb::Get, status, took, 10);
            }
        }
        recorders[0].began();
        recorders[1].began();
        recorders[1].abandoned();
        let text = told(&requests);
        let series = r#"{route="/v1/movies",method="GET",status="200"}"#;
        for line in [
            format!("http_request_duration_seconds_count{series} 4"),
            format!("http_request_duration_seconds_sum{series} 120.0001"),
            r#"http_request_duration_seconds_bucket{le="0.00005",route="/v1/movies",method="GET",status="200"} 2"#.into(),
            r#"http_request_duration_seconds_bucket{le="10.0",route="/v1/movies",method="GET",status="200"} 2"#.into(),
            r#"http_request_duration_seconds_bucket{le="+Inf",route="/v1/movies",method="GET",status="200"} 4"#.into(),
            r#"http_request_duration_seconds_count{route="/v1/movies",method="GET",status="other"} 2"#.into(),
            "http_requests_in_flight 1".into(),
            "http_requests_abandoned_total 1".into(),
            "http_response_body_bytes_total 60".into(),
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in {text}");
        }
    }

    #[test]
    fn every_series_has_its_labels() {
        assert_eq!(labels().count(), SERIES);
        let (route, verb, status) = (Route::Other, Verb::Other, STATUSES.len() - 1);
        let last = (route as usize * Verb::LABELS.len() + verb as usize) * STATUSES.len() + status;
        assert_eq!(last, SERIES - 1);
        assert_eq!(labels().last(), Some(("other", "OTHER", "other")));
    }
}
