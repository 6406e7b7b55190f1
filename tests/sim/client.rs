//! One redlock with its guardian and its command: the session of the product, in a shell of virtual time.

use super::network::Link;
use redlock_cli::lock::Time;
use redlock_cli::policy::{Event, Outcome, Session};

/// A command's place in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    None,
    Running { since: u64 },
}

pub(crate) struct Client {
    pub(crate) session: Session,
    /// Its clock: nanoseconds ahead of real time at the start, and its rate in parts of 100,000.
    pub(crate) offset: u64,
    pub(crate) rate: u64,
    pub(crate) links: Vec<Link>,
    pub(crate) value: String,
    pub(crate) is_frozen: bool,
    pub(crate) is_dead: bool,
    /// What came while it was frozen.
    pub(crate) inbox: Vec<Event>,
    pub(crate) command: Command,
    /// Counts the commands, so that what was timed for one does not hit the next.
    pub(crate) number: u64,
    pub(crate) runtime: u64,
    pub(crate) obeys_after: Option<u64>,
    pub(crate) kill_at: Time,
    pub(crate) guard_version: u64,
    pub(crate) wake_version: u64,
    pub(crate) outcome: Option<Outcome>,
}

impl Client {
    /// Its clock at a real time.
    pub(crate) fn clock(&self, now: u64) -> Time {
        Time::from_nanos(self.offset + now * self.rate / 100_000)
    }

    /// The first real time at which its clock has reached `at`.
    pub(crate) fn real(&self, at: Time) -> u64 {
        (at.as_nanos().saturating_sub(self.offset)).saturating_mul(100_000) / self.rate + 1
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_dead || self.outcome.is_some()
    }
}
