//! The guardian's name in the list of processes.

use super::super::command_line;
use nix::sys::prctl;
use nix::unistd::getppid;

/// Sets a name and a command line that `pkill redlock` and `pkill -f 'redlock run'` do not match.
/// These commands should end redlock alone, so that the guardian ends the command. The new line
/// also removes a password in a `--url`.
pub(super) fn take() {
    let _ = prctl::set_name(c"lock-guardian");
    command_line::replace(&format!("lock-guardian of {}", getppid()));
}
