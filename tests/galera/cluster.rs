//! Three private nodes of MariaDB that are one Galera cluster, gone when the test ends.
//!
//! Everything that matters to marquee is as a cluster has it by default: each node gives ids in steps of three, applies
//! what the others commit a little later, and locks rows for itself alone.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tempfile::TempDir;

use crate::support::database::options;

/// How long a node is waited for: it copies all data of another one.
const PATIENCE: Duration = Duration::from_secs(180);

/// What `tests/galera/run` prepares.
const PREPARED: &str = "MARQUEE_TEST_GALERA";

pub(crate) struct Cluster {
    nodes: Vec<Node>,
    password: String,
    directory: TempDir,
}

struct Node {
    name: String,
    child: Option<Child>,
    /// For SQL, for the cluster, for what is handed over to a node that comes back, and to one that has nothing.
    ports: [u16; 4],
}

impl Cluster {
    /// Three nodes that are all in, with an empty database `marquee`.
    pub(crate) async fn start() -> Self {
        let prepared = std::env::var_os(PREPARED).unwrap_or_else(|| {
            panic!("{PREPARED} is not set: run tests/galera/run, which prepares what a cluster needs")
        });
        let directory = tempfile::tempdir().unwrap();
        // The nodes have a user of their own.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let nodes = (1..=3).map(|n| Node { name: format!("node{n}"), child: None, ports: free_ports() });
        let password = format!("{:032x}", rand::random::<u128>());
        let mut cluster = Self { nodes: nodes.collect(), password, directory };
        // What the nodes run and read must be where their user comes.
        for part in ["bin", "template"] {
            copy(&PathBuf::from(&prepared).join(part), &cluster.directory.path().join(part));
        }
        for n in 0..3 {
            cluster.make(n);
            cluster.spawn(n, if n == 0 { vec!["--wsrep-new-cluster".to_owned()] } else { Vec::new() });
            cluster.until_in(n).await;
        }
        cluster.until_all_in().await;
        cluster.query(0, "CREATE DATABASE marquee").await;
        cluster
    }

    /// For `DATABASE_URL`.
    pub(crate) fn url(&self, n: usize) -> String {
        self.url_by(self.address(n))
    }

    /// The same by way of a proxy.
    pub(crate) fn url_by(&self, address: SocketAddr) -> String {
        format!("mysql://root:{}@{address}/marquee", self.password)
    }

