//! The decisions of a run as pure types: what happened goes in, what to do comes out.
//!
//! Nothing here knows how a process is started or how an instance is reached.

mod attempts;
mod event;
mod giveback;
mod keeper;
mod notice;
mod outcome;
mod session;
mod signal;

pub use attempts::{Attempts, Patience, Step};
pub use event::{Action, Child, Event, OnLost, Terms};
pub use giveback::Giveback;
pub use keeper::{Keeper, Move};
pub use notice::{Blocker, Loss, Notice};
pub use outcome::{End, Exit, Fault, Outcome, SpawnError, code};
pub use session::Session;
pub use signal::{Signal, UnknownSignal};
