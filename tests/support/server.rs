//! The real binary, started on a free port the way an operator starts it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response};

use super::TestDatabase;

/// How long a start, an end, an answer, or a line of the log is waited for.
const PATIENCE: Duration = Duration::from_secs(180);

/// MARQUEE_REQUEST_TIMEOUT_MS, where a test sets none: a write waits for several syncs of the disk, each of which
/// can take seconds while other tests write.
const REQUEST_TIMEOUT_MS: &str = "120000";

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

    /// Runs it by another program, of which it is to be the process in the end.
    pub(crate) fn by(mut self, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.command = command;
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
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                lines.push(&String::from_utf8_lossy(&line));
            }
        });
        let client = Client::builder().no_gzip().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut marquee = Marquee { child, log, reader, address: ([127, 0, 0, 1], 0).into(), client };
        let since = Instant::now();
        loop {
            if let Some(address) = address_in(&marquee.log()) {
                marquee.address = address;
                return marquee;
            }
            if let Some(status) = marquee.child.try_wait().unwrap() {
                marquee.wait_for_the_last_words().await;
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
    /// Reads the log to its end.
    reader: thread::JoinHandle<()>,
    address: SocketAddr,
    client: Client,
}

impl Marquee {
    /// On a test's database, with nothing else set that a client would notice.
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
            .env("MARQUEE_REQUEST_TIMEOUT_MS", REQUEST_TIMEOUT_MS)
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

    /// The client: it decodes no content coding by itself, and gives up after 3 minutes.
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

    /// Waits until a look at the database for other replicas' writes, begun after this call, is over, and whatever it
    /// led to: one that was under way may find a write of this replica's own, and read once more what it made.
    pub(crate) async fn one_more_poll(&self) {
        let before = self.polls().await;
        // One may be under way; the next begins after now, and is over when the one after it begins.
        self.wait_for_polls(before + 2.0).await;
    }

    /// Waits until the first look is over: where the next one comes late, it knows nothing of what is written now.
    pub(crate) async fn first_poll(&self) {
        self.wait_for_polls(1.0).await;
        let since = Instant::now();
        while self.metrics().await["marquee_database_connections{state=\"in_use\"}"] > 0.0 {
            assert!(since.elapsed() < PATIENCE, "it is never over:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn wait_for_polls(&self, many: f64) {
        let since = Instant::now();
        while self.polls().await < many {
            assert!(since.elapsed() < PATIENCE, "nobody looks at the database:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The looks at the database that were begun.
    async fn polls(&self) -> f64 {
        let polls = "marquee_database_queries_total{purpose=\"poll\"}";
        self.metrics().await.get(polls).copied().unwrap_or_default()
    }

    /// What it wrote to stderr so far; all of it, once its end was waited for.
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
        super::signal(&self.child, name);
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
                self.wait_for_the_last_words().await;
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "marquee does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Marquee {
    /// What it wrote before it ended may not be read yet.
    async fn wait_for_the_last_words(&self) {
        let since = Instant::now();
        while !self.reader.is_finished() {
            assert!(since.elapsed() < PATIENCE, "its log has no end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
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

/// The first `http://ADDRESS:PORT` of a log, and how to reach it from here.
pub(crate) fn address_in(log: &str) -> Option<SocketAddr> {
    // Only whole lines: the port may not have been written to its end.
    let whole = &log[..=log.rfind('\n')?];
    let (_, rest) = whole.split_once("serving http://")?;
    let mut address: SocketAddr = rest.split_whitespace().next()?.parse().ok()?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(address)
}

pub(crate) fn parse_metrics(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    // Label values may hold blanks; the value never does.
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(k, v)| Some((k.to_owned(), v.parse().ok()?)))
        .collect()
}

/// The revision that an answer is of.
pub(crate) fn revision(answer: &Response) -> u64 {
    answer.headers()["marquee-revision"].to_str().unwrap().parse().unwrap()
}

/// What is served now: the revision and the titles.
pub(crate) async fn see(marquee: &Marquee) -> (u64, Vec<String>) {
    let answer = marquee.get("/v1/movies").await;
    assert_eq!(answer.status(), 200, "{}", marquee.log());
    let revision = revision(&answer);
    let movies: Vec<serde_json::Value> = answer.json().await.unwrap();
    (revision, movies.iter().map(|movie| movie["title"].as_str().unwrap().to_owned()).collect())
}
