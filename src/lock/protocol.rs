//! Requests to an instance, and the possible responses.

use super::{Account, FenceToken, FenceVote, Marking, Proposal, Revocation, Time};
use std::time::Duration;

/// A request to one instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// `SET key value NX PX ttl` for the attempt with this number.
    Acquire {
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Slot of the attempt, from 0.
        slot: u32,
        /// Value of the attempt, which contains its nonce.
        value: String,
        /// Fencing token of the attempt. The script that raises the counters replaces SET then.
        fence: Option<Proposal>,
    },
    /// Write counters of the fence that are lacking, if the keys hold our value.
    Raise {
        /// Number of the attempt.
        attempt: u32,
        /// Value of the attempt.
        value: String,
        /// Fencing token of the attempt.
        proposal: Proposal,
        /// Numbers of the counters.
        counters: Vec<usize>,
    },
    /// `PEXPIRE key ttl`, if the key holds our value.
    Extend {
        /// Effect on a missing key.
        missing: IfMissing,
        /// Slot that is held.
        slot: u32,
        /// Our value.
        value: String,
    },
    /// `DEL key`, if the key holds our value. The response names the holder, if any.
    Release {
        /// Number of the attempt that is released. One more at the end of the run.
        attempt: u32,
        /// Slot of that attempt.
        slot: u32,
        /// Value of that attempt.
        value: String,
        /// Effect on our place in the queue.
        after_release: AfterRelease,
    },
    /// Status of the lock. With a time, also takes a place in the queue, and subscribes to the
    /// wake-up if the server supports that.
    Status(Option<QueuedSince>),
}

/// Effect of an extension on a missing key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IfMissing {
    /// The key stays missing. A request that is executed late must not set a key for a run that may
    /// have ended.
    Leave,
    /// The key is set again. Sent only right after a response, which proves that the connection
    /// works, and only while the other members hold the lock: a late execution then affects a
    /// minority.
    Set,
}

/// Effect of a release on the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AfterRelease {
    /// An attempt failed. The contender keeps its place.
    StayQueued,
    /// The contender or holder leaves the queue. The next contender is woken.
    LeaveQueue {
        /// Time for which the key stays set after the release. Zero deletes the key.
        hold_for: Duration,
    },
}

/// Begin of a wait, which sets the order of the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueuedSince {
    /// Wall clock of the contender, since 1970. Every instance orders a contender by the same clock.
    pub wall: Duration,
    /// Length of the wait so far.
    pub waited: Duration,
}

/// The response of one instance, or a message that it sent unasked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceResponse {
    /// Number of the instance, from 0.
    pub instance: usize,
    /// Moment before the request was written. [`Time::default`] for an unasked message.
    pub sent: Time,
    /// Report of the server on itself, if the request asked for a report.
    pub report: Option<ServerReport>,
    /// Clock of the instance at the response (`TIME`), since 1970.
    pub clock: Option<Duration>,
    /// The response.
    pub response: Response,
}

/// Report of a server on itself. The server executes the report right after the request, so a loss
/// of memory in between loses the key too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerReport {
    /// `run_id` and uptime. Requested with each request on a connection until the first response.
    pub account: Option<Account>,
    /// The mark of the server's memory.
    pub marking: Option<Marking>,
}

/// A response to the [`Request`] of the same name, or an unasked message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Response {
    /// Response to [`Request::Acquire`] of this attempt.
    Vote(u32, Vote),
    /// Response to [`Request::Raise`] of this attempt. An acquisition with a fencing token has one
    /// too, right before [`Response::Vote`].
    Fence(u32, FenceVote),
    /// Response to [`Request::Extend`].
    Extension(Extension),
    /// Response to [`Request::Release`] of this attempt.
    Release(u32, Release),
    /// Response to [`Request::Status`].
    Status(StatusResponse),
    /// Unasked: this slot was released on the instance, and this contender is the next.
    Woken(u32),
    /// Unasked: a property of the server that weakens the lock.
    Warning(ServerWarning),
    /// Unasked: the connection has ended.
    Disconnected,
}

/// A property of a server that weakens the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerWarning {
    /// The server evicts keys when its memory is full.
    Evicts,
    /// The server has replicas. A replica that is promoted may lack a lock.
    Replicated,
    /// The user may not run INFO, so a restart is not noticed.
    Unaccounted,
    /// The mark cannot be set, so the uptime alone shows a loss of memory.
    Unmarked,
}

