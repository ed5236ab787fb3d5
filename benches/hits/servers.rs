//! The programs that are compared, as processes, and the collection that they serve.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server. Killed when it is dropped.
pub(crate) struct Running {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    /// Starts `command`, whose output in `told` names its address.
    pub(crate) fn start(command: &mut Command, told: &Path) -> Self {
        let mut running = Self { process: command.spawn().unwrap(), address: String::new() };
        while running.address.is_empty() {
            std::thread::sleep(Duration::from_millis(20));
            let text = std::fs::read_to_string(told).unwrap_or_default();
            if let Some((_, rest)) = text.split_once("http://")
                && let Some(end) = rest.find([' ', '\n'])
            {
                rest[..end].clone_into(&mut running.address);
            }
        }
        running
    }

    /// Ends it in order, so that it tells what it has to tell.
    pub(crate) fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(told.unwrap().success());
        self.process.wait().unwrap();
    }
}

/// A marquee on the database of a directory, with settings more; it logs to a file there.
pub(crate) fn marquee(directory: &Path, name: &str, settings: &[(&str, &str)], under: &[&str]) -> Running {
    let url = format!("sqlite://{}", directory.join("marquee.db").display());
    let log = directory.join(format!("{name}.log"));
    let mut command = run_under(under, env!("CARGO_BIN_EXE_marquee"));
    command
        .args(["--database-url", &url, "--bind", "127.0.0.1:0", "--sample", "off"])
        .envs(settings.iter().copied())
        .stderr(File::create(&log).unwrap());
    let running = Running::start(&mut command, &log);
    while !ask(&running.address, "GET /readyz HTTP/1.1", "").0.contains(" 200 ") {
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

/// A bare handler with the bytes of a directory; with marquee's headers, too, or without.
pub(crate) fn bare(directory: &Path, heads: bool, settings: &[(&str, &str)], under: &[&str]) -> Running {
    let told = directory.join("bare.out");
    let _ = std::fs::remove_file(&told);
    let mut command = run_under(under, &std::env::current_exe().unwrap().display().to_string());
    let heads = directory.join(if heads { "heads" } else { "none" });
    command.arg("--bare").arg(directory).arg(heads).envs(settings.iter().copied());
    Running::start(command.stdout(File::create(&told).unwrap()).stderr(Stdio::null()), &told)
}

/// A program, by itself or as what another one runs.
fn run_under(other: &[&str], program: &str) -> Command {
    let mut words = other.iter().copied().chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words);
    command
}

/// One request; the head and the body of its answer.
pub(crate) fn ask(address: &str, request: &str, body: &str) -> (String, Vec<u8>) {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return Default::default();
    };
    write!(
        stream,
        "{request}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..split].to_vec()).unwrap(), answer[split + 4..].to_vec())
}

/// What a collection is in each coding, and its tag.
pub(crate) struct Ready {
    pub(crate) tag: String,
    lengths: [usize; 3],
}

impl Ready {
    /// Fills `marquee` with so many movies, and leaves what it answers, and the headers that it answers with, in files of
    /// `directory` for the bare handler.
    pub(crate) fn make(marquee: &Running, size: usize, directory: &Path) -> Self {
        let create = "POST /v1/movies HTTP/1.1\r\nContent-Type: application/json";
        let (head, _) = ask(&marquee.address, create, &movies(size));
        assert!(head.contains(" 201 "), "{head}");
        let get = |coding: &str| {
            let request = format!("GET /v1/movies HTTP/1.1\r\nAccept-Encoding: {coding}");
            let (head, body) = ask(&marquee.address, &request, "");
            std::fs::write(directory.join(coding), &body).unwrap();
            (head, body.len())
        };
        let lengths = ["identity", "gzip", "zstd"].map(|coding| get(coding).1);
        let (head, _) = get("identity");
        keep_heads(&head, directory);
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        Self { tag, lengths }
    }

    /// How long the answer of a kind is.
    pub(crate) fn length(&self, kind: &str) -> usize {
        match kind {
            "identity" => self.lengths[0],
            "gzip" => self.lengths[1],
            "zstd" => self.lengths[2],
            _ => 0,
        }
    }

    /// The header that asks for a kind, and that each of `servers` answers it with what it should.
    pub(crate) fn check(&self, kind: &str, header: &str, servers: &[&Running]) -> String {
        let header = if kind == "304" { format!("{header}{}", self.tag) } else { header.to_owned() };
        for server in servers {
            let (head, body) = ask(&server.address, &format!("GET /v1/movies HTTP/1.1\r\n{header}"), "");
            assert_eq!(body.len(), self.length(kind), "{kind}: {head}");
        }
        header
    }
}

/// Leaves the headers of an answer for the bare handler that is to send the same.
pub(crate) fn keep_heads(head: &str, directory: &Path) {
    let named = ["etag", "marquee-revision", "cache-control", "cache-status", "vary", "x-total-count"];
    let lines = head.lines().filter(|line| named.iter().any(|name| line.starts_with(&format!("{name}:"))));
    std::fs::write(directory.join("heads"), lines.collect::<Vec<_>>().join("\n")).unwrap();
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
