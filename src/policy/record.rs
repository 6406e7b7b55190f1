//! The record of one run: how it ended, and how long it waited and held the lock. Its JSON form is
//! the last event of a run; docs/events.md describes it.

use super::{End, Exit, Outcome};
use crate::lock::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The record of one run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// Always `result`.
    pub event: String,
    /// Wall clock of the end, in milliseconds since 1970.
    pub at_ms: u64,
    /// Subcommand.
    pub verb: String,
    /// Names of the locks.
    pub names: Vec<String>,
    /// Public id of the run. Empty if the run was refused before it had an id.
    pub id: String,
    /// Kind of the end.
    pub outcome: RecordedOutcome,
    /// Whether the command was started.
    pub ran: bool,
    /// Exit code of redlock. `None` after a signal, and if redlock was killed.
    pub exit_code: Option<u8>,
    /// Number of the signal that ended redlock or its command.
    pub signal: Option<i32>,
    /// Time to the lock, or to the end of the wait.
    pub waited_ms: u64,
    /// Time from the lock to the end.
    pub held_ms: u64,
    /// Fencing token of the lock, if the run had the lock and a token.
    pub fence: Option<u64>,
    /// Number of events that could not be written.
    pub lost_lines: u32,
}

/// Kind of the end of a run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedOutcome {
    /// The command ended by itself.
    Ran,
    /// The lock was busy, and `--if-busy skip` was given.
    Skipped,
    /// The lock was busy.
    Busy,
    /// The lock was lost.
    Lost,
    /// `--max-runtime` or `--max-hold` was reached.
    Overtime,
    /// A signal ended the wait.
    Interrupted,
    /// Too few instances answered.
    NoQuorum,
    /// The options, the configuration or the instances do not allow the run.
    Refused,
    /// The command could not be executed.
    CannotRun,
    /// A redlock around this one holds the lock: the command runs in its place, without a result of
    /// its own.
    Nested,
    /// `redlock acquire` has left the lock held.
    Acquired,
    /// `redlock hold` has released the lock.
    Released,
    /// redlock failed or was killed.
    Failed,
}

impl RecordedOutcome {
    /// The kind of `outcome`, where `skips` is `--if-busy skip`.
    #[must_use]
    pub const fn of(outcome: &Outcome, skips: bool) -> Self {
        match outcome {
            Outcome::Ended(_) => Self::Ran,
            Outcome::Interrupted(_) => Self::Interrupted,
            Outcome::Busy(_) if skips => Self::Skipped,
            Outcome::Busy(_) => Self::Busy,
            Outcome::NoQuorum(_) => Self::NoQuorum,
            Outcome::Refused(..) | Outcome::SameServer(..) | Outcome::Disagreed(..) => {
                Self::Refused
            }
            Outcome::Lost(_) => Self::Lost,
            Outcome::Overtime => Self::Overtime,
            Outcome::CannotRun(_) => Self::CannotRun,
            Outcome::Failed(_) => Self::Failed,
        }
    }
}

impl Record {
    /// The record of a run that has not ended: that of a redlock that is killed now.
    #[must_use]
    pub fn open(verb: &str, names: Vec<String>, id: &str) -> Self {
        Self {
            event: "result".to_owned(),
            at_ms: 0,
            verb: verb.to_owned(),
            names,
            id: id.to_owned(),
            outcome: RecordedOutcome::Failed,
            ran: false,
            exit_code: None,
            signal: None,
            waited_ms: 0,
            held_ms: 0,
            fence: None,
            lost_lines: 0,
        }
    }

    /// The record after this end.
    #[must_use]
    pub fn ended(mut self, outcome: RecordedOutcome, exit: Exit) -> Self {
        self.outcome = outcome;
        (self.exit_code, self.signal) = match exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal.number())),
        };
        self
    }

    /// Fills in the times of a run that began at `begun`, had the lock from `acquired` on, and ended
    /// at `now`.
    pub fn time(&mut self, begun: Time, acquired: Option<Time>, now: Time) {
        let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.waited_ms = millis(acquired.unwrap_or(now).since(begun));
        self.held_ms = acquired.map_or(0, |acquired| millis(now.since(acquired)));
    }

    /// Whether the run exited with 0 and was not skipped.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.exit_code == Some(0) && self.outcome != RecordedOutcome::Skipped
    }
}

/// The end of a command as an exit code and a signal.
#[must_use]
pub const fn end_parts(end: End) -> (Option<u8>, Option<i32>) {
    match end {
        End::Exited(code) => (Some(code), None),
        End::Signaled(signal) => (None, Some(signal.number())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Signal;

    #[test]
    fn a_record_tells_skipped_from_done_and_has_the_times() {
        let open = Record::open("run", vec!["a".into()], "4f");
        let second = |second: u64| Time::from_nanos(second * 1_000_000_000);
        let mut done = open.clone().ended(RecordedOutcome::Ran, Exit::Code(0));
        done.time(second(1), Some(second(3)), second(9));
        assert_eq!((done.waited_ms, done.held_ms, done.is_success()), (2_000, 6_000, true));
        let mut busy = open
            .clone()
            .ended(RecordedOutcome::of(&Outcome::Busy(None), true), Outcome::Busy(None).exit(0));
        busy.time(second(1), None, second(9));
        assert_eq!(busy.outcome, RecordedOutcome::Skipped);
        assert_eq!((busy.waited_ms, busy.held_ms, busy.is_success()), (8_000, 0, false));
        let killed = open.ended(RecordedOutcome::Ran, Exit::Signal(Signal::KILL));
        assert_eq!((killed.exit_code, killed.signal), (None, Some(9)));
    }

    #[test]
    fn a_command_ends_with_a_code_or_by_a_signal() {
        assert_eq!(end_parts(End::Exited(3)), (Some(3), None));
        assert_eq!(end_parts(End::Signaled(Signal::KILL)), (None, Some(9)));
    }

    #[test]
    fn a_busy_lock_is_skipped_only_where_that_was_asked_for() {
        for (skips, expected) in [(true, RecordedOutcome::Skipped), (false, RecordedOutcome::Busy)]
        {
            assert_eq!(RecordedOutcome::of(&Outcome::Busy(None), skips), expected);
        }
    }
}