/// The vote of one instance. Three values, since an instance that did not answer may hold our key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Vote {
    /// The key was set to our value.
    Granted,
    /// The key holds another value. The response to the release names the holder.
    Denied,
    /// Neither is known.
    Unknown(NoVoteReason),
}

/// The response of an instance to an extension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Extension {
    /// Our key was set, and has a new expiry.
    Kept,
    /// Our key was missing, and was set again.
    SetAgain,
    /// Our key is missing.
    Missing,
    /// The key holds another value.
    Foreign,
    /// The key holds a revocation of our value.
    Revoked(Revocation),
    /// The state of the key is not known.
    Unknown(NoVoteReason),
}

/// The response of an instance to a release.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Release {
    /// No response yet. The socket has taken the request.
    Written,
    /// Our key is gone. Names the holder, if any.
    Done(Option<ObservedHolder>),
    /// The instance was never sent an acquisition, so there is no key to release.
    Nothing,
    /// The state of the key is not known.
    Unknown(NoVoteReason),
}

/// The response of an instance to a status request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StatusResponse {
    /// The status.
    Seen(LockStatus),
    /// The state of the key is not known.
    Unknown(NoVoteReason),
}

/// The status of the lock on one instance.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LockStatus {
    /// Free slots.
    pub free: Vec<u32>,
    /// The holder, if any.
    pub holder: Option<ObservedHolder>,
    /// Number of contenders ahead in the queue. `None` without a place, so without a wake-up.
    pub place: Option<u32>,
}

/// The holder of a key on one instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObservedHolder {
    /// Value of the key.
    pub value: String,
    /// TTL left. `None` for a key without an expiry.
    pub left: Option<Duration>,
}

/// Reason why the vote or the state of an instance is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoVoteReason {
    /// No response within the op-timeout.
    TimedOut,
    /// No connection. Holds the error.
    Unreachable(String),
    /// A temporary error: loading, busy, out of memory, an election. Holds the error.
    Transient(String),
    /// The server started recently, and may have forgotten its votes.
    Restarted {
        /// Uptime.
        up: Duration,
        /// Time until the vote counts.
        votes_in: Duration,
    },
    /// The uptime is long enough, but the mark beside the locks is younger. If every instance is
    /// unproven, redlock is used for the first time and the votes count.
    Unproven {
        /// Time until the vote counts.
        votes_in: Duration,
    },
    /// The instance lacks the counter of the fence.
    NoCounter,
    /// The counter of the fence is at this token, not below the proposed one.
    HigherCounter(FenceToken),
    /// A permanent error. Holds the error.
    Refused(PermanentError, String),
}

/// Kind of an error that a person has to mend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PermanentError {
    /// Credentials or rights (AUTH, ACL).
    Access,
    /// Kind or configuration of the server.
    Configuration,
}

impl PermanentError {
    /// The kind of most of the permanent errors among `reasons`, and the number of permanent errors
    /// of both kinds. [`PermanentError::Access`] if both are as frequent; `None` without any.
    pub fn prevailing<'a>(
        reasons: impl Iterator<Item = &'a NoVoteReason>,
    ) -> Option<(Self, usize)> {
        let (mut access, mut configuration) = (0_usize, 0_usize);
        for reason in reasons {
            match reason {
                NoVoteReason::Refused(Self::Access, _) => access += 1,
                NoVoteReason::Refused(Self::Configuration, _) => configuration += 1,
                _ => {}
            }
        }
        let kind = if access >= configuration { Self::Access } else { Self::Configuration };
        let count = access + configuration;
        (count > 0).then_some((kind, count))
    }
}

/// A command that was tried and refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefusedTry {
    /// The pattern of the keys or channels that it was tried on; empty for keys of locks, and for
    /// commands without a key.
    pub pattern: String,
    /// The command.
    pub command: String,
    /// The error.
    pub why: NoVoteReason,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_frequent_kind_of_the_permanent_errors_prevails() {
        use PermanentError::{Access, Configuration};
        let refused = |kind| NoVoteReason::Refused(kind, String::new());
        for (reasons, expected) in [
            (vec![], None),
            (vec![NoVoteReason::TimedOut], None),
            (vec![refused(Configuration), NoVoteReason::TimedOut], Some((Configuration, 1))),
            (vec![refused(Configuration), refused(Access)], Some((Access, 2))),
            (
                vec![refused(Access), refused(Configuration), refused(Configuration)],
                Some((Configuration, 3)),
            ),
        ] {
            assert_eq!(PermanentError::prevailing(reasons.iter()), expected, "{reasons:?}");
        }
    }
}
