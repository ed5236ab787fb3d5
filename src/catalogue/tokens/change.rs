//! Making and revoking tokens. Each is one small transaction of its own, that no replica need run to be done.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Digest, Role, Token, TokenName};
use crate::store::{Store, StoreError, TokenChange, TokenTable};

/// The most tokens that there may be: each replica holds them all in memory.
pub const MAX_TOKENS: usize = 1000;
/// How many revoked ones are remembered, the newest, so that a log's ids can be looked up.
const REMEMBERED: usize = 1000;
/// How often a change is tried that other transactions undo, as another node of a cluster does with one that it overtakes.
const TRIES: u32 = 8;
/// The pause before it is tried again: drawn at random up to that.
const PAUSE: Duration = Duration::from_millis(100);
/// The name of the token that `MARQUEE_BOOTSTRAP_TOKEN` makes.
const BOOTSTRAP: &str = "bootstrap";

/// Why tokens are not changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The database.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Names are unique among live tokens.
    #[error(
        "there is a token \"{0}\" already; choose another name, or revoke that one: marquee token revoke {0}"
    )]
    NameTaken(String),
    /// [`MAX_TOKENS`].
    #[error(
        "there are {MAX_TOKENS} tokens, the most that there may be; revoke what nobody uses: marquee token list"
    )]
    TooMany,
    /// No such token.
    #[error("there is no token \"{0}\"; marquee token list shows those that there are")]
    Unknown(String),
    /// Revoked before.
    #[error("the token \"{0}\" was revoked before, at {1}")]
    RevokedBefore(String, Timestamp),
}

/// Adds a token whose text is `secret`. Its id.
///
/// # Errors
/// [`TokenError::NameTaken`], [`TokenError::TooMany`], and what the database says.
pub async fn add_token(store: &Store, name: &TokenName, role: Role, secret: &str) -> Result<u64, TokenError> {
    let mut id = 0;
    let decide = |table: &TokenTable| {
        id = table.next_id;
        add(table, name, role, secret)
    };
    change(store, decide).await??;
    Ok(id)
}

/// Revokes the live token of that name, or the one of that id. Returns it, and how many are left.
///
/// # Errors
/// [`TokenError::Unknown`], [`TokenError::RevokedBefore`], and what the database says.
pub async fn revoke_token(store: &Store, which: &str) -> Result<(Token, usize), TokenError> {
    let mut revoked = None;
    let decide = |table: &TokenTable| {
        let (token, change) = revoke(table, which)?;
        revoked = Some((token, live(table).count() - 1));
        Ok::<_, TokenError>(change)
    };
    change(store, decide).await??;
    revoked.ok_or_else(|| TokenError::Unknown(which.to_owned()))
}

/// Makes the first token, an admin's, with a text that was chosen. When there ever was one, nothing is done, and
/// false returned: several processes that start together make one.
///
/// # Errors
/// What the database says.
pub async fn bootstrap(store: &Store, secret: &str) -> Result<bool, TokenError> {
    let name = TokenName::parse(BOOTSTRAP).map_err(|e| TokenError::Unknown(e.0))?;
    // Looked at first without the lock: it is for the first start alone.
    if store.poll().await?.tokens != 0 {
        return Ok(false);
    }
    let decide = |table: &TokenTable| match table.next_id {
        1 => add(table, &name, Role::Admin, secret).map_err(Some),
        _ => Err(None),
    };
    match change(store, decide).await? {
        Ok(()) => Ok(true),
        Err(None) => Ok(false),
        Err(Some(error)) => Err(error),
    }
}

/// Changes the tokens as is decided, which may be asked again: of what is there then.
async fn change<E>(
    store: &Store,
    mut decide: impl FnMut(&TokenTable) -> Result<TokenChange, E>,
) -> Result<Result<(), E>, StoreError> {
    let mut tries = 1;
    loop {
        match store.change_tokens(&mut decide).await {
            Err(StoreError::Contended(reason)) if tries < TRIES => {
                log::debug!("tokens are changed at another try: {reason}");
                tokio::time::sleep(PAUSE.mul_f64(rand::random())).await;
                tries += 1;
            }
            result => return result,
        }
    }
}

fn live(table: &TokenTable) -> impl Iterator<Item = &Token> {
    table.tokens.iter().filter(|token| token.revoked_at.is_none())
}

