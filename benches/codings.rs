//! What each coding costs: a segment, a collection when it is first asked for, the write that makes it ready again and
//! the answer after that; on the sample's movies, as often as it takes. The tables of docs/ENCODING.md.
//!
//! `cargo bench --bench codings`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may stop, and tells what it found"
)]

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use marquee::catalogue::{Body, Catalogue, Coding, EncodedSegment, Form};
use marquee::domain::{Movie, NewMovie, movie_from_json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Collections that people know: of the `imdb.json` data set, a little more than the sample, IMDb's well-known movies.
const SIZES: [usize; 3] = [246, 3_201, 58_788];
/// Writes of which the median is told.
const WRITES: usize = 31;

fn main() {
    let sample: Vec<NewMovie> = include_str!("../data/movies.ndjson")
        .lines()
        .map(|line| NewMovie { imdb_id: None, ..movie_from_json(line.as_bytes()).unwrap() })
        .collect();
    segments(&sample);
    println!(
        "\n| movies | segments | coding | bytes of the answer | first answer, ms | held in the cache, bytes |"
    );
    println!("|---:|---:|---|---:|---:|---:|");
    let mut after = Vec::new();
    for size in SIZES {
        after.extend(collection(&sample, size));
    }
    println!("\n| movies | asked for between writes | a write, ms | the answer after it, ms |");
    println!("|---:|---|---:|---:|");
    after.iter().for_each(|line| println!("{line}"));
}

/// The median of some times, in milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// The least time of some tries, which neighbours disturb the least, in microseconds; and what was made.
fn least<T>(mut make: impl FnMut() -> T) -> (f64, T) {
    let made = make();
    let times = (0..15).map(|_| {
        let began = Instant::now();
        black_box(make());
        began.elapsed()
    });
    (times.min().unwrap_or_default().as_secs_f64() * 1e6, made)
}

/// Every form and coding; the array as it is comes first.
fn all() -> impl Iterator<Item = (Form, Coding)> {
    Form::ALL.into_iter().flat_map(|form| Coding::ALL.map(|coding| (form, coding)))
}

fn segments(sample: &[NewMovie]) {
    let movies: Vec<Movie> =
        (1..).zip(sample).map(|(id, movie)| movie.clone().first(id, Timestamp::UNIX_EPOCH)).collect();
    let full = movies.chunks_exact(256);
    let count = full.len() as f64;
    let (mut plain, mut rows) = (0.0, vec![(0.0, 0.0); 6]);
    for movies in full {
        let (took, array) = least(|| EncodedSegment::encode(movies));
        plain += took;
        for (row, (form, coding)) in rows.iter_mut().zip(all()) {
            let (took, made) = least(|| array.to(form, coding));
            row.0 += took;
            row.1 += made.weight() as f64;
        }
    }
    println!("| a segment of 256 movies as | made of | µs | times the array | held, bytes | of the array |");
    println!("|---|---|---:|---:|---:|---:|");
    println!("| array, identity | movies | {:.0} | 1 | {:.0} | 1 |", plain / count, rows[0].1 / count);
    for ((took, held), (form, coding)) in rows.iter().zip(all()).skip(1) {
        let name = if form == Form::Array { "array" } else { "lines" };
        let (times, part) = (took / plain, held / rows[0].1);
        println!(
            "| {name}, {} | the array | {:.0} | {times:.2} | {:.0} | {part:.3} |",
            coding.name(),
            took / count,
            held / count
        );
    }
}

/// Prints what the first answers cost; gives the lines of what the ones after writes cost.
fn collection(sample: &[NewMovie], size: usize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let catalogue = support::catalogue(&runtime, directory.path());
    runtime.block_on(async {
        let all: Vec<NewMovie> = sample.iter().cycle().take(size).cloned().collect();
        for array in all.chunks(10_000) {
            catalogue.create(array.to_vec(), None).await.unwrap();
        }
        // Everything that a read needs but its coding.
        answer(&catalogue, Coding::Identity).await;
        for coding in Coding::ALL {
            let before = held(&catalogue).await;
            let (took, bytes) = answer(&catalogue, coding).await;
            let more = if coding == Coding::Identity { before } else { held(&catalogue).await - before };
            let (segments, took) = (size / 256 + 1, took.as_secs_f64() * 1e3);
            println!("| {size} | {segments} | {} | {bytes} | {took:.1} | {more} |", coding.name());
        }
        let mut lines = Vec::new();
        let cases: [&[Coding]; 4] = [&[], &[Coding::Gzip], &[Coding::Zstd], &[Coding::Gzip, Coding::Zstd]];
        for asked in cases {
            // The first of them ends what was asked for before.
            catalogue.create(vec![sample[0].clone()], None).await.unwrap();
            let (mut writes, mut reads) = (Vec::new(), Vec::new());
            for movie in sample.iter().take(WRITES + 1) {
                let began = Instant::now();
                catalogue.create(vec![movie.clone()], None).await.unwrap();
                writes.push(began.elapsed());
                let mut read = Duration::ZERO;
                for coding in asked {
                    read = answer(&catalogue, *coding).await.0;
                }
                if asked.is_empty() {
                    read = answer(&catalogue, Coding::Identity).await.0;
                }
                reads.push(read);
            }
            let names: Vec<&str> = asked.iter().map(|coding| coding.name()).collect();
            let names = if names.is_empty() { "identity".to_owned() } else { names.join(" and ") };
            // The first write had nobody who asked before it.
            let (write, read) = (median(writes.split_off(1)), median(reads.split_off(1)));
            lines.push(format!("| {size} | {names} | {write:.2} | {read:.3} |"));
        }
        lines
    })
}

async fn answer(catalogue: &Catalogue, coding: Coding) -> (Duration, u64) {
    let began = Instant::now();
    let body = catalogue.collection(Form::Array, coding).await.unwrap().body;
    let took = began.elapsed();
    match body {
        Body::Whole(bytes) => (took, bytes.len() as u64),
        Body::Pieces(pieces) => (took, pieces.total_len()),
        Body::File(file) => (took, file.total_len()),
    }
}

async fn held(catalogue: &Catalogue) -> u64 {
    catalogue.gauge().await;
    catalogue.health().cached_bytes
}
