//! How far an import is: a bar on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How far the readers and the collection are, told across threads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes of all inputs together, as they lie in their files; 0 where that is not known.
    pub(super) bytes: AtomicU64,
    /// Rows that might be movies.
    pub(super) rows: AtomicU64,
    /// Movies that the collection has taken.
    pub(super) taken: AtomicU64,
    pub(super) rejected: AtomicU64,
    /// What is being read.
    pub(super) file: Mutex<String>,
}

/// What shows how far an import is.
pub struct Progress {
    shown: Shown,
    began: Instant,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines { to: Box<dyn Write + Send>, every: Duration, last: Instant },
}

const BAR: &str = "{wide_bar} {percent:>3} % {msg}, {eta} left";
const SPINNER: &str = "{spinner} {elapsed_precise} {msg}";

impl Progress {
    /// Shows nothing.
    pub fn nothing() -> Self {
        Self::of(Shown::Nothing)
    }

    /// On standard error: a bar where it is a terminal, otherwise a line every 5 seconds.
    pub fn on_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::bar_on(ProgressDrawTarget::stderr())
        } else {
            Self::lines(Box::new(io::stderr()), Duration::from_secs(5))
        }
    }

    /// A line to `to` every so often.
    pub fn lines(to: Box<dyn Write + Send>, every: Duration) -> Self {
        Self::of(Shown::Lines { to, every, last: Instant::now() })
    }

    fn bar_on(target: ProgressDrawTarget) -> Self {
        Self::of(Shown::Bar(ProgressBar::with_draw_target(None, target)))
    }

    fn of(shown: Shown) -> Self {
        Self { shown, began: Instant::now() }
    }

    /// Shows where things stand; called a few times a second.
    pub(super) fn show(&mut self, counters: &Counters, consumed: u64) {
        let seconds = self.began.elapsed().as_secs_f64();
        let now = Standing::of(counters, consumed, seconds);
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                if bar.length() != now.bytes {
                    // A template of our own is always valid; were it not, the bar keeps its own.
                    let template = if now.bytes.is_some() { BAR } else { SPINNER };
                    if let Ok(style) = ProgressStyle::with_template(template) {
                        bar.set_style(style);
                    }
                    if let Some(bytes) = now.bytes {
                        bar.set_length(bytes);
                    }
                }
                bar.set_position(now.consumed);
                bar.set_message(now.words());
            }
            Shown::Lines { to, every, last } => {
                if last.elapsed() >= *every {
                    *last = Instant::now();
                    // Nobody is helped by an import that stops because its progress cannot be shown.
                    let _ = writeln!(to, "{}{}", now.words(), now.left());
                }
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Where things stand at one moment.
struct Standing {
    file: String,
    rows: u64,
    taken: u64,
    rejected: u64,
    consumed: u64,
    bytes: Option<u64>,
    seconds: f64,
}

impl Standing {
    fn of(counters: &Counters, consumed: u64, seconds: f64) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let file = counters.file.lock().map(|file| file.clone()).unwrap_or_default();
        Self {
            file,
            rows: read(&counters.rows),
            taken: read(&counters.taken),
            rejected: read(&counters.rejected),
            consumed,
            bytes: Some(read(&counters.bytes)).filter(|bytes| *bytes > 0),
            seconds,
        }
    }

    fn words(&self) -> String {
        let Self { file, rows, taken, rejected, .. } = self;
        let rate = rate(*rows, self.seconds);
        format!("{file}: {rows} rows, {taken} movies taken, {rejected} rejected, {rate} rows/s")
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn left(&self) -> String {
        let Some(bytes) = self.bytes else { return String::new() };
        let share = (self.consumed as f64 / bytes as f64).clamp(0.0, 1.0);
        if share == 0.0 {
            return String::new();
        }
        format!(", {:.0} %, about {:.0} s left", share * 100.0, self.seconds / share - self.seconds)
    }
}

/// Whole numbers a second.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure to be read by people"
)]
pub(super) fn rate(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds.max(0.001)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::tests::Shared;

    #[test]
    fn lines_tell_the_rate_and_the_time_left() {
        let out = Shared::default();
        let mut progress = Progress::lines(Box::new(out.clone()), Duration::ZERO);
        let counters = Counters::default();
        *counters.file.lock().unwrap() = "a.gz".to_owned();
        counters.rows.store(7, Ordering::Relaxed);
        progress.show(&counters, 50);
        counters.bytes.store(100, Ordering::Relaxed);
        progress.show(&counters, 50);
        let text = out.text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("a.gz: 7 rows") && lines[0].ends_with("rows/s"), "{text}");
        assert!(lines[1].contains("50 %") && lines[1].ends_with("s left"), "{text}");
    }

    #[test]
    fn the_bar_needs_no_terminal() {
        let mut progress = Progress::bar_on(ProgressDrawTarget::hidden());
        let counters = Counters::default();
        progress.show(&counters, 1);
        counters.bytes.store(100, Ordering::Relaxed);
        progress.show(&counters, 50);
        progress.finish();
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
