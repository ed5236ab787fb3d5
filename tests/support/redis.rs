//! A Redis of its own for each test that needs one: on a free port, in memory alone, gone when the test ends.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, TlsCertificates};
use tempfile::TempDir;

/// How long a start is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running redis-server. Killed when it is dropped.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    password: Option<String>,
    arguments: Vec<String>,
    directory: TempDir,
    /// Where it speaks TLS: who signed its certificate.
    ca: Option<PathBuf>,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings of its own, as `redis-server` takes them.
    ///
    /// # Panics
    ///
    /// When there is no redis-server: a test that is skipped in silence proves nothing.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        Self::begin(arguments, None).await
    }

    /// One that speaks TLS alone, with a certificate for 127.0.0.1 that an authority in `directory` signed.
    pub(crate) async fn with_tls(directory: &Path) -> Self {
        certify(directory);
        let file = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        let arguments = ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
        Self::begin(&[&arguments[..], &["--tls-auth-clients", "no"]].concat(), Some(directory.join("ca.pem")))
            .await
    }

    async fn begin(arguments: &[&str], ca: Option<PathBuf>) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.into()).collect();
        let password = arguments.iter().skip_while(|argument| *argument != "--requirepass").nth(1).cloned();
        let since = Instant::now();
        loop {
            let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
            let child = spawn(port, &arguments, &directory, ca.is_some());
            let (password, arguments, ca) = (password.clone(), arguments.clone(), ca.clone());
            let mut redis = Self { child, port, password, arguments, directory, ca };
            if redis.answers().await {
                return redis;
            }
            // Somebody else took the port meanwhile.
            assert!(since.elapsed() < PATIENCE, "no redis-server starts");
        }
    }

    /// For `REDIS_URL`.
    pub(crate) fn url(&self) -> String {
        let user = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        match &self.ca {
            None => format!("redis://{user}127.0.0.1:{}", self.port),
            Some(ca) => format!("rediss://{user}127.0.0.1:{}?ssl-ca={}", self.port, ca.display()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it says to one command, as text: `redis.ask(&["SET", "a", "1"])`.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.send(words.iter().fold(Cmd::new(), |mut command, word| {
            command.arg(word);
            command
        }))
        .await
    }

    /// What it says to a command.
    pub(crate) async fn send<T: FromRedisValue>(&self, command: Cmd) -> T {
        command.query_async(&mut self.connect().await.unwrap()).await.unwrap()
    }

    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let url = self.url();
        let client = match &self.ca {
            None => Client::open(url)?,
            Some(ca) => {
                let root_cert = Some(fs::read(ca).unwrap());
                let (url, _) = url.split_once('?').unwrap();
                Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })?
            }
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// All keys, sorted.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]).await;
        keys.sort();
        keys
    }

    /// Sends a signal by name (`STOP`, `CONT`).
    pub(crate) fn signal(&self, name: &str) {
        super::signal(&self.child, name);
    }

    /// Ends it as a crash does; what it held is lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, empty.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let since = Instant::now();
        loop {
            self.child = spawn(self.port, &self.arguments, &self.directory, self.ca.is_some());
            if self.answers().await {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "redis-server does not start again on port {}", self.port);
            self.kill();
        }
    }

    /// Waits until it answers; false when it ended instead.
    async fn answers(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut connection) = self.connect().await {
                let info: redis::RedisResult<String> =
                    redis::cmd("INFO").arg("server").query_async(&mut connection).await;
                // Not one that somebody else began there.
                if info.is_ok_and(|info| info.contains(&format!("process_id:{}\r", self.child.id()))) {
                    return true;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port that nothing listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(port: u16, arguments: &[String], directory: &TempDir, tls: bool) -> Child {
    let port = port.to_string();
    let ports = if tls { ["--port", "0", "--tls-port", &port] } else { ["--tls-port", "0", "--port", &port] };
    let spawned = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(directory.path())
        .args(ports)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    spawned.unwrap_or_else(|error| {
        panic!("redis-server: {error}. Run ./test, which installs it, or install the package redis-server")
    })
}

/// Makes an authority, and a certificate that it signs.
fn certify(directory: &Path) {
    fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let script = format!(
        "openssl req -x509 {new_key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2 &&
         openssl req {new_key} -keyout server.key -out server.csr -subj /CN=redis &&
         openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem"
    );
    let made = Command::new("sh").args(["-c", &script]).current_dir(directory).output().unwrap();
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
}
