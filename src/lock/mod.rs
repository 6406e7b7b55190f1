//! The Redlock algorithm as pure types.
//!
//! Time, randomness and responses are arguments: no clock, random source or socket is used here.
//! Terms are those of the Redlock page
//! (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>) and of Redis.
//! The others are explained at their types.

mod agreement;
mod backoff;
mod fence;
mod handle;
mod held_lock;
mod instance_lease;
mod inventory;
mod key;
mod lock_state;
mod lock_value;
mod memory;
mod protocol;
mod quorum;
mod revocation;
mod schedule;
mod servers;
mod still_held;
mod tally;
mod target;
mod time;
mod token;
mod ttl;
mod unprintable;

pub use agreement::{Agreement, Difference, Opinion};
pub use backoff::{Backoff, Sample};
pub(crate) use backoff::{doubled, part};
pub use fence::{
    FenceCounter, FenceRegister, FenceTally, FenceToken, FenceVerdict, FenceVote, LackingCounter,
    Proposal,
};
pub use handle::{Handle, HandleError, HandleState, Keeper};
pub use held_lock::{HeldLock, LeaseChange};
pub use instance_lease::{InstanceLease, Membership};
pub use inventory::{Inventory, Listed, ListedKey, ListedState};
pub use key::{InvalidName, Key, Name};
pub use lock_state::{
    Answer, Doubt, FirstInQueue, HeldBy, KeyView, LockState, Observation, QueueView, merged_queue,
};
pub use lock_value::{Holder, LockValue};
pub use memory::{Account, MarkSeen, Marking, Memory, RestartGuard};
pub use protocol::{
    AfterRelease, Extension, IfMissing, InstanceResponse, LockStatus, NoVoteReason, ObservedHolder,
    PermanentError, QueuedSince, RefusedTry, Release, Request, Response, ServerReport,
    ServerWarning, StatusResponse, Vote,
};
pub use quorum::{ClusterSize, TooFew};
pub use revocation::{Force, Removal, Revocation, Wanted, digest};
pub use schedule::{InvalidSchedule, Schedule};
pub use servers::{ServerName, are_on_one_host, server_list, unnamed_servers};
pub use still_held::StillHeld;
pub use tally::{Failure, Tally, Verdict, quorum_in};
pub use target::Target;
pub use time::Time;
pub use token::Token;
pub(crate) use token::hex;
pub use ttl::{InvalidTtl, Ttl};
pub use unprintable::is_unprintable;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_names_the_expected_value() {
        let ttl = Ttl::new(Ttl::MIN).unwrap();
        let schedule = Schedule::new(ttl, Some(ttl.length()), None).unwrap_err();
        for (error, word) in [
            (InvalidName::Empty.to_string(), "one character"),
            (InvalidName::TooLong.to_string(), "512 bytes"),
            (InvalidName::Control.to_string(), "no control characters"),
            (InvalidTtl.to_string(), "from 200ms to 24h"),
            (TooFew(2).to_string(), "three or more instances, got 2"),
            (schedule.to_string(), "kill-after"),
        ] {
            assert!(error.starts_with("expected ") && error.contains(word), "{error}");
        }
    }
}
