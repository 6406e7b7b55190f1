//! Outcome of a run, and the table of exit codes. Every exit code has its outcome here.

use super::{LossCause, Signal};
use crate::lock::{ClusterSize, Difference, NoVoteReason, ObservedHolder, PermanentError, Vote};
use serde::{Deserialize, Serialize};

/// End of the command (`wait(2)`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum End {
    /// Exit with this code.
    Exited(u8),
    /// Death by this signal.
    Signaled(Signal),
}

/// Error of `execve(2)` for the command.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SpawnError {
    /// The program does not exist.
    NotFound,
    /// The program exists and cannot be executed. Holds the error number (`errno(3)`).
    CannotExecute(i32),
}

impl SpawnError {
    /// `ENOENT` of `errno(3)`, the same on every architecture of Linux.
    const NO_ENTRY: i32 = 2;

    /// The error with this number (`errno(3)`).
    #[must_use]
    pub const fn of(errno: i32) -> Self {
        if errno == Self::NO_ENTRY { Self::NotFound } else { Self::CannotExecute(errno) }
    }

    /// The exit code of a shell for this error.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::CannotExecute(_) => code::CANNOT_EXECUTE,
            Self::NotFound => code::NOT_FOUND,
        }
    }
}

/// Failure of redlock itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The guardian died before the command ended.
    GuardianLost,
    /// The command has ended, and its exit status is unknown.
    EndUnseen,
}

/// Outcome of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The command ran, and the lock was held throughout. Holds the end of the command.
    Ended(End),
    /// This signal ended the wait, before a command was started.
    Interrupted(Signal),
    /// Another run holds the lock.
    Busy(Option<ObservedHolder>),
    /// Fewer than a quorum answered. Holds the vote of each instance.
    NoQuorum(Vec<Option<Vote>>),
    /// So many instances refuse for good that no quorum can grant. Holds the vote of each
    /// instance.
    Refused(PermanentError, Vec<Option<Vote>>),
    /// These two instances are one server, and the servers are too few for a quorum.
    SameServer(usize, usize),
    /// The configuration of this holder differs in the servers or the slots: both runs could hold the
    /// lock.
    Disagreed(ObservedHolder, Difference),
    /// The lock was lost while the command ran.
    Lost(LossCause),
    /// The command reached `--max-runtime`.
    Overtime,
    /// The command could not be executed.
    CannotRun(SpawnError),
    /// redlock itself failed.
    Failed(Fault),
}

/// Exit of redlock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// Death by this signal. A shell reports 128+n.
    Signal(Signal),
}

/// Exit codes, as in `sysexits.h`, `env(1)` and `timeout(1)`.
pub mod code {
    /// The command line is invalid (`EX_USAGE`).
    pub const USAGE: u8 = 64;
    /// Fewer than a quorum answered (`EX_UNAVAILABLE`).
    pub const NO_QUORUM: u8 = 69;
    /// The lock was lost (`EX_IOERR`).
    pub const LOST: u8 = 74;
    /// Another run holds the lock (`EX_TEMPFAIL`).
    pub const BUSY: u8 = 75;
    /// Credentials or rights are missing (`EX_NOPERM`).
    pub const ACCESS: u8 = 77;
    /// The configuration is wrong (`EX_CONFIG`).
    pub const CONFIG: u8 = 78;
    /// The command reached `--max-runtime`.
    pub const OVERTIME: u8 = 124;
    /// redlock itself failed.
    pub const FAILED: u8 = 125;
    /// The command cannot be executed.
    pub const CANNOT_EXECUTE: u8 = 126;
    /// The command was not found.
    pub const NOT_FOUND: u8 = 127;
}

/// The exit code if `reasons` are those of the instances that cannot tell: the code of the
/// prevailing permanent error, if such errors alone leave no quorum, and 69 otherwise.
#[must_use]
pub fn untold_code<'a>(size: ClusterSize, reasons: impl Iterator<Item = &'a NoVoteReason>) -> u8 {
    match PermanentError::prevailing(reasons) {
        Some((kind, count)) if count >= size.blocking() => permanent_code(kind),
        _ => code::NO_QUORUM,
    }
}

const fn permanent_code(kind: PermanentError) -> u8 {
    match kind {
        PermanentError::Access => code::ACCESS,
        PermanentError::Configuration => code::CONFIG,
    }
}

impl Outcome {
    /// The exit of redlock after this outcome. `busy` is the exit code of [`Outcome::Busy`].
    #[must_use]
    pub const fn exit(&self, busy: u8) -> Exit {
        match self {
            Self::Ended(End::Exited(code)) => Exit::Code(*code),
            Self::Ended(End::Signaled(signal)) | Self::Interrupted(signal) => Exit::Signal(*signal),
            Self::Busy(_) => Exit::Code(busy),
            Self::NoQuorum(_) => Exit::Code(code::NO_QUORUM),
            Self::Refused(kind, _) => Exit::Code(permanent_code(*kind)),
            Self::SameServer(..) | Self::Disagreed(..) => Exit::Code(code::CONFIG),
            Self::Lost(_) => Exit::Code(code::LOST),
            Self::Overtime => Exit::Code(code::OVERTIME),
            Self::CannotRun(error) => Exit::Code(error.code()),
            Self::Failed(_) => Exit::Code(code::FAILED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_does_not_exist_is_not_found() {
        assert_eq!(SpawnError::of(2), SpawnError::NotFound);
        assert_eq!(SpawnError::of(13), SpawnError::CannotExecute(13));
    }

    #[test]
    fn permanent_errors_are_the_reason_of_an_unknown_answer_if_they_alone_leave_no_quorum() {
        use PermanentError::{Access, Configuration};
        let size = ClusterSize::redlock(5).unwrap();
        let refused = |kind| NoVoteReason::Refused(kind, String::new());
        for (reasons, expected) in [
            (vec![refused(Access), refused(Access)], 69),
            (vec![refused(Access), refused(Access), NoVoteReason::TimedOut], 69),
            (vec![refused(Access), refused(Access), refused(Access)], 77),
            (vec![refused(Access), refused(Configuration), refused(Configuration)], 78),
            (vec![], 69),
        ] {
            assert_eq!(untold_code(size, reasons.iter()), expected, "{reasons:?}");
        }
    }

    #[test]
    fn every_outcome_has_its_exit() {
        use Exit::{Code, Signal as By};
        for (outcome, expected) in [
            (Outcome::Ended(End::Exited(0)), Code(0)),
            (Outcome::Ended(End::Exited(255)), Code(255)),
            (Outcome::Ended(End::Signaled(Signal::KILL)), By(Signal::KILL)),
            (Outcome::Interrupted(Signal::INT), By(Signal::INT)),
            (Outcome::Busy(None), Code(9)),
            (Outcome::NoQuorum(vec![]), Code(69)),
            (Outcome::Refused(PermanentError::Access, vec![]), Code(77)),
            (Outcome::Refused(PermanentError::Configuration, vec![]), Code(78)),
            (Outcome::SameServer(0, 1), Code(78)),
            (
                Outcome::Disagreed(
                    ObservedHolder { value: String::new(), left: None },
                    Difference::Count(3),
                ),
                Code(78),
            ),
            (Outcome::Lost(LossCause::NoQuorum), Code(74)),
            (Outcome::Overtime, Code(124)),
            (Outcome::CannotRun(SpawnError::CannotExecute(13)), Code(126)),
            (Outcome::CannotRun(SpawnError::NotFound), Code(127)),
            (Outcome::Failed(Fault::GuardianLost), Code(125)),
        ] {
            assert_eq!(outcome.exit(9), expected, "{outcome:?}");
        }
    }
}
