//! The application as a value: built from its settings, asked for its address, run until it is stopped.

mod options;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::registry::Registry;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

pub use options::{catalogue_options, relay_options, store_options};

use crate::catalogue::{Catalogue, Error, TokenError, bootstrap};
use crate::config::{AccessSettings, BootstrapToken, Migrate, Sample, Settings, Switch};
use crate::domain::{InputError, NewMovie, movie_from_json};
use crate::http;
use crate::relay::{Relay, RelayError};
use crate::store::{Store, StoreError};
use crate::telemetry::{self, Metrics};

/// Why marquee does not start, or stopped: said so that whoever reads it can mend it.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The address cannot be served.
    #[error("cannot serve {addr} (MARQUEE_BIND): {source}{hint}")]
    Bind {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The database cannot be used as it is configured.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Redis cannot be used as it is configured.
    #[error("{0}")]
    Relay(#[from] RelayError),
    /// The server broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A file cannot be written or read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A task that must not end did.
    #[error("the {0} ended: a fault of marquee's, of which the log says more")]
    Ended(&'static str),
    /// An import stopped before its inputs ended.
    #[error("the import stopped: {0}")]
    Import(#[from] crate::import::ImportError),
    /// An import read all that it could, which was not all.
    #[error("the import is not complete: see the summary above")]
    ImportIncomplete,
    /// A marquee that was asked is not ready.
    #[error("{url} is not ready: {reason}")]
    Unhealthy {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A flag of a command says nothing.
    #[error("{flag} {must}")]
    Argument {
        /// Which.
        flag: &'static str,
        /// What it must be.
        must: String,
    },
    /// A token cannot be made or revoked.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// A token may have been made that nobody has seen.
    #[error(
        "whether the token was made is not known ({0}): look for its name in `marquee token list`, and revoke it if \
         it is there"
    )]
    TokenInDoubt(String),
    /// Anybody could write, from anywhere.
    #[error(
        "marquee has no token, and {0} can be reached from other machines: it is not served like that. Make a token \
         with `marquee token create --role admin --name NAME` on the same DATABASE_URL; or set \
         MARQUEE_BOOTSTRAP_TOKEN to a secret that makes the first one, such as `openssl rand -hex 32` prints; or serve \
         this machine alone, with MARQUEE_BIND=127.0.0.1:8080"
    )]
    Unprotected(SocketAddr),
    /// The sample could not be loaded.
    #[error("the sample collection could not be loaded: {0}")]
    Sample(Error),
}

/// `marquee`: serves until SIGTERM or SIGINT.
///
/// # Errors
/// As [`App::build`] and [`App::run`].
pub fn serve(settings: Settings) -> Result<(), AppError> {
    let pool = settings.database.pool_size.unwrap_or(100);
    http::raise_open_files(u64::from(settings.http.max_connections) + u64::from(pool) + 64);
    let database = database_runtime()?;
    let app = App::build(settings, database.handle())?;
    let result = actix_rt::System::new().block_on(app.run(stop_signal()));
    // What could not be finished may still wait for SQLite's lock, on a thread that cannot be interrupted.
    database.shutdown_timeout(Duration::from_secs(1));
    result
}

/// A runtime for database work: several threads, since migrations block one.
///
/// # Errors
/// When the system gives no threads.
pub fn database_runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("database").enable_all().build()
}

/// Comes with the first SIGTERM or SIGINT. A second one ends the process at once.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        log::warn!("signals cannot be caught: marquee will not drain when it is stopped");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    actix_rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log::warn!("told to stop twice: stopping at once");
        telemetry::log::flush();
        std::process::exit(1);
    });
}

/// The sample collection; see `data/README.md` for its origin.
const SAMPLE: &str = include_str!("../data/movies.ndjson");
/// The pause between two tries to reach a database that is not there at start, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A marquee that has its address and its database's location, and serves nobody yet.
pub struct App {
    settings: Settings,
    listener: TcpListener,
    catalogue: Catalogue,
    writer: JoinHandle<()>,
    registry: Registry,
    runtime: Handle,
}

