//! The load generator, and what it measured.

use std::process::{Command, Stdio};

use crate::servers::Running;

/// One round.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Processor time of the server for one request, in microseconds.
    pub(crate) cpu_us: f64,
}

/// That there is a wrk.
pub(crate) fn is_there() {
    if Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("wrk is missing: apt-get install wrk, or brew install wrk");
        std::process::exit(1);
    }
}

/// Ticks of processor time, user and system, that a process has used; 0 where /proc does not tell.
fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th after it.
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum()
}

/// One round with these headers; every answer must be a 2xx or 3xx.
pub(crate) fn wrk(server: &Running, headers: &[&str], seconds: usize) -> Run {
    let before = ticks(server.process.id());
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c64", &format!("-d{seconds}s")]);
    for header in headers {
        command.args(["-H", header]);
    }
    let run = command.arg(format!("http://{}/v1/movies", server.address)).output().unwrap();
    let used = ticks(server.process.id()) - before;
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = rate.unwrap_or_else(|| panic!("{text}")).trim().parse().unwrap();
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests: f64 = requests.unwrap_or_else(|| panic!("{text}")).0.parse().unwrap();
    // A tick is a hundredth of a second on every Linux there is.
    Run { rate, cpu_us: (used.max(1.0) * 10_000.0) / requests }
}

/// The median, the least and the most of what `of` makes of each round.
pub(crate) fn middle<T>(rounds: &[T], of: impl Fn(&T) -> f64) -> (f64, f64, f64) {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}
