//! What the user wants to be run when the lock is lost: once, beside the command, for a limited time.

use super::sys;
use nix::poll::{PollFd, PollFlags, poll};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// How long it may run on after the command is gone, in milliseconds.
const LIMIT: u16 = 10_000;

/// A hook, before and after it was started.
#[derive(Debug)]
pub(super) struct Hook {
    script: Option<OsString>,
    child: Option<Child>,
}

impl Hook {
    /// Nothing, or a string for `sh -c`.
    pub(super) const fn new(script: Option<OsString>) -> Self {
        Self { script, child: None }
    }

    /// Starts it, the first time. It gets no input, and a group of its own, so that nobody's Ctrl-C is meant for it.
    pub(super) fn start(&mut self, variables: &[(String, String)], hidden: &[String]) -> io::Result<()> {
        let Some(script) = self.script.take() else { return Ok(()) };
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).stdin(Stdio::null()).process_group(0);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        for name in hidden {
            command.env_remove(name);
        }
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until it ends, within the limit; kills it then.
    pub(super) fn finish(self) {
        let Some(mut child) = self.child else { return };
        // It is over, or was ended with what a dead guardian left: its number may be somebody else's.
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        if let Ok(handle) = sys::pidfd(pid) {
            // Whatever comes of it, it is over then.
            let _ = poll(&mut [PollFd::new(handle.as_fd(), PollFlags::POLLIN)], LIMIT);
        }
        // One that has ended meanwhile is only reaped by this.
        let _ = child.kill();
        let _ = child.wait();
    }
}
