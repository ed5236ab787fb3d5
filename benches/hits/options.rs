//! What each layer costs that is there only when a setting asks for it: marquee against marquee.

use crate::servers::{self, Ready, Running};
use crate::wrk::{self, Run, middle};
use crate::{KINDS, SIZES};

/// A name, the settings, and what each request carries more.
type Variant = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const TOKEN: &str = "4f1d7c0b9a8e6f5d3c2b1a0f9e8d7c6b";
const BEARER: &str = "Authorization: Bearer 4f1d7c0b9a8e6f5d3c2b1a0f9e8d7c6b";

const VARIANTS: [Variant; 7] = [
    ("nothing", &[], &[]),
    ("access log, text", &[("MARQUEE_ACCESS_LOG", "on")], &[]),
    ("access log, JSON", &[("MARQUEE_ACCESS_LOG", "on"), ("MARQUEE_LOG_FORMAT", "json")], &[]),
    ("an id with each request", &[], &["X-Request-Id: 0af7651916cd43dd8448eb211c80319c"]),
    ("rate limit", &[("MARQUEE_RATE_LIMIT", "1000000/s")], &[]),
    ("CORS", &[("MARQUEE_CORS_ORIGINS", "https://movies.example")], &["Origin: https://movies.example"]),
    ("reads by token", &[("MARQUEE_BOOTSTRAP_TOKEN", TOKEN), ("MARQUEE_PUBLIC_READ", "off")], &[BEARER]),
];

/// Prints a line for each setting.
pub(crate) fn compare(rounds: usize, seconds: usize) {
    wrk::is_there();
    println!("{} movies; medians of {rounds} rounds against marquee as it comes, better above 1", SIZES[0]);
    let directory = tempfile::tempdir().unwrap();
    // All are replicas of one database. The first one fills it, while there is no token yet.
    let mut started: Vec<Running> = Vec::new();
    let mut ready = None;
    for (name, settings, _) in VARIANTS {
        let server = servers::marquee(directory.path(), name, settings, &[]);
        ready.get_or_insert_with(|| Ready::make(&server, SIZES[0], directory.path()));
        started.push(server);
    }
    let ready = ready.unwrap();
    for (kind, header) in [KINDS[2], KINDS[3]] {
        let header = ready.check(kind, header, &[&started[0]]);
        let runs: Vec<Vec<Run>> = (0..rounds)
            .map(|_| {
                let each = started.iter().zip(VARIANTS);
                each.map(|(server, (_, _, more))| {
                    let headers: Vec<&str> =
                        [header.as_str()].into_iter().chain(more.iter().copied()).collect();
                    wrk::wrk(server, &headers, seconds)
                })
                .collect()
            })
            .collect();
        for (n, (name, ..)) in VARIANTS.iter().enumerate() {
            let (ratio, low, high) = middle(&runs, |run| run[n].rate / run[0].rate);
            let (cpu, ..) = middle(&runs, |run| run[0].cpu_us / run[n].cpu_us);
            println!("{kind:<6} {name:<26} {ratio:.3} ({low:.3} to {high:.3}) {cpu:.3}");
        }
    }
}
