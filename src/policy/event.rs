//! Events of a run, and the actions that answer them.

use super::{End, Notice, Outcome, Signal, SpawnError};
use crate::lock::{AfterRelease, FenceToken, IfMissing, InstanceResponse, Time};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One event of a run.
#[derive(Debug)]
pub enum Event {
    /// A timer fired, or the run begins.
    Woke,
    /// A response or an unasked message of an instance.
    Response(InstanceResponse),
    /// A signal that a process sent to redlock.
    Signal(Signal),
    /// A signal that the terminal sent to its foreground process group, which includes the
    /// command.
    Typed(Signal),
    /// An event of the command.
    Child(ChildEvent),
}

/// An event of the command.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ChildEvent {
    /// The program was executed.
    Started,
    /// The program could not be executed.
    NotStarted(SpawnError),
    /// The start was refused, because the start line had passed.
    TooLate,
    /// This signal stopped the command, as Ctrl-Z does.
    Stopped(Signal),
    /// redlock was continued after a stop.
    Resumed,
    /// The command ended.
    Ended {
        /// Exit code or signal.
        end: End,
        /// Moment of the end.
        at: Time,
    },
    /// The guardian has begun to kill the process tree, because the kill deadline passed.
    Expired,
    /// The process tree is empty. Follows [`Action::Kill`], [`Action::AwaitDescendants`], or an end
    /// of the command that was not observed.
    Gone,
    /// redlock may not kill this process of the tree.
    Unkillable(i32),
    /// The process tree cannot be listed, so it may not be empty.
    Unseen,
    /// The guardian has died. Its children are now children of redlock.
    Orphaned,
}

/// One action of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Action {
    /// Send [`Request::Acquire`](crate::lock::Request::Acquire) for this attempt and slot to all
    /// instances, with a new token.
    Acquire(u32, u32),
    /// Send the same request with a fencing token, larger than `above`, for this attempt.
    Propose {
        /// Number of the attempt.
        attempt: u32,
        /// The largest token that an instance has answered.
        above: Option<FenceToken>,
    },
    /// Send [`Request::Raise`](crate::lock::Request::Raise) for this attempt to these instances, with
    /// the numbers of their counters.
    Raise(u32, Vec<(usize, Vec<usize>)>),
    /// Send [`Request::Extend`](crate::lock::Request::Extend) to these instances.
    Extend(IfMissing, Vec<usize>),
    /// Send [`Request::Release`](crate::lock::Request::Release) for this attempt to all instances.
    Release(u32, AfterRelease),
    /// Send [`Request::Status`](crate::lock::Request::Status) to these instances.
    AskStatus {
        /// Instances, counted from 0.
        instances: Vec<usize>,
        /// Length of the wait so far, for a place in the queue; `None` takes no place.
        waited: Option<Duration>,
    },
    /// Start the command.
    Start {
        /// Start line: do not start the command then or later.
        stop_at: Time,
        /// Kill deadline of the guardian.
        kill_at: Time,
    },
    /// Move the kill deadline of the guardian.
    SetKillDeadline(Time),
    /// Forward a signal to the command.
    ForwardSignal(Signal),
    /// Send this signal to the command, and SIGCONT.
    Stop(Signal),
    /// Kill every descendant until the process tree is empty.
    Kill,
    /// Report [`ChildEvent::Gone`] once the process tree is empty. Kills no process.
    AwaitDescendants,
    /// Run the user's lost-lock hook.
    RunLostHook,
    /// Stop redlock with the signal that stopped the command.
    Suspend(Signal),
    /// Send SIGCONT to the command.
    Resume,
    /// Dismiss the guardian: there is no command left to guard.
    Dismiss,
    /// Report this to the user.
    Notify(Notice),
    /// End the run.
    End(Outcome),
}

impl Action {
    /// Rank of the action among those of one event: first the actions that no notice may delay, then
    /// the notices, then the start of a command, which may write to the same terminal, and last the
    /// end of the run.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Notify(_) => 1,
            Self::Start { .. } => 2,
            Self::End(_) => 3,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::LossCause;

    #[test]
    fn a_signal_is_sent_before_it_is_said_why_and_a_command_starts_after_the_words() {
        let stopping = Action::Notify(Notice::Stopping(LossCause::NoQuorum));
        let start = Action::Start { stop_at: Time::NEVER, kill_at: Time::NEVER };
        let end = Action::End(Outcome::Lost(LossCause::NoQuorum));
        let waited = Action::Notify(Notice::Waited);
        let table = [
            ("a stop", vec![stopping.clone(), Action::Stop(Signal::TERM), Action::Kill], [1, 2, 0]),
            ("a start", vec![waited.clone(), start.clone(), waited.clone()], [0, 2, 1]),
            ("the end", vec![end.clone(), stopping, Action::Dismiss], [2, 1, 0]),
        ];
        for (label, actions, order) in table {
            let mut sorted = actions.clone();
            sorted.sort_by_key(Action::rank);
            assert_eq!(sorted, order.map(|index| actions[index].clone()), "{label}");
        }
    }
}
