//! A statement that is put together as it is needed: text of our own, and values that are bound.

use std::fmt;

use diesel::QueryResult;
use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, Double, HasSqlType, Text};

/// A value of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bind {
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Sql(String),
    Bind(Bind),
}

/// A SELECT of one column of whole numbers. What a client sent is in it only as bound values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Statement(Vec<Part>);

impl Statement {
    /// Adds text, which must be of our own.
    pub(super) fn sql(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Part::Sql(sql)) => sql.push_str(text),
            _ => self.0.push(Part::Sql(text.to_owned())),
        }
    }

    /// Adds a value.
    pub(super) fn bind(&mut self, value: Bind) {
        self.0.push(Part::Bind(value));
    }
}

/// For the log, and to be tried by hand: the values stand in the text.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Sql(sql) => f.write_str(sql),
            Part::Bind(Bind::Integer(value)) => write!(f, "{value}"),
            Part::Bind(Bind::Real(value)) => write!(f, "{value:e}"),
            Part::Bind(Bind::Text(value)) => write!(f, "'{}'", value.replace('\'', "''")),
            Part::Bind(Bind::Bytes(value)) => {
                f.write_str("x'")?;
                value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        })
    }
}

impl<DB> QueryFragment<DB> for Statement
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Double> + HasSqlType<Text> + HasSqlType<Binary>,
    i64: ToSql<BigInt, DB>,
    f64: ToSql<Double, DB>,
    String: ToSql<Text, DB>,
    Vec<u8>: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        // There are as many of them as there are questions.
        out.unsafe_to_cache_prepared();
        self.0.iter().try_for_each(|part| {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Bind(Bind::Integer(value)) => out.push_bind_param::<BigInt, _>(value)?,
                Part::Bind(Bind::Real(value)) => out.push_bind_param::<Double, _>(value)?,
                Part::Bind(Bind::Text(value)) => out.push_bind_param::<Text, _>(value)?,
                Part::Bind(Bind::Bytes(value)) => out.push_bind_param::<Binary, _>(value)?,
            }
            Ok(())
        })
    }
}

impl QueryId for Statement {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement {
    type SqlType = BigInt;
}
