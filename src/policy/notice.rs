//! Notices of a run for the user, as facts. The wording is the report's.

use super::{ChildEvent, End, Event, Weakness};
use crate::lock::{
    Difference, Extension, FenceToken, ObservedHolder, Release, Revocation, ServerWarning, Vote,
};
use std::time::Duration;

/// One notice. Instances are counted from 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// The wait has lasted long enough to be reported, or has changed.
    Waiting {
        /// Reason of the wait.
        blocker: Blocker,
        /// Number of contenders ahead in the queue, if known.
        place: Option<u32>,
    },
    /// The reported wait is over, with or without the lock.
    Waited,
    /// The lock was acquired.
    Acquired {
        /// Number of attempts.
        attempts: u32,
        /// Time from the beginning of the run.
        took: Duration,
        /// Time to the expiry of the lock.
        left: Duration,
        /// The vote of each instance by then.
        votes: Vec<Option<Vote>>,
    },
    /// A quorum has confirmed an extension.
    Extended {
        /// Number of extensions so far.
        count: u32,
        /// Time to the expiry of the lock.
        left: Duration,
        /// Time between two extensions.
        every: Duration,
    },
    /// A quorum has confirmed the release.
    Released {
        /// Time from the acquisition to the release.
        held: Duration,
        /// Number of extensions.
        extensions: u32,
    },
    /// The fencing token of the command.
    Fenced(FenceToken),
    /// The counters of the fence were written for the first time.
    FirstFence,
    /// So many instances lack the counter of the fence that the order of the token rests on the
    /// hosts' clocks.
    CountersLost,
    /// The command was started.
    CommandStarted,
    /// The command has ended.
    CommandEnded(End),
    /// An instance is no longer a member.
    InstanceLost {
        /// The instance.
        instance: usize,
        /// Its response. `None` if another server answers there now.
        response: Option<Extension>,
    },
    /// Two instances are one server, which counts once.
    SameServer {
        /// The earlier instance.
        one: usize,
        /// The later instance.
        other: usize,
    },
    /// The clock of an instance stepped forward, so its keys expire early. The instance is no
    /// member until a later round.
    ClockStepped {
        /// The instance.
        instance: usize,
        /// Length of the step, less the drift.
        by: Duration,
    },
    /// Every weakness of the lock. At most once in a run.
    Weaknesses(Vec<Weakness>),
    /// A property of an instance that weakens the lock, and that became known after
    /// [`Notice::Weaknesses`] or during `redlock wait`.
    ServerWarning {
        /// The instance.
        instance: usize,
        /// The property.
        warning: ServerWarning,
    },
    /// Another host takes leases that are longer than our restart guard. Holds one of its locks.
    LongLease(ObservedHolder),
    /// While we hold the lock, an instance names a holder whose configuration differs: both commands
    /// may run.
    HeldBeside(ObservedHolder, Difference),
    /// An instance denied the lock late, and holds it for a host whose configuration differs. The
    /// command is stopped.
    GivingWay {
        /// The instance.
        instance: usize,
    },
    /// An instance is a member again, or became one after the acquisition.
    InstanceRejoined {
        /// The instance.
        instance: usize,
    },
    /// An instance did not confirm an extension.
    Unconfirmed {
        /// The instance.
        instance: usize,
        /// Its response.
        response: Extension,
    },
    /// The command is asked to stop because of a loss.
    Stopping(LossCause),
    /// The lock is lost, and the command goes on.
    Lost(LossCause),
    /// The command has reached `--max-runtime` and is asked to stop.
    MaxRuntimeExceeded,
    /// The process tree of the command is killed.
    Killing,
    /// redlock may not kill a process of the tree, so the tree is not empty.
    Unkillable {
        /// Process id.
        pid: i32,
    },
    /// The process tree cannot be listed, so it may not be empty.
    Unseen,
    /// Fewer than a quorum confirmed the release. Holds the response of each instance.
    ReleaseIncomplete(Vec<Option<Release>>),
}

/// Reason why an attempt failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blocker {
    /// Another run holds the lock.
    Holder(Option<ObservedHolder>),
    /// Fewer than a quorum answered. Holds the vote of each instance.
    Instances(Vec<Option<Vote>>),
}

/// Cause of a loss.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LossCause {
    /// No quorum confirmed an extension before the stop line.
    NoQuorum,
    /// Fewer than a quorum of instances still have our key.
    KeysGone,
    /// An operator took the lock away.
    Revoked(Revocation),
    /// The command ended after the expiry of the lock.
    EndedAfterExpiry,
}

impl Notice {
    /// The notice of an event of the command, for the record of a run.
    #[must_use]
    pub(super) const fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Child(ChildEvent::Started) => Some(Self::CommandStarted),
            Event::Child(ChildEvent::Ended { end, .. }) => Some(Self::CommandEnded(*end)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Time;

    #[test]
    fn the_start_and_the_end_of_the_command_are_noted() {
        let ended = ChildEvent::Ended { end: End::Exited(3), at: Time::default() };
        for (event, expected) in [
            (ChildEvent::Started, Some(Notice::CommandStarted)),
            (ended, Some(Notice::CommandEnded(End::Exited(3)))),
            (ChildEvent::Resumed, None),
        ] {
            assert_eq!(Notice::of(&Event::Child(event)), expected);
        }
    }
}
