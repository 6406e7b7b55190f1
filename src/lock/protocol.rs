//! What is asked of an instance, and the few things that it can answer.

use super::{Account, Marking, Time};
use std::time::Duration;

/// A request to one instance. Each carries the moment it was decided, which is before its bytes are
/// written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// `SET key value NX PX ttl` for the attempt with this number.
    Acquire {
        /// The number of the attempt.
        attempt: u32,
        /// The slot that is tried, from 0.
        slot: u32,
        /// The nonce-bearing value of this attempt.
        value: String,
    },
    /// Extend our key.
    Extend {
        /// What to do where it is missing.
        missing: IfMissing,
        /// The slot that is held.
        slot: u32,
        /// Our value.
        value: String,
    },
    /// Delete our key, and say who holds it now.
    Release {
        /// The number of the attempt whose key is released; one more, where the run is over.
        attempt: u32,
        /// The slot of that attempt.
        slot: u32,
        /// The value of that attempt.
        value: String,
        /// What becomes of our place among those who wait.
        after_release: AfterRelease,
    },
    /// Say what is in the way, and wake us when it is gone, if that can be.
    Status(Option<QueuedSince>),
}

/// What an extension does to a key that is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IfMissing {
    /// Leaves it so: a request that is executed late must not set a key for a run that may be over
    /// by then.
    Leave,
    /// Sets it again. Sent only when an answer of this moment has shown that the way is open, and
    /// while the lock is held without this instance: what is executed late all the same is on a
    /// minority.
    Set,
}

/// What a release means for those who wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AfterRelease {
    /// An attempt failed, and its contender goes on waiting.
    StayQueued,
    /// The contender or holder leaves: whoever is next in line is woken.
    LeaveQueue {
        /// How long the key stays all the same; nothing where it is deleted.
        hold_for: Duration,
    },
}

/// When somebody began to wait, as far as an instance can tell from this.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueuedSince {
    /// The wall clock of the contender, since 1970. All instances agree on an order only by one
    /// clock.
    pub wall: Duration,
    /// How long it has been waiting.
    pub waited: Duration,
}

/// What became of one request to one instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InstanceResponse {
    /// The number of the instance, from 0.
    pub instance: usize,
    /// The moment the request was decided; of what nobody asked for, the beginning of time.
    pub sent: Time,
    /// What the server said of itself, where it was asked.
    pub report: Option<ServerReport>,
    /// The instance's own clock when it answered, since 1970, where it told.
    pub clock: Option<Duration>,
    /// The answer.
    pub response: Response,
}

/// What a server says of itself, executed right after the request that it comes with: what it says
/// of its memory is true of the moment at which that was executed, or the key is lost as well.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerReport {
    /// Who it is and for how long it has been up; with the first request on a connection, and until
    /// it answers that.
    pub account: Option<Account>,
    /// Which mark it has.
    pub marking: Option<Marking>,
}

/// The answer to an [`Request`] of the same name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Response {
    /// To [`Request::Acquire`] of this attempt.
    Vote(u32, Vote),
    /// To [`Request::Extend`].
    Extension(Extension),
    /// To [`Request::Release`] of this attempt.
    Release(u32, Release),
    /// To [`Request::Status`].
    Status(StatusResponse),
    /// To nobody's question: this slot has been released there, and it is our turn.
    Woken(u32),
    /// To nobody's question: something about it that people should know.
    Warning(ServerWarning),
    /// To nobody's question: the connection has ended.
    Disconnected,
}

/// What an instance is like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerWarning {
    /// It deletes keys when its memory is full.
    Evicts,
    /// It has replicas: one that is promoted in its place may not have heard of a lock.
    Replicated,
    /// We may not ask for how long it has been up: whether it has restarted cannot be seen.
    Unaccounted,
    /// It cannot be marked: whether it has lost its memory is told by its uptime alone.
    Unmarked,
}

/// A vote has three values: an instance that did not answer may hold our key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Vote {
    /// The key is ours.
    Granted,
    /// The key is somebody else's; who holds it is learned with the release.
    Denied,
    /// Nothing is known.
    Unknown(NoVoteReason),
}

/// What an instance says to an extension.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Extension {
    /// Our key was there, and has a new expiry.
    Kept,
    /// Our key was missing, and was set again.
    SetAgain,
    /// Our key is missing.
    Missing,
    /// The key holds another value.
    Foreign,
    /// Nothing is known.
    Unknown(NoVoteReason),
}

/// What an instance says to a release.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Release {
    /// Not answered yet, but the request is in the kernel's hands.
    Written,
    /// Our key is not there any more; this is who holds it now.
    Done(Option<ObservedHolder>),
    /// Nothing was ever sent there, so there is nothing to release.
    Nothing,
    /// Nothing is known.
    Unknown(NoVoteReason),
}

/// What an instance says to a watch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StatusResponse {
    /// What it saw.
    Seen(LockStatus),
    /// Nothing is known.
    Unknown(NoVoteReason),
}

/// The lock as one instance sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LockStatus {
    /// The slots that nobody holds there.
    pub free: Vec<u32>,
    /// Who is in the way, and for how long.
    pub holder: Option<ObservedHolder>,
    /// How many wait there before us; `None` where nobody will wake us.
    pub place: Option<u32>,
}

/// A holder as one instance sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObservedHolder {
    /// The value under the key.
    pub value: String,
    /// How long the key has left; `None` where it never expires.
    pub left: Option<Duration>,
}

/// Why nothing is known of an instance's mind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoVoteReason {
    /// No answer within the time limit.
    TimedOut,
    /// The connection could not be made, or broke.
    Unreachable(String),
    /// An error that goes by itself: loading, busy, out of memory, an election.
    Transient(String),
    /// Started too recently to remember what it granted before.
    Restarted {
        /// How long it has been up.
        up: Duration,
        /// How long until its vote counts.
        votes_in: Duration,
    },
    /// Up for long enough, as it says, but not known for as long: the mark beside the locks is
    /// younger. Where all instances say so they are used for the first time, and their votes count.
    Unproven {
        /// How long until its vote counts.
        votes_in: Duration,
    },
    /// An error that a person must mend.
    Refused(PermanentError, String),
}

/// Which kind of mending a refusal needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PermanentError {
    /// Credentials or rights.
    Access,
    /// The server's kind or configuration.
    Configuration,
}
