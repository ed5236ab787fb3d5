//! A counter that many threads count at the same time without contending for it.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Atomic;
use thread_local::ThreadLocal;

/// A sum, of which each thread keeps a part. To count costs a few nanoseconds however many do; to read adds the
/// parts up. What a thread counted stays when it ends.
#[derive(Debug, Default)]
pub struct PerThread(ThreadLocal<Part>);

/// On a line of memory of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Part(AtomicU64);

impl Atomic<u64> for PerThread {
    /// Returns what this thread had counted before.
    fn inc(&self) -> u64 {
        self.inc_by(1)
    }

    /// Returns what this thread had counted before.
    fn inc_by(&self, n: u64) -> u64 {
        self.0.get_or_default().0.fetch_add(n, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.iter().map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_all_threads_counted_is_added_up() {
        let counter = Arc::new(PerThread::default());
        let threads = [1, 2, 3].map(|n| {
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || (0..1000).for_each(|_| _ = counter.inc_by(n)))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        counter.inc();
        assert_eq!(counter.get(), 6001);
    }
}
