//! The script of `--on-lost-exec`: run once when the lock is lost, beside the command, for a
//! limited time.

use super::clock;
use super::sys;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Time that the hook may run after the end of the command.
const LIMIT: Duration = Duration::from_secs(10);
/// Milliseconds from one check of the hook to the next.
const LOOK_AGAIN: u16 = 10;

/// A hook, before or after its start.
#[derive(Debug)]
pub(super) struct Hook {
    script: Option<OsString>,
    child: Option<Child>,
}

impl Hook {
    /// A hook with a string for `sh -c`, or without a script.
    pub(super) const fn new(script: Option<OsString>) -> Self {
        Self { script, child: None }
    }

    /// Starts the hook at the first call. Returns its process group, which no key of the terminal
    /// reaches. The hook gets no input.
    pub(super) fn start(
        &mut self,
        variables: &[(String, String)],
        hidden: &[String],
    ) -> io::Result<Option<i32>> {
        let Some(script) = self.script.take() else { return Ok(None) };
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).stdin(Stdio::null()).process_group(0);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        for name in hidden {
            command.env_remove(name);
        }
        let child = self.child.insert(command.spawn()?);
        Ok(i32::try_from(child.id()).ok())
    }

    /// Waits for the end of the hook, within the limit. Kills the whole group then.
    pub(super) fn finish(self) {
        let Some(mut child) = self.child else { return };
        let limit = clock::now().plus(LIMIT);
        // An error means that the hook was reaped with the processes of a dead guardian: its pid
        // may be another process's.
        while matches!(child.try_wait(), Ok(None)) {
            if clock::now() >= limit {
                let group = i32::try_from(child.id()).unwrap_or(i32::MAX);
                let _ = sys::send(-group, nix::libc::SIGKILL);
                let _ = child.wait();
                return;
            }
            clock::pause(LOOK_AGAIN);
        }
    }
}
