//! Cached hits of marquee against a bare actix handler with the same ready bytes.
//!
//! `cargo bench --bench hits` starts both as processes of their own on the same collection and takes them
//! in turns with `wrk -t1 -c64`, five rounds: an absolute rate says little on a busy machine, a ratio of two
//! programs in one run does. Beside the rates it compares the processor time that an answer takes, which
//! suffers less from neighbours. Arguments: `-- [ROUNDS] [SECONDS]`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark may stop"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sizes of collections that people know: that of the `imdb.json` data set, and of the sample.
const SIZES: [usize; 2] = [246, 3201];

/// What is asked for, and the header that asks for it.
const KINDS: [(&str, &str); 3] =
    [("identity", "X-Nothing: 1"), ("gzip", "Accept-Encoding: gzip"), ("304", "If-None-Match: ")];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [mode, identity, gzip, heads] = args.as_slice()
        && mode == "--bare"
    {
        return bare(identity, gzip, heads);
    }
    if Command::new("wrk").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("wrk is missing: apt-get install wrk, or brew install wrk");
        std::process::exit(1);
    }
    let mut numbers = args.iter().filter_map(|arg| arg.parse::<usize>().ok());
    let rounds = numbers.next().unwrap_or(5);
    let seconds = numbers.next().unwrap_or(5);
    println!(
        "medians of {rounds} rounds; ratios of rates (with their spread) and of processor time, better above 1"
    );
    println!(
        "movies  answer     bytes   marquee/s   against bare                against bare with the same headers"
    );
    for size in SIZES {
        compare(size, rounds, seconds);
    }
}

/// The least that actix can do: ready bytes, a content type, and, where `heads` names a file, the other headers
/// of marquee's answers, which the load generator must read as well.
#[actix_web::main]
async fn bare(identity: &str, gzip: &str, heads: &str) {
    let heads: Vec<(String, String)> = std::fs::read_to_string(heads)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let heads: Vec<(header::HeaderName, header::HeaderValue)> = heads
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), header::HeaderValue::from_str(value).unwrap()))
        .collect();
    let identity = web::Bytes::from(std::fs::read(identity).unwrap());
    let gzip = web::Bytes::from(std::fs::read(gzip).unwrap());
    let server = HttpServer::new(move || {
        let (identity, gzip, heads) = (identity.clone(), gzip.clone(), heads.clone());
        App::new().route(
            "/v1/movies",
            web::get().to(move |request: HttpRequest| {
                let headers = request.headers();
                let mut response = if headers.contains_key(header::IF_NONE_MATCH) {
                    HttpResponse::NotModified().finish()
                } else if headers.contains_key(header::ACCEPT_ENCODING) {
                    HttpResponse::Ok()
                        .insert_header((header::CONTENT_TYPE, "application/json"))
                        .insert_header((header::CONTENT_ENCODING, "gzip"))
                        .body(gzip.clone())
                } else {
                    HttpResponse::Ok()
                        .insert_header((header::CONTENT_TYPE, "application/json"))
                        .body(identity.clone())
                };
                for (name, value) in &heads {
                    response.headers_mut().insert(name.clone(), value.clone());
                }
                std::future::ready(response)
            }),
        )
    });
    let server = server.bind("127.0.0.1:0").unwrap();
    println!("http://{}", server.addrs()[0]);
    server.run().await.unwrap();
}

struct Running {
    process: Child,
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address that a line of `output` names.
fn address(output: impl Read + Send + 'static) -> String {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let at = line.find("http://")? + "http://".len();
        Some(line[at..].split(' ').next()?.to_owned())
    });
    // What is not read blocks the one who writes.
    std::thread::spawn(move || lines.for_each(drop));
    address.expect("no line names an address")
}

fn marquee(directory: &std::path::Path) -> Running {
    let url = format!("sqlite://{}", directory.join("marquee.db").display());
    let mut process = Command::new(env!("CARGO_BIN_EXE_marquee"))
        .args(["--database-url", &url, "--bind", "127.0.0.1:0", "--sample", "off"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = address(process.stderr.take().unwrap());
    Running { process, address }
}

/// One request; the head and the body of its answer.
fn ask(address: &str, request: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{request}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..split].to_vec()).unwrap(), answer[split + 4..].to_vec())
}