impl App {
    /// Takes the address and makes the parts. `runtime` will do all database work; it must have several
    /// threads.
    ///
    /// # Errors
    /// When the address cannot be had, or the URL of the database or of Redis is of no use.
    pub fn build(settings: Settings, runtime: &Handle) -> Result<Self, AppError> {
        let mut registry = Registry::default();
        let metrics = Metrics::registered(registry.sub_registry_with_prefix(telemetry::PREFIX));
        telemetry::process::register(&mut registry);
        let store = Store::new(&store_options(&settings), &metrics)?;
        let addr = settings.http.bind;
        let listener = listen(addr).map_err(|source| AppError::Bind {
            addr,
            hint: match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "; another program serves it: stop that one or choose another port, 0 for a free one"
                }
                std::io::ErrorKind::PermissionDenied => {
                    "; ports below 1024 need a privilege: choose a higher one"
                }
                _ => "",
            },
            source,
        })?;
        let relay = relay_options(&settings).map(|options| Relay::new(&options, &metrics)).transpose()?;
        let (catalogue, writer) =
            Catalogue::new(store, relay, &catalogue_options(&settings), runtime, &metrics);
        Ok(Self { settings, listener, catalogue, writer, registry, runtime: runtime.clone() })
    }

    /// The address that is served.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` comes, then drains: `/readyz` says no, requests are taken for `MARQUEE_DRAIN_MS` still, and
    /// those under way and writes that wait are finished, for at most `MARQUEE_SHUTDOWN_S`.
    ///
    /// # Errors
    /// When the database turns out to be misconfigured, or the server fails.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let Self { settings, listener, catalogue, mut writer, registry, runtime } = self;
        let addr = listener.local_addr()?;
        let draining = Arc::new(AtomicBool::new(false));
        let server = http::serve(listener, &settings, &catalogue, registry, &draining)?;
        let handle = server.handle();
        let mut server = tokio::task::spawn_local(server);
        log::info!("serving http://{addr} from {}", settings.database.url);

        let shutdown = Duration::from_secs(settings.http.shutdown_s);
        let drain = Duration::from_millis(settings.http.drain_ms);
        let mut opening = runtime.spawn(open(catalogue.clone(), settings, addr));
        let mut follower = None;
        tokio::pin!(stop);
        let result = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                ended = &mut server => break ended.unwrap_or_else(|e| Err(std::io::Error::other(e))).map_err(Into::into),
                opened = &mut opening, if follower.is_none() => match opened {
                    Ok(Ok(())) => follower = Some(catalogue.follow()),
                    Ok(Err(error)) => break Err(error),
                    Err(error) => break Err(AppError::Io(std::io::Error::other(error))),
                },
                // Without either of them marquee would answer, but not rightly: better to be started again.
                _ = &mut writer => break Err(AppError::Ended("writer")),
                () = ended(&mut follower) => break Err(AppError::Ended("follower")),
            }
        };

        draining.store(true, Ordering::Relaxed);
        if result.is_ok() && !drain.is_zero() {
            // Balancers hear from /readyz, and clients by each answer, that they are to go elsewhere.
            log::info!(
                "stopping: taking requests still for {drain:?} (MARQUEE_DRAIN_MS), while /readyz says no"
            );
            tokio::time::sleep(drain).await;
        }
        log::info!("stopping: finishing what is under way, for at most {shutdown:?}");
        opening.abort();
        let drained = async {
            handle.stop(true).await;
            if let Some(follower) = follower {
                follower.abort();
            }
            // The writer ends when the last sender to its mailbox is gone and the mailbox is empty.
            catalogue.close();
            if !writer.is_finished() {
                let _ = writer.await;
            }
        };
        if tokio::time::timeout(shutdown, drained).await.is_err() {
            log::warn!("not everything was finished within {shutdown:?} (MARQUEE_SHUTDOWN_S)");
            handle.stop(false).await;
        }
        log::info!("stopped");
        result
    }
}

/// Comes when a task that has begun ends.
async fn ended(task: &mut Option<JoinHandle<()>>) {
    match task {
        Some(task) => drop(task.await),
        None => std::future::pending().await,
    }
}

