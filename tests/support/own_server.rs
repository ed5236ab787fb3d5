//! A database server of a test's own, for what nobody who shares one could bear: it is killed, or its disk filled.

use std::process::Command;

use super::Engine;

/// A MySQL or a MariaDB that nothing else uses. Stopped when it is dropped, or when the test's process ends.
pub(crate) struct OwnServer {
    engine: Engine,
    name: String,
    url: String,
}

/// What a server has a disk of its own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Data,
    /// Of what it commits.
    Log,
}

impl Disk {
    fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Log => "log",
        }
    }
}

impl OwnServer {
    /// Starts one on the disk that everybody has.
    pub(crate) fn start(engine: Engine) -> Self {
        Self::with(engine, None)
    }

    /// Starts one on disks of its own, each as large as `size` says to mount (`256m`).
    pub(crate) fn on_disks_of(engine: Engine, size: &str) -> Self {
        Self::with(engine, Some(size))
    }

    fn with(engine: Engine, disk: Option<&str>) -> Self {
        let process = std::process::id().to_string();
        let mut server = Self { engine, name: String::new(), url: String::new() };
        server.name = format!("own-{}-{process}", server.kind());
        // Owned: while it is down, nobody is to take it for one that crashed by itself.
        let environment = server.run(disk, &["start", &server.name, &process]);
        server.url = environment.split('\'').nth(1).unwrap().to_owned();
        server
    }

    /// Where it listens, and who may do all.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// SIGKILL, and started again on what it left: where it was, or at another port. The port.
    pub(crate) fn crash(&self, elsewhere: bool) -> u16 {
        let mut words = vec!["crash", &self.name, self.kind()];
        words.extend(elsewhere.then_some("elsewhere"));
        self.run(None, &words).trim().parse().unwrap()
    }

    /// Leaves not a byte on a disk.
    pub(crate) fn fill(&self, disk: Disk) {
        self.run(None, &["disk", &self.name, self.kind(), disk.name(), "full"]);
    }

    /// Takes back what filled it.
    pub(crate) fn make_room(&self, disk: Disk) {
        self.run(None, &["disk", &self.name, self.kind(), disk.name(), "free"]);
    }

    /// As tests/databases.sh calls it.
    fn kind(&self) -> &'static str {
        match self.engine {
            Engine::MySql => "mysql",
            Engine::MariaDb => "mariadb",
            Engine::Sqlite => panic!("SQLite has no server"),
        }
    }

    fn run(&self, disk: Option<&str>, arguments: &[&str]) -> String {
        // What is named is not started: the other kind.
        let (own, other) = ("MARQUEE_TEST_MYSQL_URL", "MARQUEE_TEST_MARIADB_URL");
        let (own, other) = if self.engine == Engine::MySql { (own, other) } else { (other, own) };
        let mut command = Command::new("bash");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/databases.sh")).args(arguments);
        command.env_remove(own).env(other, "none").env("MARQUEE_TEST_DISK", disk.unwrap_or_default());
        let done = command.output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.run(None, &["stop", &self.name]);
    }
}
