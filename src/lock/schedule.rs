//! Lengths of a run, and the stop and kill lines that follow from them.

use super::{Time, Ttl};
use std::fmt;
use std::time::Duration;

/// TTL, kill-after and op-timeout of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    ttl: Ttl,
    kill_after: Duration,
    op_timeout: Duration,
}

impl Schedule {
    /// The schedule of a run. The default of `kill_after` is min(5 s, ttl/4), that of `op_timeout`
    /// is ttl/20, from 50 ms to 1 s.
    ///
    /// # Errors
    /// When the first failed extension would reach the stop line: `ttl - kill_after <= ttl/3 +
    /// op_timeout`.
    pub fn new(
        ttl: Ttl,
        kill_after: Option<Duration>,
        op_timeout: Option<Duration>,
    ) -> Result<Self, InvalidSchedule> {
        let length = ttl.length();
        let kill_after = kill_after.unwrap_or_else(|| Duration::from_secs(5).min(length / 4));
        let op_timeout = op_timeout.unwrap_or_else(|| {
            (length / 20).clamp(Duration::from_millis(50), Duration::from_secs(1))
        });
        if length.saturating_sub(kill_after) <= (length / 3).saturating_add(op_timeout) {
            return Err(InvalidSchedule { ttl, kill_after, op_timeout });
        }
        Ok(Self { ttl, kill_after, op_timeout })
    }

    /// The TTL.
    #[must_use]
    pub const fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// The time limit of one request to one instance.
    #[must_use]
    pub const fn op_timeout(&self) -> Duration {
        self.op_timeout
    }

    /// The time from the request to stop to the kill.
    #[must_use]
    pub const fn kill_after(&self) -> Duration {
        self.kill_after
    }

    /// The time from one extension to the next: a third of the TTL.
    #[must_use]
    pub fn extend_every(&self) -> Duration {
        self.ttl.length() / 3
    }

    /// The time a process tree may take to die of SIGKILL: a twentieth of the TTL, from 20 ms to
    /// 200 ms.
    #[must_use]
    pub fn margin(&self) -> Duration {
        (self.ttl.length() / 20).clamp(Duration::from_millis(20), Duration::from_millis(200))
    }

    /// Stop line of a lock that expires at `deadline`: ask the command to stop, kill-after before
    /// the deadline.
    #[must_use]
    pub fn stop_at(&self, deadline: Time) -> Time {
        deadline.minus(self.kill_after.max(self.margin()))
    }

    /// Kill line of a lock that expires at `deadline`: kill the process tree, the margin before the
    /// deadline.
    #[must_use]
    pub fn kill_at(&self, deadline: Time) -> Time {
        deadline.minus(self.margin())
    }

    /// Whether a command may start at `now`: at least half the TTL is left.
    #[must_use]
    pub fn worth_starting(&self, now: Time, deadline: Time) -> bool {
        deadline.since(now) >= self.ttl.length() / 2
    }
}

/// Error of a stop line so early that one failed extension would stop the command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidSchedule {
    /// The TTL.
    pub ttl: Ttl,
    /// The time from the request to stop to the kill.
    pub kill_after: Duration,
    /// The time limit of one request.
    pub op_timeout: Duration,
}

impl fmt::Display for InvalidSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected ttl - kill-after to be longer than ttl/3 + op-timeout")
    }
}

impl std::error::Error for InvalidSchedule {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn ttl(n: u64) -> Ttl {
        Ttl::new(ms(n)).unwrap()
    }

    #[test]
    fn defaults_follow_the_ttl() {
        for (label, ttl_ms, kill_after, op_timeout, margin) in [
            ("shortest", 200, 50, 50, 20),
            ("a second", 1_000, 250, 50, 50),
            ("default", 30_000, 5_000, 1_000, 200),
            ("an hour", 3_600_000, 5_000, 1_000, 200),
        ] {
            let schedule = Schedule::new(ttl(ttl_ms), None, None).unwrap();
            assert_eq!(schedule.kill_after(), ms(kill_after), "{label}");
            assert_eq!(schedule.op_timeout(), ms(op_timeout), "{label}");
            assert_eq!(schedule.margin(), ms(margin), "{label}");
        }
    }

    #[test]
    fn a_stop_line_before_the_second_extension_is_refused() {
        for (label, kill_after, op_timeout, fits) in [
            ("roomy", 2_000, 1_000, true),
            ("on the line", 19_000, 1_000, false),
            ("a millisecond short of it", 18_999, 1_000, true),
            ("longer than the ttl", 40_000, 1_000, false),
            ("slow operations", 5_000, 15_000, false),
        ] {
            let schedule = Schedule::new(ttl(30_000), Some(ms(kill_after)), Some(ms(op_timeout)));
            assert_eq!(schedule.is_ok(), fits, "{label}");
        }
    }

    #[test]
    fn an_extension_is_due_every_third_and_the_lines_are_before_the_deadline() {
        for (ttl_ms, kill_after, extend_every, stop, kill) in
            [(30_000, None, 10_000, 5_000, 200), (3_000, Some(10), 1_000, 150, 150)]
        {
            let schedule = Schedule::new(ttl(ttl_ms), kill_after.map(ms), None).unwrap();
            let deadline = Time::from_nanos(60_000_000_000);
            assert_eq!(schedule.extend_every(), ms(extend_every));
            assert_eq!(schedule.stop_at(deadline), deadline.minus(ms(stop)));
            assert_eq!(schedule.kill_at(deadline), deadline.minus(ms(kill)));
        }
    }

    #[test]
    fn a_start_needs_half_the_ttl() {
        let schedule = Schedule::new(ttl(1_000), None, None).unwrap();
        let deadline = Time::from_nanos(2_000_000_000);
        assert!(schedule.worth_starting(deadline.minus(ms(500)), deadline));
        assert!(!schedule.worth_starting(deadline.minus(ms(499)), deadline));
        assert!(!schedule.worth_starting(deadline.plus(ms(1)), deadline));
    }

    proptest! {
        #[test]
        fn stop_comes_before_kill_and_kill_before_the_deadline(ttl_ms in 200_u64..10_000_000, kill_ms in 0_u64..100_000) {
            if let Ok(schedule) = Schedule::new(ttl(ttl_ms), Some(ms(kill_ms)), None) {
                let deadline = Time::NEVER;
                prop_assert!(schedule.stop_at(deadline) <= schedule.kill_at(deadline));
                prop_assert!(schedule.kill_at(deadline) < deadline);
            }
        }
    }
}
