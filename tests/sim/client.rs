//! One redlock with its guardian and its command: the session of the product, in a shell of virtual
//! time.

use super::server::{Key, right_wall};
use super::worker::Worker;
use super::world::Happening;
use redlock_cli::lock::{Holder, Proposal, RestartGuard, Schedule, Time};
use redlock_cli::policy::{Action, Notice, Outcome, Session};
use std::time::Duration;

/// How a redlock is called. Lengths are in milliseconds where a flag has them, else in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) ttl: u64,
    /// The names of its locks.
    pub(crate) names: Vec<u32>,
    pub(crate) slots: u32,
    /// The hosts of its servers.
    pub(crate) hosts: Vec<usize>,
    /// How long its command takes in nanoseconds, and how long after TERM; `None` ignores TERM.
    pub(crate) runtime: u64,
    pub(crate) obeys_after: Option<u64>,
    /// `--wait`; for ever where there is none.
    pub(crate) wait_limit: Option<u64>,
    pub(crate) min_hold: u64,
    pub(crate) cooldown: u64,
    pub(crate) max_runtime: Option<u64>,
    /// `--restart-guard` in milliseconds.
    pub(crate) guard: Option<u64>,
}

/// The locks, the same on each server.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) names: Vec<u32>,
    pub(crate) slots: u32,
    pub(crate) ttl: Duration,
    /// The part of a lock value that is the same for all hosts that agree.
    pub(crate) kind: String,
    /// The redlock does not know revocations.
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

/// A command's place in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    None,
    Running { since: u64 },
}

/// The action that a redlock is about to take when it is stopped.
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
    /// Its clock: nanoseconds ahead of real time at the start, and its rate in parts of 100,000.
    pub(crate) offset: u64,
    pub(crate) rate: u64,
    /// How far its wall clock is ahead, in nanoseconds.
    pub(crate) ahead: i64,
    pub(crate) workers: Vec<Worker>,
    /// Its lock value; the token of each attempt is its number behind that of the client.
    pub(crate) holder: Holder,
    pub(crate) value: String,
    pub(crate) slot: u32,
    /// The fencing token of its attempt, if any.
    pub(crate) proposal: Option<Proposal>,
    pub(crate) is_frozen: bool,
    pub(crate) freezes_before: Option<Before>,
    pub(crate) is_dead: bool,
    /// The actions that were not carried out before the freeze, and the events since.
    pub(crate) undone: Vec<(Time, Action)>,
    pub(crate) inbox: Vec<Happening>,
    pub(crate) command: Command,
    /// Counts the commands, so that an event timed for one does not hit the next.
    pub(crate) number: u64,
    pub(crate) runtime: u64,
    pub(crate) obeys_after: Option<u64>,
    pub(crate) guard_version: u64,
    pub(crate) wake_version: u64,
    /// The messages.
    pub(crate) notices: Vec<Notice>,
    /// The last release leaves the key for a while.
    pub(crate) keeps: bool,
    pub(crate) outcome: Option<Outcome>,
    /// The end of the client, or its death, in real time.
    pub(crate) ended_at: u64,
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

    /// Its wall clock, since 1970.
    pub(crate) fn wall(&self, now: u64) -> Duration {
        right_wall(now.saturating_add_signed(self.ahead))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_dead || self.outcome.is_some()
    }
}
