//! The messages between redlock and the guardian: one line of JSON each, over a socket pair.

use super::super::record::Will;
use super::spawn::Program;
use crate::lock::Time;
use crate::policy::ChildEvent;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// A command from redlock to the guardian.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum GuardianCommand {
    /// Start a program, unless it is `stop_at` or later. Kill the tree at `kill_at`. Signals are
    /// for the last program that was started.
    Start { id: u32, program: Program, stop_at: Time, kill_at: Time },
    /// Kill the tree at this moment, instead of the earlier deadline.
    SetKillDeadline(Time),
    /// Send a signal to the command. Send SIGCONT after the signal if `wake` is set.
    Signal { number: i32, wake: bool },
    /// Send SIGCONT to the command, if it is still stopped by the stop with the number `stops`. A
    /// later stop gets a message of its own.
    Continue { stops: u32 },
    /// Kill every descendant until none is left.
    Kill,
    /// Report when no descendant is left.
    Await,
    /// Kill this process group if redlock dies: the hook's group, whose leader is redlock's child.
    SetHook(Option<i32>),
    /// Write this record once redlock and every descendant are gone. It replaces an earlier one.
    SetWill(Box<Will>),
    /// Leave every process alone and exit.
    Dismiss,
}

/// An event of a program or of the tree, from the guardian to redlock.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GuardianEvent {
    /// The number under which the program was started. The number of the command for events of the
    /// whole tree.
    pub program: u32,
    /// The pid of the program. 0 without a process.
    pub pid: i32,
    /// The event.
    pub what: ChildEvent,
}

/// The guardian's first message: whether the guardian can work, and by which means.
pub(super) type Readiness = Result<Means, Missing>;

/// Means that the guardian has tested, for redlock too: both see the same kernel and the same
/// /proc.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(in super::super) struct Means {
    /// Whether a pidfd can be opened and signalled.
    pub(in super::super) pidfds: bool,
}

/// Missing means of the guardian.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Missing {
    /// The /proc of the guardian's pid namespace: none is mounted, or the pids there are different.
    Proc,
    /// A system call. Holds its error number (errno(3)).
    Call(i32),
    /// The guardian itself.
    Guardian,
}

impl From<io::Error> for Missing {
    fn from(error: io::Error) -> Self {
        Self::Call(error.raw_os_error().unwrap_or_default())
    }
}

impl From<Errno> for Missing {
    fn from(errno: Errno) -> Self {
        Self::Call(errno as i32)
    }
}

/// Incoming bytes that are no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// Number of bytes at the front without an end of a line: a long message is searched once.
    searched: usize,
}

impl Inbox {
    /// Reads without blocking. `false` at the end of the stream.
    pub(super) fn fill(&mut self, mut stream: impl Read) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Ok(count @ 1..) => {
                    self.bytes.extend_from_slice(bytes.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return false,
            }
        }
    }

    /// Takes the first whole message. `None` until there is one. A line that is no message is
    /// dropped.
    pub(super) fn next<T: for<'a> Deserialize<'a>>(&mut self) -> Option<T> {
        loop {
            let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
            let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.bytes.len();
                return None;
            };
            let line: Vec<u8> = self.bytes.drain(..=self.searched.saturating_add(end)).collect();
            self.searched = 0;
            if let Ok(message) = serde_json::from_slice(&line) {
                return Some(message);
            }
        }
    }
}

/// Outgoing bytes that the kernel has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Outbox(Vec<u8>);

impl Outbox {
    /// Appends a message.
    pub(super) fn add(&mut self, message: &impl Serialize) {
        // A struct of numbers and strings always has a JSON form.
        self.0.extend(serde_json::to_vec(message).unwrap_or_default());
        self.0.push(b'\n');
    }

    /// Writes as many bytes as the kernel takes without blocking.
    ///
    /// # Errors
    /// When the other end is gone. The rest is dropped then.
    pub(super) fn flush(&mut self, mut stream: impl Write) -> io::Result<()> {
        while !self.0.is_empty() {
            match stream.write(&self.0) {
                Ok(count) => drop(self.0.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.0.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether the kernel has taken every byte.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
