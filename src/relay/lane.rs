//! One connection to Redis, kept by a task of its own: made again when it was given up, with pauses that grow.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, RedisError};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::{Heard, Inner, heard, prefix};
use crate::telemetry::RedisWork;

/// To the end of making a connection: whoever is not there by then is asked anew.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a connection that nothing is asked on is tried: one whose other end went silent looks like any other.
const TRY: Duration = Duration::from_secs(1);
/// The pause before a connection is made anew: doubled each time, of which a half to the whole is drawn at random. The
/// longest is short, since a Redis that is back is to be of use within two seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that lasted so long was a good one.
const LASTING: Duration = Duration::from_secs(2);

/// A connection, while there is one.
#[derive(Default)]
pub(super) struct Lane {
    current: ArcSwapOption<MultiplexedConnection>,
    /// Told when it was given up.
    gone: Notify,
    /// Told when the other one was: it may have gone the same way.
    doubted: Notify,
}

impl Lane {
    /// The connection, to be [given up](Self::give_up) where it fails.
    pub(super) fn connection(&self) -> Option<Arc<MultiplexedConnection>> {
        self.current.load_full()
    }

    /// Has it tried soon.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Nobody asks on `failed` any more.
    pub(super) fn give_up(&self, failed: &Arc<MultiplexedConnection>) {
        let before = self.current.compare_and_swap(failed, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, failed)) {
            self.gone.notify_one();
        }
    }
}

/// Who is told what was heard.
pub(super) type Hear = Arc<dyn Fn(Heard) + Send + Sync>;

/// Keeps a lane. With `hear`, what is rung for the database is listened to on it.
pub(super) async fn keep(inner: Arc<Inner>, lane: fn(&Inner) -> &Lane, hear: Option<Hear>) {
    let lane = lane(&inner);
    let mut pause = FIRST_PAUSE;
    let mut first = true;
    let mut tried = |inner: &Inner| {
        if std::mem::take(&mut first) {
            inner.tried.send_modify(|lanes| *lanes += 1);
        }
    };
    loop {
        match inner.connect(hear.as_ref()).await {
            Ok(connection) => {
                lane.current.store(Some(Arc::new(connection)));
                tried(&inner);
                inner.found();
                let began = Instant::now();
                inner.tend(lane, hear.as_ref()).await;
                if began.elapsed() >= LASTING {
                    pause = FIRST_PAUSE;
                }
            }
            Err(reason) => {
                inner.metrics.redis_errors(RedisWork::Connect).inc();
                inner.lost(&reason);
                tried(&inner);
            }
        }
        sleep(pause.mul_f64(0.5 + 0.5 * rand::random::<f64>())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Inner {
    /// A connection that answers, and in time.
    async fn connect(self: &Arc<Self>, hear: Option<&Hear>) -> Result<MultiplexedConnection, String> {
        // Each question has its limit where it is asked.
        let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        if let Some(hear) = hear {
            let (hear, database) = (Arc::clone(hear), self.database.subscribe());
            config = config.set_push_sender(move |push: PushInfo| {
                if let Some(heard) = heard(&push, *database.borrow()) {
                    hear(heard);
                }
                Ok::<_, Infallible>(())
            });
        }
        let connected = timeout(CONNECT, self.client.get_multiplexed_async_connection_with_config(&config));
        let mut connection = match connected.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no connection within {CONNECT:?}")),
        };
        self.in_time(redis::cmd("PING").exec_async(&mut connection)).await?;
        Ok(connection)
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, String> {
        match timeout(self.timeout, asked).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:?} (MARQUEE_REDIS_TIMEOUT_MS)", self.timeout)),
        }
    }

    /// Comes when the connection of a lane was given up, by whoever asked on it or by this.
    async fn tend(&self, lane: &Lane, hear: Option<&Hear>) {
        let mut database = self.database.subscribe();
        // Seen as new: nothing is listened to yet.
        database.mark_changed();
        let mut listening = None;
        loop {
            let Some(connection) = lane.connection() else {
                // The word of it, which is left over where this gave it up itself.
                return lane.gone.notified().await;
            };
            let mut asked = MultiplexedConnection::clone(&connection);
            let due = async {
                tokio::select! {
                    () = lane.doubted.notified() => {}
                    () = sleep(TRY) => {}
                }
            };
            let done = tokio::select! {
                () = lane.gone.notified() => return,
                Ok(()) = database.changed(), if hear.is_some() => {
                    let next = *database.borrow_and_update();
                    self.in_time(listen(&mut asked, &mut listening, next)).await
                }
                () = due => self.in_time(redis::cmd("PING").exec_async(&mut asked)).await.map(|()| false),
            };
            match (done, hear) {
                // What was rung for before may have been missed.
                (Ok(true), Some(hear)) => hear(Heard::Listening),
                (Ok(_), _) => {}
                (Err(reason), _) => {
                    lane.give_up(&connection);
                    self.metrics.redis_errors(RedisWork::Connect).inc();
                    self.lost(&reason);
                }
            }
        }
    }
}

/// Listens to what is rung for `next` instead of to what is `listened` to. Whether it listens now.
async fn listen(
    connection: &mut MultiplexedConnection,
    listened: &mut Option<u64>,
    next: Option<u64>,
) -> Result<bool, RedisError> {
    if let Some(before) = listened.take() {
        connection.unsubscribe(prefix(before)).await?;
    }
    if let Some(next) = next {
        connection.subscribe(prefix(next)).await?;
        *listened = Some(next);
    }
    Ok(next.is_some())
}
