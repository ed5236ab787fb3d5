//! Into MySQL and MariaDB, by mysql_async.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Params, Statement, Value};

use crate::rows::{TABLES, Work};
use crate::timed;

/// Seconds.
pub(crate) fn insert(url: &str, work: Work) -> f64 {
    let runtime = runtime();
    let mut conn = runtime.block_on(connect(url));
    let statements: Vec<Statement> = runtime.block_on(async {
        let mut statements = Vec::new();
        for sql in &work.statements {
            statements.push(conn.prep(sql.as_str()).await.unwrap());
        }
        statements
    });
    // In the driver's own form, so that nothing is left to convert.
    let transactions: Vec<Vec<(Statement, Params)>> = work
        .transactions
        .into_iter()
        .map(|inserts| {
            let inserts = inserts.into_iter().map(|insert| {
                let values = insert.values.into_iter().map(value).collect();
                (statements[insert.statement].clone(), Params::Positional(values))
            });
            inserts.collect()
        })
        .collect();
    timed(|| {
        runtime.block_on(async {
            for inserts in transactions {
                conn.query_drop("START TRANSACTION READ WRITE").await.unwrap();
                for (statement, values) in inserts {
                    conn.exec_drop(statement, values).await.unwrap();
                }
                conn.query_drop("COMMIT").await.unwrap();
            }
        });
    })
}

/// How many rows each table has, as JSON.
pub(crate) fn counts(url: &str) -> String {
    runtime().block_on(async {
        let mut conn = connect(url).await;
        let mut counts = Vec::new();
        for table in &TABLES {
            counts.push(conn.query_first::<i64, _>(table.count()).await.unwrap().unwrap());
        }
        crate::told(counts.into_iter())
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn connect(url: &str) -> Conn {
    // The driver's cache would close statements that are still wanted.
    let opts = OptsBuilder::from_opts(Opts::from_url(url).unwrap()).stmt_cache_size(0);
    Conn::new(opts).await.unwrap()
}

fn value(value: rusqlite::types::Value) -> Value {
    match value {
        rusqlite::types::Value::Null => Value::NULL,
        rusqlite::types::Value::Integer(number) => Value::Int(number),
        rusqlite::types::Value::Real(number) => Value::Double(number),
        rusqlite::types::Value::Text(text) => Value::Bytes(text.into_bytes()),
        rusqlite::types::Value::Blob(bytes) => Value::Bytes(bytes),
    }
}
