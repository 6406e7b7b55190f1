//! The decisions of a run as pure types: what happened goes in, what to do comes out.
//!
//! Nothing here knows how a process is started or how an instance is reached.

mod acquire;
mod checkup;
mod event;
mod extend;
mod notice;
mod outcome;
mod ownership;
mod progress;
mod queue;
mod release;
mod session;
mod signal;
mod wait_free;
mod weaknesses;

pub use acquire::{AcquireStep, Acquisition, StatusPurpose, WaitLimit};
pub use checkup::{Examination, Expectations, Finding, FoundFault, Purpose, checkup_code};
pub use event::{Action, ChildEvent, Event, OnLost, ProgressStyle, RunOptions};
pub use extend::{ExtendStep, Extender};
pub use notice::{Blocker, LossCause, Notice};
pub use outcome::{End, Exit, Fault, Outcome, SpawnError, code};
pub use ownership::Ownership;
pub use queue::{Poll, QueueWaiter};
pub use release::ReleaseRound;
pub use session::Session;
pub use signal::{Origin, Reaction, Signal, Stage, UnknownSignal};
pub use wait_free::{WaitStep, WaitUntilFree};
pub use weaknesses::Weakness;
