//! What can happen to a run, and what can be asked of its shell.

use super::{End, Notice, Outcome, Signal, SpawnError, WaitLimit};
use crate::lock::{
    AfterRelease, ClusterSize, IfMissing, InstanceResponse, RestartGuard, Schedule, Time,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a run was told to do.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// How many instances there are.
    pub size: ClusterSize,
    /// The times.
    pub schedule: Schedule,
    /// How long an instance must have kept its memory to vote; no lease of any host is longer.
    pub guard: RestartGuard,
    /// How long to wait for the lock.
    pub wait_limit: WaitLimit,
    /// How long to wait before the first attempt.
    pub delay: Duration,
    /// How many may hold the lock at once.
    pub slots: u32,
    /// How a wait is mentioned that has lasted for a second.
    pub progress: ProgressStyle,
    /// How long the lock is held at least, from the start of the command.
    pub min_hold: Duration,
    /// How long the lock is held after the end of the command.
    pub cooldown: Duration,
    /// What asks the command to stop when the lock is about to be lost.
    pub stop_signal: Signal,
    /// Whether a command that goes on after such a signal of the user is killed too.
    pub escalates: bool,
    /// What a loss means for the command.
    pub on_lost: OnLost,
    /// How long the command may run.
    pub max_runtime: Option<Duration>,
    /// Whether the lock is held until everything that the command started has ended.
    pub awaits_descendants: bool,
}

/// How a long wait is mentioned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProgressStyle {
    /// Now and then, if something has changed: each mention stays.
    News,
    /// Every second: each mention takes the place of the last.
    Live,
}

/// What a loss means for the command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnLost {
    /// It is stopped before the lock can be anybody else's.
    Stop,
    /// It goes on, and a person is told.
    Warn,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Nothing but time.
    Woke,
    /// An instance answered.
    Response(InstanceResponse),
    /// redlock received a signal that was sent to it.
    Signal(Signal),
    /// redlock received a signal that its terminal has sent to the whole foreground, and so to the
    /// command.
    Typed(Signal),
    /// Something happened to the command.
    Child(ChildEvent),
}

/// What can happen to the command.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ChildEvent {
    /// It runs.
    Started,
    /// It could not be started.
    NotStarted(SpawnError),
    /// It was not started, because the stop line had passed.
    TooLate,
    /// It was stopped by this signal, as Ctrl-Z does.
    Stopped(Signal),
    /// redlock, which had stopped with it, goes on.
    Resumed,
    /// It ended.
    Ended {
        /// How.
        end: End,
        /// When.
        at: Time,
    },
    /// The guardian has begun to kill its tree, because its deadline came and was not moved.
    Expired,
    /// Nothing of its tree is left; follows [`Action::Kill`] or [`Action::AwaitDescendants`], or an
    /// end of the command that was not seen.
    Gone,
    /// This process of its tree cannot be killed by us.
    Unkillable(i32),
    /// It cannot be seen whether anything of its tree is left.
    Unseen,
    /// The guardian is gone; the command's processes come to redlock.
    Orphaned,
}

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Action {
    /// Send the acquisition of this attempt for this slot, with a new token, to all instances.
    Acquire(u32, u32),
    /// Send an extension to these instances.
    Extend(IfMissing, Vec<usize>),
    /// Send the release of this attempt to all instances.
    Release(u32, AfterRelease),
    /// Ask these instances what is in the way.
    AskStatus {
        /// Their numbers, from 0.
        instances: Vec<usize>,
        /// How long the wait has lasted; `None` where nobody is to be woken.
        waited: Option<Duration>,
    },
    /// Start the command, unless it is `stop_at` or later.
    Start {
        /// When a start would be too late.
        stop_at: Time,
        /// When the guardian is to kill the tree by itself.
        kill_at: Time,
    },
    /// The guardian is to kill the tree by itself at this new moment.
    SetKillDeadline(Time),
    /// Pass a signal that redlock received on to the command.
    ForwardSignal(Signal),
    /// Ask the command to stop; wake it if it is stopped.
    Stop(Signal),
    /// Kill every descendant, until none is left.
    Kill,
    /// Say when no process of the command's tree is left, and kill none.
    AwaitDescendants,
    /// Run what the user wants to be run when the lock is lost.
    RunLostHook,
    /// Stop redlock itself by the signal that stopped the command.
    Suspend(Signal),
    /// Let the command go on if it is stopped.
    Resume,
    /// The command needs no guardian any more.
    Dismiss,
    /// Tell a person.
    Notify(Notice),
    /// The run is over.
    End(Outcome),
}
