//! Tokens. Compiled for each backend, as `session.rs` is.
//!
//! The one row of `token_state` is to tokens what that of `catalogue` is to movies: whoever changes them holds its
//! lock. So neither waits for the other, and tokens do not raise the revision.

use diesel::prelude::*;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use jiff::Timestamp;

use super::super::token_state_locked;
use super::{BEGIN_READ, BEGIN_WAITS, Conn, Sessions};
use crate::domain::{Digest, Invalid, Role, Token, TokenName};
use crate::store::StoreError;
use crate::store::model::{TokenChange, TokenTable};
use crate::store::rows::only;
use crate::store::schema::{token_state, tokens};
use crate::telemetry::Purpose;

impl Sessions {
    pub(in crate::store) async fn tokens(&self) -> Result<TokenTable, StoreError> {
        let read = async |conn: &mut Conn| {
            conn.batch_execute(BEGIN_READ).await?;
            let state = only(token_state::table.find(1).load(conn).await)?;
            let rows = rows(conn).await?;
            conn.batch_execute("ROLLBACK").await?;
            Ok((state, rows))
        };
        let (lease, (state, rows)) = self.begin(Purpose::Load, BEGIN_WAITS, read).await?;
        lease.release();
        Ok(table(state, rows))
    }

    pub(in crate::store) async fn change_tokens<E>(
        &self,
        decide: impl FnOnce(&TokenTable) -> Result<TokenChange, E>,
    ) -> Result<Result<(), E>, StoreError> {
        let lock = async |conn: &mut Conn| {
            let state = token_state_locked(conn).await?;
            Ok((state, rows(conn).await?))
        };
        let (mut lease, (state, rows)) = self.begin_locked(lock).await?;
        let table = table(state, rows);
        let change = match decide(&table) {
            Ok(change) => change,
            Err(refusal) => {
                if !lease.is_the_same().await {
                    return Err(StoreError::overtaken());
                }
                lease.rollback().await?;
                return Ok(Err(refusal));
            }
        };
        lease.run(async |conn| apply(conn, &change, &table).await).await?;
        lease.commit().await?;
        Ok(Ok(()))
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = tokens, treat_none_as_default_value = false)]
struct TokenRow {
    id: i64,
    name: String,
    role: String,
    hash: Vec<u8>,
    created_at: i64,
    revoked_at: Option<i64>,
}

impl From<&Token> for TokenRow {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.cast_signed(),
            name: token.name.as_str().to_owned(),
            role: token.role.as_str().to_owned(),
            hash: token.digest.bytes().to_vec(),
            created_at: token.created_at.as_second(),
            revoked_at: token.revoked_at.map(|at| at.as_second()),
        }
    }
}

impl TryFrom<TokenRow> for Token {
    type Error = Invalid;

    fn try_from(row: TokenRow) -> Result<Self, Invalid> {
        let time = |second| Timestamp::from_second(second).map_err(|_| Invalid::new("has no such time"));
        Ok(Self {
            id: row.id.cast_unsigned(),
            name: TokenName::parse(&row.name)?,
            role: Role::parse(&row.role)?,
            digest: Digest::stored(&row.hash)?,
            created_at: time(row.created_at)?,
            revoked_at: row.revoked_at.map(time).transpose()?,
        })
    }
}

async fn rows(conn: &mut Conn) -> QueryResult<Vec<TokenRow>> {
    tokens::table.order(tokens::id).load(conn).await
}

fn table((_, stamp, next_id): (i32, i64, i64), rows: Vec<TokenRow>) -> TokenTable {
    let mut tokens = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.id;
        match Token::try_from(row) {
            Ok(token) => tokens.push(token),
            // A later release may know more roles. Who is not understood is let in nowhere, and the others are.
            Err(reason) => log::error!("token {id} is of no use to this release: {reason}"),
        }
    }
    TokenTable { stamp: stamp.cast_unsigned(), next_id: next_id.cast_unsigned(), tokens }
}

async fn apply(conn: &mut Conn, change: &TokenChange, table: &TokenTable) -> QueryResult<()> {
    let mut next_id = table.next_id;
    match change {
        TokenChange::Add(token) => {
            diesel::insert_into(tokens::table).values(TokenRow::from(token)).execute(conn).await?;
            next_id = token.id + 1;
        }
        TokenChange::Revoke { id, at, forget } => {
            let revoked = tokens::revoked_at.eq(at.as_second());
            diesel::update(tokens::table.find(id.cast_signed())).set(revoked).execute(conn).await?;
            let forget: Vec<i64> = forget.iter().map(|id| id.cast_signed()).collect();
            diesel::delete(tokens::table.filter(tokens::id.eq_any(forget))).execute(conn).await?;
        }
    }
    let state =
        (token_state::stamp.eq(rand::random::<i64>()), token_state::next_id.eq(next_id.cast_signed()));
    diesel::update(token_state::table.find(1)).set(state).execute(conn).await?;
    Ok(())
}