fn add(table: &TokenTable, name: &TokenName, role: Role, secret: &str) -> Result<TokenChange, TokenError> {
    if live(table).any(|token| token.name == *name) {
        return Err(TokenError::NameTaken(name.as_str().to_owned()));
    }
    if live(table).count() >= MAX_TOKENS {
        return Err(TokenError::TooMany);
    }
    Ok(TokenChange::Add(Token {
        id: table.next_id,
        name: name.clone(),
        role,
        digest: Digest::of(secret),
        created_at: now(),
        revoked_at: None,
    }))
}

fn revoke(table: &TokenTable, which: &str) -> Result<(Token, TokenChange), TokenError> {
    // No name is a number.
    let is_meant = |token: &&Token| match which.parse::<u64>() {
        Ok(id) => token.id == id,
        Err(_) => token.name.as_str() == which,
    };
    let Some(token) = live(table).find(is_meant) else {
        return Err(match table.tokens.iter().rev().find(is_meant).map(|token| token.revoked_at) {
            Some(Some(at)) => TokenError::RevokedBefore(which.to_owned(), at),
            _ => TokenError::Unknown(which.to_owned()),
        });
    };
    let mut gone: Vec<_> = table.tokens.iter().filter_map(|t| t.revoked_at.map(|at| (at, t.id))).collect();
    gone.sort_unstable();
    let forget = gone.len().saturating_sub(REMEMBERED - 1);
    let forget = gone.into_iter().take(forget).map(|(_, id)| id).collect();
    Ok((token.clone(), TokenChange::Revoke { id: token.id, at: now(), forget }))
}

/// To the second, as times are stored.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(live: usize, revoked: usize) -> TokenTable {
        let token = |n: usize| Token {
            id: n as u64 + 1,
            name: TokenName::parse(&format!("t{n}")).unwrap(),
            role: Role::Read,
            digest: Digest::of("x"),
            created_at: Timestamp::UNIX_EPOCH,
            revoked_at: (n >= live).then(|| Timestamp::from_second(n as i64).unwrap()),
        };
        let tokens: Vec<Token> = (0..live + revoked).map(token).collect();
        TokenTable { stamp: 1, next_id: (live + revoked) as u64 + 1, tokens }
    }

    fn name(text: &str) -> TokenName {
        TokenName::parse(text).unwrap()
    }

    #[test]
    fn names_are_unique_among_live_tokens() {
        let table = table(2, 1);
        let taken = add(&table, &name("t1"), Role::Read, "s").unwrap_err();
        assert!(matches!(&taken, TokenError::NameTaken(name) if name == "t1"), "{taken}");
        let TokenChange::Add(again) = add(&table, &name("t2"), Role::Write, "s").unwrap() else {
            panic!("it is an addition");
        };
        assert_eq!((again.id, again.name.as_str(), again.role), (4, "t2", Role::Write));
    }

    #[test]
    fn there_are_only_so_many() {
        assert!(add(&table(MAX_TOKENS - 1, 5), &name("a"), Role::Read, "s").is_ok());
        let error = add(&table(MAX_TOKENS, 5), &name("a"), Role::Read, "s").unwrap_err();
        assert!(matches!(error, TokenError::TooMany), "{error}");
    }

    #[test]
    fn one_is_revoked_by_name_or_id() {
        let table = table(2, 1);
        for which in ["t1", "2"] {
            let (token, change) = revoke(&table, which).unwrap();
            assert_eq!(token.name.as_str(), "t1");
            assert!(matches!(change, TokenChange::Revoke { id: 2, forget, .. } if forget.is_empty()));
        }
        assert!(matches!(revoke(&table, "t9"), Err(TokenError::Unknown(_))));
        assert!(matches!(revoke(&table, "9"), Err(TokenError::Unknown(_))));
        assert!(matches!(revoke(&table, "t2"), Err(TokenError::RevokedBefore(..))));
        assert!(matches!(revoke(&table, "3"), Err(TokenError::RevokedBefore(..))));
    }

    #[test]
    fn the_oldest_of_many_revoked_ones_are_forgotten() {
        let (_, change) = revoke(&table(1, REMEMBERED + 1), "t0").unwrap();
        let TokenChange::Revoke { forget, .. } = change else { panic!("it is a revocation") };
        assert_eq!(forget, [2, 3]);
    }
}
