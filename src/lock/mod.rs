//! The algorithm as pure types: it is told what time it is and what happened, and answers what follows.
//!
//! Nothing here reads a clock, rolls a die, touches a socket or waits.
//! The words are those of the Redlock page (<https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>).

mod backoff;
mod claim;
mod holding;
mod key;
mod membership;
mod message;
mod quorum;
mod schedule;
mod tally;
mod target;
mod time;
mod token;
mod ttl;

pub(crate) use backoff::part;
pub use backoff::{Backoff, Sample};
pub use claim::Claim;
pub use holding::{Change, Holding};
pub use key::{InvalidName, Key, Name};
pub use membership::{Round, Seat, Standing};
pub use message::{
    Answer, Arrival, Ask, Extension, Heard, Identity, Parting, Refusal, Release, Sighting, Unknown, View, Vote, Watched,
};
pub use quorum::{ClusterSize, TooFew};
pub use schedule::{Duty, InvalidSchedule, Schedule};
pub use tally::{Failure, Tally, Verdict};
pub use target::Target;
pub use time::Time;
pub use token::Token;
pub(crate) use token::hex;
pub use ttl::{InvalidTtl, Ttl};
