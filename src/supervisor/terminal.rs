//! The terminal of redlock's messages.

use nix::unistd::{getpgrp, tcgetpgrp};
use std::io;

/// Whether redlock is in the foreground of the terminal on stderr. No other program is in use there
/// then.
#[must_use]
pub fn speaks_in_front() -> bool {
    tcgetpgrp(io::stderr()) == Ok(getpgrp())
}
