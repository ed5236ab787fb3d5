//! MySQL and MariaDB: how to connect, to migrate, and what else they do in their own way.

#[expect(clippy::duplicate_mod, reason = "one copy of the queries, compiled for each backend")]
#[path = "queries.rs"]
mod queries;
#[expect(clippy::duplicate_mod, reason = "one copy of the search, compiled for each backend")]
#[path = "search.rs"]
mod search;
#[expect(clippy::duplicate_mod, reason = "one copy of the sessions, compiled for each backend")]
#[path = "session.rs"]
mod session;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncMigrationHarness, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;
use tokio::time::timeout;
use url::Url;

pub(super) use session::{Snapshot, WriteTx};

use super::rows::{CatalogueRow, only};
use super::schema::{catalogue, token_state};
use super::{Prepared, StoreError, StoreOptions, error, pending};
use crate::telemetry::{Metrics, Purpose};
use session::Sessions;

type Conn = AsyncMysqlConnection;

/// The most items of a list in one statement. MySQL takes 65,535 parameters; a movie has 12.
const LIST: usize = 1000;
/// The view is made by the first read, under REPEATABLE READ, which every connection is set to.
const BEGIN_READ: &str = "START TRANSACTION READ ONLY";
/// No view is made before the lock of the revision row is had: a locking read makes none.
const BEGIN_WRITE: &str = "START TRANSACTION READ WRITE";
/// Whether either of them waits for a lock.
const BEGIN_WAITS: bool = false;
/// What is opened when `MARQUEE_POOL_SIZE` says nothing.
const POOL_SIZE: usize = 100;
/// Connections that are left to others when the pool must be smaller than was asked for.
const LEFT_TO_OTHERS: i64 = 5;
/// How long one process waits for another's migrations, in seconds.
const MIGRATION_LOCK_S: u32 = 120;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// What marquee relies on, whatever the server's defaults are.
const SET_UP: [&str; 2] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION innodb_lock_wait_timeout = 8, \
     SESSION lc_messages = 'en_US'",
];

/// Says `ON` for a node of a Galera cluster; other servers may not know the word.
const GALERA: &str = "SHOW SESSION VARIABLES LIKE 'wsrep_on'";
/// A node of a cluster may not have applied yet what another node was told is committed: each transaction and each read
/// waits until it has. So no snapshot is older than a commit that was answered before it began, and a connection
/// that is led to another node reads no state that is older than the last one's.
const SET_UP_GALERA: &str = "SET SESSION wsrep_sync_wait = 1";

/// Inserts rows, as many in a statement as it takes.
macro_rules! insert_many {
    ($conn:expr, $table:expr, $rows:expr) => {{
        for rows in $rows.chunks(super::LIST) {
            diesel::insert_into($table).values(rows).execute($conn).await?;
        }
        Ok(())
    }};
}
/// As `insert_many`, in the place of rows with the same key.
macro_rules! replace_many {
    ($conn:expr, $table:expr, $rows:expr) => {{
        for rows in $rows.chunks(super::LIST) {
            diesel::replace_into($table).values(rows).execute($conn).await?;
        }
        Ok(())
    }};
}
use {insert_many, replace_many};

async fn catalogue_row_locked(conn: &mut Conn) -> QueryResult<CatalogueRow> {
    only(catalogue::table.find(1).for_update().load(conn).await)
}

async fn token_state_locked(conn: &mut Conn) -> QueryResult<(i32, i64, i64)> {
    only(token_state::table.find(1).for_update().load(conn).await)
}

/// A MySQL or MariaDB database.
pub(super) struct Database {
    pub(super) sessions: Sessions,
    opts: mysql_async::Opts,
}

