//! Every setting, in one place: its name, default, unit and bounds.
//!
//! Each has an environment variable and a flag of the same name; a flag wins. A value that cannot be used
//! stops the start with a message that names both. No other module reads the environment.

mod import;
mod location;
mod units;

use std::error::Error as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use import::ImportArgs;
pub use location::{Location, LocationError};
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
            match (variable_of(&error).as_deref(), error.source()) {
                // It may hold a password, which clap would show.
                (Some(variable @ "DATABASE_URL"), Some(reason)) => tell(&format!(
                    "error: invalid value for '--database-url', which the environment sets as {variable}: {reason}"
                )),
                (variable, _) => {
                    let _ = error.print();
                    if let Some(variable) = variable {
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

/// The variable of the setting that an error is about.
fn variable_of(error: &clap::Error) -> Option<String> {
    let ContextValue::String(about) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    let flag = about.split([' ', '=']).next()?.trim_start_matches('-').to_owned();
    let command = Cli::command();
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag.as_str()))?;
    Some(arg.get_env()?.to_string_lossy().into_owned())
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
    /// Asks a running marquee whether it is ready: exit code 0 when it is. For container health checks.
    Health(HealthArgs),
}

/// All settings.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Where the collection is kept.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// How it is served.
    #[command(flatten)]
    pub http: HttpSettings,
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
    /// What GETs of the catalogue carry as Cache-Control.
    #[arg(long, env = "MARQUEE_CACHE_CONTROL", default_value = "no-cache", value_parser = units::header_value)]
    pub cache_control: String,
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
    #[arg(long, env = "MARQUEE_BATCH", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
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
    #[arg(long = "log", env = "RUST_LOG", default_value = "info,actix_server=warn,actix_http=off")]
    pub filter: String,
    /// How to log: text, or json for one object a line.
    #[arg(long, env = "MARQUEE_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Whether to log each request.
    #[arg(long, env = "MARQUEE_ACCESS_LOG", value_enum, default_value = "off")]
    pub access_log: Switch,
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
            ("--cache-bytes", "1 TB"),
            ("--pool-size", "0"),
            ("--request-timeout-ms", "0"),
            ("--cache-control", "a\nb"),
            ("--sample", "perhaps"),
        ] {
            let error = Cli::try_parse_from(["marquee", flag, value]).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
            let variable = variable_of(&error).unwrap();
            assert!(variable.ends_with(&flag[2..].to_uppercase().replace('-', "_")), "{variable}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = parse(&[]).unwrap().settings;
        assert_eq!(settings.http.bind, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(settings.http.body_limit.0, 8 << 20);
        assert_eq!(settings.catalogue.cache_bytes.0, 512 << 20);
        assert_eq!((settings.catalogue.mailbox, settings.catalogue.batch), (4096, 256));
    }
}
