//! Instructions of one hit, counted by callgrind: the same on every run, whatever else the machine does.
//!
//! A server answers N requests on one connection, and 3 N in another run; the difference, divided by 2 N, is one
//! answer, from the read of its head to the write of the last byte: what actix-http's dispatcher does, and all that it
//! calls. How often the runtime around it goes to sleep depends on who else uses the machine.
//!
//! What is guarded is the program's own code: the C library copies and clears memory by other instructions on
//! another processor.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::servers::{self, Ready, Running};
use crate::{KINDS, SIZES};

const N: usize = 500;
/// One worker; nothing that happens by itself.
const STILL: [(&str, &str); 2] = [("MARQUEE_WORKERS", "1"), ("MARQUEE_POLL_MS", "3600000")];
/// One movie of the collection.
const ONE: &str = "/v1/movies/7";
const ALL: &str = "/v1/movies";

/// What is counted, with all that it calls.
const COUNTED: &str =
    "--toggle-collect=*h1::dispatcher::Dispatcher<*> as core::future::future::Future>::poll";

/// What was accepted: a name and a count a line.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/hits/baseline.txt");
/// How much of what was accepted a hit may gain, in hundredths.
const GAIN: u64 = 5;

/// The parts of a hit, and what the names of their functions have in them: the first that fits.
const PARTS: [(&str, &[&str]); 10] = [
    ("marquee: guards the connection", &["marquee::http::wire", "marquee::http::pace"]),
    ("marquee: counts and times", &["http::observe", "telemetry", "prometheus", "unix::time"]),
    ("marquee: finds", &["marquee::catalogue", "moka", "foldhash", "arc_swap", "crossbeam"]),
    ("marquee: the answer", &["marquee::", "xxhash", "xxh3"]),
    ("routes", &["actix_web", "actix_router", "regex", "aho_corasick", "actix_service"]),
    ("keeps headers", &["header::map", "hashbrown", "hash_one", "smallvec", "header::value", "sip::"]),
    ("writes a head", &["encoder::", "helpers::", "actix_http::responses", "date::"]),
    (
        "reads a head",
        &["httparse", "http::uri", "decoder", "requests::", "header::name", "h1::payload", "http::method"],
    ),
    ("dispatches", &["h1::", "tokio", "mio::", "actix_rt", "core::task"]),
    ("allocates", &["mi_", "__rust_", "alloc::", "bytes::"]),
];
const REST: &str = "the rest";
/// What is not the program's own.
const SYSTEM: &str = "the C library";

/// What a hit cost.
#[derive(Clone)]
struct Count {
    /// All that ran in user space.
    all: u64,
    /// What of it is the program's own code, and not a library of the system.
    own: u64,
    parts: BTreeMap<&'static str, u64>,
}

/// Something that can be asked for.
struct Asked {
    name: String,
    path: &'static str,
    header: String,
}

/// A collection, and what of it is asked for.
struct Stage {
    directory: tempfile::TempDir,
    asked: Vec<Asked>,
}

impl Stage {
    fn set() -> Self {
        if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("valgrind is missing: apt-get install valgrind, or brew install valgrind");
            std::process::exit(1);
        }
        let directory = tempfile::tempdir().unwrap();
        let filled = servers::marquee(directory.path(), "fill", &[], &[]);
        let ready = Ready::make(&filled, SIZES[0], directory.path());
        let mut asked: Vec<Asked> = KINDS
            .iter()
            .map(|(kind, header)| {
                let header =
                    if *kind == "304" { format!("{header}{}", ready.tag) } else { (*header).to_owned() };
                Asked { name: (*kind).to_owned(), path: ALL, header }
            })
            .collect();
        asked.push(Asked { name: "one".to_owned(), path: ONE, header: KINDS[0].1.to_owned() });
        // What a bare handler answers in its place.
        let (head, body) = servers::ask(&filled.address, &format!("GET {ONE} HTTP/1.1"), "");
        assert!(head.contains(" 200 "), "{head}");
        let one = directory.path().join("one");
        std::fs::create_dir(&one).unwrap();
        for coding in ["identity", "gzip", "zstd"] {
            std::fs::write(one.join(coding), &body).unwrap();
        }
        servers::keep_heads(&head, &one);
        Self { directory, asked }
    }

    fn marquee(&self, asked: &Asked) -> Count {
        let directory = self.directory.path();
        let start = |under: &[&str]| servers::marquee(directory, "counted", &STILL, under);
        one(directory, asked.path, &asked.header, env!("CARGO_BIN_EXE_marquee"), start)
    }

    fn bare(&self, asked: &Asked, heads: bool) -> Count {
        let all = self.directory.path();
        let directory = if asked.path == ONE { all.join("one") } else { all.to_owned() };
        let start = |under: &[&str]| servers::bare(&directory, heads, &STILL, under);
        let program = std::env::current_exe().unwrap();
        one(&directory, ALL, &asked.header, &program.display().to_string(), start)
    }
}

