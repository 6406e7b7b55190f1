//! The guardian: a small process between redlock and the command, which ends the command's tree
//! when redlock cannot.
//!
//! The guardian is the command's parent and the subreaper of everything that the command starts, so
//! that nothing escapes it; it knows the deadline, so that a frozen redlock does not matter; and it
//! sees the end of its socket, so that a dead redlock does not either. If the guardian itself is
//! killed, redlock is the next subreaper and does the same.

pub(super) mod descendants;
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
