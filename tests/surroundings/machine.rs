//! A machine that is short of something: of disk, of rights, of open files. marquee runs in it.
//!
//! Mounts are made in a mount namespace of marquee's own (`unshare`), as root or as anybody who may make a
//! user namespace; they go with the process.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use tempfile::NamedTempFile;

use crate::support::server::address_in;

const PATIENCE: Duration = Duration::from_secs(90);
/// What nobody's user id is.
const NOBODY: u32 = 65534;
/// The file that takes the room.
const BALLAST: &str = "ballast";

/// Where marquee runs.
pub(crate) struct Machine {
    /// What comes before marquee on the command line.
    before: Vec<String>,
    /// What the shell does first.
    first: String,
    disk: Option<PathBuf>,
    as_nobody: bool,
    running: Option<(Child, NamedTempFile)>,
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

impl Machine {
    fn of(before: Vec<String>, first: String) -> Self {
        Self { before, first, disk: None, as_nobody: false, running: None }
    }

    fn with_mounts(first: String) -> Self {
        // Without root, a user namespace gives the right to mount.
        let flags = if is_root() { "-m" } else { "-rm" };
        Self::of(vec!["unshare".to_owned(), flags.to_owned()], first)
    }

    /// A directory that takes no writes, whoever writes.
    pub(crate) fn read_only(directory: &Path) -> Self {
        let directory = directory.display();
        Self::with_mounts(format!(
            "mount --bind {directory} {directory} && mount -o remount,bind,ro {directory}"
        ))
    }

    /// A disk of its own, of `size`, at `directory`.
    pub(crate) fn small_disk(directory: &Path, size: &str) -> Self {
        let mount = format!("mount -t tmpfs -o size={size} none {}", directory.display());
        let mut machine = Self::with_mounts(mount);
        machine.disk = Some(directory.to_owned());
        machine
    }

    /// Somebody without the rights of root.
    pub(crate) fn unprivileged() -> Self {
        let mut machine = Self::of(Vec::new(), "true".to_owned());
        machine.as_nobody = is_root();
        machine
    }

    /// A process that may open so many files.
    pub(crate) fn with_open_files(limit: u32) -> Self {
        Self::of(Vec::new(), format!("ulimit -n {limit}"))
    }

    fn command(&self, url: &str) -> Command {
        let script = format!("{} && exec {}", self.first, env!("CARGO_BIN_EXE_marquee"));
        let mut line = self.before.clone();
        line.extend(["sh".to_owned(), "-c".to_owned(), script]);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if known.starts_with("MARQUEE_") || matches!(&*known, "REDIS_URL" | "RUST_LOG") {
                command.env_remove(&name);
            }
        }
        command.env("DATABASE_URL", url).env("MARQUEE_BIND", "127.0.0.1:0").env("MARQUEE_SAMPLE", "off");
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs marquee where it must not start. The exit code and the log.
    pub(crate) fn run_marquee(&self, url: &str) -> (Option<i32>, String) {
        let mut command = self.command(url);
        let log = NamedTempFile::new().unwrap();
        let mut child = command.stderr(log.reopen().unwrap()).spawn().unwrap();
        let since = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if since.elapsed() > PATIENCE => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        (status.and_then(|status| status.code()), std::fs::read_to_string(log.path()).unwrap())
    }

    /// Starts marquee.
    pub(crate) fn start_marquee(&mut self, url: &str) {
        let log = NamedTempFile::new().unwrap();
        let child = self.command(url).stderr(log.reopen().unwrap()).spawn().unwrap();
        self.running = Some((child, log));
    }

    /// Kills marquee and starts it anew on the same mounts.
    pub(crate) fn restart_marquee(&mut self, url: &str) {
        let (mut old, _log) = self.running.take().unwrap();
        let log = NamedTempFile::new().unwrap();
        // Enters the old one's namespaces while it lives; it is gone before the new one runs.
        let command = self.command(url);
        let pid = old.id().to_string();
        let mut enter = Command::new("nsenter");
        enter.args(["-t", &pid, "-m"]);
        if !is_root() {
            enter.args(["-U", "--preserve-credentials"]);
        }
        let wait = format!(
            "kill -KILL {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.05; done; exec {}",
            env!("CARGO_BIN_EXE_marquee")
        );
        enter.args(["sh", "-c", &wait]).stdin(Stdio::null()).stdout(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => enter.env(name, value),
                None => enter.env_remove(name),
            };
        }
        let child = enter.stderr(log.reopen().unwrap()).spawn().unwrap();
        old.wait().unwrap();
        self.running = Some((child, log));
    }

    pub(crate) fn log(&self) -> String {
        let (_, log) = self.running.as_ref().unwrap();
        std::fs::read_to_string(log.path()).unwrap()
    }

    pub(crate) async fn wait_for(&mut self, text: &str) {
        let since = Instant::now();
        while !self.log().contains(text) || address_in(&self.log()).is_none() {
            let ended = self.running.as_mut().unwrap().0.try_wait().unwrap();
            assert!(ended.is_none() && since.elapsed() < PATIENCE, "{text:?} does not come:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", address_in(&self.log()).unwrap())
    }

    pub(crate) async fn wait_ready(&self, client: &Client) {
        let since = Instant::now();
        while !client.get(self.url("/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(since.elapsed() < PATIENCE, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The disk as the test sees it: by way of the process that has it mounted.
    fn disk(&self) -> PathBuf {
        let (child, _) = self.running.as_ref().unwrap();
        let inside = self.disk.as_ref().unwrap();
        Path::new("/proc").join(child.id().to_string()).join("root").join(inside.strip_prefix("/").unwrap())
    }

    /// Fills the disk but for so many bytes.
    pub(crate) fn leave_room(&self, bytes: usize) {
        let mut ballast = File::create(self.disk().join(BALLAST)).unwrap();
        let mut written = 0;
        while let Ok(n) = ballast.write(&[0; 4096]) {
            written += n;
        }
        assert!(written > bytes, "the disk has room for {written} bytes alone");
        ballast.set_len((written - bytes) as u64).unwrap();
    }

    /// Empties it.
    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.disk().join(BALLAST)).unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some((mut child, log)) = self.running.take() {
            child.kill().ok();
            child.wait().ok();
            if std::thread::panicking() {
                eprintln!(
                    "--- marquee's log\n{}---",
                    std::fs::read_to_string(log.path()).unwrap_or_default()
                );
            }
        }
    }
}
