//! One redlock with its guardian and its command: redlock's session, in a shell of virtual time.

use super::server::{Key, right_wall};
use super::worker::Worker;
use super::world::Happening;
use redlock_cli::lock::{Holder, Proposal, RestartGuard, Schedule, Time};
use redlock_cli::policy::{Action, Notice, Outcome, Session};
use std::time::Duration;

/// The options of a redlock. Lengths are milliseconds if there is a flag for them, and nanoseconds
/// otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) ttl: u64,
    /// The names of its locks.
    pub(crate) names: Vec<u32>,
    pub(crate) slots: u32,
    /// The hosts of its servers.
    pub(crate) hosts: Vec<usize>,
    /// Nanoseconds that its command runs, and that it runs on after TERM. `None` ignores TERM.
    pub(crate) runtime: u64,
    pub(crate) obeys_after: Option<u64>,
    /// `--wait`. `None` waits without a limit.
    pub(crate) wait_limit: Option<u64>,
    pub(crate) min_hold: u64,
    pub(crate) cooldown: u64,
    pub(crate) max_runtime: Option<u64>,
    /// `--restart-guard` in milliseconds.
    pub(crate) guard: Option<u64>,
}

/// The keys of the locks, the same on each server.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) names: Vec<u32>,
    pub(crate) slots: u32,
    pub(crate) ttl: Duration,
    /// The common part of the lock values of all hosts that agree.
    pub(crate) kind: String,
    /// Whether the redlock does not know revocations.
    pub(crate) is_older: bool,
}

impl Target {
    pub(crate) fn keys(&self, slot: u32) -> Vec<Key> {
        self.names.iter().map(|name| (*name, slot)).collect()
    }

    pub(crate) fn all_keys(&self) -> Vec<Key> {
        (0..self.slots).flat_map(|slot| self.keys(slot)).collect()
    }
}

/// Stage of the life of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    None,
    Running { since: u64 },
}

/// The action before which a redlock is stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Before {
    /// Write the acquisition.
    Vote,
    /// Have the command started.
    Start,
}

pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) schedule: Schedule,
    pub(crate) target: Target,
    pub(crate) hosts: Vec<usize>,
    pub(crate) guard: RestartGuard,
    /// Its clock: nanoseconds ahead of real time at the start, and its rate in units of 1/100,000.
    pub(crate) offset: u64,
    pub(crate) rate: u64,
    /// How far its wall clock is ahead, in nanoseconds.
    pub(crate) ahead: i64,
    pub(crate) workers: Vec<Worker>,
    /// Its lock value. The nonce of an attempt consists of the numbers of the client and of the
    /// attempt.
    pub(crate) holder: Holder,
    pub(crate) value: String,
    pub(crate) slot: u32,
    /// The fencing token of its attempt, if any.
    pub(crate) proposal: Option<Proposal>,
    pub(crate) is_frozen: bool,
    pub(crate) freezes_before: Option<Before>,
    pub(crate) is_dead: bool,
    /// The actions that were pending at the freeze, and the events since.
    pub(crate) undone: Vec<(Time, Action)>,
    pub(crate) inbox: Vec<Happening>,
    pub(crate) command: Command,
    /// The number of its current command, so that an event for an earlier one has no effect.
    pub(crate) number: u64,
    pub(crate) runtime: u64,
    pub(crate) obeys_after: Option<u64>,
    pub(crate) guard_version: u64,
    pub(crate) wake_version: u64,
    /// The notices so far.
    pub(crate) notices: Vec<Notice>,
    /// Whether the last release keeps the key for a while.
    pub(crate) keeps: bool,
    pub(crate) outcome: Option<Outcome>,
    /// The real time of the client's end or death.
    pub(crate) ended_at: u64,
}

impl Client {
    /// Its clock at a moment of real time.
    pub(crate) fn clock(&self, now: u64) -> Time {
        Time::from_nanos(self.offset + now * self.rate / 100_000)
    }

    /// The first real time at which its clock has reached `at`.
    pub(crate) fn real(&self, at: Time) -> u64 {
        (at.as_nanos().saturating_sub(self.offset)).saturating_mul(100_000) / self.rate + 1
    }

    /// Its wall clock, since 1970.
    pub(crate) fn wall(&self, now: u64) -> Duration {
        right_wall(now.saturating_add_signed(self.ahead))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_dead || self.outcome.is_some()
    }
}
