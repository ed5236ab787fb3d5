//! Where the buckets are kept: a bounded number of them, whoever asks.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;

/// The most buckets that are kept, in all: about 4 MiB.
const MOST: usize = 64 << 10;
const SHARDS: usize = 64;

/// Whose bucket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The token of that id.
    Token(u64),
    /// An address of IPv4.
    V4(u32),
    /// A network of IPv6 with a prefix of 64 bits: what one subscriber is given.
    V6(u64),
}

impl Key {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// When each bucket will be full. Where there is no room for one more, the one that is full soonest goes:
/// forgetting it gives away least.
pub(super) struct Buckets {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<Key, Nanos>>>,
    most: usize,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::of(SHARDS, MOST)
    }
}

impl Buckets {
    fn of(shards: usize, most: usize) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(shards).collect::<Vec<_>>();
        Self { hasher: RandomState::new(), most: most / shards.len(), shards }
    }
}

impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shards = self.shards.len() as u64;
        let shard =
            usize::try_from(self.hasher.hash_one(key) % shards).ok().and_then(|at| self.shards.get(at));
        let Some(shard) = shard else {
            return f(None).map(|(outcome, _)| outcome);
        };
        let mut buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let known = buckets.get(key).copied();
        let (outcome, full_at) = f(known)?;
        if known.is_none()
            && buckets.len() >= self.most
            && let Some(fullest) = buckets.iter().min_by_key(|(_, full_at)| **full_at).map(|(key, _)| *key)
        {
            buckets.remove(&fullest);
        }
        buckets.insert(*key, full_at);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(buckets: &Buckets, key: u32, full_at: u64) -> Option<Nanos> {
        buckets.measure_and_replace(&Key::V4(key), |known| Ok::<_, ()>((known, Nanos::new(full_at)))).unwrap()
    }

    #[test]
    fn there_is_an_end_to_them() {
        let buckets = Buckets::of(4, 64);
        for key in 0..10_000 {
            put(&buckets, key, u64::from(key));
        }
        let kept: usize = buckets.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
        assert_eq!(kept, 64);
    }

    #[test]
    fn the_emptiest_are_kept() {
        let buckets = Buckets::of(1, 3);
        for (key, full_at) in [(1, 500), (2, 100), (3, 900), (4, 200), (5, 300)] {
            assert_eq!(put(&buckets, key, full_at), None);
        }
        assert_eq!(put(&buckets, 1, 501), Some(Nanos::new(500)));
        assert_eq!(put(&buckets, 3, 901), Some(Nanos::new(900)));
        assert_eq!(put(&buckets, 5, 301), Some(Nanos::new(300)));
    }

    #[test]
    fn who_is_refused_changes_nothing() {
        let buckets = Buckets::of(1, 3);
        put(&buckets, 1, 500);
        let refused: Result<(), &str> = buckets.measure_and_replace(&Key::V4(1), |_| Err("no"));
        assert_eq!(refused, Err("no"));
        assert_eq!(put(&buckets, 1, 501), Some(Nanos::new(500)));
    }
}
