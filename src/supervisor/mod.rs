//! The thin shell around the decisions: the clock, the instances, the command, the signals, and one loop.
//!
//! Nothing here finds words for people, and nothing here decides what an event means.

mod clock;
mod descendants;
mod exec;
mod guardian;
mod hook;
mod launcher;
mod leave;
mod orders;
mod precedence;
mod run;
mod seat;
mod signals;
mod spawn;
mod sys;
mod terminal;
mod wait;
mod ward;

pub use clock::{now, since_1970};
pub use leave::leave_by;
pub use run::{Job, Trouble, run};
pub use seat::Seat;
pub use signals::{Signals, was_ignored};
pub use spawn::Program;
pub use terminal::{Terminal, speaks_in_front};
pub use wait::wait;
pub use ward::{Listener, Report, Ward, split_off as guard};