fn movies(count: usize) -> String {
    let movies: Vec<String> = (0..count)
        .map(|n| {
            format!(
                r#"{{"title":"The {n}th of Its Kind","year":{},"directors":["Director {}"],"genres":["Drama","Genre {}"],"rating":{}.{},"votes":{n}}}"#,
                1900 + n % 120,
                n % 400,
                n % 20,
                n % 10,
                n % 7
            )
        })
        .collect();
    format!("[{}]", movies.join(","))
}

fn compare(size: usize, rounds: usize, seconds: usize) {
    let directory = tempfile::tempdir().unwrap();
    let marquee = marquee(directory.path());
    while !ask(&marquee.address, "GET /readyz HTTP/1.1", "").0.contains(" 200 ") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (head, _) =
        ask(&marquee.address, "POST /v1/movies HTTP/1.1\r\nContent-Type: application/json", &movies(size));
    assert!(head.contains(" 201 "), "{head}");
    let (head, identity) = ask(&marquee.address, "GET /v1/movies HTTP/1.1", "");
    let (_, gzip) = ask(&marquee.address, "GET /v1/movies HTTP/1.1\r\nAccept-Encoding: gzip", "");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let files = ["identity", "gzip"].map(|name| directory.path().join(name));
    std::fs::write(&files[0], &identity).unwrap();
    std::fs::write(&files[1], &gzip).unwrap();
    let heads = directory.path().join("heads");
    let named = ["etag", "marquee-revision", "cache-control", "cache-status", "vary", "x-total-count"];
    let lines = head.lines().filter(|line| named.iter().any(|name| line.starts_with(&format!("{name}:"))));
    std::fs::write(&heads, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let start = |heads: &std::path::Path| {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("--bare")
            .args(&files)
            .arg(heads)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Running { address: address(process.stdout.take().unwrap()), process }
    };
    let (bare, dressed) = (start(std::path::Path::new("none")), start(&heads));

    for (kind, header) in KINDS {
        let header = if kind == "304" { format!("{header}{tag}") } else { header.to_owned() };
        for address in [&marquee.address, &bare.address, &dressed.address] {
            let (head, body) = ask(address, &format!("GET /v1/movies HTTP/1.1\r\n{header}"), "");
            let expected = match kind {
                "identity" => identity.len(),
                "gzip" => gzip.len(),
                _ => 0,
            };
            assert_eq!(body.len(), expected, "{kind}: {head}");
        }
        let runs: Vec<[Run; 3]> = (0..rounds)
            .map(|_| [&marquee, &bare, &dressed].map(|server| wrk(server, &header, seconds)))
            .collect();
        let middle = |of: &dyn Fn(&[Run; 3]) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            (values[values.len() / 2], values[0], values[values.len() - 1])
        };
        let bytes = match kind {
            "identity" => identity.len(),
            "gzip" => gzip.len(),
            _ => 0,
        };
        let (ours, ..) = middle(&|[ours, ..]| ours.rate);
        print!("{size:>6}  {kind:<8} {bytes:>7} {ours:>11.0}");
        for other in [1, 2] {
            let (ratio, low, high) = middle(&|run| run[0].rate / run[other].rate);
            let (cpu, ..) = middle(&|run| run[other].cpu_us / run[0].cpu_us);
            print!("   {ratio:.3} ({low:.3} to {high:.3}) {cpu:.3}");
        }
        println!();
    }
}

struct Run {
    /// Requests a second.
    rate: f64,
    /// Processor time of the server for one request, in microseconds.
    cpu_us: f64,
}

/// Ticks of processor time, user and system, that a process has used; 0 where /proc does not tell.
fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th after it.
    let after = stat.rsplit(')').next().unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum()
}

/// One round; every answer must be a 2xx or 3xx.
fn wrk(server: &Running, header: &str, seconds: usize) -> Run {
    let before = ticks(server.process.id());
    let run = Command::new("wrk")
        .args([
            "-t1",
            "-c64",
            &format!("-d{seconds}s"),
            "-H",
            header,
            &format!("http://{}/v1/movies", server.address),
        ])
        .output()
        .unwrap();
    let used = ticks(server.process.id()) - before;
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = rate.unwrap_or_else(|| panic!("{text}")).trim().parse().unwrap();
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests: f64 = requests.unwrap_or_else(|| panic!("{text}")).0.parse().unwrap();
    // A tick is a hundredth of a second on every Linux there is.
    Run { rate, cpu_us: (used.max(1.0) * 10_000.0) / requests }
}
