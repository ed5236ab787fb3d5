//! The first token as its operator chose it, and the flags of `marquee token`.

use std::str::FromStr;

use clap::{Args, Subcommand};

/// A token that its operator chose. It is never shown.
#[derive(Clone)]
pub struct BootstrapToken(String);

impl BootstrapToken {
    const SHORTEST: usize = 32;
    const LONGEST: usize = 256;
    /// What a generator gives has more: 32 hexadecimal digits have fewer once in 300,000 times, 64 never. A word that
    /// somebody repeats until it is long enough has fewer.
    const FEWEST_DIFFERENT: usize = 9;

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for BootstrapToken {
    type Err = String;

    /// What can stand in `Authorization: Bearer …` (RFC 6750, section 2.1), and is no word that somebody made up.
    fn from_str(text: &str) -> Result<Self, String> {
        let advice = "make one with: openssl rand -hex 32";
        if !(Self::SHORTEST..=Self::LONGEST).contains(&text.len()) {
            return Err(format!(
                "must have between {} and {} characters; {advice}",
                Self::SHORTEST,
                Self::LONGEST
            ));
        }
        let body = text.trim_end_matches('=');
        if body.is_empty() || !body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)) {
            return Err(format!("may have letters, digits and -._~+/ alone, with = at its end; {advice}"));
        }
        let mut different: Vec<u8> = text.bytes().collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < Self::FEWEST_DIFFERENT {
            return Err(format!("is too easy to guess; {advice}"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BootstrapToken")
    }
}

/// What is done with tokens.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: TokenAction,
}

/// What is done with tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenAction {
    /// Makes a token and prints it, this once: only its hash is kept.
    Create {
        /// What it allows: read; write, which includes read; admin, which includes both
        #[arg(long, value_parser = ["read", "write", "admin"])]
        role: String,
        /// What to call it: a letter, then letters, digits, - _ . @
        #[arg(long)]
        name: String,
    },
    /// Lists tokens: ids, names, roles and times, never a token itself.
    List,
    /// Revokes a token: replicas refuse it within a poll (MARQUEE_POLL_MS).
    Revoke {
        /// Its name or its id.
        #[arg(value_name = "NAME|ID")]
        token: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_token_is_long_and_not_made_up() {
        for good in [
            "4f1d7c0b9a8e6f5d3c2b1a0f9e8d7c6b",
            "kX9-._~+/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789==",
            "mq_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl",
        ] {
            assert_eq!(good.parse::<BootstrapToken>().unwrap().reveal(), good);
        }
        for bad in [
            "",
            "change-me",
            "change-me-change-me-change-me-change-me",
            "4f1d7c0b9a8e6f5d3c2b1a0f9e8d7c6",
            "4f1d7c0b9a8e6f5d 3c2b1a0f9e8d7c6b",
            "=f1d7c0b9a8e6f5d=3c2b1a0f9e8d7c6b",
            &"é".repeat(32),
            &"0123456789ab".repeat(22),
        ] {
            let reason = bad.parse::<BootstrapToken>().unwrap_err();
            assert!(reason.contains("openssl rand") && (bad.is_empty() || !reason.contains(bad)), "{reason}");
        }
        let token: BootstrapToken = "4f1d7c0b9a8e6f5d3c2b1a0f9e8d7c6b".parse().unwrap();
        assert!(!format!("{token:?}").contains("4f1d"));
    }
}
