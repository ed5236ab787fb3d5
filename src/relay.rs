//! What replicas leave for each other in Redis: bytes under keys, and a ring after each commit.
//!
//! - *Nothing here is the truth.* Whatever Redis does, or fails to do, costs speed, never an answer.
//! - *Nobody waits for long.* Each question has one short limit of time. A connection on which one failed, or was
//!   not answered in time, is given up; until its keeper has made another, Redis is not asked at all.
//! - *Everything has an end.* What is left goes by itself after a time, and sooner where it is superseded.
//!
//! What the bytes are, and what a revision means, is not known here: that is the catalogue's. Everything must run on
//! the runtime that does all database work.

mod lane;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    Client, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion, PushInfo, PushKind,
    RedisError, TlsCertificates, Value,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::RedisUrl;
use crate::telemetry::{Metrics, RedisWork};
use lane::Lane;

/// There is one to ask on, and one to tell on.
const LANES: usize = 2;
/// For how long what is superseded is left to those who have not heard of it yet.
const SUPERSEDED: Duration = Duration::from_secs(60);
/// How long a start waits for Redis, which may never answer.
const ACQUAINTANCE: Duration = Duration::from_secs(1);
/// Redis may refuse each single thing that it is told; the log says so this often.
const COMPLAINTS: Duration = Duration::from_secs(60);

/// How a relay is made.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    /// Where Redis is.
    pub url: RedisUrl,
    /// The longest that one question may take.
    pub timeout: Duration,
    /// How long what is left there stays, unless it is superseded.
    pub ttl: Duration,
}

/// What was heard from Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// This was committed, by somebody.
    Commit {
        /// Its revision.
        revision: u64,
        /// Its stamp.
        stamp: u64,
    },
    /// Nothing is missed from now on; what was rung for before may have been.
    Listening,
}

/// Why there can be no relay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Redis cannot be used as it is configured (REDIS_URL): {0}")]
pub struct RelayError(String);

/// The way to one Redis. Cheap to clone.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

struct Inner {
    client: Client,
    url: RedisUrl,
    timeout: Duration,
    ttl: Duration,
    /// What is asked for: answers are long, and must hold nothing else up.
    asks: Lane,
    /// What is left, what is rung, and what is heard. In this order: Redis does what one connection says in turn.
    tells: Lane,
    /// Which database the replica serves, once that is known: what is left is under its name, and rings are of it.
    database: watch::Sender<Option<u64>>,
    /// How many lanes have tried to connect.
    tried: watch::Sender<usize>,
    /// Whether the log was told that Redis is away.
    away: AtomicBool,
    started: Instant,
    /// When the log was last told of a refusal, in milliseconds since `started`, plus one.
    complained: AtomicU64,
    metrics: Metrics,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Relay({})", self.0.url)
    }
}

impl Relay {
    /// A relay that has not connected yet.
    ///
    /// # Errors
    /// When the options cannot be used, before anything is tried: a CA file that cannot be read, say.
    pub fn new(options: &RelayOptions, metrics: &Metrics) -> Result<Self, RelayError> {
        let RelayOptions { url, timeout, ttl } = options.clone();
        let client = client(&url)?;
        Ok(Self(Arc::new(Inner {
            client,
            url,
            timeout,
            ttl,
            asks: Lane::default(),
            tells: Lane::default(),
            database: watch::Sender::new(None),
            tried: watch::Sender::new(0),
            away: AtomicBool::new(false),
            started: Instant::now(),
            complained: AtomicU64::new(0),
            metrics: metrics.clone(),
        })))
    }

    /// Connects, and connects again, as long as the runtime runs. `hear` is told what others ring for; it must not
    /// block.
    pub fn keep(&self, runtime: &Handle, hear: impl Fn(Heard) + Send + Sync + 'static) {
        runtime.spawn(lane::keep(Arc::clone(&self.0), |inner| &inner.asks, None));
        runtime.spawn(lane::keep(Arc::clone(&self.0), |inner| &inner.tells, Some(Arc::new(hear))));
    }

    /// Whether Redis answers.
    pub fn is_up(&self) -> bool {
        self.0.is_up()
    }

    /// Comes when it is known whether Redis answers, or after a second.
    pub async fn met(&self) {
        let mut tried = self.0.tried.subscribe();
        let _ = timeout(ACQUAINTANCE, tried.wait_for(|lanes| *lanes >= LANES)).await;
    }

    /// Tells which database the replica serves; `None` where that is not known.
    pub fn serves(&self, database: Option<u64>) {
        self.0.database.send_if_modified(|known| std::mem::replace(known, database) != database);
    }

    /// What keys and channels begin with, once the database is known.
    pub fn prefix(&self) -> Option<String> {
        self.0.database.borrow().map(prefix)
    }

    /// What is under `keys`, in their order; `None` when Redis does not say.
    pub async fn get(&self, keys: &[String]) -> Option<Vec<Option<Vec<u8>>>> {
        let mut command = redis::pipe();
        command.cmd("MGET").arg(keys);
        let (values,): (Vec<Option<Vec<u8>>>,) = self.0.ask(&self.0.asks, RedisWork::Get, &command).await?;
        (values.len() == keys.len()).then_some(values)
    }

    /// Leaves values under their keys. Whether Redis has them.
    pub async fn put(&self, entries: &[(String, Vec<u8>)]) -> bool {
        let mut command = redis::pipe();
        for (key, value) in entries {
            command.cmd("SET").arg(key).arg(value).arg("EX").arg(self.0.ttl.as_secs()).ignore();
        }
        self.0.ask::<()>(&self.0.tells, RedisWork::Put, &command).await.is_some()
    }

