//! What the database itself takes for the rows of an import: the limit that `marquee import` is held against.
//!
//! ```text
//! cargo bench --bench raw -- FILE URL     # the rows of the SQLite store FILE into the empty store URL
//! cargo bench --bench raw -- --count URL  # how many rows the tables of a store have
//! ```
//!
//! FILE is what `marquee import` made, URL a store that `marquee migrate` made: the same tables with the same keys,
//! indexes and references, which are checked as ever. So these are the very rows that an import writes, its links and
//! what movies are found by included, but for the few of its own book-keeping. All are in memory, cut into statements,
//! before the clock starts; then the driver alone inserts them, movie by movie as a file brings them, by prepared
//! statements of many rows in large transactions. Nothing is parsed, looked up or encoded.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may stop"
)]

mod mysql;
mod rows;
mod sqlite;

use std::time::Instant;

use rows::{TABLES, Work};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Movies in one transaction: five times as many as an import takes.
const MOVIES: i64 = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--count", url] => println!("{}", counts(url)),
        [file, url] => {
            let (work, rows) = (Work::read(file, MOVIES), rows::counts(file));
            let seconds = match url.strip_prefix("sqlite://") {
                Some(target) => sqlite::insert(target, &work),
                None => mysql::insert(url, work),
            };
            let there = counts(url);
            assert_eq!(there, rows, "not all rows are there");
            println!("{{\"seconds\": {seconds:.3}, \"rows\": {there}}}");
        }
        // What `cargo bench` runs without arguments.
        _ => println!("which rows, and into which store? --bench raw -- FILE URL"),
    }
}

fn counts(url: &str) -> String {
    match url.strip_prefix("sqlite://") {
        Some(file) => rows::counts(file),
        None => mysql::counts(url),
    }
}

/// As JSON, in the order of the tables.
fn told(counts: impl Iterator<Item = i64>) -> String {
    let counts = TABLES.iter().zip(counts).map(|(table, count)| format!("\"{}\": {count}", table.name));
    format!("{{{}}}", counts.collect::<Vec<_>>().join(", "))
}

/// How long something took, in seconds.
fn timed(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}
