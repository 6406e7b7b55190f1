//! The terminal of redlock's messages.

use nix::unistd::{getpgrp, tcgetpgrp};
use std::io;

/// Whether redlock is in the foreground of the terminal of its messages. No other program is used
/// there meanwhile.
#[must_use]
pub fn speaks_in_front() -> bool {
    tcgetpgrp(io::stderr()) == Ok(getpgrp())
}