    /// Rings for a commit, and has what it `superseded` go soon.
    pub async fn ring(&self, revision: u64, stamp: u64, superseded: &[String]) {
        let Some(channel) = self.prefix() else { return };
        let soon = SUPERSEDED.min(self.0.ttl).as_secs();
        let mut command = redis::pipe();
        command.cmd("PUBLISH").arg(channel).arg(told(revision, stamp)).ignore();
        for key in superseded {
            command.cmd("EXPIRE").arg(key).arg(soon).ignore();
        }
        self.0.ask::<()>(&self.0.tells, RedisWork::Ring, &command).await;
    }

    /// Takes away what nobody will ask for.
    pub async fn remove(&self, keys: &[String]) {
        if !keys.is_empty() {
            let mut command = redis::pipe();
            command.cmd("UNLINK").arg(keys).ignore();
            self.0.ask::<()>(&self.0.tells, RedisWork::Put, &command).await;
        }
    }
}

impl Inner {
    fn is_up(&self) -> bool {
        self.asks.connection().is_some() && self.tells.connection().is_some()
    }

    /// Asks on a lane, within the limit of time. `None` when there is no connection, or no right answer: then it is
    /// given up, unless Redis itself refused.
    async fn ask<T: FromRedisValue>(&self, lane: &Lane, work: RedisWork, command: &Pipeline) -> Option<T> {
        let connection = lane.connection()?;
        let mut asked = MultiplexedConnection::clone(&connection);
        match timeout(self.timeout, command.query_async(&mut asked)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) if refused(&error) => self.complain(work, &error),
            Ok(Err(error)) => {
                lane.give_up(&connection);
                self.lost(&error.to_string());
            }
            Err(_) => {
                lane.give_up(&connection);
                self.lost(&format!("no answer within {:?} (MARQUEE_REDIS_TIMEOUT_MS)", self.timeout));
            }
        }
        self.metrics.redis_errors(work).inc();
        None
    }

    /// A connection is gone, or could not be made.
    fn lost(&self, reason: &str) {
        self.asks.doubt();
        self.tells.doubt();
        if !self.away.swap(true, Ordering::Relaxed) {
            let url = &self.url;
            log::warn!(
                "Redis at {url} (REDIS_URL) is of no use: {reason}; the database is asked alone until it is back"
            );
        }
    }

    /// A connection was made.
    fn found(&self) {
        if self.is_up() && self.away.swap(false, Ordering::Relaxed) {
            log::info!("Redis at {} answers again", self.url);
        }
    }

    /// Redis is there and refuses: it may be full, or not let marquee do this.
    fn complain(&self, work: RedisWork, error: &RedisError) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let last = self.complained.load(Ordering::Relaxed);
        let due = last == 0 || u128::from(now - last.min(now)) >= COMPLAINTS.as_millis();
        if due && self.complained.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            log::warn!("Redis at {} refuses to {work}: {error}", self.url);
        }
    }
}

/// Whether this is Redis' own answer: the connection is as good as before.
fn refused(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

fn client(url: &RedisUrl) -> Result<Client, RelayError> {
    let wrong = |error: RedisError| RelayError(error.to_string());
    let info = url.reveal().as_str().into_connection_info().map_err(wrong)?;
    // By RESP3, what others ring is heard on the connection on which everything else is told.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    match url.ca() {
        None => Client::open(info),
        Some(path) => {
            let root = std::fs::read(path).map_err(|e| RelayError(format!("{}: {e}", path.display())))?;
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(root) })
        }
    }
    .map_err(wrong)
}

fn prefix(database: u64) -> String {
    format!("marquee:{database:016x}")
}

/// What a ring says.
fn told(revision: u64, stamp: u64) -> String {
    format!("{revision} {stamp:016x}")
}

/// What a message says, when it is a ring for `database`.
fn heard(push: &PushInfo, database: Option<u64>) -> Option<Heard> {
    let (PushKind::Message, [Value::BulkString(channel), Value::BulkString(text)]) =
        (&push.kind, push.data.as_slice())
    else {
        return None;
    };
    if channel.as_slice() != prefix(database?).as_bytes() {
        return None;
    }
    let (revision, stamp) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    Some(Heard::Commit { revision: revision.parse().ok()?, stamp: u64::from_str_radix(stamp, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(channel: &str, text: &str) -> PushInfo {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        PushInfo { kind: PushKind::Message, data: vec![bulk(channel), bulk(text)] }
    }

    #[test]
    fn a_ring_is_heard_by_those_who_serve_its_database() {
        let ring = message(&prefix(7), &told(12, u64::MAX - 1));
        assert_eq!(heard(&ring, Some(7)), Some(Heard::Commit { revision: 12, stamp: u64::MAX - 1 }));
        assert_eq!(heard(&ring, Some(8)), None);
        assert_eq!(heard(&ring, None), None);
    }

    #[test]
    fn what_is_no_ring_is_not_heard() {
        for text in ["", "12", "12 ", " 12", "-1 0", "12 xyz", "12 1 2", "12 fffffffffffffffff"] {
            assert_eq!(heard(&message(&prefix(7), text), Some(7)), None, "{text:?}");
        }
        let other = PushInfo { kind: PushKind::Subscribe, ..message(&prefix(7), &told(1, 2)) };
        assert_eq!(heard(&other, Some(7)), None);
        let short = PushInfo { kind: PushKind::Message, data: vec![] };
        assert_eq!(heard(&short, Some(7)), None);
    }
}
