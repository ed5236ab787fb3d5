//! The process as the system sees it, under the names that Prometheus' own clients use.

use std::fmt;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Ticks of processor time in a second, on every Linux there is.
const TICKS: f64 = 100.0;

/// Registers what is known of this build and of this process, which began about now.
pub fn register(registry: &mut Registry) {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    registry.sub_registry_with_prefix(super::PREFIX).register_collector(Box::new(Build));
    registry.register_collector(Box::new(Process { started }));
}

#[derive(Debug)]
struct Build;

impl Collector for Build {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encoder
            .encode_descriptor("build_info", "Which marquee this is.", None, MetricType::Gauge)?
            .encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?
            .encode_gauge(&1_i64)?;
        ConstCounter::new(super::log::lost()).encode(encoder.encode_descriptor(
            "log_lines_lost",
            "Lines of the log that were lost because stderr was read too slowly, or is gone.",
            None,
            MetricType::Counter,
        )?)
    }
}

#[derive(Debug)]
struct Process {
    started: f64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            Some(value) => ConstGauge::new(value).encode(encoder.encode_descriptor(
                name,
                help,
                None,
                MetricType::Gauge,
            )?),
            // Not every system tells.
            None => Ok(()),
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status_number(&status, "VmRSS:").map(|kib| kib * 1024.0);
        gauge("process_start_time_seconds", "When it began, since 1970.", Some(self.started))?;
        gauge("process_resident_memory_bytes", "Memory that it holds.", resident)?;
        gauge("process_threads", "Its threads.", status_number(&status, "Threads:"))?;
        gauge("process_open_fds", "Files and sockets that it has open.", open_files())?;
        let limit = rlimit::Resource::NOFILE.get().ok().map(|(soft, _)| soft as f64);
        gauge("process_max_fds", "Files and sockets that it may have open.", limit)?;
        if let Some(seconds) = processor_time() {
            let help = "Processor time that it used.";
            let used = ConstCounter::new(seconds);
            used.encode(encoder.encode_descriptor(
                "process_cpu_seconds",
                help,
                None,
                MetricType::Counter,
            )?)?;
        }
        Ok(())
    }
}

fn status_number(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Linux tells their number as the length of the directory; an older one says 0, and is not asked to list
/// them.
fn open_files() -> Option<f64> {
    let files = fs::metadata("/proc/self/fd").ok()?.len();
    (files > 0).then_some(files as f64)
}

fn processor_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th after it.
    let (_, after) = stat.rsplit_once(')')?;
    let mut ticks = after.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_status_are_found() {
        let status = "Name:\tmarquee\nVmRSS:\t  2048 kB\nThreads:\t7\n";
        assert_eq!(status_number(status, "VmRSS:"), Some(2048.0));
        assert_eq!(status_number(status, "Threads:"), Some(7.0));
        assert_eq!(status_number(status, "VmSwap:"), None);
    }
}
