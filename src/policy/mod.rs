//! The decisions of a run as pure types: what happened goes in, what to do comes out.
//!
//! Nothing here knows how a process is started or how an instance is reached.

mod attempts;
mod event;
mod giveback;
mod keeper;
mod line;
mod mention;
mod notice;
mod outcome;
mod session;
mod signal;
mod vigil;

pub use attempts::{Attempts, Patience, Step, Watch};
pub use event::{Action, Child, Event, Mention, OnLost, Terms};
pub use giveback::Giveback;
pub use keeper::{Keeper, Move};
pub use line::{Line, Look};
pub use notice::{Blocker, Loss, Notice};
pub use outcome::{End, Exit, Fault, Outcome, SpawnError, code};
pub use session::Session;
pub use signal::{Origin, Reaction, Signal, Stage, UnknownSignal};
pub use vigil::{Vigil, Watching};
