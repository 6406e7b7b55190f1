//! The last step: the exit with the right code, or by the right signal.

use super::sys;
use crate::policy::Exit;
use nix::sys::prctl;

/// Ends the process. An end by a signal leaves neither a core dump nor a crash report: the report
/// of the command tells more.
pub fn leave_by(exit: Exit) -> ! {
    match exit {
        Exit::Code(code) => std::process::exit(i32::from(code)),
        Exit::Signal(signal) => {
            // As timeout(1) does. A limit of zero would not stop a core_pattern that is a pipe.
            let _ = prctl::set_dumpable(false);
            sys::raise_by_default(signal.number());
            // The signal does not kill, such as SIGWINCH. Exit with the code that a shell would
            // show.
            std::process::exit(128_i32.saturating_add(signal.number()))
        }
    }
}
