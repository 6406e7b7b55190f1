//! Start of a program in the same state as without redlock: fork(2), and execvp(3) in the child.

use super::super::{clock, sys};
use crate::lock::Time;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{ForkResult, Pid, execvpe, getppid, pipe2, read, setpgid, setsid, write};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// A program to run under a guardian.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Additional variables for the program.
    pub variables: Vec<(String, String)>,
    /// Variables of redlock's environment that are hidden from the program.
    pub hidden: Vec<String>,
    /// The process group of the program.
    pub group: Group,
}

/// The process group of a program.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Group {
    /// redlock's group, for the command: the terminal and the shell treat redlock and the command
    /// as one job.
    Redlock,
    /// A group of its own, which gets no signals from the keys of the terminal.
    Own,
}

/// Puts the guardian into a session of its own, once the command has joined redlock's group.
///
/// In a group of its own, the guardian survives a signal to redlock's whole group. In the same
/// session, it would break job control in two ways, as the parent of the command in another group
/// (setpgid(2)). redlock's group would never count as orphaned, and Ctrl-Z would stop it even if no
/// shell can continue it. And the end of the command would hang up the whole group, if another
/// process of the group is stopped.
pub(super) fn leave_group() {
    let _ = setsid();
}

/// The signal state at the start of redlock, which a program gets back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherited {
    mask: SigSet,
    ignores_pipe: bool,
    ignores_child: bool,
}

impl Inherited {
    /// Records the state. Also sets SIGCHLD to its default: a parent may have left it ignored, and
    /// the kernel then reaps ended children itself, so that no end of a child is ever seen.
    pub(super) fn note() -> io::Result<Self> {
        let ignores_child = sys::is_ignored(Signal::SIGCHLD as i32);
        sys::set_disposition(Signal::SIGCHLD, false)?;
        Ok(Self {
            mask: SigSet::thread_get_mask()?,
            ignores_pipe: sys::ignored_pipe_at_start(),
            ignores_child,
        })
    }

    /// Blocks every signal: a guardian takes commands from its socket alone.
    pub(super) fn block_all() -> io::Result<()> {
        SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        Ok(())
    }

    fn restore(&self) -> io::Result<()> {
        sys::set_disposition(Signal::SIGPIPE, self.ignores_pipe)?;
        sys::set_disposition(Signal::SIGCHLD, self.ignores_child)?;
        Ok(self.mask.thread_set_mask()?)
    }
}

/// Reason why a child did not become the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StartRefusal {
    TooLate,
    /// The system's error number.
    Errno(i32),
}

/// A program in the form that execve(2) takes.
struct Executable {
    argv: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn executable(&self) -> io::Result<Executable> {
        let argv =
            self.argv.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?;
        let is_set =
            |name: &OsString| self.variables.iter().any(|(other, _)| name == other.as_str());
        let is_hidden = |name: &OsString| self.hidden.iter().any(|other| name == other.as_str());
        let kept = std::env::vars_os().filter(|(name, _)| !is_set(name) && !is_hidden(name));
        let kept = kept.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        let set = self.variables.iter().map(|(name, value)| format!("{name}={value}").into_bytes());
        let environment = kept.chain(set).map(CString::new).collect::<Result<_, _>>()?;
        Ok(Executable { argv, environment })
    }

    /// Replaces this process by the program, with the signals of redlock's start. Returns only on
    /// an error.
    pub(super) fn replace_redlock(&self, inherited: Inherited) -> io::Result<Infallible> {
        let executable = self.executable()?;
        inherited.restore()?;
        Err(executable.execute().into())
    }

    /// Starts the program, unless its child is ready only at `stop_at` or later. The guardian must
    /// still be in redlock's group if the program is to join that group.
    pub(super) fn launch(&self, inherited: Inherited, stop_at: Time) -> io::Result<Launch> {
        let executable = self.executable()?;
        let (over, answer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let parent = Pid::this();
        match sys::split()? {
            ForkResult::Parent { child } => Ok(Launch { pid: child, group: self.group, over }),
            ForkResult::Child => {
                let refusal = match prepare(inherited, parent, self.group, stop_at) {
                    Ok(true) => executable.execute() as i32,
                    Ok(false) => TOO_LATE,
                    Err(error) => error.raw_os_error().unwrap_or(nix::libc::EINVAL),
                };
                // So few bytes need no second write (pipe(7)). If the guardian is gone, the answer
                // is of no use.
                let _ = write(&answer, &refusal.to_ne_bytes());
                sys::exit_now(1)
            }
        }
    }
}

/// Answer of a child that was too late. Any other answer is the system's error number.
const TOO_LATE: i32 = -1;

/// In the child: sets the group and the signals of a program. `false` if it is too late for the
/// program.
fn prepare(inherited: Inherited, parent: Pid, group: Group, stop_at: Time) -> io::Result<bool> {
    // A second safety net besides the guardian's kill. It does not cover grandchildren, and a
    // program that changes its user loses the setting.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Err(Errno::ESRCH.into());
    }
    if group == Group::Own {
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    }
    inherited.restore()?;
    // The last check of the clock before the command exists, since this process may have been
    // frozen meanwhile.
    Ok(clock::now() < stop_at)
}

impl Executable {
    /// Executes the program. Returns only on an error.
    fn execute(&self) -> Errno {
        let Some(program) = self.argv.first() else { return Errno::ENOENT };
        let Err(errno) = execvpe(program, &self.argv, &self.environment);
        errno
    }
}

/// A child before its execve(2). Readable once the child has become the program or has failed.
pub(super) struct Launch {
    pub(super) pid: Pid,
    pub(super) group: Group,
    over: OwnedFd,
}

impl Launch {
    /// The result of the start. `None` as long as there is none. A child that was killed before
    /// execve(2) counts as the program, and its end is reported later.
    pub(super) fn end(&self) -> Option<Result<(), StartRefusal>> {
        let mut bytes = [0; size_of::<i32>()];
        match read(&self.over, &mut bytes) {
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Ok(1..) => Some(Err(match i32::from_ne_bytes(bytes) {
                TOO_LATE => StartRefusal::TooLate,
                errno => StartRefusal::Errno(errno),
            })),
            Ok(0) | Err(_) => Some(Ok(())),
        }
    }
}

impl AsFd for Launch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.over.as_fd()
    }
}
