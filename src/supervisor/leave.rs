//! The last step: leaving with the right code, or by the right signal.

use super::sys;
use crate::policy::Exit;
use nix::sys::resource::{Resource, setrlimit};

/// Ends the process. A signal leaves no core dump: the one of the command tells more.
pub fn leave_by(exit: Exit) -> ! {
    match exit {
        Exit::Code(code) => std::process::exit(i32::from(code)),
        Exit::Signal(signal) => {
            // A limit may always be lowered.
            let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
            sys::die_of(signal.number());
            // It does not kill, such as SIGWINCH: say it as a shell would.
            std::process::exit(128_i32.saturating_add(signal.number()))
        }
    }
}
