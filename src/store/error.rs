//! What can go wrong with a database, told apart by what the caller can do about it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::PoolError;

/// Why the database did not do what was asked. The texts are for the log, never for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or the connection broke: try again later, on another connection.
    #[error("the database cannot be reached: {0}")]
    Away(String),
    /// It did not answer in time; whether it did what was asked is not known.
    #[error("the database did not answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// It cannot be used as it is configured: trying again is no use until somebody mends that.
    #[error("{0}")]
    Misconfigured(String),
    /// All connections are in use.
    #[error("no connection became free within {0:?}; raise MARQUEE_POOL_SIZE or lower the load")]
    PoolExhausted(std::time::Duration),
    /// Another transaction was in the way (deadlock, lock time-out, busy): rolled back, to be run again.
    #[error("another transaction was in the way: {0}")]
    Contended(String),
    /// It is up, but takes no writes: its disk is full, or it is read-only.
    #[error(
        "the database takes no writes: {0}; give its disk room or make it writable, and writes go on by themselves"
    )]
    ReadOnly(String),
    /// It refused a statement: running the same again would be refused again.
    #[error("the database refused: {0}")]
    Refused(String),
    /// It holds what marquee does not write.
    #[error("the database holds what marquee did not write: {0}")]
    Corrupt(String),
    /// The answer to a COMMIT was lost.
    #[error("the answer to COMMIT was lost: {0}")]
    Unknown(String),
}

impl StoreError {
    /// Another node's commit undid a transaction.
    pub(crate) fn overtaken() -> Self {
        Self::Contended("another node's commit came first".to_owned())
    }
}

/// Sorts an error of a query.
///
/// Diesel hands on the server's message without its number, so the messages are what there is to go by;
/// every session asks for them in English, and they are the same in all versions of MySQL
/// and MariaDB that marquee runs on.
pub(super) fn of_query(error: DieselError) -> StoreError {
    match error {
        DieselError::DatabaseError(kind, info) => of_message(&kind, info.message().to_owned()),
        DieselError::DeserializationError(_) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}

/// Sorts an error of what takes no lock. It can wait for none: a node of a cluster that is parted from the others says so when
/// it was to wait for what they committed.
pub(super) fn without_locks(error: StoreError) -> StoreError {
    match error {
        StoreError::Contended(message) if message.contains("Lock wait timeout exceeded") => {
            StoreError::Away(message)
        }
        error => error,
    }
}

/// Sorts an error of a migration, of which only the text is left.
pub(super) fn of_migration(error: &dyn std::error::Error) -> StoreError {
    match of_message(&DatabaseErrorKind::Unknown, error.to_string()) {
        StoreError::Refused(message) => StoreError::Misconfigured(format!("a migration failed: {message}")),
        sorted => sorted,
    }
}

fn of_message(kind: &DatabaseErrorKind, message: String) -> StoreError {
    let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
        || says(&[
            "Input/output error:",
            "Driver error:",
            "Server shutdown in progress",
            "Connection was killed",
            "Query execution was interrupted",
            "Lost connection",
            "WSREP has not yet prepared node",
        ])
    {
        StoreError::Away(message)
    } else if matches!(kind, DatabaseErrorKind::SerializationFailure)
        || says(&[
            "Deadlock found",
            "Lock wait timeout exceeded",
            "Record has changed since last read",
            "WSREP detected deadlock",
            // Of the savepoint that a transaction begins with where another node can undo it.
            "SAVEPOINT marquee does not exist",
            "database is locked",
            "database table is locked",
        ])
    {
        StoreError::Contended(message)
    } else if matches!(kind, DatabaseErrorKind::ReadOnlyTransaction)
        || says(&[
            "database or disk is full",
            "disk I/O error",
            "attempt to write a readonly database",
            "No space left on device",
            "Disk full",
            "is full",
            "read-only option",
            "read_only mode",
            "read only mode",
            "read-only mode",
        ])
    {
        StoreError::ReadOnly(message)
    } else if says(&[
        "file is not a database",
        "unable to open database file",
        "no such table",
        "doesn't exist",
    ]) {
        StoreError::Misconfigured(message)
    } else if says(&["database disk image is malformed"]) {
        StoreError::Corrupt(message)
    } else {
        StoreError::Refused(message)
    }
}

/// Sorts an error of opening a connection.
pub(super) fn of_connect(error: PoolError) -> StoreError {
    match error {
        PoolError::QueryError(error) => of_query(error),
        PoolError::ConnectionError(diesel::ConnectionError::CouldntSetupConfiguration(error)) => {
            let message = error.to_string();
            // Before the session has its language, only the numbers are sure.
            let hopeless = ["(1044)", "(1045)", "(1049)", "(1251)", "(1698)"];
            if hopeless.iter().any(|part| message.contains(part)) {
                return StoreError::Misconfigured(format!(
                    "the database server refused to let marquee in: {message}; check user, password, \
                     name of the database and ssl-mode in DATABASE_URL"
                ));
            }
            match of_query(error) {
                StoreError::Refused(message) => StoreError::Away(message),
                sorted => sorted,
            }
        }
        PoolError::ConnectionError(diesel::ConnectionError::BadConnection(message)) => {
            of_bad_connection(message)
        }
        PoolError::ConnectionError(error) => StoreError::Misconfigured(format!("DATABASE_URL: {error}")),
    }
}

/// SQLite tells here what is wrong with a file; everyone else that nobody answers.
fn of_bad_connection(message: String) -> StoreError {
    if message.contains("unable to open database file") {
        StoreError::Misconfigured(format!(
            "{message}; check that the directory of DATABASE_URL exists and that marquee may write to it"
        ))
    } else {
        StoreError::Away(message)
    }
}
