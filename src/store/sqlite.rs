//! SQLite: one file, compiled in.

#[expect(clippy::duplicate_mod, reason = "one copy of the queries, compiled for each backend")]
#[path = "queries.rs"]
mod queries;
#[expect(clippy::duplicate_mod, reason = "one copy of the search, compiled for each backend")]
#[path = "search.rs"]
mod search;
#[expect(clippy::duplicate_mod, reason = "one copy of the sessions, compiled for each backend")]
#[path = "session.rs"]
mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_async::SimpleAsyncConnection;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;

pub(super) use session::{Snapshot, WriteTx};

use super::rows::CatalogueRow;
use super::schema::token_state;
use super::{Prepared, StoreError, StoreOptions, error, pending};
use crate::telemetry::{Metrics, Purpose};
use session::Sessions;

type Conn = SyncConnectionWrapper<SqliteConnection>;

/// The most items of a list in one statement. SQLite takes 32,766 parameters; a movie has 12.
const LIST: usize = 1000;
/// The view is made by the first read and kept: the file is in WAL.
const BEGIN_READ: &str = "BEGIN DEFERRED";
/// The lock is had at once, before anything is read.
const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
/// Whether either of them waits for a lock.
const BEGIN_WAITS: bool = true;
/// What is opened when `MARQUEE_POOL_SIZE` says nothing: readers do not wait for the writer, and each
/// costs a page cache.
const POOL_SIZE: usize = 8;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// `synchronous = FULL` syncs the log at each commit: in WAL, `NORMAL` would survive a killed process but
/// not a power cut.
const SET_UP: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;";

/// Inserts rows, as many in a statement as it takes. Diesel can do so on SQLite only on its own thread.
macro_rules! insert_many {
    ($conn:expr, $table:expr, $rows:expr) => {
        $conn
            .spawn_blocking(move |conn| {
                for rows in $rows.chunks(super::LIST) {
                    diesel::RunQueryDsl::execute(diesel::insert_into($table).values(rows), conn)?;
                }
                Ok(())
            })
            .await
    };
}
/// As `insert_many`, in the place of rows with the same key.
macro_rules! replace_many {
    ($conn:expr, $table:expr, $rows:expr) => {
        $conn
            .spawn_blocking(move |conn| {
                for rows in $rows.chunks(super::LIST) {
                    diesel::RunQueryDsl::execute(diesel::replace_into($table).values(rows), conn)?;
                }
                Ok(())
            })
            .await
    };
}
use {insert_many, replace_many};

/// `BEGIN IMMEDIATE` has locked it already.
async fn catalogue_row_locked(conn: &mut Conn) -> QueryResult<CatalogueRow> {
    queries::catalogue_row(conn).await
}

/// As [`catalogue_row_locked`].
async fn token_state_locked(conn: &mut Conn) -> QueryResult<(i32, i64, i64)> {
    diesel_async::RunQueryDsl::first(token_state::table.find(1), conn).await
}

/// A SQLite file.
pub(super) struct Database {
    pub(super) sessions: Sessions,
    path: PathBuf,
}

pub(super) fn open(path: &Path, options: &StoreOptions, metrics: &Metrics) -> Result<Database, StoreError> {
    let file = path.to_owned();
    let mut config = ManagerConfig::<Conn>::default();
    config.recycling_method = RecyclingMethod::Fast;
    config.custom_setup = Box::new(move |_| {
        let file = file.clone();
        async move {
            let connected = tokio::task::spawn_blocking(move || connect(&file)).await;
            connected.unwrap_or_else(|e| Err(ConnectionError::BadConnection(e.to_string()))).map(Conn::new)
        }
        .boxed()
    });
    let manager = AsyncDieselConnectionManager::new_with_config("", config);
    let size = options.pool_size.unwrap_or(POOL_SIZE);
    Ok(Database {
        sessions: Sessions::new(manager, size, options.step, Arc::default(), metrics)?,
        path: path.to_owned(),
    })
}

