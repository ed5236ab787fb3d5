//! What the tests that need a database or a running marquee have in common.
//!
//! - [`TestDatabase`]: a database of its own for each test, on SQLite, MySQL or MariaDB
//! - [`on_every_database!`]: one test body, run on all three
//! - [`Proxy`]: a wire to MySQL that can be cut, stalled, slowed or led elsewhere, fall silent, or lose the answer of a COMMIT
//! - [`Wire`]: another one, that holds a connection at a moment of its transaction
//! - [`OwnServer`]: a MySQL or a MariaDB of a test's own, that can be killed, and its disk filled
//! - [`Redis`]: a Redis of its own for each test, that can be paused, killed and started again
//! - [`replica`]: a replica as a library
//! - [`Marquee`]: the real binary on a free port, its log, its metrics, and a client to it
//!
//! A test file says `#[macro_use] mod support;` and uses the part that it needs.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test file uses the part that it needs")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests may stop at the first surprise"
)]

pub(crate) mod database;
pub(crate) mod hold;
pub(crate) mod library;
pub(crate) mod own_server;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod server;

pub(crate) use database::{Engine, TestDatabase, run_on, runtime};
pub(crate) use hold::{Moment, Wire};
pub(crate) use library::replica;
pub(crate) use own_server::{Disk, OwnServer};
pub(crate) use proxy::{Mode, OnCommit, Proxy};
pub(crate) use redis::Redis;
pub(crate) use server::{Marquee, Preparation, revision, see};

/// Sends a signal by name (`TERM`, `STOP`, `CONT`).
fn signal(child: &std::process::Child, name: &str) {
    // The shell's own: not every machine has a kill of its own.
    let kill = format!("kill -{name} {}", child.id());
    let sent = std::process::Command::new("sh").args(["-c", &kill]).status();
    assert!(sent.unwrap().success(), "signal {name} could not be sent");
}

/// Makes three tests of each body: `name::sqlite`, `name::mysql`, `name::mariadb`, each with an empty
/// database of its own and a runtime of two threads.
///
/// ```ignore
/// on_every_database! {
///     /// What it proves.
///     async fn a_movie_survives(db) {
///         db.exec("CREATE TABLE t (n INTEGER)").await;
///     }
/// }
/// ```
macro_rules! on_every_database {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident) $body:block)*) => {$(
        proof_on! {
            $(#[$attribute])*
            async fn $name($db) $body
            sqlite: Sqlite, mysql: MySql, mariadb: MariaDb
        }
    )*};
}

/// The same for what needs a server, a [`Proxy`] for instance: `name::mysql` and `name::mariadb`.
macro_rules! on_every_server {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident) $body:block)*) => {$(
        proof_on! {
            $(#[$attribute])*
            async fn $name($db) $body
            mysql: MySql, mariadb: MariaDb
        }
    )*};
}

/// What the two above are made of.
macro_rules! proof_on {
    ($(#[$attribute:meta])* async fn $name:ident($db:ident) $body:block $($test:ident: $engine:ident),+) => {
        $(#[$attribute])*
        mod $name {
            #[expect(clippy::allow_attributes, reason = "expect() would fail where it is used")]
            #[allow(unused_imports, reason = "a body may need nothing of its file")]
            use super::*;

            async fn proof($db: $crate::support::TestDatabase) $body

            $(
                #[test]
                fn $test() {
                    $crate::support::run_on($crate::support::Engine::$engine, proof);
                }
            )+
        }
    };
}