    /// Where a node listens.
    pub(crate) fn address(&self, n: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.nodes[n].ports[0]).into()
    }

    /// A connection to a node, which waits for what other nodes committed.
    pub(crate) async fn connect(&self, n: usize) -> mysql_async::Result<Conn> {
        let url = format!("mysql://root:{}@{}/", self.password, self.address(n));
        let mut conn = Conn::new(options(&url)).await?;
        conn.query_drop("SET SESSION wsrep_sync_wait = 1").await?;
        Ok(conn)
    }

    /// The rows of a query on one node, every value as text.
    pub(crate) async fn query(&self, n: usize, sql: &str) -> Vec<Vec<String>> {
        self.try_query(n, sql).await.unwrap_or_else(|error| panic!("node {n}: {sql}: {error}"))
    }

    /// The one number that a query gives on one node.
    pub(crate) async fn number(&self, n: usize, sql: &str) -> u64 {
        self.query(n, sql).await[0][0].parse().unwrap()
    }

    async fn try_query(&self, n: usize, sql: &str) -> mysql_async::Result<Vec<Vec<String>>> {
        let mut conn = self.connect(n).await?;
        let rows: Vec<Row> = conn.query(sql).await?;
        conn.disconnect().await.ok();
        let text = |value: mysql_async::Value| match value {
            mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => other.as_sql(true),
        };
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }

    /// Ends a node as a crash does (SIGKILL).
    pub(crate) fn kill(&mut self, n: usize) {
        let mut child = self.nodes[n].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts a node that was killed, the way the distribution's service does: it is told how far it had come, so that
    /// the others hand over only what it missed.
    pub(crate) fn revive(&mut self, n: usize) {
        let recovery = self.command(n).arg("--wsrep-recover").stderr(Stdio::piped()).output().unwrap();
        let log = String::from_utf8_lossy(&recovery.stderr);
        let (_, position) = log.rsplit_once("Recovered position: ").unwrap_or_else(|| panic!("{log}"));
        let position = position.split_whitespace().next().unwrap();
        self.spawn(n, vec![format!("--wsrep-start-position={position}")]);
    }

    /// Waits until all nodes are in, and each answers.
    pub(crate) async fn until_all_in(&mut self) {
        for n in 0..3 {
            self.until_in(n).await;
        }
        let since = Instant::now();
        for n in 0..3 {
            while self.status(n, "wsrep_cluster_size").await.as_deref() != Some("3") {
                assert!(since.elapsed() < PATIENCE, "the cluster does not come together: {}", self.log(n));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until a node has all data and answers.
    async fn until_in(&mut self, n: usize) {
        let since = Instant::now();
        while self.status(n, "wsrep_ready").await.as_deref() != Some("ON")
            || self.status(n, "wsrep_local_state_comment").await.as_deref() != Some("Synced")
        {
            let ended = self.nodes[n].child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && since.elapsed() < PATIENCE,
                "node {n} does not start: {}",
                self.log(n)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a node says of itself; `None` where it does not answer.
    async fn status(&self, n: usize, name: &str) -> Option<String> {
        let rows = self.try_query(n, &format!("SHOW STATUS LIKE '{name}'")).await.ok()?;
        rows.into_iter().next()?.into_iter().nth(1)
    }

    fn place(&self, n: usize) -> PathBuf {
        self.directory.path().join(&self.nodes[n].name)
    }

    /// The last that a node wrote.
    fn log(&self, n: usize) -> String {
        let log = fs::read_to_string(self.place(n).with_extension("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// A data directory with nothing in it but the root user.
    fn make(&self, n: usize) {
        copy(&self.directory.path().join("template"), &self.place(n));
        let secret = format!("ALTER USER root@localhost IDENTIFIED BY '{}';\n", self.password);
        fs::write(self.directory.path().join("init.sql"), secret).unwrap();
        if as_root(self.directory.path()) {
            let owned = Command::new("chown").args(["-R", "nobody"]).arg(self.place(n)).status();
            assert!(owned.unwrap().success());
        }
    }

    /// mariadbd as a node, without what differs from start to start.
    fn command(&self, n: usize) -> Command {
        let [sql, group, increments, copies] = self.nodes[n].ports;
        let place = self.place(n);
        let members: Vec<String> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.ports[1])).collect();
        let path = [self.directory.path().join("bin").display().to_string(), std::env::var("PATH").unwrap()];
        let mut command = Command::new("mariadbd");
        command.arg("--no-defaults").env("PATH", path.join(":"));
        if as_root(self.directory.path()) {
            // Not root: rsync would become somebody else, and could not read what it is to copy.
            command.arg("--user=nobody");
        }
        command
            .arg(format!("--datadir={}", place.display()))
            .arg(format!("--socket={}", place.join("my.sock").display()))
            .arg(format!("--pid-file={}", place.join("mariadbd.pid").display()))
            .arg(format!("--port={sql}"))
            .args(["--bind-address=127.0.0.1", "--max-connections=500"])
            .args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M"])
            .args(["--binlog-format=ROW", "--innodb-autoinc-lock-mode=2"])
            .args(["--wsrep-on=ON", "--wsrep-provider=/usr/lib/galera/libgalera_smm.so"])
            .args(["--wsrep-cluster-name=marquee", "--wsrep-slave-threads=2"])
            .arg(format!("--wsrep-cluster-address=gcomm://{}", members.join(",")))
            .arg(format!("--wsrep-node-name={}", self.nodes[n].name))
            .arg(format!("--wsrep-node-address=127.0.0.1:{group}"))
            .arg("--wsrep-sst-method=rsync")
            .arg(format!("--wsrep-sst-receive-address=127.0.0.1:{copies}"))
            .arg(format!(
                "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{group};\
                 ist.recv_addr=127.0.0.1:{increments};gcache.size=64M"
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn spawn(&mut self, n: usize, more: Vec<String>) {
        let log =
            File::options().create(true).append(true).open(self.place(n).with_extension("log")).unwrap();
        let mut command = self.command(n);
        if n == 0 && more.contains(&"--wsrep-new-cluster".to_owned()) {
            command.arg(format!("--init-file={}", self.directory.path().join("init.sql").display()));
        }
        self.nodes[n].child = Some(command.args(more).stderr(log).spawn().unwrap());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success(), "{}", from.display());
}

/// Whether whoever made that is root.
fn as_root(path: &Path) -> bool {
    fs::metadata(path).unwrap().uid() == 0
}

/// Ports that nothing listens on, and that no connection is given by itself: a node that comes back needs its own.
fn free_ports() -> [u16; 4] {
    std::array::from_fn(|_| {
        loop {
            let port = rand::random_range(20_000..32_000);
            if TcpStream::connect(("127.0.0.1", port)).is_err() {
                return port;
            }
        }
    })
}
