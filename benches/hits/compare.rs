//! marquee against a bare handler.

use crate::servers::{self, Ready};
use crate::wrk::{self, Run, middle};
use crate::{KINDS, SIZES};

/// Prints a line for each kind of answer.
pub(crate) fn with_bare(size: usize, rounds: usize, seconds: usize) {
    wrk::is_there();
    if size == SIZES[0] {
        println!(
            "medians of {rounds} rounds; ratios of rates (with their spread) and of processor time, better above 1"
        );
        println!(
            "movies  answer     bytes   marquee/s   against bare                    against bare with the same headers"
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let marquee = servers::marquee(directory.path(), "marquee", &[], &[]);
    let ready = Ready::make(&marquee, size, directory.path());
    let bare = servers::bare(directory.path(), false, &[], &[]);
    let dressed = servers::bare(directory.path(), true, &[], &[]);
    for (kind, header) in KINDS {
        let header = ready.check(kind, header, &[&marquee, &bare, &dressed]);
        let runs: Vec<[Run; 3]> = (0..rounds)
            .map(|_| [&marquee, &bare, &dressed].map(|server| wrk::wrk(server, &[&header], seconds)))
            .collect();
        let (ours, ..) = middle(&runs, |[ours, ..]| ours.rate);
        print!("{size:>6}  {kind:<8} {:>7} {ours:>11.0}", ready.length(kind));
        for other in [1, 2] {
            let (ratio, low, high) = middle(&runs, |run| run[0].rate / run[other].rate);
            let (cpu, ..) = middle(&runs, |run| run[other].cpu_us / run[0].cpu_us);
            print!("   {ratio:.3} ({low:.3} to {high:.3}) {cpu:.3}");
        }
        println!();
    }
}
