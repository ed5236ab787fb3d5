//! A power cut takes what was not synced. So no success is told before the write-ahead log was, after the last write to it.
//!
//! Of SQLite, which marquee writes itself. Whether a server syncs is up to its settings, which marquee looks at when it
//! starts (`tests/surroundings.rs`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::support::{Marquee, TestDatabase};

const PATIENCE: Duration = Duration::from_secs(60);
const ROUNDS: u64 = 40;
const CALLS: &str = "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs strace: ./test full"]
async fn a_success_follows_its_sync() {
    let db = TestDatabase::sqlite().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    // As a grandchild, so that marquee is the child.
    let strace = ["-D", "-f", "-y", "-s", "64", "-e", CALLS, "-o", file.to_str().unwrap()];
    let mut marquee =
        Marquee::prepare(db.url()).env("MARQUEE_SAMPLE", "off").by("strace", &strace).start().await;
    marquee.wait_ready().await;
    for n in 0..ROUNDS {
        let created =
            marquee.post("/v1/movies", &json!({ "title": format!("{n}"), "genres": ["Drama"] })).await;
        assert_eq!(created.status(), 201);
        let path = created.headers()["location"].to_str().unwrap().to_owned();
        let patched =
            marquee.request(Method::PATCH, &path).json(&json!({ "year": 2000 })).send().await.unwrap();
        assert_eq!(patched.status(), 200);
        assert_eq!(marquee.request(Method::DELETE, &path).send().await.unwrap().status(), 204);
    }
    let end = format!("{} +++", marquee.pid());
    marquee.kill();
    let since = Instant::now();
    let trace = loop {
        let trace = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        if trace.lines().any(|line| line.starts_with(&end)) {
            break trace;
        }
        assert!(since.elapsed() < PATIENCE, "the trace has no end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // Up to the first write, successes are of the start.
    let first = trace.find("\"HTTP/1.1 201").unwrap();
    let ready = trace[..first].rfind("\"HTTP/1.1 200").unwrap();
    let trace: Vec<&str> = trace[ready..].lines().skip(1).collect();
    assert_eq!(successes_without_sync(&trace), (ROUNDS * 3, 0));
    println!("{} successes, each after a sync of its own", ROUNDS * 3);

    // It would be seen if there were none.
    let syncs = |line: &str| line.contains("fsync") || line.contains("fdatasync");
    let without: Vec<&str> = trace.iter().filter(|line| !syncs(line)).copied().collect();
    assert_eq!(successes_without_sync(&without), (ROUNDS * 3, ROUNDS * 3));
}

/// How many successes were told, and how many of them while not everything in the log was synced, or without a sync
/// since the one before.
fn successes_without_sync(trace: &[&str]) -> (u64, u64) {
    let (mut told, mut early) = (0, 0);
    let (mut synced, mut under_way) = (false, BTreeSet::new());
    for line in trace {
        let (thread, call) = line.split_once(char::is_whitespace).unwrap();
        let call = call.trim_start();
        let syncs = call.starts_with("fsync(") || call.starts_with("fdatasync(");
        let returns = call.starts_with("<... fsync resumed") || call.starts_with("<... fdatasync resumed");
        if call.starts_with("pwrite") && call.contains("-wal>") {
            synced = false;
        } else if syncs && call.contains("-wal>") {
            synced |= call.ends_with("= 0");
            if call.ends_with("<unfinished ...>") {
                under_way.insert(thread);
            }
        } else if returns && under_way.remove(thread) {
            synced |= call.ends_with("= 0");
        } else if call.contains("\"HTTP/1.1 2") {
            told += 1;
            early += u64::from(!synced);
            // The next one needs one of its own.
            synced = false;
        }
    }
    (told, early)
}
