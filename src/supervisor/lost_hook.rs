//! The hook of `--on-lost-exec`: a script that runs once when the lock is lost, at the same time as
//! the command, for a limited time.

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
    /// A hook with the script `script` for `sh -c`. Without a script, there is no hook.
    pub(super) const fn new(script: Option<OsString>) -> Self {
        Self { script, child: None }
    }

    /// Starts the hook, at the first call only. Returns its process group, which gets no signals
    /// from the keys of the terminal. The hook gets no input.
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

    /// Waits for the end of the hook. Kills its whole group after the time limit.
    pub(super) fn finish(self) {
        let Some(mut child) = self.child else { return };
        let limit = clock::now().plus(LIMIT);
        // An error means that redlock has reaped the hook among the children of a dead guardian.
        // Its pid may then mean another process.
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
