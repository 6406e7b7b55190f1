//! A pause of the connections to one server, which doubles with each failure in a row.

use crate::lock::{NoVoteReason, Time, doubled};
use std::time::Duration;

/// The failures of one server, and the pause that follows from them.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Moment at which the newest request was decided.
    asked_at: Time,
    /// Number of failures in a row.
    failures: u32,
    /// End of the pause, and the error of the server.
    until: Option<(Time, NoVoteReason)>,
}

impl Pause {
    /// A request was decided at `sent`.
    pub(super) const fn asked(&mut self, sent: Time) {
        self.asked_at = sent;
    }

    /// The connection has failed for `reason`. The first pause is `shortest`, the longest `longest`.
    pub(super) fn failed(&mut self, shortest: Duration, longest: Duration, reason: NoVoteReason) {
        let length = doubled(shortest, self.failures, longest);
        self.failures = self.failures.saturating_add(1);
        self.until = Some((self.asked_at.plus(length), reason));
    }

    /// The server is sound again.
    pub(super) fn clear(&mut self) {
        (self.failures, self.until) = (0, None);
    }

    /// Whether the last pause has been over for longer than `length`, or there was none.
    pub(super) fn is_long_over(&self, length: Duration) -> bool {
        self.until.as_ref().is_none_or(|(until, _)| self.asked_at > until.plus(length))
    }

    /// Reason of the pause at `now`. `None` if there is none.
    pub(super) fn reason(&self, now: Time) -> Option<NoVoteReason> {
        self.until.as_ref().filter(|(until, _)| now < *until).map(|(_, reason)| reason.clone())
    }
}
