//! The decisions of a run as pure types: events in, actions out.
//!
//! No process is started here, and no instance is contacted.

mod acquire;
mod checkup;
mod deadlines;
mod event;
mod extend;
mod force_release;
mod handle_extension;
mod metrics;
mod notice;
mod options;
mod outcome;
mod ownership;
mod poller;
mod progress;
mod queue;
mod record;
mod release;
mod session;
mod signal;
mod wait_free;
mod weaknesses;

pub use acquire::{AcquireResult, Acquisition, Rival};
pub use checkup::{Examination, Expectations, Finding, FoundFault, Purpose, checkup_code};
pub use event::{Action, ChildEvent, Event};
pub use extend::Extender;
pub use force_release::ForcedRelease;
pub use handle_extension::{ExtensionResult, HandleExtension};
pub use metrics::{METRICS_MAX, updated_metrics};
pub use notice::{Blocker, LossCause, Notice};
pub use options::{MinHoldOn, OnLost, ProgressStyle, RunOptions, WaitLimit};
pub use outcome::{End, Exit, Fault, Outcome, SpawnError, code, untold_code};
pub use ownership::Ownership;
pub use queue::{Poll, QueueWaiter};
pub use record::{Record, RecordedOutcome, end_parts};
pub use release::ReleaseRound;
pub use session::Session;
pub use signal::{Origin, Reaction, Signal, Stage, UnknownSignal};
pub use wait_free::{WaitResult, WaitUntilFree};
pub use weaknesses::Weakness;
