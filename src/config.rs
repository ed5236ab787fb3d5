//! Every setting, in one place: its name, default, unit and bounds.
//!
//! Each has an environment variable and a flag of the same name; a flag wins. A value that cannot be used
//! stops the start with a message that names both. No other module reads the environment.

mod access;
#[cfg(test)]
mod fuzz;
mod guard;
mod import;
mod location;
mod redis_url;
mod units;

use std::error::Error as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use access::{BootstrapToken, TokenAction, TokenArgs};
pub use guard::{Networks, OrOff, Origins, Rate};
pub use import::ImportArgs;
pub use location::{Location, LocationError};
pub use redis_url::{RedisUrl, RedisUrlError};
pub use units::ByteSize;

/// marquee: a movie collection over HTTP.
#[derive(Debug, Parser)]
#[command(name = "marquee", version, about, max_term_width = 100, args_conflicts_with_subcommands = false)]
pub struct Cli {
    /// What to do; serves when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
}

impl Cli {
    /// Reads the command line and the environment. Ends the process with a message when either is wrong, or
    /// when help was asked for.
    pub fn from_surroundings() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            match (setting_of(&error), error.source()) {
                // It is, or may hold, a secret, which clap would show.
                (Some(Setting { flag, variable, secret: true }), Some(reason)) => tell(&format!(
                    "error: invalid value for '--{flag}', which the environment sets as {variable}: {reason}"
                )),
                (setting, _) => {
                    let _ = error.print();
                    if let Some(Setting { variable, .. }) = setting {
                        tell(&format!("note: the environment sets it as {variable}"));
                    }
                }
            }
            std::process::exit(error.exit_code())
        })
    }
}

/// Says something before the logger runs.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A setting by its names, and whether its value is never to be shown.
struct Setting {
    flag: String,
    variable: String,
    secret: bool,
}

/// The setting that an error is about.
fn setting_of(error: &clap::Error) -> Option<Setting> {
    let ContextValue::String(about) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    let flag = about.split([' ', '=']).next()?.trim_start_matches('-').to_owned();
    let command = Cli::command();
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag.as_str()))?;
    let variable = arg.get_env()?.to_string_lossy().into_owned();
    Some(Setting { flag, variable, secret: arg.is_hide_env_values_set() })
}

/// What marquee does besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serves the collection (the default).
    Serve,
    /// Brings the database's schema up to date and ends.
    Migrate,
    /// Reads movies from files into the collection: IMDb TSV, JSON or NDJSON, recognised by content.
    Import(ImportArgs),
    /// Writes the whole collection, as it is at one revision.
    Export(ExportArgs),
    /// Makes, lists and revokes the tokens that writes need.
    Token(TokenArgs),
    /// Asks a running marquee whether it is ready: exit code 0 when it is. For container health checks.
    Health(HealthArgs),
}

/// All settings.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where the collection is kept.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// What replicas leave for each other.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// How it is served.
    #[command(flatten)]
    pub http: HttpSettings,
    /// Who may do what.
    #[command(flatten)]
    pub access: AccessSettings,
    /// What reads and writes may hold.
    #[command(flatten)]
    pub catalogue: CatalogueSettings,
    /// What is told.
    #[command(flatten)]
    pub log: LogSettings,
}

/// When the sample collection is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sample {
    /// Into a new embedded store.
    Auto,
    /// Into any store that has no movies.
    On,
    /// Never.
    Off,
}

/// Whether the schema is brought up to date at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Migrate {
    /// At each start; safe when several replicas start at once.
    Auto,
    /// By hand, with `marquee migrate`.
    Off,
}

/// Where the collection is kept.
#[derive(Debug, Clone, Args)]
pub struct DatabaseSettings {
    /// The database: sqlite://FILE or mysql://USER:PASSWORD@HOST:3306/DATABASE[?ssl-mode=required&ssl-ca=FILE].
    #[arg(
        long = "database-url",
        env = "DATABASE_URL",
        default_value = "sqlite://marquee.db",
        hide_env_values = true
    )]
    pub url: Location,
    /// When to load the bundled sample collection: auto (into a new embedded store), on (into any empty one), off.
    #[arg(long, env = "MARQUEE_SAMPLE", value_enum, default_value = "auto")]
    pub sample: Sample,
    /// Whether to migrate the database at start: auto, or off where `marquee migrate` is run by hand.
    #[arg(long, env = "MARQUEE_MIGRATE", value_enum, default_value = "auto")]
    pub migrate: Migrate,
    /// The most connections to the database [default: 100 on MySQL, 8 on SQLite].
    #[arg(long, env = "MARQUEE_POOL_SIZE", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub pool_size: Option<u32>,
}

