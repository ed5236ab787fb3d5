//! The thin binary: flags → config → run; exit code.

use std::process::ExitCode;

use marquee::config::{Cli, Command, LogFormat};
use marquee::{app, command, telemetry};

/// Fewer page faults and less contention than the system's allocator when bodies come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Cli { command, settings } = Cli::from_surroundings();
    telemetry::log::begin(&settings.log.filter, settings.log.log_format == LogFormat::Json);
    let result = match command.unwrap_or(Command::Serve) {
        Command::Serve => app::serve(settings),
        Command::Migrate => command::migrate(&settings),
        Command::Import(args) => command::import(&settings, args),
        Command::Export(args) => command::export(&settings, &args),
        Command::Token(args) => command::token(&settings, args),
        Command::Health(args) => command::health(&settings, &args),
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    };
    telemetry::log::flush();
    code
}
