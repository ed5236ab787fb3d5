//! Who may do what: the gate that every call passes which needs a token.
//!
//! A path is made by `http.rs` with its gate between what reads it and what changes it, so that no route can be
//! added without. What the gate lets through carries its [`Caller`]; what it stops is answered by it.
//!
//! - With tokens, writes need one of the role `write` (RFC 6750: `Authorization: Bearer …`).
//! - Before there ever was one, on the loopback address alone, writes are *open*, but for those that another
//!   site's page could have a browser send ([`site`]).
//! - Reads are public. The gate stands behind them and is not asked. With `MARQUEE_PUBLIC_READ=off` it stands
//!   before them.

mod bearer;
mod site;

use std::net::IpAddr;

use actix_web::guard::GuardContext;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage, HttpRequest};

use super::problem::{Answer, Problem};
use crate::catalogue::{Catalogue, Error, KnownTokens};
use crate::config::{Origins, Settings, Switch};
use crate::domain::Role;

/// Who calls, as far as a token tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    /// The id of the token; it is never given to another. `None` without one.
    pub(super) token: Option<u64>,
    /// What the caller may do.
    pub(super) role: Role,
}

impl Caller {
    /// Whoever reads what is public.
    const ANYBODY: Self = Self { token: None, role: Role::Read };
    /// Whoever writes while everybody may.
    const OPEN: Self = Self { token: None, role: Role::Admin };

    /// Whoever sent a request. Where reading is public, readers are anybody: their tokens are not looked at.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get().copied().unwrap_or(Self::ANYBODY)
    }
}

/// Who is let through.
pub(super) struct Gate {
    catalogue: Catalogue,
    public_read: bool,
    /// Whether this machine alone can reach what is served.
    local: bool,
    /// The sites whose pages may write where everybody may: those that are named, not all for being let read.
    origins: Vec<String>,
}

/// What a request was stopped for, on its way to [`refusal`].
struct Stopped(Problem);

impl Gate {
    /// A gate for what is served on `address`.
    pub(super) fn new(catalogue: &Catalogue, settings: &Settings, address: IpAddr) -> Self {
        let origins = match &settings.http.cors_origins.0 {
            Some(Origins::These(origins)) => origins.clone(),
            Some(Origins::Any) | None => Vec::new(),
        };
        let public_read = settings.access.public_read == Switch::On;
        Self { catalogue: catalogue.clone(), public_read, local: is_loopback(address), origins }
    }

    /// Whether reads pass without being looked at.
    pub(super) fn reads_are_public(&self) -> bool {
        self.public_read
    }

    /// The id of the live token that a request brings, whatever it is good for. Where reads are public, nothing else
    /// looks at theirs.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<u64> {
        let tokens = self.catalogue.tokens()?;
        let token = bearer::token(headers).and_then(|text| bearer::known(&tokens, text)).ok()?;
        Some(token.id)
    }

    /// Whether a request is stopped, as a guard of the route that leads to [`refusal`]. What is let through has its
    /// [`Caller`] from here.
    pub(super) fn stops(&self, context: &GuardContext<'_>) -> bool {
        let needed = match context.head().method {
            Method::GET | Method::HEAD => Role::Read,
            // Nothing takes them; they are told so.
            Method::OPTIONS | Method::TRACE => return false,
            _ => Role::Write,
        };
        let caller = self.caller(context.head().headers(), needed);
        let mut extensions = context.req_data_mut();
        let problem = match caller {
            Ok(caller) => {
                extensions.insert(caller);
                (caller.role < needed).then(|| Problem::role_too_small(caller.role.as_str()))
            }
            Err(problem) => Some(problem),
        };
        problem.map(|problem| extensions.insert(Stopped(problem))).is_some()
    }

    /// Whether a request with such headers may write.
    pub(super) fn lets_write(&self, headers: &HeaderMap) -> bool {
        self.caller(headers, Role::Write).is_ok_and(|caller| caller.role >= Role::Write)
    }

    fn caller(&self, headers: &HeaderMap, needed: Role) -> Result<Caller, Problem> {
        // Who cannot be told from anybody yet is not let in, whatever is found out a moment later.
        let tokens = self.catalogue.tokens().ok_or(match needed {
            Role::Read => Error::Cold,
            Role::Write | Role::Admin => {
                Error::NotExecuted("the tokens have not been read from the database yet")
            }
        })?;
        if self.is_open(&tokens) {
            site::check(headers, &self.origins)?;
            return Ok(Caller::OPEN);
        }
        let token = bearer::token(headers).and_then(|text| bearer::known(&tokens, text))?;
        Ok(Caller { token: Some(token.id), role: token.role })
    }

    /// Whether anybody may write. Not where reads need a token, since nobody means that; and never again once
    /// there was a token, since revoking must not let anybody in.
    fn is_open(&self, tokens: &KnownTokens) -> bool {
        self.local && self.public_read && !tokens.ever()
    }
}

/// Whether an address can be reached from this machine alone. Addresses of IPv4 within IPv6 are those of IPv4.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The answer to a request that was stopped.
pub(super) async fn refusal(request: HttpRequest) -> Answer {
    let stopped = request.extensions_mut().remove::<Stopped>();
    Answer(Err(stopped.map_or_else(|| Problem::from(Error::Internal), |Stopped(problem)| problem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_many_spellings() {
        for address in ["127.0.0.1", "127.8.7.6", "::1", "::ffff:127.0.0.1"] {
            assert!(is_loopback(address.parse().unwrap()), "{address}");
        }
        for address in ["0.0.0.0", "::", "192.168.0.1", "::ffff:10.0.0.1", "fe80::1", "::2"] {
            assert!(!is_loopback(address.parse().unwrap()), "{address}");
        }
    }
}
