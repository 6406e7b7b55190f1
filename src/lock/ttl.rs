//! The TTL of a key, and the drift of two clocks in that time.

use std::fmt;
use std::time::Duration;

/// Expiry of a key that is not extended, in whole milliseconds, from 200 ms to 24 h.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ttl(Duration);

impl Ttl {
    /// The shortest TTL. With a shorter one, an ordinary scheduling delay would lose the lock.
    pub const MIN: Duration = Duration::from_millis(200);
    /// The longest TTL. A dead holder blocks the other runs for one TTL.
    pub const MAX: Duration = Duration::from_secs(24 * 60 * 60);

    /// The TTL without an option and without a setting.
    pub const DEFAULT: Self = Self(Duration::from_secs(30));

    /// The TTL of `length`, cut to whole milliseconds, the unit of `SET … PX`.
    ///
    /// # Errors
    /// When `length` is below [`Ttl::MIN`] or above [`Ttl::MAX`].
    pub fn new(length: Duration) -> Result<Self, InvalidTtl> {
        if length < Self::MIN || length > Self::MAX {
            return Err(InvalidTtl);
        }
        let millis = u64::try_from(length.as_millis()).map_err(|_| InvalidTtl)?;
        Ok(Self(Duration::from_millis(millis)))
    }

    /// The length.
    #[must_use]
    pub const fn length(self) -> Duration {
        self.0
    }

    /// The length in milliseconds, the unit of `SET … PX`.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// The largest difference of our clock and an instance's over one TTL: a hundredth of the TTL,
    /// plus 2 ms for the resolution of the expiry (`CLOCK_DRIFT` of the Redlock page).
    #[must_use]
    pub fn drift(self) -> Duration {
        self.0 / 100 + Duration::from_millis(2)
    }

    /// The validity of the key, from the sending of the confirmed command: the TTL less the drift.
    #[must_use]
    pub fn validity(self) -> Duration {
        self.0.saturating_sub(self.drift())
    }
}

/// Error of a length outside 200 ms to 24 h.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidTtl;

impl fmt::Display for InvalidTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a length from 200ms to 24h")
    }
}

impl std::error::Error for InvalidTtl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_has_bounds_and_whole_milliseconds() {
        for (label, micros, millis) in [
            ("just below the shortest", 199_999, None),
            ("the shortest", 200_000, Some(200)),
            ("a fraction is cut", 1_000_999, Some(1_000)),
            ("the longest", 86_400_000_000, Some(86_400_000)),
            ("just above the longest", 86_400_000_001, None),
        ] {
            let ttl = Ttl::new(Duration::from_micros(micros));
            assert_eq!(ttl.ok().map(Ttl::millis), millis, "{label}");
        }
    }

    #[test]
    fn drift_is_a_hundredth_and_two_milliseconds() {
        for (ttl, drift) in [(200, 4), (1_000, 12), (30_000, 302)] {
            let ttl = Ttl::new(Duration::from_millis(ttl)).unwrap();
            assert_eq!(ttl.drift(), Duration::from_millis(drift));
            assert_eq!(ttl.validity() + ttl.drift(), ttl.length());
        }
    }
}