/// What replicas leave for each other.
#[derive(Debug, Clone, Args)]
pub struct RedisSettings {
    /// A Redis that replicas wake each other by, and lend each other encoded movies: redis://HOST:6379, or
    /// rediss://USER:PASSWORD@HOST:6379[?ssl-ca=FILE] for TLS [default: none].
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<RedisUrl>,
    /// The longest that Redis is waited for before the database is asked instead, in milliseconds.
    #[arg(long, env = "MARQUEE_REDIS_TIMEOUT_MS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub redis_timeout_ms: u64,
    /// How long Redis keeps encoded movies that are not superseded, in seconds.
    #[arg(long, env = "MARQUEE_REDIS_TTL_S", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub redis_ttl_s: u64,
}

/// How it is served.
#[derive(Debug, Clone, Args)]
pub struct HttpSettings {
    /// The address to serve; port 0 takes a free one, which the start line names.
    #[arg(long, env = "MARQUEE_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
    /// Threads that serve HTTP [default: the number of cores].
    #[arg(long, env = "MARQUEE_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// To the first byte of the answer, in milliseconds.
    #[arg(long, env = "MARQUEE_REQUEST_TIMEOUT_MS", default_value_t = 10_000, value_parser = millis())]
    pub request_timeout_ms: u64,
    /// To the end of a request's head, in milliseconds.
    #[arg(long, env = "MARQUEE_HEADER_TIMEOUT_MS", default_value_t = 5_000, value_parser = millis())]
    pub header_timeout_ms: u64,
    /// How long reading or writing a body may make no progress, in milliseconds.
    #[arg(long, env = "MARQUEE_STALL_MS", default_value_t = 10_000, value_parser = millis())]
    pub stall_ms: u64,
    /// The fewest bytes a second of a body, once it has been slow for as long as it may pause.
    #[arg(long, env = "MARQUEE_MIN_RATE", default_value = "4KiB")]
    pub min_rate: ByteSize,
    /// How long a connection is kept that nothing is asked on, in milliseconds.
    #[arg(long, env = "MARQUEE_KEEP_ALIVE_MS", default_value_t = 15_000, value_parser = millis())]
    pub keep_alive_ms: u64,
    /// How long requests are taken still when marquee is told to stop, while /readyz says no already, so that
    /// balancers look elsewhere first, in milliseconds.
    #[arg(long, env = "MARQUEE_DRAIN_MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub drain_ms: u64,
    /// How long requests under way may take when marquee is told to stop, in seconds.
    #[arg(long, env = "MARQUEE_SHUTDOWN_S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub shutdown_s: u64,
    /// The longest request body: bytes, or with KiB, MiB, GiB.
    #[arg(long, env = "MARQUEE_BODY_LIMIT", default_value = "8MiB")]
    pub body_limit: ByteSize,
    /// What bodies that are arriving or being read may hold together; at least one of the longest fits.
    #[arg(long, env = "MARQUEE_BODIES_BYTES", default_value = "256MiB")]
    pub bodies_bytes: ByteSize,
    /// The most movies in one request.
    #[arg(long, env = "MARQUEE_ARRAY_LIMIT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub array_limit: u32,
    /// The most connections, over all workers.
    #[arg(long, env = "MARQUEE_MAX_CONNECTIONS", default_value_t = 25_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub max_connections: u32,
    /// How often one client may ask: off, or such as 100/s, 1000/m, 100/s,burst=200.
    #[arg(long, env = "MARQUEE_RATE_LIMIT", default_value = "off")]
    pub rate_limit: OrOff<Rate>,
    /// The proxies that are believed when they tell who asks (Forwarded, X-Forwarded-For): off, or addresses and
    /// networks, parted by commas.
    #[arg(long, env = "MARQUEE_TRUSTED_PROXIES", default_value = "off")]
    pub trusted_proxies: OrOff<Networks>,
    /// The sites whose scripts may read the answers (CORS): off, * for all, or origins, parted by commas.
    #[arg(long, env = "MARQUEE_CORS_ORIGINS", default_value = "off")]
    pub cors_origins: OrOff<Origins>,
    /// What GETs of the catalogue carry as Cache-Control.
    #[arg(long, env = "MARQUEE_CACHE_CONTROL", default_value = "no-cache", value_parser = units::header_value)]
    pub cache_control: String,
}

/// Who may do what.
#[derive(Debug, Clone, Args)]
pub struct AccessSettings {
    /// Whether everybody may read; off: reading needs a token of any role.
    #[arg(long, env = "MARQUEE_PUBLIC_READ", value_enum, default_value = "on")]
    pub public_read: Switch,
    /// Makes a token of the role admin with this value, when there never was any token: 32 characters at least, such
    /// as `openssl rand -hex 32` prints.
    #[arg(long, env = "MARQUEE_BOOTSTRAP_TOKEN", hide_env_values = true)]
    pub bootstrap_token: Option<BootstrapToken>,
}

