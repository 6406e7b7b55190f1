//! How a run ended, and the exit code that says so. Whatever changes the exit code is here.

use super::{LossCause, Signal};
use crate::lock::{Difference, ObservedHolder, PermanentError, Vote};
use serde::{Deserialize, Serialize};

/// How the command itself ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum End {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Signaled(Signal),
}

/// Why the command could not be started.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SpawnError {
    /// There is no such program.
    NotFound,
    /// It is there and cannot be executed; the system's error number (errno(3)).
    CannotExecute(i32),
}

impl SpawnError {
    /// `ENOENT` of errno(3), the same wherever Linux runs.
    const NO_ENTRY: i32 = 2;

    /// What the system's error number means.
    #[must_use]
    pub const fn of(errno: i32) -> Self {
        if errno == Self::NO_ENTRY { Self::NotFound } else { Self::CannotExecute(errno) }
    }

    /// The exit code that a shell would have for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::CannotExecute(_) => code::CANNOT_EXECUTE,
            Self::NotFound => code::NOT_FOUND,
        }
    }
}

/// What in redlock itself failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The guardian ended before its time.
    GuardianLost,
    /// The command is gone, and its end was not seen.
    EndUnseen,
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The command ran, and the lock was held throughout.
    Ended(End),
    /// A signal came while there was no command.
    Interrupted(Signal),
    /// Somebody else holds the lock.
    Busy(Option<ObservedHolder>),
    /// Too few instances answered; the vote of each.
    NoQuorum(Vec<Option<Vote>>),
    /// So many instances refuse that no quorum can grant; the vote of each.
    Refused(PermanentError, Vec<Option<Vote>>),
    /// These two instances are one server, and the servers are too few for a quorum.
    SameServer(usize, usize),
    /// This holder disagrees in that about the servers or the slots: both could hold the lock.
    Disagreed(ObservedHolder, Difference),
    /// The lock was lost while the command ran.
    Lost(LossCause),
    /// The command ran for longer than it may.
    Overtime,
    /// The command could not be started.
    CannotRun(SpawnError),
    /// redlock itself failed.
    Failed(Fault),
}

/// How redlock leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// By this signal, so that a shell sees 128+n and knows why.
    Signal(Signal),
}

/// The exit codes of sysexits.h and of env(1) and timeout(1), where they mean the same.
pub mod code {
    /// The command line cannot be understood (`EX_USAGE`).
    pub const USAGE: u8 = 64;
    /// Too few instances answered (`EX_UNAVAILABLE`).
    pub const NO_QUORUM: u8 = 69;
    /// The lock was lost (`EX_IOERR`).
    pub const LOST: u8 = 74;
    /// Somebody else holds the lock (`EX_TEMPFAIL`).
    pub const BUSY: u8 = 75;
    /// Credentials or rights are missing (`EX_NOPERM`).
    pub const ACCESS: u8 = 77;
    /// The configuration is wrong (`EX_CONFIG`).
    pub const CONFIG: u8 = 78;
    /// The command ran for longer than it may.
    pub const OVERTIME: u8 = 124;
    /// redlock itself failed.
    pub const FAILED: u8 = 125;
    /// The command cannot be executed.
    pub const CANNOT_EXECUTE: u8 = 126;
    /// The command was not found.
    pub const NOT_FOUND: u8 = 127;
}

impl Outcome {
    /// How redlock leaves after this; `busy` is the code for a lock that somebody else holds.
    #[must_use]
    pub const fn exit(&self, busy: u8) -> Exit {
        match self {
            Self::Ended(End::Exited(code)) => Exit::Code(*code),
            Self::Ended(End::Signaled(signal)) | Self::Interrupted(signal) => Exit::Signal(*signal),
            Self::Busy(_) => Exit::Code(busy),
            Self::NoQuorum(_) => Exit::Code(code::NO_QUORUM),
            Self::Refused(PermanentError::Access, _) => Exit::Code(code::ACCESS),
            Self::Refused(PermanentError::Configuration, _)
            | Self::SameServer(..)
            | Self::Disagreed(..) => Exit::Code(code::CONFIG),
            Self::Lost(_) => Exit::Code(code::LOST),
            Self::Overtime => Exit::Code(code::OVERTIME),
            Self::CannotRun(why) => Exit::Code(why.code()),
            Self::Failed(_) => Exit::Code(code::FAILED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_is_not_there_is_not_found() {
        assert_eq!(SpawnError::of(2), SpawnError::NotFound);
        assert_eq!(SpawnError::of(13), SpawnError::CannotExecute(13));
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
