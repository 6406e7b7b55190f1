//! The terminal that redlock speaks to.

use nix::unistd::{getpgrp, tcgetpgrp};
use std::io;

/// Whether redlock is in the foreground of the terminal that it speaks to, so that nothing else is
/// typed there meanwhile.
#[must_use]
pub fn speaks_in_front() -> bool {
    tcgetpgrp(io::stderr()) == Ok(getpgrp())
}
