//! A server that sends malformed replies, and the delay of the next connection to it.
//!
//! A malformed connection is given up, since later replies cannot be matched to requests. A server
//! that sends malformed replies on each connection would cost redlock a login and a parse for each
//! request. A holder has other instances on which to extend its lock in time.

use super::pause::Pause;
use crate::lock::{NoVoteReason, Time};
use std::time::Duration;

/// The malformed connections to one server.
#[derive(Debug, Default)]
pub(super) struct MalformedServer {
    /// The pause in which only a release connects.
    pause: Pause,
}

impl MalformedServer {
    /// The delay after the first malformed connection. Each further one doubles the delay, up to
    /// [`MalformedServer::longest`].
    const SHORTEST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(4);

    /// The longest delay for a lock with this `ttl`: a quarter of the TTL, at most 4 s. The delay
    /// and the next round of extensions end before the stop line.
    fn longest(ttl: Duration) -> Duration {
        Self::LONGEST.min(ttl / 4)
    }

    /// A request was decided at `sent`.
    pub(super) const fn asked(&mut self, sent: Time) {
        self.pause.asked(sent);
    }

    /// Notes that the connection was given up for `reason`. If more time than the longest delay has
    /// passed since the last delay, the count of malformed connections in a row starts again.
    pub(super) fn ended(&mut self, ttl: Duration, reason: NoVoteReason) {
        let longest = Self::longest(ttl);
        if self.pause.is_long_over(longest) {
            self.pause.clear();
        }
        self.pause.failed(Self::SHORTEST, longest, reason);
    }

    /// Reason why only a release connects at `now`. `None` if any request may connect.
    pub(super) fn reason(&self, now: Time) -> Option<NoVoteReason> {
        self.pause.reason(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn reason() -> NoVoteReason {
        NoVoteReason::Unreachable("the program that answers there is no Redis server".into())
    }

    #[test]
    fn each_malformed_connection_doubles_the_delay_up_to_a_quarter_of_the_ttl_and_to_four_seconds()
    {
        for (ttl, delays) in [
            (200, [50, 50, 50, 50, 50, 50]),
            (2_000, [250, 500, 500, 500, 500, 500]),
            (30_000, [250, 500, 1_000, 2_000, 4_000, 4_000]),
        ] {
            let mut server = MalformedServer::default();
            let mut now = Time::default();
            assert_eq!(server.reason(now), None);
            for delay in delays {
                server.asked(now);
                server.ended(ms(ttl), reason());
                assert_eq!(server.reason(now.plus(ms(delay - 1))), Some(reason()), "{ttl}");
                now = now.plus(ms(delay));
                assert_eq!(server.reason(now), None, "{ttl}: {delay}");
            }
        }
    }

    #[test]
    fn a_server_that_was_sound_for_long_is_shunned_for_the_shortest_time_again() {
        let mut server = MalformedServer::default();
        let mut now = Time::default();
        for (label, pause, delay) in
            [("first", 0, 250), ("at once", 250, 500), ("soon", 900, 500), ("late", 1_001, 250)]
        {
            now = now.plus(ms(pause));
            server.asked(now);
            server.ended(ms(2_000), reason());
            assert!(server.reason(now.plus(ms(delay - 1))).is_some(), "{label}");
            assert_eq!(server.reason(now.plus(ms(delay))), None, "{label}");
        }
    }
}
