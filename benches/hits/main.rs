//! Cached hits of marquee, over HTTP: against a bare actix handler with the same ready bytes, and against itself
//! with an option more.
//!
//! ```text
//! cargo bench --bench hits                             # against a bare handler
//! cargo bench --bench hits -- --options                # what each layer costs that a setting puts in
//! cargo bench --bench hits -- --instructions           # counted by callgrind
//! cargo bench --bench hits -- --guard                  # fails when a hit gained more than 5 % of them
//! cargo bench --bench hits -- --accept                 # takes what a hit costs now for what it may cost
//! cargo bench --bench hits -- [--options] ROUNDS SECONDS
//! ```
//!
//! Each server is a process of its own on the same collection, and they are taken in turns with `wrk -t1 -c64`: an
//! absolute rate says little on a busy machine, a ratio of two programs in one run does. Beside the rates it compares
//! the processor time that an answer takes, which suffers less from neighbours; a count of instructions does not at
//! all, but knows nothing of the kernel.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may stop"
)]

mod bare;
mod compare;
mod instructions;
mod options;
mod servers;
mod wrk;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sizes of collections that people know: that of the `imdb.json` data set, and of the sample.
const SIZES: [usize; 2] = [246, 3201];

/// What is asked for, and the header that asks for it: what browsers send is among them.
const KINDS: [(&str, &str); 4] = [
    ("identity", "X-Nothing: 1"),
    ("gzip", "Accept-Encoding: gzip"),
    ("zstd", "Accept-Encoding: gzip, deflate, br, zstd"),
    ("304", "If-None-Match: "),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [mode, directory, heads] = args.as_slice()
        && mode == "--bare"
    {
        return bare::serve(directory.as_ref(), heads.as_ref());
    }
    let mode = args.first().map(String::as_str).filter(|arg| arg.starts_with("--"));
    let mut numbers = args.iter().filter_map(|arg| arg.parse::<usize>().ok());
    let (rounds, seconds) = (numbers.next().unwrap_or(5), numbers.next().unwrap_or(5));
    match mode {
        None => SIZES.iter().for_each(|size| compare::with_bare(*size, rounds, seconds)),
        Some("--options") => options::compare(rounds, seconds),
        Some("--instructions") => instructions::count(),
        Some("--guard") => instructions::guard(),
        Some("--accept") => instructions::accept(),
        Some(other) => {
            println!("there is no {other}: --options, --instructions, --guard, --accept, or nothing");
            std::process::exit(2);
        }
    }
}
