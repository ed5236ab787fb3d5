//! Keys of any spelling.

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// What is a key is one in quotes, too, and is taken when it is neither empty nor too long.
#[test]
fn idempotency_key() {
    target("idempotency_key", 10_000, |line| {
        let Some(headers) = header(&IDEMPOTENCY_KEY, line) else { return };
        let scope = Scope { token: None, route: "POST /" };
        let taken = Key::of(&headers, scope).ok().flatten();
        let Some(key) = spelt(line).filter(|_| !line.contains(&b'\n')) else {
            return assert_eq!(taken, None);
        };
        assert!(key.iter().all(|byte| (b' '..=b'~').contains(byte)));
        let escaped = key.iter().flat_map(|byte| match byte {
            b'"' | b'\\' => vec![b'\\', *byte],
            _ => vec![*byte],
        });
        let quoted: Vec<u8> = [b'"'].into_iter().chain(escaped).chain([b'"']).collect();
        assert_eq!(spelt(&quoted), Some(key.clone()));
        assert_eq!(taken.is_some(), (1..=LONGEST).contains(&key.len()));
        if taken.is_some() {
            assert_eq!(Key::of(&header(&IDEMPOTENCY_KEY, &quoted).unwrap(), scope).unwrap(), taken);
        }
    });
}
