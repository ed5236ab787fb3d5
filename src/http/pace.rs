//! How slow the other side of a connection may be.

use std::time::Duration;

/// What a body must keep, whichever way it goes: no pause longer than `stall`, and from the first pause on no
/// less than `rate` bytes a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// `MARQUEE_STALL_MS`
    pub(super) stall: Duration,
    /// `MARQUEE_MIN_RATE`; above 0.
    pub(super) rate: u64,
}

impl Pace {
    /// The time that so many bytes may take.
    pub(super) fn allowed(&self, bytes: u64) -> Duration {
        let millis = u128::from(bytes) * 1000 / u128::from(self.rate.max(1));
        self.stall + Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_grows_with_what_has_come() {
        let pace = Pace { stall: Duration::from_secs(10), rate: 4096 };
        assert_eq!(pace.allowed(0), Duration::from_secs(10));
        assert_eq!(pace.allowed(4095), Duration::from_millis(10_999));
        assert_eq!(pace.allowed(8 << 20), Duration::from_secs(10 + 2048));
        assert!(pace.allowed(u64::MAX) > pace.allowed(u64::MAX / 2));
    }
}