pub(super) fn open(url: &Url, options: &StoreOptions, metrics: &Metrics) -> Result<Database, StoreError> {
    let opts = tls::opts(url)?;
    let mut config = ManagerConfig::<Conn>::default();
    // No query at each checkout: a connection that died is noticed by its first use, which starts anew.
    config.recycling_method = RecyclingMethod::Fast;
    let local_locks = Arc::<AtomicBool>::default();
    let (setup, galera) = (opts.clone(), Arc::clone(&local_locks));
    config.custom_setup = Box::new(move |_| {
        let (opts, galera) = (setup.clone(), Arc::clone(&galera));
        let connected = async move {
            let (conn, is_galera) = connect(opts).await?;
            galera.store(is_galera, Ordering::Relaxed);
            Ok(conn)
        };
        connected.boxed()
    });
    let manager = AsyncDieselConnectionManager::new_with_config("", config);
    let size = options.pool_size.unwrap_or(POOL_SIZE);
    Ok(Database { sessions: Sessions::new(manager, size, options.step, local_locks, metrics)?, opts })
}

/// A connection that is set up, and whether its server is a node of a Galera cluster.
async fn connect(opts: mysql_async::Opts) -> ConnectionResult<(Conn, bool)> {
    let conn = mysql_async::Conn::new(opts).await.map_err(|e| match e {
        mysql_async::Error::Server(e) => {
            ConnectionError::CouldntSetupConfiguration(diesel::result::Error::DatabaseError(
                diesel::result::DatabaseErrorKind::Unknown,
                Box::new(e.to_string()),
            ))
        }
        e => ConnectionError::BadConnection(e.to_string()),
    })?;
    let mut conn = Conn::try_from(conn).await?;
    for statement in SET_UP {
        conn.batch_execute(statement).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    let is_galera = is_galera(&mut conn).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    if is_galera {
        conn.batch_execute(SET_UP_GALERA).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok((conn, is_galera))
}

async fn is_galera(conn: &mut Conn) -> QueryResult<bool> {
    let setting: Option<Setting> = diesel::sql_query(GALERA).get_result(conn).await.optional()?;
    Ok(setting.is_some_and(|setting| setting.value == "ON"))
}

diesel::define_sql_function! {
    /// Takes a lock by name: 1 when it was had in time.
    #[sql_name = "GET_LOCK"]
    fn get_lock(name: diesel::sql_types::Text, seconds: diesel::sql_types::Integer)
        -> diesel::sql_types::Nullable<diesel::sql_types::BigInt>;
}

/// A row of SHOW VARIABLES.
#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "Value")]
    value: String,
}

#[derive(QueryableByName)]
struct ServerSettings {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    flush: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    log_bin: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    sync_binlog: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    max_connections: i64,
}

const SERVER_SETTINGS: &str = "SELECT CONCAT(@@version_comment, ' ', VERSION()) AS version, \
     CAST(@@innodb_flush_log_at_trx_commit AS SIGNED) AS flush, CAST(@@log_bin AS SIGNED) AS log_bin, \
     CAST(@@sync_binlog AS SIGNED) AS sync_binlog, CAST(@@max_connections AS SIGNED) AS max_connections";

impl Database {
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let conn = self.connect_for_migrations().await?;
        let conn = on_harness(conn, |harness| {
            // Each migration is one statement that can be run again, since MySQL commits each by itself.
            harness.run_pending_migrations(MIGRATIONS).map(drop)
        })?;
        let mut conn = conn;
        let stamp = rand::random::<i64>();
        conn.batch_execute("START TRANSACTION").await.map_err(error::of_query)?;
        queries::catalogue_begin(&mut conn, stamp).await.map_err(error::of_query)?;
        // The lock of the migrations goes with the connection.
        conn.batch_execute("COMMIT").await.map_err(error::of_query)
    }

    pub(super) async fn unmigrate(&self) -> Result<(), StoreError> {
        let conn = self.connect_for_migrations().await?;
        on_harness(conn, |harness| harness.revert_all_migrations(MIGRATIONS).map(drop)).map(drop)
    }

    /// A connection of its own that holds the lock of the migrations as long as it lives.
    async fn connect_for_migrations(&self) -> Result<Conn, StoreError> {
        let (mut conn, _) = timeout(self.sessions.step, connect(self.opts.clone()))
            .await
            .map_err(|_| StoreError::TimedOut(self.sessions.step))?
            .map_err(|e| error::of_connect(diesel_async::pooled_connection::PoolError::ConnectionError(e)))?;
        let name = self.opts.db_name().unwrap_or_default();
        // The name of a lock has at most 64 characters, and that of a database may have as many.
        let lock = format!("marquee.migrate.{:016x}", xxhash_rust::xxh3::xxh3_64(name.as_bytes()));
        let seconds = i32::try_from(MIGRATION_LOCK_S).unwrap_or(i32::MAX);
        match diesel::select(get_lock(lock, seconds)).get_result::<Option<i64>>(&mut conn).await {
            Ok(Some(1)) => {}
            Ok(_) => {
                return Err(StoreError::Contended(format!(
                    "another process has been migrating for {MIGRATION_LOCK_S} s"
                )));
            }
            // Some servers know no such locks; in a Galera cluster they are one node's.
            Err(refused) => log::warn!(
                "this server has no GET_LOCK ({refused}): run `marquee migrate` once by hand and start every \
                 replica with MARQUEE_MIGRATE=off"
            ),
        }
        Ok(conn)
    }

    pub(super) async fn prepare(&self) -> Result<Prepared, StoreError> {
        let settings: ServerSettings = self
            .sessions
            .once(Purpose::Other, async |conn| diesel::sql_query(SERVER_SETTINGS).get_result(conn).await)
            .await?;
        fits(&settings.version)?;
        self.sessions.once(Purpose::Other, queries::catalogue_row).await.map_err(|error| match error {
            StoreError::Misconfigured(_) | StoreError::Refused(_) => StoreError::Misconfigured(format!(
                "the database has no catalogue yet ({error}); run `marquee migrate`, or start with MARQUEE_MIGRATE=auto"
            )),
            other => other,
        })?;
        let applied = self.sessions.once(Purpose::Other, queries::migrations_applied).await?;
        pending::none_missing::<diesel::mysql::Mysql>(&MIGRATIONS, &applied)?;
        let mut warnings = Vec::new();
        if settings.flush != 1 {
            warnings.push(format!(
                "innodb_flush_log_at_trx_commit is {}: a power cut can lose acknowledged writes; set it to 1",
                settings.flush
            ));
        }
        if settings.log_bin != 0 && settings.sync_binlog != 1 {
            warnings.push(format!(
                "sync_binlog is {}: a power cut can lose acknowledged writes of the binary log; set it to 1",
                settings.sync_binlog
            ));
        }
        let pool = &self.sessions.pool;
        let asked = pool.status().max_size;
        let room = usize::try_from((settings.max_connections - LEFT_TO_OTHERS).max(1)).unwrap_or(1);
        if asked > room {
            pool.resize(room);
            warnings.push(format!(
                "the server's max_connections is {}: the pool of {asked} connections is lowered to {room}; raise \
                 max_connections or set MARQUEE_POOL_SIZE",
                settings.max_connections
            ));
        }
        Ok(Prepared { server: settings.version, warnings })
    }
}