/// Prints a line for each kind of answer.
pub(crate) fn count() {
    let stage = Stage::set();
    println!(
        "{} movies; instructions in user space for one hit, and how many of them are the program's own",
        SIZES[0]
    );
    println!("answer            marquee                bare   bare with the same headers");
    for asked in &stage.asked {
        let counts = [stage.marquee(asked), stage.bare(asked, false), stage.bare(asked, true)];
        print!("{:<8}", asked.name);
        counts.iter().for_each(|count| print!(" {:>9} ({:>6})", count.all, count.own));
        println!();
        for part in PARTS.iter().map(|(part, _)| *part).chain([REST, SYSTEM]) {
            print!("  {part:<32}");
            counts.iter().for_each(|count| print!(" {:>8}", count.parts.get(part).unwrap_or(&0)));
            println!();
        }
    }
}

/// Ends the process with 1 when a hit costs more than `GAIN` beyond what was accepted.
pub(crate) fn guard() {
    let stage = Stage::set();
    let accepted = std::fs::read_to_string(BASELINE).unwrap();
    let mut gained = false;
    println!("answer   instructions   accepted");
    for asked in &stage.asked {
        let own = stage.marquee(asked).own;
        let line = accepted.lines().find_map(|line| line.strip_prefix(&asked.name)?.strip_prefix(' '));
        let before: u64 =
            line.unwrap_or_else(|| panic!("{}: not in {BASELINE}", asked.name)).parse().unwrap();
        let more = own * 100 > before * (100 + GAIN);
        gained |= more;
        println!("{:<8} {own:>12} {before:>10}{}", asked.name, if more { "   too many" } else { "" });
    }
    if gained {
        println!(
            "\nA hit gained more than {GAIN} %. Find what it does more (callgrind_annotate), or, when it is worth it, accept it:\n\
             cargo bench --bench hits -- --accept, and say in the commit what it bought."
        );
        std::process::exit(1);
    }
}

/// Writes down what hits cost now.
pub(crate) fn accept() {
    let stage = Stage::set();
    let mut text = String::from(
        "# Instructions of marquee's own code for one hit of 246 movies, by callgrind.\n\
         # Made by `cargo bench --bench hits -- --accept`; `-- --guard` compares.\n",
    );
    for asked in &stage.asked {
        writeln!(text, "{} {}", asked.name, stage.marquee(asked).own).unwrap();
    }
    std::fs::write(BASELINE, &text).unwrap();
    print!("{text}");
}

fn one(
    directory: &Path,
    path: &str,
    header: &str,
    program: &str,
    start: impl Fn(&[&str]) -> Running,
) -> Count {
    let counts = [N, 3 * N].map(|requests| {
        let out = directory.join("callgrind.out");
        let file = format!("--callgrind-out-file={}", out.display());
        let server = start(&["valgrind", "--tool=callgrind", "-q", COUNTED, &file]);
        hit(&server.address, path, header, requests);
        server.stop();
        read(&std::fs::read_to_string(out).unwrap(), program)
    });
    let [some, more] = counts;
    let each = |more: u64, some: u64| more.saturating_sub(some) / (2 * N as u64);
    let parts =
        more.parts.iter().map(|(part, n)| (*part, each(*n, some.parts.get(part).copied().unwrap_or(0))));
    Count { all: each(more.all, some.all), own: each(more.own, some.own), parts: parts.collect() }
}

fn part(function: &str) -> &'static str {
    let fits = |names: &[&str]| names.iter().any(|name| function.contains(name));
    PARTS.iter().find(|(_, names)| fits(names)).map_or(REST, |(part, _)| part)
}

/// The sum of what callgrind counted, and of what it counted in `program` (the format's manual: "Callgrind Format
/// Specification").
fn read(text: &str, program: &str) -> Count {
    let (mut names, mut functions) = (BTreeMap::new(), BTreeMap::new());
    let mut count = Count { all: 0, own: 0, parts: BTreeMap::new() };
    let (mut ours, mut called, mut current) = (false, false, REST);
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            // "(1) /the/path" at first, then "(1)".
            let (number, path) = object.split_once(' ').unwrap_or((object, ""));
            ours = *names.entry(number).or_insert(path) == program;
        } else if line.starts_with("calls=") {
            called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // What follows a call is what the called function cost, which counts for itself.
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
            if !std::mem::take(&mut called) {
                count.all += cost;
                count.own += if ours { cost } else { 0 };
                *count.parts.entry(if ours { current } else { SYSTEM }).or_default() += cost;
            }
        } else if let Some(object) = line.strip_prefix("cob=")
            && let Some((number, path)) = object.split_once(' ')
        {
            names.entry(number).or_insert(path);
        } else if let Some(function) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            let part = *functions.entry(number).or_insert_with(|| part(name));
            if line.starts_with('f') {
                current = part;
            }
        }
    }
    assert!(count.own > 0, "callgrind names no {program}");
    count
}

/// So many requests, one after another, on one connection.
fn hit(address: &str, path: &str, header: &str, requests: usize) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n\r\n");
    let mut answer = vec![0; 1 << 20];
    for _ in 0..requests {
        stream.write_all(request.as_bytes()).unwrap();
        let (mut have, mut want) = (0, usize::MAX);
        while have < want {
            let read = stream.read(&mut answer[have..]).unwrap();
            assert!(read > 0, "the server hung up");
            have += read;
            if want == usize::MAX
                && let Some(end) = answer[..have].windows(4).position(|four| four == b"\r\n\r\n")
            {
                let head = std::str::from_utf8(&answer[..end]).unwrap();
                assert!(head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.1 304"), "{head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                want = end + 4 + length.map_or(0, |n| n.parse().unwrap());
            }
        }
    }
}
