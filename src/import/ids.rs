//! IMDb's names as numbers, and the set of those that were met.

use std::collections::HashMap;

use super::error::ImportError;
use super::joins::Budget;

/// A `tt…` or `nm…` as a number: its digits, and how many they are (`tt0000001` is not `tt00000001`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u64);

/// 10 digits need 34 bits; their count stands above.
const DIGIT_BITS: u32 = 34;

impl Key {
    /// The key of `text` when it is `prefix` and 7 to 10 digits.
    pub(super) fn parse(prefix: &str, text: &str) -> Option<Self> {
        let digits = text.strip_prefix(prefix)?;
        if !(7..=10).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number: u64 = digits.parse().ok()?;
        Some(Self((digits.len() as u64) << DIGIT_BITS | number))
    }
}

/// How many keys share a page.
const PAGE_BITS: u32 = 12;
type Page = Box<[u64; 1 << (PAGE_BITS - 6)]>;
/// What a page costs: its bits, and its place in the map at its emptiest.
const PAGE_BYTES: usize = size_of::<[u64; 1 << (PAGE_BITS - 6)]>() + 64;

/// The ids that this run has met: a bit each, in pages.
///
/// IMDb gives its numbers out densely, so that all of its 12 million titles cost less than 8 MB.
#[derive(Default)]
pub(super) struct Seen {
    pages: HashMap<u64, Page>,
}

impl Seen {
    /// Notes `key`; false when it was there already.
    pub(super) fn insert(&mut self, key: Key, budget: &mut Budget) -> Result<bool, ImportError> {
        let page_number = key.0 >> PAGE_BITS;
        if !self.pages.contains_key(&page_number) {
            budget.charge(PAGE_BYTES, "the set of ids seen")?;
        }
        let page = self.pages.entry(page_number).or_insert_with(|| Box::new([0; 1 << (PAGE_BITS - 6)]));
        let within = key.0 & ((1 << PAGE_BITS) - 1);
        let bit = 1u64 << (within & 63);
        let Some(word) = page.get_mut((within >> 6) as usize) else { return Ok(true) };
        let is_new = *word & bit == 0;
        *word |= bit;
        Ok(is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_ids_apart() {
        let key = |text| Key::parse("tt", text);
        assert!(key("tt0000001").is_some());
        assert_ne!(key("tt0000001"), key("tt00000001"));
        assert_ne!(key("tt9999999999"), key("tt999999999"));
        for bad in ["tt000001", "tt00000000001", "nm0000001", "tt00000a1", ""] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_is_new_once() {
        let mut seen = Seen::default();
        let mut budget = Budget::new(1024 * 1024);
        for round in [true, false] {
            for number in [0, 1, 63, 64, 4095, 4096, 9_999_999] {
                let key = Key::parse("tt", &format!("tt{number:07}")).unwrap();
                assert_eq!(seen.insert(key, &mut budget).unwrap(), round, "{number}");
            }
        }
    }

    #[test]
    fn scattered_ids_meet_the_bound() {
        let mut seen = Seen::default();
        let mut budget = Budget::new(64 * 1024);
        let stopped = (0..1000u64).any(|i| {
            let key = Key::parse("tt", &format!("tt{:010}", i * 1_000_000)).unwrap();
            seen.insert(key, &mut budget).is_err()
        });
        assert!(stopped);
    }
}