/// Whether a server sees what marquee takes for granted: a transaction that waited for the revision row must see, by its
/// plain reads as well, what was committed meanwhile.
fn fits(version: &str) -> Result<(), StoreError> {
    if version.contains("TiDB") {
        return Err(StoreError::Misconfigured(format!(
            "{version}: TiDB shows a transaction what was there when it began, not what it waited for; marquee's writes \
             would be wrong. docs/SCALING.md says which databases fit"
        )));
    }
    Ok(())
}

fn on_harness(
    conn: Conn,
    run: impl FnOnce(&mut AsyncMigrationHarness<Conn>) -> diesel::migration::Result<()>,
) -> Result<Conn, StoreError> {
    let mut harness = AsyncMigrationHarness::new(conn);
    run(&mut harness).map_err(|e| error::of_migration(e.as_ref()))?;
    Ok(harness.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_fit_is_refused() {
        for version in ["MySQL Community Server - GPL 9.7.0", "Debian 12 10.11.19-MariaDB-0+deb12u1"] {
            assert_eq!(fits(version), Ok(()));
        }
        let tidb =
            "TiDB Server (Apache License 2.0) Community Edition, MySQL 8.0 compatible 8.0.11-TiDB-v8.5.1";
        assert!(
            matches!(fits(tidb), Err(StoreError::Misconfigured(reason)) if reason.contains("SCALING.md"))
        );
    }
}
