//! Into SQLite, by rusqlite.

use rusqlite::Connection;

use crate::rows::Work;
use crate::timed;

/// As marquee opens it.
const SET_UP: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;";

/// Seconds.
pub(crate) fn insert(file: &str, work: &Work) -> f64 {
    let conn = Connection::open(file).unwrap();
    conn.execute_batch(SET_UP).unwrap();
    let mut statements: Vec<_> = work.statements.iter().map(|sql| conn.prepare(sql).unwrap()).collect();
    timed(|| {
        for inserts in &work.transactions {
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            for insert in inserts {
                let statement = &mut statements[insert.statement];
                for (place, value) in (1..).zip(&insert.values) {
                    statement.raw_bind_parameter(place, value).unwrap();
                }
                statement.raw_execute().unwrap();
            }
            conn.execute_batch("COMMIT").unwrap();
        }
    })
}
