//! The terminal: who is in its foreground, and handing it over and back (tcsetpgrp(3)).

use super::signals::was_ignored;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Pid, getpgrp, setpgid, tcgetpgrp, tcsetpgrp};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;

/// The terminal that controls this session, seen from redlock's process group. It is opened for each use: every process
/// of the session finds the same one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Terminal {
    own: i32,
    is_shared: bool,
}

fn tty() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// Which group is in the foreground.
fn foreground() -> Option<Pid> {
    tcgetpgrp(tty().ok()?).ok()
}

/// Whether redlock is in the foreground of the terminal that it speaks to, so that nobody types there meanwhile.
#[must_use]
pub fn speaks_in_front() -> bool {
    tcgetpgrp(io::stderr()) == Ok(getpgrp())
}

impl Terminal {
    /// The controlling terminal; `None` where there is none, as under cron, and where a script without job control put
    /// redlock in its background: then redlock is in the script's group, and the terminal is the script's. Such a shell
    /// lets it ignore SIGINT and takes its input away (POSIX, Asynchronous Lists).
    ///
    /// It is shared where a standard stream is a pipe: then redlock has neighbours in its group, which read the same
    /// terminal and die of the same Ctrl-C, so the command stays among them.
    #[must_use]
    pub fn controlling() -> Option<Self> {
        if was_ignored() && !io::stdin().is_terminal() {
            return None;
        }
        tty().ok()?;
        let is_pipe = |fd: &dyn Fn() -> nix::Result<nix::sys::stat::FileStat>| {
            fd().is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO)
        };
        let is_shared = is_pipe(&|| fstat(io::stdin().as_fd())) || is_pipe(&|| fstat(io::stdout().as_fd()));
        Some(Self { own: getpgrp().as_raw(), is_shared })
    }

    /// Whether redlock's group is in the foreground.
    #[must_use]
    pub fn is_ours(self) -> bool {
        foreground() == Some(self.group())
    }

    const fn group(self) -> Pid {
        Pid::from_raw(self.own)
    }

    /// Whether the command stays in redlock's group.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        self.is_shared
    }

    /// In the child, before exec: a group of its own, and the terminal if redlock has it now.
    pub(super) fn enter_group(terminal: Option<Self>) -> io::Result<()> {
        match terminal {
            // A neighbour in a pipeline stays in the group.
            Some(terminal) if terminal.is_shared && terminal.is_ours() => Ok(setpgid(Pid::this(), terminal.group())?),
            Some(terminal) => {
                let ours = terminal.is_ours();
                setpgid(Pid::this(), Pid::this())?;
                if ours { put_in_front(Pid::this()) } else { Ok(()) }
            }
            None => Ok(setpgid(Pid::this(), Pid::this())?),
        }
    }

    /// Takes the terminal back if `group` has it; whether it had it.
    pub(super) fn take_back_from(self, group: i32) -> io::Result<bool> {
        let has_it = foreground() == Some(Pid::from_raw(group));
        if has_it {
            put_in_front(self.group())?;
        }
        Ok(has_it)
    }
}

/// Gives the terminal to `group`. Whoever does this from the background is stopped by SIGTTOU, unless that is blocked.
pub(super) fn put_in_front(group: Pid) -> io::Result<()> {
    let tty = tty()?;
    let before = SigSet::from(Signal::SIGTTOU).thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let result = tcsetpgrp(&tty, group);
    before.thread_set_mask()?;
    Ok(result?)
}
