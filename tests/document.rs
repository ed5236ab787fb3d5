//! The document of the API in use: as a page, as a Postman collection, by clients in four languages, and by
//! Schemathesis, which asks for all that it allows and for what it does not.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise"
)]

#[macro_use]
mod support;

#[path = "document/browser.rs"]
mod browser;
#[path = "document/clients.rs"]
mod clients;
#[path = "document/collection.rs"]
mod collection;
#[path = "document/schemathesis.rs"]
mod schemathesis;

use std::process::{Command, Output};

use support::{Marquee, TestDatabase};

/// What writes need here.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A marquee with the sample, in which only [`TOKEN`] may write.
async fn start(db: &TestDatabase) -> Marquee {
    let marquee = Marquee::prepare(db.url())
        .env("MARQUEE_SAMPLE", "on")
        .env("MARQUEE_BOOTSTRAP_TOKEN", TOKEN)
        .start()
        .await;
    marquee.wait_ready().await;
    marquee
}

/// Runs a program to its end, and gives what it said when it succeeds.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || (command.output(), command)).await.unwrap();
    let (Output { status, stdout, stderr }, command) = match output {
        (Ok(output), command) => (output, command),
        (Err(error), command) => panic!("{command:?}: {error}: is it installed?"),
    };
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?} {status}\n{said}\n{}", String::from_utf8_lossy(&stderr));
    said
}

/// A program that `tests/clients.sh` keeps.
fn client(name: &str) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients.sh"));
    command.arg(name);
    command
}
