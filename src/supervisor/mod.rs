//! The shell around the decisions: the clock, the instances, the command, the signals, and one
//! loop.
//!
//! No code here prints, and no code here decides the meaning of an event.

mod ancestors;
mod boot;
mod clock;
mod command_line;
mod exit;
mod guardian;
mod handle_file;
mod handle_loop;
mod hold_ends;
mod hold_loop;
mod keeper;
mod lost_hook;
mod owner_check;
mod record;
mod requests;
mod run_loop;
mod signals;
mod survey;
mod sys;
mod system_error;
mod terminal;
mod wait_loop;

pub use ancestors::{JobSign, is_ancestor, job_process, own_start};
pub use boot::{clock_id, pid_space};
pub use clock::{now, since_1970};
pub use command_line::rewrite as rewrite_command_line;
pub use exit::leave_by;
pub use guardian::{
    EventListener, Group, GuardianEvent, GuardianHandle, Missing, Program, split_off as guard,
};
pub use handle_file::{HandleFile, NewFile, StateFile};
pub use handle_loop::{extend, release};
pub use hold_ends::{HoldEnds, HoldWatch};
pub use hold_loop::{HeldNow, HoldJob, HoldNews, HoldPurpose, hold};
pub use keeper::{
    KeeperEnd, Reporter, Split, Starter, detach, end_keeper, is_alive, split_off as split_keeper,
};
pub use owner_check::owns;
pub use record::{EventTarget, Will};
pub use requests::HeldValue;
pub use run_loop::{Job, RunError, run};
pub use signals::{Received, Signals};
pub use survey::survey;
pub use system_error::SystemError;
pub use terminal::speaks_in_front;
pub use wait_loop::wait;
