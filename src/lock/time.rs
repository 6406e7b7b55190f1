//! Moments of the clock that counts suspend.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment, in nanoseconds since the boot of this host (`CLOCK_BOOTTIME` of `clock_gettime(2)`).
///
/// Moments of two hosts, or of two boots, cannot be compared. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Time(u64);

impl Time {
    /// The moment after every other.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after boot.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment `by` later, at most [`Time::NEVER`] (584 years).
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// The moment `by` earlier, at least the boot.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }

    /// The time from `earlier` to this moment. Zero if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// `length` in nanoseconds, at most 584 years.
fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let t = Time::from_nanos(10);
        assert_eq!(t.minus(Duration::from_secs(1)), Time::from_nanos(0));
        assert_eq!(t.plus(Duration::MAX), Time::NEVER);
        assert_eq!(t.since(Time::from_nanos(11)), Duration::ZERO);
        assert_eq!(t.since(Time::from_nanos(4)), Duration::from_nanos(6));
    }
}
