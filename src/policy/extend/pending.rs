//! The newest extension of one instance, and the moment of the next one to this instance alone.
//!
//! The delays: a request that fails is repeated, each time later. A connection that ends is made
//! anew, each time later, too: a server may confirm each extension and then close the connection,
//! and a login for each of them would cost more than the lock.

use crate::lock::{IfMissing, Time, doubled};
use std::time::Duration;

/// The newest request to one instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingExtension {
    sent: Time,
    missing: IfMissing,
    /// Next request to this instance alone. [`Time::NEVER`] once the instance has confirmed.
    retry_at: Time,
    /// Number of requests since the last confirmation.
    failures: u32,
    /// Number of ends of the connection in a row.
    ends: u32,
    /// Moment from which the connection could be made anew after the last of these ends.
    reconnect_at: Time,
}

/// The shortest and the longest delay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
}

impl Delays {
    /// The delay after this number of delays in a row.
    fn after(self, count: u32) -> Duration {
        doubled(self.shortest, count, self.longest)
    }
}

impl PendingExtension {
    /// The instance was asked for its vote at `sent`, and gets its first extension at `retry_at`.
    pub(super) fn new(sent: Time, retry_at: Time) -> Self {
        Self {
            sent,
            missing: IfMissing::Leave,
            retry_at,
            failures: 0,
            ends: 0,
            reconnect_at: Time::default(),
        }
    }

    /// Moment at which the newest request was sent.
    pub(super) const fn sent(&self) -> Time {
        self.sent
    }

    /// Whether the newest request sets a missing key again.
    pub(super) const fn missing(&self) -> IfMissing {
        self.missing
    }

    /// Next request to this instance alone. [`Time::NEVER`] if the instance has confirmed.
    pub(super) const fn retry_at(&self) -> Time {
        self.retry_at
    }

    /// Whether at most one request was sent since the last confirmation.
    pub(super) const fn is_first(&self) -> bool {
        self.failures <= 1
    }

    /// A request is sent at `now`. It counts as a failure until it is confirmed.
    pub(super) fn send(&mut self, now: Time, missing: IfMissing, delays: Delays) {
        let delay = delays.after(self.failures);
        (self.sent, self.missing, self.retry_at) = (now, missing, now.plus(delay));
        self.failures = self.failures.saturating_add(1);
    }

    /// The instance has confirmed our key.
    pub(super) const fn confirm(&mut self) {
        (self.retry_at, self.failures) = (Time::NEVER, 0);
    }

    /// Asks for a request at `now`, unless one has failed: its delay stands.
    pub(super) const fn retry(&mut self, now: Time) {
        if self.failures == 0 {
            self.retry_at = now;
        }
    }

    /// The connection has ended at `now`, after every request was confirmed, or a failed request has
    /// a delay, which stands. The first end in a row is followed by a request at once, each further
    /// one by a delay that doubles. An end is in a row if the connection has not lasted for longer
    /// than the longest delay.
    pub(super) fn disconnect(&mut self, now: Time, delays: Delays) {
        if self.failures > 0 {
            return;
        }
        if now > self.reconnect_at.plus(delays.longest) {
            self.ends = 0;
        }
        let delay = self.ends.checked_sub(1).map_or(Duration::ZERO, |ends| delays.after(ends));
        self.ends = self.ends.saturating_add(1);
        self.reconnect_at = now.max(self.sent.plus(delay));
        self.retry_at = self.reconnect_at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn at(n: u64) -> Time {
        Time::default().plus(ms(10_000 + n))
    }

    const DELAYS: Delays =
        Delays { shortest: Duration::from_millis(100), longest: Duration::from_millis(666) };

    #[test]
    fn a_connection_that_ends_after_each_confirmation_is_made_anew_ever_later() {
        let mut request = PendingExtension::new(at(0), Time::NEVER);
        let mut now = 0;
        for delay in [0, 100, 200, 400, 666, 666, 666] {
            request.disconnect(at(now), DELAYS);
            assert_eq!(request.retry_at(), at(now + delay));
            now += delay;
            request.send(at(now), IfMissing::Leave, DELAYS);
            request.confirm();
            assert_eq!(request.retry_at(), Time::NEVER);
        }
    }

    #[test]
    fn an_end_after_a_long_time_without_one_is_followed_by_a_request_at_once() {
        for (label, lasted, delay) in [("soon", 666, 100), ("late", 667, 0)] {
            let mut request = PendingExtension::new(at(0), Time::NEVER);
            request.disconnect(at(0), DELAYS);
            // The round has asked in between.
            request.send(at(lasted), IfMissing::Leave, DELAYS);
            request.confirm();
            request.disconnect(at(lasted), DELAYS);
            assert_eq!(request.retry_at(), at(lasted + delay), "{label}");
        }
    }

    #[test]
    fn a_delay_counts_from_the_newest_request_and_one_after_a_failure_stands() {
        let mut request = PendingExtension::new(at(0), Time::NEVER);
        request.disconnect(at(0), DELAYS);
        request.disconnect(at(60), DELAYS);
        assert_eq!(request.retry_at(), at(100));
        request.disconnect(at(300), DELAYS);
        assert_eq!(request.retry_at(), at(300), "the delay is over");
        request.send(at(300), IfMissing::Leave, DELAYS);
        request.disconnect(at(310), DELAYS);
        assert_eq!(request.retry_at(), at(400), "the delay of the failed request");
    }
}