/// What reads and writes may hold.
#[derive(Debug, Clone, Args)]
pub struct CatalogueSettings {
    /// What encoded segments may weigh in memory: bytes, or with KiB, MiB, GiB.
    #[arg(long, env = "MARQUEE_CACHE_BYTES", default_value = "512MiB")]
    pub cache_bytes: ByteSize,
    /// What temporary files may hold together, for a collection beyond the cache.
    #[arg(long, env = "MARQUEE_SPOOL_BYTES", default_value = "4GiB")]
    pub spool_bytes: ByteSize,
    /// The most writes that wait.
    #[arg(long, env = "MARQUEE_MAILBOX", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub mailbox: u32,
    /// What writes that wait may weigh together; at most 4GiB.
    #[arg(long, env = "MARQUEE_MAILBOX_BYTES", default_value = "64MiB")]
    pub mailbox_bytes: ByteSize,
    /// The most writes in one transaction.
    #[arg(long, env = "MARQUEE_BATCH", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// About what answers kept for 24 hours for retries with an Idempotency-Key may take in the database.
    #[arg(long, env = "MARQUEE_IDEMPOTENCY_BYTES", default_value = "4GiB")]
    pub idempotency_bytes: ByteSize,
    /// How often other replicas' writes are looked for, in milliseconds.
    #[arg(long, env = "MARQUEE_POLL_MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub poll_ms: u64,
    /// How long cached answers may be given while the database is away, in seconds [default: without limit].
    #[arg(long, env = "MARQUEE_STALE_S")]
    pub stale_s: Option<u64>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text each.
    Text,
    /// One JSON object a line.
    Json,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// What is told on stderr.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// What to log: error, warn, info, debug, trace, or per module as env_logger reads it. actix_http is off
    /// because it logs each malformed request as an error, and any client can send those.
    #[arg(long = "log", env = "RUST_LOG", default_value = "info,actix_server=warn,actix_http=off", value_parser = log_filter)]
    pub filter: String,
    /// How to log: text, or json for one object a line.
    #[arg(long, env = "MARQUEE_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Whether to log each request.
    #[arg(long, env = "MARQUEE_ACCESS_LOG", value_enum, default_value = "off")]
    pub access_log: Switch,
}

/// env_logger itself would pass over what it cannot read.
fn log_filter(text: &str) -> Result<String, String> {
    match env_filter::Builder::new().try_parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}: give a level, or such as info,marquee::store=debug")),
    }
}

/// How an export is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One movie a line.
    Ndjson,
    /// One array.
    Json,
}

/// What to export.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// How to write it.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: ExportFormat,
    /// Where to write it [default: standard output].
    #[arg(long, short)]
    pub output: Option<PathBuf>,
}

/// Whom to ask.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// What to ask [default: /readyz of the address in MARQUEE_BIND].
    #[arg(long)]
    pub url: Option<String>,
}

fn millis() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Cli, String> {
        Cli::try_parse_from([&["marquee"], args].concat()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_a_variable_and_a_flag() {
        for arg in
            Cli::command().get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            let variable = arg.get_env().map(|v| v.to_string_lossy().into_owned());
            let variable = variable.unwrap_or_else(|| panic!("{} has no variable", arg.get_id()));
            assert!(arg.get_long().is_some() && arg.get_help().is_some(), "{variable}");
            let flag = arg.get_long().unwrap().to_uppercase().replace('-', "_");
            assert!(
                variable == format!("MARQUEE_{flag}") || variable == flag || variable == "RUST_LOG",
                "{variable}"
            );
        }
    }

    #[test]
    fn a_bad_value_is_named_with_its_variable_or_flag() {
        for (flag, value) in [
            ("--bind", "nowhere"),
            ("--database-url", "postgres://h/db"),
            ("--redis-url", "http://h"),
            ("--redis-timeout-ms", "0"),
            ("--redis-ttl-s", "0"),
            ("--drain-ms", "long"),
            ("--cache-bytes", "1 TB"),
            ("--pool-size", "0"),
            ("--request-timeout-ms", "0"),
            ("--cache-control", "a\nb"),
            ("--sample", "perhaps"),
            ("--rate-limit", "fast"),
            ("--trusted-proxies", "everyone"),
            ("--cors-origins", "example.com"),
            ("--public-read", "yes"),
            ("--bootstrap-token", "change-me"),
        ] {
            let error = Cli::try_parse_from(["marquee", flag, value]).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
            let variable = setting_of(&error).unwrap().variable;
            assert!(variable.ends_with(&flag[2..].to_uppercase().replace('-', "_")), "{variable}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = parse(&[]).unwrap().settings;
        assert_eq!(settings.http.bind, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(settings.http.body_limit.0, 8 << 20);
        assert_eq!(settings.catalogue.cache_bytes.0, 512 << 20);
        assert_eq!((settings.catalogue.mailbox, settings.catalogue.batch), (4096, 1024));
        let redis = settings.redis;
        assert_eq!((redis.redis_url, redis.redis_timeout_ms, redis.redis_ttl_s), (None, 50, 86_400));
        assert_eq!(settings.http.drain_ms, 0);
    }
}
