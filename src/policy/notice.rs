//! What a run has to tell a person, as facts; the words are found elsewhere.

use super::Weakness;
use crate::lock::{Difference, Extension, ObservedHolder, Release, ServerWarning, Vote};
use std::time::Duration;

/// One thing that happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// The wait has become long enough to mention, or something about it has changed.
    Waiting {
        /// What keeps us from the lock.
        blocker: Blocker,
        /// How many wait before us, where that is known.
        place: Option<u32>,
    },
    /// The wait is over, one way or another.
    Waited,
    /// The lock is ours.
    Acquired {
        /// The number of attempts it took.
        attempts: u32,
        /// The time it took.
        took: Duration,
        /// How long it is certainly ours.
        left: Duration,
    },
    /// An instance does not count any more.
    InstanceLost {
        /// Its number, from 0.
        instance: usize,
        /// What it said; `None` where it is another server than before.
        response: Option<Extension>,
    },
    /// An instance is the same server as an earlier one: the two count once.
    SameServer {
        /// The earlier one.
        one: usize,
        /// The later one.
        other: usize,
    },
    /// An instance's clock stepped forward, so that keys expire too early there; it does not count
    /// for the moment.
    ClockStepped {
        /// Its number, from 0.
        instance: usize,
        /// How far, beyond what drift explains.
        by: Duration,
    },
    /// All that makes the lock weaker than it could be; at most once in a run.
    Weaknesses(Vec<Weakness>),
    /// A fault of a server that became known after [`Notice::Weaknesses`], or while waiting without
    /// taking the lock.
    ServerWarning {
        /// Its number, from 0.
        instance: usize,
        /// What of it.
        warning: ServerWarning,
    },
    /// Another host takes leases that are longer than our restart guard: this is one.
    LongLease(ObservedHolder),
    /// While we hold the lock an instance shows a holder that disagrees in that: both may run.
    HeldBeside(ObservedHolder, Difference),
    /// An instance counts again, or later than the others.
    InstanceRejoined {
        /// Its number, from 0.
        instance: usize,
    },
    /// An instance did not confirm an extension.
    Unconfirmed {
        /// Its number, from 0.
        instance: usize,
        /// What is known of it.
        response: Extension,
    },
    /// The command is asked to stop.
    Stopping(LossCause),
    /// The lock is lost, and the command goes on.
    Lost(LossCause),
    /// The command has run for as long as it may, and is asked to stop.
    MaxRuntimeExceeded,
    /// The whole tree of the command is killed.
    Killing,
    /// This process of the command's tree cannot be killed by us, so the tree is not gone yet.
    Unkillable {
        /// Its process id.
        pid: i32,
    },
    /// It cannot be seen whether the command's tree is gone.
    Unseen,
    /// Fewer than a quorum confirmed the release; what each said.
    ReleaseIncomplete(Vec<Option<Release>>),
}

/// What keeps an attempt from succeeding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blocker {
    /// Somebody else holds the lock.
    Holder(Option<ObservedHolder>),
    /// Too few instances answered; the vote of each.
    Instances(Vec<Option<Vote>>),
}

/// How a lock was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LossCause {
    /// No quorum confirmed an extension before the stop line.
    NoQuorum,
    /// Fewer than a quorum still have our key.
    KeysGone,
    /// The command ended, and by then the deadline had passed.
    EndedAfterExpiry,
}