fn connect(path: &Path) -> ConnectionResult<SqliteConnection> {
    let path =
        path.to_str().ok_or_else(|| ConnectionError::BadConnection("the path is not UTF-8".to_owned()))?;
    let mut conn = SqliteConnection::establish(path)?;
    conn.batch_execute(SET_UP).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

impl Database {
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let stamp = rand::random::<i64>();
        self.on_harness(|conn| conn.run_pending_migrations(MIGRATIONS).map(drop)).await?;
        self.sessions
            .once(Purpose::Other, async |conn| {
                conn.batch_execute(BEGIN_WRITE).await?;
                queries::catalogue_begin(conn, stamp).await?;
                conn.batch_execute("COMMIT").await
            })
            .await
            .map_err(|error| self.at_start(error))
    }

    pub(super) async fn unmigrate(&self) -> Result<(), StoreError> {
        self.on_harness(|conn| conn.revert_all_migrations(MIGRATIONS).map(drop)).await
    }

    /// Runs migrations in one exclusive transaction: a second process waits until it is over.
    async fn on_harness(
        &self,
        run: fn(&mut SqliteConnection) -> diesel::migration::Result<()>,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let migrated = tokio::task::spawn_blocking(move || {
            let mut conn = connect(&path).map_err(|e| {
                error::of_connect(diesel_async::pooled_connection::PoolError::ConnectionError(e))
            })?;
            into_wal(&mut conn)?;
            let mut failure = None;
            let result = conn.exclusive_transaction(|conn| {
                run(conn).map_err(|error| {
                    failure = Some(error.to_string());
                    diesel::result::Error::RollbackTransaction
                })
            });
            match (result, failure) {
                (Ok(()), _) => Ok(()),
                (Err(_), Some(failure)) => {
                    Err(StoreError::Misconfigured(format!("a migration failed: {failure}")))
                }
                (Err(error), None) => Err(error::of_query(error)),
            }
        });
        migrated
            .await
            .unwrap_or_else(|e| Err(StoreError::Away(e.to_string())))
            .map_err(|error| self.at_start(error))
    }

    /// At start, a file that cannot be read or written is a mistake to be mended by hand.
    fn at_start(&self, error: StoreError) -> StoreError {
        let path = self.path.display();
        match error {
            StoreError::ReadOnly(message) => StoreError::Misconfigured(format!(
                "marquee cannot write to {path} ({message}); give it a disk with room and a directory that it may write \
                 to, with DATABASE_URL=sqlite://FILE"
            )),
            StoreError::Misconfigured(message) if message.contains("not a database") => {
                StoreError::Misconfigured(format!(
                    "{path} is not a SQLite database; name another file with DATABASE_URL=sqlite://FILE"
                ))
            }
            // Also where the file is there, and those that SQLite keeps beside it cannot be made.
            StoreError::Misconfigured(message) if message == "unable to open database file" => {
                StoreError::Misconfigured(format!(
                    "{path}: {message}; check that the directory of DATABASE_URL exists and that marquee may write to it"
                ))
            }
            StoreError::Misconfigured(message) | StoreError::Away(message) => {
                StoreError::Misconfigured(format!("{path}: {message}"))
            }
            other => other,
        }
    }

    pub(super) async fn prepare(&self) -> Result<Prepared, StoreError> {
        let version: Version = self
            .sessions
            .once(Purpose::Other, async |conn| {
                let query = diesel::sql_query("SELECT sqlite_version() AS version");
                diesel_async::RunQueryDsl::get_result(query, conn).await
            })
            .await
            .map_err(|error| self.at_start(error))?;
        self.sessions.once(Purpose::Other, queries::catalogue_row).await.map_err(|error| match error {
            StoreError::Misconfigured(_) | StoreError::Refused(_) => StoreError::Misconfigured(format!(
                "{} has no catalogue yet ({error}); run `marquee migrate`, or start with MARQUEE_MIGRATE=auto",
                self.path.display()
            )),
            other => other,
        })?;
        let applied = self.sessions.once(Purpose::Other, queries::migrations_applied).await?;
        pending::none_missing::<diesel::sqlite::Sqlite>(&MIGRATIONS, &applied)?;
        Ok(Prepared { server: format!("SQLite {}", version.version), warnings: Vec::new() })
    }
}

/// Changes the file to write-ahead logging, which it then keeps.
///
/// The change needs the file for itself and does not wait by `busy_timeout`, so two processes that start
/// together can meet here.
fn into_wal(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match conn.batch_execute("PRAGMA journal_mode = WAL").map_err(error::of_query) {
            Err(StoreError::Contended(_)) if tries < 100 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            result => return result,
        }
    }
}
