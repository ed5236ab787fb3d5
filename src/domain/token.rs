//! Tokens: who may do what, and how a token is told from any other text.

use jiff::Timestamp;
use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Invalid;

/// What a token lets its holder do. Each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads, where reading needs a token.
    Read,
    /// Reads and writes.
    Write,
    /// Reads, writes, and whatever administers marquee.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| Invalid::new("must be read, write or admin"))
    }
}

/// What a token is called by people: unique among those that are not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(Box<str>);

impl TokenName {
    /// The most characters that it may have.
    pub const MAX: usize = 64;

    /// Checks `text`. It begins with a letter, so that no name can be taken for an id, and has nothing in it
    /// that a log or a shell would have to quote.
    ///
    /// # Errors
    /// When it is empty, too long, begins otherwise, or has another character.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
        if begins_well && is_plain && text.len() <= Self::MAX {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new(format!(
            "must have between 1 and {} letters, digits, \"-\", \"_\", \".\" or \"@\", a letter first",
            Self::MAX
        )))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token as the database knows it: all but the token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Never given twice.
    pub id: u64,
    /// What people call it.
    pub name: TokenName,
    /// What it allows.
    pub role: Role,
    /// By which it is recognised.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// The SHA-256 hash of a token.
///
/// A token has 256 bits of chance, so nobody finds it by trying: a hash that is slow on purpose, as passwords
/// need, would only slow down whoever verifies. Digests are compared in constant time alone; there is no `==`:
///
/// ```compile_fail
/// use marquee::domain::Digest;
/// let _ = Digest::of("one") == Digest::of("another");
/// ```
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a token's text.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// A digest that was stored.
    ///
    /// # Errors
    /// When it has not 32 bytes.
    pub fn stored(bytes: &[u8]) -> Result<Self, Invalid> {
        bytes.try_into().map(Self).map_err(|_| Invalid::new("must have 32 bytes"))
    }

    /// Its bytes, to be stored.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl ConstantTimeEq for Digest {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

/// What every token that marquee makes begins with, so that people and scanners for secrets know it.
const PREFIX: &str = "mq_";
/// Drawn from 62 characters: 43 of them are 256 bits.
const DRAWN: usize = 43;
/// The checksum: CRC-32 of what stands before it, in base 62.
const CHECKSUM: usize = 6;
/// The digits of base 62, in the order of ASCII.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new token: `mq_`, 43 characters drawn by the system's generator, and 6 of checksum.
///
/// It has no `Debug` and is no part of [`Token`], so that it is only ever shown on purpose.
pub struct Secret(String);

impl Secret {
    /// Draws one.
    pub fn draw() -> Self {
        let mut text = PREFIX.to_owned();
        Alphanumeric.append_string(&mut rand::rng(), &mut text, DRAWN);
        let sum = checksum(&text);
        Self(text + &sum)
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Whether a text has the form of a token that marquee made, its checksum included: what a scanner asks.
pub fn looks_like_a_token(text: &str) -> bool {
    let Some((before, sum)) = text.split_at_checked(PREFIX.len() + DRAWN) else {
        return false;
    };
    text.starts_with(PREFIX) && sum == checksum(before)
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = vec!['0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get(rest % DIGITS.len()).copied().map_or('0', char::from);
        rest /= DIGITS.len();
    }
    digits.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_token_can_be_told_from_any_other_text() {
        let tokens: BTreeSet<String> = (0..100).map(|_| Secret::draw().reveal().to_owned()).collect();
        assert_eq!(tokens.len(), 100);
        for token in tokens {
            assert_eq!(token.len(), 52);
            assert!(token.starts_with("mq_") && looks_like_a_token(&token), "{token}");
            assert!(token[3..].bytes().all(|b| b.is_ascii_alphanumeric()));
            let last = if token.ends_with('a') { "b" } else { "a" };
            assert!(!looks_like_a_token(&format!("{}{last}", &token[..51])), "{token}");
            assert!(!looks_like_a_token(&token[..51]) && !looks_like_a_token(&format!("{token}0")));
        }
        assert!(!looks_like_a_token("") && !looks_like_a_token(&"é".repeat(26)));
    }

    /// A scanner relies on it: it must not change.
    #[test]
    fn the_checksum_is_crc_32_in_base_62() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        // 3, 45, 35, 27, 22, 14 in base 62.
        assert_eq!(checksum("123456789"), "3jZRME");
    }

    /// FIPS 180-4's own example.
    #[test]
    fn the_hash_is_sha_256() {
        let hex: String = Digest::of("abc").bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(Digest::stored(&[0; 31]).is_err());
        assert!(!format!("{:?}", Digest::of("abc")).contains("ba"));
    }

    /// Constant time is subtle's to give; that there is no other comparison, the documentation of
    /// [`Digest`] holds.
    #[test]
    fn digests_are_compared_by_subtle() {
        fn equal<T: ConstantTimeEq>(one: &T, other: &T) -> bool {
            one.ct_eq(other).into()
        }
        assert!(equal(&Digest::of("a"), &Digest::stored(Digest::of("a").bytes()).unwrap()));
        let mut close = *Digest::of("a").bytes();
        close[31] ^= 1;
        assert!(!equal(&Digest::of("a"), &Digest(close)));
    }

    #[test]
    fn roles_include_those_before_them() {
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Ok(role));
        }
        for bad in ["", "Read", "root"] {
            assert!(Role::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_plain_and_never_an_id() {
        for good in ["a", "ci", "Prometheus-2", "ann@example.org", &"a".repeat(64)] {
            assert_eq!(TokenName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "7", "1st", "-a", " a", "a b", "é", "a\n", &"a".repeat(65)] {
            assert!(TokenName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
