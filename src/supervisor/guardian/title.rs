//! The guardian's name in the list of processes.

use super::super::command_line;
use nix::sys::prctl;
use nix::unistd::getppid;

/// Sets a name and a command line that `pkill redlock` and `pkill -f 'redlock run'` do not match:
/// these commands should end redlock, and the guardian then ends the command. A password in a
/// `--url` is gone with the old line.
pub(super) fn take() {
    let _ = prctl::set_name(c"lock-guardian");
    command_line::replace(&format!("lock-guardian of {}", getppid()));
}
