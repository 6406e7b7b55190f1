//! How long an instance keeps a key that nobody extends, and how far two clocks may drift apart in
//! that time.

use std::fmt;
use std::time::Duration;

/// A time to live, in whole milliseconds, from 200 ms to 24 h.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ttl(Duration);

impl Ttl {
    /// The shortest: below it, an ordinary scheduling delay would lose the lock.
    pub const MIN: Duration = Duration::from_millis(200);
    /// The longest: a dead holder keeps everyone out for one TTL.
    pub const MAX: Duration = Duration::from_secs(24 * 60 * 60);

    /// The TTL of `length`, cut to whole milliseconds as Redis counts them.
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

    /// The length in milliseconds, as `SET … PX` takes it.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// What may go wrong between our clock and an instance's: one hundredth of the TTL, and 2 ms
    /// for the resolution of expiry and the shortest step of a clock (the Redlock page's
    /// `CLOCK_DRIFT`).
    #[must_use]
    pub fn drift(self) -> Duration {
        self.0 / 100 + Duration::from_millis(2)
    }

    /// How long a command that was sent at a moment keeps the key from that moment on, for certain.
    #[must_use]
    pub fn validity(self) -> Duration {
        self.0.saturating_sub(self.drift())
    }
}

/// A length that cannot be a TTL.
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
