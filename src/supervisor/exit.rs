//! The last step: leaving with the right code, or by the right signal.

use super::sys;
use crate::policy::Exit;
use nix::sys::prctl;

/// Ends the process. A signal leaves neither a core dump nor a crash report: the one of the command
/// tells more.
pub fn leave_by(exit: Exit) -> ! {
    match exit {
        Exit::Code(code) => std::process::exit(i32::from(code)),
        Exit::Signal(signal) => {
            // As timeout(1) does; a limit of zero would not stop a core_pattern that is a pipe.
            let _ = prctl::set_dumpable(false);
            sys::raise_by_default(signal.number());
            // It does not kill, such as SIGWINCH: say it as a shell would.
            std::process::exit(128_i32.saturating_add(signal.number()))
        }
    }
}
