//! The shell around the decisions: the clock, the instances, the command, the signals, and one
//! loop.
//!
//! No code here prints, and no code here decides the meaning of an event.

mod ancestors;
mod clock;
mod command_line;
mod exit;
mod guardian;
mod lost_hook;
mod owner_check;
mod precedence;
mod run_loop;
mod signals;
mod survey;
mod sys;
mod terminal;
mod wait_loop;

pub use ancestors::{is_ancestor, own_start};
pub use clock::{now, since_1970};
pub use command_line::rewrite as rewrite_command_line;
pub use exit::leave_by;
pub use guardian::{
    EventListener, Group, GuardianEvent, GuardianHandle, Missing, Program, split_off as guard,
};
pub use owner_check::owns;
pub use run_loop::{Job, SystemError, run};
pub use signals::{Received, Signals};
pub use survey::survey;
pub use terminal::speaks_in_front;
pub use wait_loop::wait;
