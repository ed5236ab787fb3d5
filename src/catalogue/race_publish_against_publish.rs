//! The race of publishing against publishing.
//!
//! ```text
//! writer: 8 is committed        follower: has read 7      a load: has read 6, or what was restored
//! publishes 8                   publishes 7               publishes 6
//! ```
//!
//! Whoever comes last, what is current never falls back: neither in its revision, while its history lasts, nor to a history
//! that ended. Each of these is made on top of what was known when it was made, as they are outside of tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::manifest::{Manifest, Published};
use crate::store::{Changes, Head, History, SegmentRef};

const PUBLISHERS: u64 = 4;
const ROUNDS: u64 = 500;
/// Revisions that each publisher has, in an order of its own.
const REVISIONS: u64 = 24;

fn head(revision: u64) -> Head {
    Head { revision, stamp: revision * 10 }
}

fn segment(revision: u64) -> SegmentRef {
    SegmentRef { number: 0, stamp: revision * 10, movies: 1 }
}

#[test]
fn what_is_current_never_falls_back() {
    for round in 0..ROUNDS {
        let (janitor, mut superseded) = tokio::sync::mpsc::unbounded_channel();
        let published = Published::new(janitor);
        let all = History::Another(vec![segment(1)]);
        let first = published.publish(Manifest::advanced(None, Changes { head: head(1), history: all }));
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = (0, 0);
                while !over.load(Ordering::SeqCst) {
                    let now = published.load().unwrap();
                    assert!(now.order() >= last, "{:?} after {last:?}", now.order());
                    // Whole: its segment is of the same moment.
                    assert_eq!(now.segment(0), Some(segment(now.head().revision)));
                    last = now.order();
                }
            });
            let publishers = (0..PUBLISHERS).map(|publisher| {
                let (published, first) = (&published, &first);
                scope.spawn(move || {
                    let mut order: Vec<u64> = (2..=REVISIONS + 1).collect();
                    for n in (1..order.len()).rev() {
                        order.swap(n, rand::random_range(0..=n));
                    }
                    for revision in order {
                        let next = first.written(head(revision), &[segment(revision)]);
                        let current = match publisher % 2 {
                            0 => published.publish(next),
                            _ => published.publish_read(Some(first), next),
                        };
                        // What is current when it returns is as new, so whoever is acknowledged then is seen.
                        assert!(current.head().revision >= revision);
                        assert!(published.load().unwrap().head().revision >= revision);
                    }
                })
            });
            publishers.collect::<Vec<_>>().into_iter().for_each(|publisher| publisher.join().unwrap());
            over.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        });
        assert_eq!(published.load().unwrap().head(), head(REVISIONS + 1), "round {round}");
        drop(first);
        // Each that was current is told of once.
        let mut gone = Vec::new();
        while let Ok(segments) = superseded.try_recv() {
            gone.extend(segments);
        }
        let told = gone.len();
        gone.sort_unstable_by_key(|segment| segment.stamp);
        gone.dedup();
        assert_eq!(gone.len(), told, "round {round}: told twice");
    }
}

/// The database was restored beneath: of those who saw that and those who did not, whoever comes last.
#[test]
fn a_history_that_ended_does_not_come_back() {
    for round in 0..ROUNDS {
        let (janitor, _superseded) = tokio::sync::mpsc::unbounded_channel();
        let published = Published::new(janitor);
        let all = History::Another(vec![segment(9)]);
        let old = published.publish(Manifest::advanced(None, Changes { head: head(9), history: all }));
        let restored = || Changes { head: head(3), history: History::Another(vec![segment(3)]) };
        thread::scope(|scope| {
            scope.spawn(|| published.publish_read(Some(&old), Manifest::advanced(Some(&old), restored())));
            scope.spawn(|| published.publish_read(Some(&old), Manifest::advanced(Some(&old), restored())));
            // A load that began before, of the history that ended.
            scope.spawn(|| published.publish_read(Some(&old), old.written(head(9), &[])));
        });
        assert_eq!(published.load().unwrap().head(), head(3), "round {round}");
        // A writer that committed on top of the old one before, and comes only now.
        let late = published.publish(old.written(head(10), &[segment(10)]));
        assert_eq!(late.head(), head(3), "round {round}");
    }
}
