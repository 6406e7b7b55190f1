//! The guardian: a small process between redlock and the command. The guardian ends the command's
//! tree if redlock cannot.
//!
//! The guardian is the command's parent and the subreaper of every process that the command starts,
//! so no process escapes. The guardian knows the deadline, so a frozen redlock cannot prevent the
//! kill. The guardian sees the end of its socket, so a dead redlock cannot prevent the kill either.
//! If the guardian itself is killed, redlock is the next subreaper and kills the tree.

pub(super) mod descendants;
#[cfg(test)]
mod fuzz;
mod handle;
mod launcher;
mod process;
mod protocol;
mod spawn;
mod title;

pub use handle::{EventListener, GuardianHandle, split_off};
pub use protocol::{GuardianEvent, Missing};
pub use spawn::{Group, Program};

#[cfg(test)]
mod tests;
