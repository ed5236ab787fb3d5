//! The real binary, started on a free port the way an operator starts it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response};

use super::TestDatabase;

/// How long a start, an end, or a line of the log is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What marquee is started with.
pub(crate) struct Preparation {
    command: Command,
}

impl Preparation {
    /// Sets an environment variable. None is inherited that marquee would read.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds a flag or a subcommand.
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.command.arg(arg.into());
        self
    }

    /// Starts it, and waits for the line of its log that names the address.
    ///
    /// # Panics
    ///
    /// When it ends instead, or says nothing: with its log.
    pub(crate) async fn start(mut self) -> Marquee {
        let mut child = self.command.spawn().unwrap();
        let log = Log::default();
        let stderr = child.stderr.take().unwrap();
        let lines = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                lines.push(&String::from_utf8_lossy(&line));
            }
        });
        let client = Client::builder().no_gzip().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut marquee = Marquee { child, log, address: ([127, 0, 0, 1], 0).into(), client };
        let since = Instant::now();
        loop {
            if let Some(address) = address_in(&marquee.log()) {
                marquee.address = address;
                return marquee;
            }
            if let Some(status) = marquee.child.try_wait().unwrap() {
                panic!("marquee did not start ({status}):\n{}", marquee.log());
            }
            assert!(since.elapsed() < PATIENCE, "marquee names no address:\n{}", marquee.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs it to its end: for subcommands, and for a start that must be refused. Gives the exit status,
    /// what it wrote to stdout, and its log.
    pub(crate) async fn run(mut self) -> (ExitStatus, String, String) {
        self.command.stdout(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || self.command.output().unwrap());
        let output = tokio::time::timeout(PATIENCE, output).await.expect("marquee does not end").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status, text(&output.stdout), text(&output.stderr))
    }
}

/// A running marquee. Killed when it is dropped.
pub(crate) struct Marquee {
    child: Child,
    log: Log,
    address: SocketAddr,
    client: Client,
}

impl Marquee {
    /// On a test's database, with nothing else set.
    pub(crate) async fn on(db: &TestDatabase) -> Self {
        Self::prepare(db.url()).start().await
    }

    /// With settings of the test's own.
    pub(crate) fn prepare(database_url: &str) -> Preparation {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marquee"));
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if known.starts_with("MARQUEE_") || matches!(&*known, "REDIS_URL" | "RUST_LOG") {
                command.env_remove(&name);
            }
        }
        command
            .env("DATABASE_URL", database_url)
            .env("MARQUEE_BIND", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Preparation { command }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The whole address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The client: it decodes no content coding by itself, and gives up after 30 s.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A request to a path, to be added to.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// GETs a path.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// POSTs JSON to a path.
    pub(crate) async fn post(&self, path: &str, body: &serde_json::Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }

    /// Waits until `/readyz` says 200.
    pub(crate) async fn wait_ready(&self) {
        let since = Instant::now();
        loop {
            let answer = self.request(Method::GET, "/readyz").send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "marquee does not become ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What `/metrics` says: from `name{label="value"}`, as it is written there, to the value.
    pub(crate) async fn metrics(&self) -> BTreeMap<String, f64> {
        parse_metrics(&self.get("/metrics").await.text().await.unwrap())
    }

    /// What it wrote to stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until a text is in the log.
    pub(crate) async fn wait_for_log(&self, text: &str) {
        let since = Instant::now();
        while !self.log().contains(text) {
            assert!(since.elapsed() < PATIENCE, "{text:?} does not come:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it as a crash does (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`).
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own: not every machine has a kill of its own.
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.unwrap().success(), "signal {name} could not be sent");
    }

    /// Ends it in order (SIGTERM), and waits for that.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait().await
    }

    /// Waits until it ends.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "marquee does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Marquee {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("--- marquee's log\n{}---", self.log());
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn push(&self, line: &str) {
        let mut text = self.0.lock().unwrap();
        text.push_str(line);
        text.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// The first `http://127.0.0.1:PORT` of a log.
pub(crate) fn address_in(log: &str) -> Option<SocketAddr> {
    // Only whole lines: the port may not have been written to its end.
    let whole = &log[..=log.rfind('\n')?];
    let (_, rest) = whole.split_once("http://127.0.0.1:")?;
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(([127, 0, 0, 1], port.parse().ok()?).into())
}

pub(crate) fn parse_metrics(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    // Label values may hold blanks; the value never does.
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(k, v)| Some((k.to_owned(), v.parse().ok()?)))
        .collect()
}
