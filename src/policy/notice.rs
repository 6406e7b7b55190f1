//! Notices of a run for the user, as facts. The wording is the report's.

use super::{Action, ChildEvent, End, Event, Weakness};
use crate::lock::{
    AfterRelease, Difference, Extension, ObservedHolder, Release, Revocation, ServerWarning, Vote,
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
    },
    /// The lock was extended.
    Extended {
        /// Time to the expiry of the lock.
        left: Duration,
    },
    /// The command was started.
    CommandStarted,
    /// The command has ended.
    CommandEnded(End),
    /// The lock was released, completely or on too few instances ([`Notice::ReleaseIncomplete`]).
    Released {
        /// Whether a quorum confirmed the release.
        is_complete: bool,
    },
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

/// Notices of what the loop of a run sees and the session has no need to report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observer {
    is_held: bool,
    released: Option<bool>,
}

impl Observer {
    /// The notice of an event.
    #[must_use]
    pub const fn event(event: &Event) -> Option<Notice> {
        match event {
            Event::Child(ChildEvent::Started) => Some(Notice::CommandStarted),
            Event::Child(ChildEvent::Ended { end, .. }) => Some(Notice::CommandEnded(*end)),
            _ => None,
        }
    }

    /// Adds the notices of this moment to `actions`: that of the event, and those that follow from
    /// the actions. `left` is the time to the expiry of the lock.
    pub fn add(
        &mut self,
        event: Option<Notice>,
        left: Option<Duration>,
        actions: &mut Vec<Action>,
    ) {
        let extends = |action: &Action| matches!(action, Action::SetKillDeadline(_));
        let extended = left.filter(|_| actions.iter().any(extends));
        let released = actions.iter().filter_map(|action| self.note(action)).last();
        let news = [event, extended.map(|left| Notice::Extended { left })];
        let news = news.into_iter().flatten().map(Action::Notify);
        actions.splice(0..0, news);
        actions.extend(released.map(Action::Notify));
    }

    /// Notes an action. Returns the notice that comes before the end.
    const fn note(&mut self, action: &Action) -> Option<Notice> {
        match action {
            Action::Start { .. } => self.is_held = true,
            Action::Release(_, AfterRelease::StayQueued) => self.is_held = false,
            Action::Release(_, AfterRelease::LeaveQueue { .. }) if self.is_held => {
                self.released = Some(true);
            }
            Action::Notify(Notice::ReleaseIncomplete(_)) => self.released = Some(false),
            Action::End(_) => {
                if let Some(is_complete) = self.released {
                    return Some(Notice::Released { is_complete });
                }
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Time;
    use crate::policy::Outcome;

    fn added(observer: &mut Observer, mut actions: Vec<Action>) -> Vec<Action> {
        let left = Some(Duration::from_secs(9));
        observer.add(None, left, &mut actions);
        actions.retain(|action| matches!(action, Action::Notify(_)));
        actions
    }

    #[test]
    fn an_extension_and_the_release_of_a_held_lock_are_noticed() {
        let at = Time::NEVER;
        let release = Action::Release(2, AfterRelease::LeaveQueue { hold_for: Duration::ZERO });
        let end = Action::End(Outcome::Ended(End::Exited(0)));
        let released = |is_complete| Action::Notify(Notice::Released { is_complete });
        let mut observer = Observer::default();
        assert_eq!(added(&mut observer, vec![release.clone(), end.clone()]), [], "never held");
        let start = Action::Start { stop_at: at, kill_at: at };
        assert_eq!(added(&mut observer, vec![start]), []);
        let left = Duration::from_secs(9);
        let extended = Action::Notify(Notice::Extended { left });
        assert_eq!(added(&mut observer, vec![Action::SetKillDeadline(at)]), [extended]);
        assert_eq!(added(&mut observer, vec![release]), []);
        assert_eq!(added(&mut observer, vec![end.clone()]), [released(true)]);
        let incomplete = Action::Notify(Notice::ReleaseIncomplete(vec![]));
        let seen = added(&mut observer, vec![incomplete.clone(), end]);
        assert_eq!(seen, [incomplete, released(false)]);
    }
}
