//! From those who log to stderr: a bounded buffer, and one thread that writes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What may wait to be written, in bytes.
const CAPACITY: usize = 4 << 20;
/// How long an end of the process waits for what is not written yet.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The pause before a stderr that takes nothing now is tried again.
const A_MOMENT: Duration = Duration::from_millis(5);

/// The way to stderr, once there is one.
static TO_STDERR: OnceLock<Arc<Buffer>> = OnceLock::new();

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Lines that found no room since the last were written.
    lost: u64,
    /// The writer sleeps, and is to be woken.
    asleep: bool,
    /// The writer is at it.
    writing: bool,
}

#[derive(Default)]
struct Buffer {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    written: Condvar,
    lost: AtomicU64,
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        // Once lines are lost, the gap is told before any that come after it.
        if waiting.lost > 0 || waiting.bytes.len() + line.len() > CAPACITY {
            waiting.lost += 1;
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            waiting.bytes.extend_from_slice(line);
        }
        if std::mem::take(&mut waiting.asleep) {
            self.arrived.notify_one();
        }
    }

    /// Writes to `out` whatever arrives, as much at once as there is, until `out` fails.
    fn write_to(&self, mut out: impl Write, lost: fn(u64) -> String) {
        let mut taken = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.writing = false;
            self.written.notify_all();
            while waiting.bytes.is_empty() && waiting.lost == 0 {
                waiting.asleep = true;
                waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.asleep = false;
            waiting.writing = true;
            std::mem::swap(&mut taken, &mut waiting.bytes);
            let gap = std::mem::take(&mut waiting.lost);
            drop(waiting);
            if gap > 0 {
                taken.extend(lost(gap).into_bytes());
            }
            // That stderr is gone can be told by the metrics alone.
            self.lost.fetch_add(write_all(&mut out, &taken), Ordering::Relaxed);
            taken.clear();
        }
    }

    fn flush(&self, at_most: Duration) {
        let waiting = self.lock();
        let busy = |waiting: &mut Waiting| waiting.writing || !waiting.bytes.is_empty() || waiting.lost > 0;
        drop(self.written.wait_timeout_while(waiting, at_most, busy));
    }
}

/// Writes `lines`, and tells how many of them could not be. Whoever shares stderr can have set it not to block:
/// then they wait for room.
fn write_all(out: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(written) if written > 0 => lines = lines.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(A_MOMENT),
            _ => break,
        }
    }
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The end that is written to.
pub(super) struct Pipe(Arc<Buffer>);

impl Write for Pipe {
    /// Takes all or nothing: env_logger hands over whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe to stderr; `None` where there is one already or the system gives no thread. `lost` tells of lines
/// that were lost.
pub(super) fn to_stderr(lost: fn(u64) -> String) -> Option<Pipe> {
    let buffer = Arc::new(Buffer::default());
    TO_STDERR.set(Arc::clone(&buffer)).ok()?;
    let writer = Arc::clone(&buffer);
    let thread = std::thread::Builder::new().name("log".to_owned());
    thread.spawn(move || writer.write_to(io::stderr(), lost)).ok()?;
    Some(Pipe(buffer))
}

/// Waits until what was logged is written, at most a second: to be called before the process ends.
pub fn flush() {
    if let Some(buffer) = TO_STDERR.get() {
        buffer.flush(LAST_WORDS);
    }
}

/// How many lines were lost because stderr was read too slowly.
pub fn lost() -> u64 {
    TO_STDERR.get().map_or(0, |buffer| buffer.lost.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Answers each write as it is told to, and then takes no more.
    struct Told(Vec<io::Result<usize>>, Vec<u8>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let answer =
                if self.0.is_empty() { Err(io::ErrorKind::BrokenPipe.into()) } else { self.0.remove(0) };
            answer.inspect(|taken| self.1.extend(&bytes[..*taken]))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_not_taken_at_once_is_tried_again_and_what_is_refused_is_counted() {
        let later = || Err(io::ErrorKind::WouldBlock.into());
        let mut patient = Told(vec![later(), Ok(3), later(), later(), Ok(5)], Vec::new());
        assert_eq!(write_all(&mut patient, b"one\ntwo\n"), 0);
        assert_eq!(patient.1, b"one\ntwo\n");
        let mut broken = Told(vec![Ok(5)], Vec::new());
        assert_eq!(write_all(&mut broken, b"one\ntwo\nthree\n"), 2);
    }

    /// Takes each write only when it is let.
    struct Slow {
        begun: Sender<()>,
        go_on: Receiver<()>,
        taken: Arc<Mutex<String>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.begun.send(()).ok();
            self.go_on.recv().ok();
            self.taken.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Stderr blocks: who logs goes on, what does not fit is lost, and the gap is told in its place.
    #[test]
    fn nobody_waits_for_a_slow_reader() {
        let (begun, has_begun) = channel();
        let (let_go_on, go_on) = channel();
        let taken = Arc::new(Mutex::new(String::new()));
        let buffer = Arc::new(Buffer::default());
        let (slow, writer) = (Slow { begun, go_on, taken: Arc::clone(&taken) }, Arc::clone(&buffer));
        std::thread::spawn(move || writer.write_to(slow, |lost| format!("lost {lost}\n")));

        buffer.push(b"first\n");
        has_begun.recv().unwrap();
        let long = vec![b'x'; CAPACITY - 10];
        buffer.push(&long);
        buffer.push(b"too much to fit\n");
        buffer.push(b"x\n");
        assert_eq!(buffer.lost.load(Ordering::Relaxed), 2, "nothing passes the gap");
        drop(let_go_on);
        buffer.flush(Duration::from_secs(30));
        buffer.push(b"after\n");
        buffer.flush(Duration::from_secs(30));
        let taken = taken.lock().unwrap();
        assert!(taken.starts_with("first\nxxx"), "{}", taken.len());
        assert!(taken.ends_with("xlost 2\nafter\n"), "{}", taken.len());
    }
}