/// Clients that may wait to be accepted: a burst of connections must not be turned away.
const BACKLOG: i32 = 4096;

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A port that was just given up can be taken at once; one that is served cannot.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Opens the database: migrates, looks at its settings, loads the sample where it belongs, and learns its
/// state. A database that is not there is tried again until it is.
async fn open(catalogue: Catalogue, settings: Settings, addr: SocketAddr) -> Result<(), AppError> {
    let mut pause = Duration::from_millis(100);
    loop {
        match open_once(&catalogue, &settings, addr).await {
            Err(AppError::Store(error) | AppError::Token(TokenError::Store(error))) if may_pass(&error) => {
                let url = &settings.database.url;
                log::warn!("{error}; trying {url} (DATABASE_URL) again, and answering 503 until it is there");
            }
            Err(AppError::Sample(
                error @ (Error::Away | Error::Busy | Error::NotExecuted(_) | Error::OutcomeUnknown),
            )) => log::warn!("the sample could not be loaded ({error}); trying again"),
            result => return result,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether what is wrong with a database can go away by itself.
fn may_pass(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Away(_)
            | StoreError::TimedOut(_)
            | StoreError::Contended(_)
            | StoreError::PoolExhausted(_)
            // Of a bootstrap token: whether it was made is seen next time.
            | StoreError::Unknown(_)
    )
}

async fn open_once(catalogue: &Catalogue, settings: &Settings, addr: SocketAddr) -> Result<(), AppError> {
    let store = catalogue.store();
    if settings.database.migrate == Migrate::Auto {
        store.migrate().await?;
    }
    let prepared = store.prepare().await?;
    log::info!("the database is {}", prepared.server);
    prepared.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    protect(catalogue, &settings.access, addr).await?;
    let only_new = match settings.database.sample {
        Sample::Auto if store.is_embedded() && store.poll().await?.head.revision == 0 => Some(true),
        Sample::On => Some(false),
        Sample::Auto | Sample::Off => None,
    };
    if let Some(only_new) = only_new {
        let sample = sample().map_err(|_| AppError::Sample(Error::Internal))?;
        let loaded = catalogue.load_sample(sample, only_new).await.map_err(AppError::Sample)?;
        if loaded > 0 {
            log::info!("loaded the sample collection: {loaded} movies");
        }
    }
    catalogue.refresh().await?;
    Ok(())
}

/// Makes the first token where one is given, and learns those that there are. Without any, what other machines can
/// reach is not served; nothing of the catalogue was answered yet.
async fn protect(catalogue: &Catalogue, access: &AccessSettings, addr: SocketAddr) -> Result<(), AppError> {
    let given = access.bootstrap_token.as_ref().map(BootstrapToken::reveal);
    if let Some(secret) = given
        && bootstrap(catalogue.store(), secret).await?
    {
        log::info!("made the first token, of the role admin, as MARQUEE_BOOTSTRAP_TOKEN says");
    }
    catalogue.learn_tokens().await?;
    let Some(tokens) = catalogue.tokens() else {
        return Ok(());
    };
    if given.is_some_and(|secret| tokens.find(secret).is_none()) {
        log::warn!(
            "MARQUEE_BOOTSTRAP_TOKEN is none of the tokens that there are: it makes the first one alone; make others \
             with `marquee token create`"
        );
    }
    if tokens.live() > 0 {
        return Ok(());
    }
    if !http::is_loopback(addr.ip()) {
        return Err(AppError::Unprotected(addr));
    }
    let (who, how) = (access.public_read == Switch::On, "marquee token create --role admin --name NAME");
    match (tokens.ever(), who) {
        (false, true) => log::info!(
            "there are no tokens: every program on this machine may write; the first token ends that: {how}"
        ),
        (true, true) => log::warn!("no token is left: writes are refused until there is another: {how}"),
        (_, false) => log::warn!("there is no token: nobody may read or write until there is one: {how}"),
    }
    Ok(())
}

/// The movies of the bundled sample.
///
/// # Errors
/// Never, as a test holds.
pub fn sample() -> Result<Vec<NewMovie>, InputError> {
    SAMPLE.lines().map(|line| movie_from_json(line.as_bytes())).collect()
}
