//! Everything that reads gzip and Zstandard here: libraries, programs, a browser.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;

/// The largest window that a client must have room for (RFC 9659), as an exponent of 2.
const WINDOW: u32 = 23;

/// What `bytes` are, decoded.
pub(crate) fn decoded(bytes: &[u8], coding: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "identity" => plain.extend_from_slice(bytes),
        "gzip" => {
            // One member, which ends where the body ends: this decoder reads no second one.
            let mut decoder = GzDecoder::new(bytes);
            decoder.read_to_end(&mut plain).unwrap();
            assert!(decoder.into_inner().is_empty(), "bytes follow the member");
        }
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::new(bytes).unwrap();
            decoder.window_log_max(WINDOW).unwrap();
            decoder.read_to_end(&mut plain).unwrap();
        }
        other => panic!("{other} is no coding of ours"),
    }
    plain
}

/// A reader of one byte at a time, as a stream that arrives slowly is read.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

/// That whoever decodes `bytes` gets `plain`; `what` says what it is.
pub(crate) fn every_decoder_gives(bytes: &[u8], coding: &str, plain: &[u8], what: &str) {
    let is = |decoded: Vec<u8>, decoder: &str| {
        assert!(decoded == plain, "{what} {coding}: {decoder} reads something else");
    };
    is(decoded(bytes, coding), "the library");
    if coding == "gzip" {
        let python = "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
        is(pipe("python3", &["-c", python], bytes), "Python's gzip");
        // Byte by byte; and nothing is left over.
        let python = "import zlib, sys; d = zlib.decompressobj(31)\n\
                      for byte in sys.stdin.buffer.read(): sys.stdout.buffer.write(d.decompress(bytes([byte])))\n\
                      assert d.eof and not d.unused_data";
        is(pipe("python3", &["-c", python], bytes), "Python's zlib");
        is(pipe("gzip", &["-dc"], bytes), "gzip");
    } else {
        let mut dripped = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(Dripping(bytes)).unwrap();
        decoder.read_to_end(&mut dripped).unwrap();
        is(dripped, "the library, byte by byte,");
        is(pipe("zstd", &["-dc", "--memory=8MiB"], bytes), "zstd");
    }
}

/// What `curl --compressed` makes of an address, and the coding that it was sent.
pub(crate) fn curl(url: &str, media: &str) -> (Vec<u8>, String) {
    let head = tempfile::NamedTempFile::new().unwrap();
    let (accept, dump) = (format!("Accept: {media}"), head.path().display().to_string());
    let arguments = ["-sS", "--fail", "--noproxy", "*", "--compressed", "-D", &dump, "-H", &accept, url];
    let body = pipe("curl", &arguments, b"");
    let head = std::fs::read_to_string(head.path()).unwrap().to_lowercase();
    let coding = head.lines().find_map(|line| line.strip_prefix("content-encoding: "));
    (body, coding.unwrap_or_else(|| panic!("{head}")).to_owned())
}

/// Whether this machine's curl was built with a coding.
pub(crate) fn curl_reads(coding: &str) -> bool {
    let version = String::from_utf8(pipe("curl", &["--version"], b"")).unwrap();
    version.contains(if coding == "gzip" { "libz" } else { coding })
}

/// What a browser makes of an address.
pub(crate) fn browser(url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let data = format!("--user-data-dir={}", profile.path().display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        &data,
        "--dump-dom",
        url,
    ];
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    let browser = browser.unwrap_or_else(|| panic!("no Chromium: install chromium"));
    let shown = pipe(browser, &arguments, b"");
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("<html"), "{shown:.200}");
    shown
}

/// What a program makes of `input`.
fn pipe(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}; install it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap().ok();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
