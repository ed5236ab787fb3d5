//! `marquee token`: makes, lists and revokes tokens.

use std::fmt::Write as _;
use std::io::Write;

use super::store;
use crate::app::{AppError, database_runtime};
use crate::catalogue::{TokenError, add_token, revoke_token};
use crate::config::{Migrate, Settings, TokenAction, TokenArgs};
use crate::domain::{Invalid, Role, Secret, Token, TokenName};
use crate::store::{Store, StoreError};

/// Changes or shows the tokens of the database, whether a marquee serves it at the time or not.
///
/// # Errors
/// When the database cannot be used, when the name or role is none, and as [`add_token`] and [`revoke_token`].
pub fn token(settings: &Settings, args: TokenArgs) -> Result<(), AppError> {
    let store = store(settings)?;
    database_runtime()?.block_on(async {
        if settings.database.migrate == Migrate::Auto {
            store.migrate().await?;
        }
        store.prepare().await?;
        match args.action {
            TokenAction::Create { role, name } => create(&store, &role, &name).await,
            TokenAction::List => list(&store).await,
            TokenAction::Revoke { token } => revoke(&store, &token).await,
        }
    })
}

async fn create(store: &Store, role: &str, name: &str) -> Result<(), AppError> {
    let bad = |flag: &'static str| move |Invalid(must)| AppError::Argument { flag, must };
    let role = Role::parse(role).map_err(bad("--role"))?;
    let name = TokenName::parse(name).map_err(bad("--name"))?;
    let secret = Secret::draw();
    let id = add_token(store, &name, role, secret.reveal()).await.map_err(|error| match error {
        TokenError::Store(StoreError::Unknown(reason)) => AppError::TokenInDoubt(reason),
        error => error.into(),
    })?;
    // The token alone on standard output, so that a script can take it.
    if let Err(source) = say(&format!("{}\n", secret.reveal())) {
        // Nobody has seen it.
        revoke_token(store, &id.to_string()).await?;
        return Err(source.into());
    }
    log::info!("token {id} \"{}\" has the role {}; it is shown this once", name.as_str(), role.as_str());
    Ok(())
}

async fn list(store: &Store) -> Result<(), AppError> {
    let tokens = store.tokens().await?.tokens;
    let width = tokens.iter().map(|token| token.name.as_str().len()).max().unwrap_or(0).max(4);
    let mut table = String::new();
    let _ = writeln!(table, "{:>6}  {:width$}  {:5}  {:20}  REVOKED", "ID", "NAME", "ROLE", "CREATED");
    for Token { id, name, role, created_at, revoked_at, .. } in &tokens {
        let revoked = revoked_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let (name, role) = (name.as_str(), role.as_str());
        let _ = writeln!(table, "{id:>6}  {name:width$}  {role:5}  {created_at:20}  {revoked}");
    }
    Ok(say(&table)?)
}

async fn revoke(store: &Store, which: &str) -> Result<(), AppError> {
    let (token, left) = revoke_token(store, which).await?;
    log::info!(
        "token {} \"{}\" is revoked; every replica refuses it within a poll (MARQUEE_POLL_MS)",
        token.id,
        token.name.as_str()
    );
    if left == 0 {
        log::warn!("no token is left: writes are refused until there is another");
    }
    Ok(())
}

fn say(text: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
