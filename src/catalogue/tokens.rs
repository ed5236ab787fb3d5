//! Tokens as this replica knows them: read from the database, held in memory, looked up by every call that needs
//! one.
//!
//! The follower looks at their stamp with each poll and reads them anew when it is another, so a change is known
//! everywhere within a poll. With the database away, those that are known go on.

mod change;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use subtle::ConstantTimeEq;

pub use change::{MAX_TOKENS, TokenError, add_token, bootstrap, revoke_token};

use super::Shared;
use super::read::persist;
use crate::domain::{Digest, Role};
use crate::store::{StoreError, TokenTable};

/// A live token.
#[derive(Debug, Clone, Copy)]
pub struct KnownToken {
    /// Its id.
    pub id: u64,
    /// What it allows.
    pub role: Role,
    digest: Digest,
}

/// The tokens at one moment.
#[derive(Debug, Default)]
pub struct KnownTokens {
    stamp: u64,
    ever: bool,
    live: usize,
    /// By the beginning of their digests.
    by_beginning: HashMap<u64, Vec<KnownToken>>,
}

impl KnownTokens {
    /// The live token of that text.
    ///
    /// What is looked up is a digest, so how long that takes tells, at most, of digests: nobody can choose one,
    /// and none leads back to its token. The whole is compared in constant time.
    pub fn find(&self, text: &str) -> Option<KnownToken> {
        let digest = Digest::of(text);
        let candidates = self.by_beginning.get(&beginning(&digest))?;
        candidates.iter().find(|token| token.digest.ct_eq(&digest).into()).copied()
    }

    /// Whether there ever was one. Revoking the last one does not undo that.
    pub fn ever(&self) -> bool {
        self.ever
    }

    /// How many are not revoked.
    pub fn live(&self) -> usize {
        self.live
    }
}

impl From<TokenTable> for KnownTokens {
    fn from(table: TokenTable) -> Self {
        let mut known = Self { stamp: table.stamp, ever: table.next_id > 1, ..Self::default() };
        for token in table.tokens.into_iter().filter(|token| token.revoked_at.is_none()) {
            let digest = token.digest;
            known.by_beginning.entry(beginning(&digest)).or_default().push(KnownToken {
                id: token.id,
                role: token.role,
                digest,
            });
            known.live += 1;
        }
        known
    }
}

fn beginning(digest: &Digest) -> u64 {
    digest.bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// The tokens that are known now; nothing before the database was read.
#[derive(Debug, Default)]
pub(super) struct Tokens(ArcSwapOption<KnownTokens>);

impl Tokens {
    pub(super) fn load(&self) -> Option<Arc<KnownTokens>> {
        self.0.load_full()
    }
}

impl Shared {
    /// Reads the tokens, unless those that are known have that `stamp`.
    pub(super) async fn learn_tokens(&self, stamp: Option<u64>) -> Result<(), StoreError> {
        if stamp.is_some() && self.tokens.load().map(|known| known.stamp) == stamp {
            return Ok(());
        }
        let known = KnownTokens::from(persist(|| self.store.tokens()).await?);
        log::debug!("{} tokens are known", known.live);
        self.tokens.0.store(Some(Arc::new(known)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{Secret, Token, TokenName};

    fn token(id: u64, text: &str, revoked: bool) -> Token {
        Token {
            id,
            name: TokenName::parse(&format!("t{id}")).unwrap(),
            role: Role::Write,
            digest: Digest::of(text),
            created_at: Timestamp::UNIX_EPOCH,
            revoked_at: revoked.then_some(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn live_tokens_are_found_by_their_text() {
        let secrets: Vec<Secret> = (0..50).map(|_| Secret::draw()).collect();
        let tokens =
            (1..).zip(&secrets).map(|(id, secret)| token(id, secret.reveal(), id % 2 == 0)).collect();
        let known = KnownTokens::from(TokenTable { stamp: 1, next_id: 51, tokens });
        assert_eq!((known.live(), known.ever()), (25, true));
        for (id, secret) in (1..).zip(&secrets) {
            let found = known.find(secret.reveal()).map(|token| token.id);
            assert_eq!(found, (id % 2 == 1).then_some(id));
            assert!(known.find(&secret.reveal()[1..]).is_none());
        }
        assert!(known.find("").is_none());
    }

    /// Two digests may begin alike.
    #[test]
    fn the_whole_digest_decides() {
        let digest = Digest::of("right");
        let mut other = *digest.bytes();
        other[31] ^= 1;
        let mut impostor = token(1, "wrong", false);
        impostor.digest = Digest::stored(&other).unwrap();
        let tokens = vec![impostor, token(2, "right", false)];
        let known = KnownTokens::from(TokenTable { stamp: 1, next_id: 3, tokens });
        assert_eq!(known.find("right").map(|token| token.id), Some(2));
    }

    #[test]
    fn that_there_was_one_is_remembered() {
        let none = KnownTokens::from(TokenTable { stamp: 0, next_id: 1, tokens: Vec::new() });
        assert_eq!((none.live(), none.ever()), (0, false));
        let gone = KnownTokens::from(TokenTable { stamp: 9, next_id: 2, tokens: Vec::new() });
        assert_eq!((gone.live(), gone.ever()), (0, true));
    }
}
