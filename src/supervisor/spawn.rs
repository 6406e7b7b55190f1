//! Starting a program as it would have started without redlock.
//!
//! The child shares the guardian's memory until it is the program, as in vfork(2), but the guardian goes on meanwhile: a child
//! that is stopped, or that waits for a slow disk, must not keep it from its duty.

use super::clock;
use super::exec::Executable;
use super::sys::{self, Apart};
use super::terminal::Terminal;
use crate::lock::Time;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// A program to run under a guardian.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Variables that it sees in addition.
    pub variables: Vec<(String, String)>,
    /// Variables of redlock's own environment that it must not see.
    pub hidden: Vec<String>,
    /// The terminal it gets, if redlock has it at that moment.
    pub terminal: Option<Terminal>,
}

/// What a program's signals were before redlock changed them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inherited {
    mask: SigSet,
    ignores_pipe: bool,
}

impl Inherited {
    /// Notes the mask, and blocks everything that can be blocked: a guardian is told what to do by its socket alone.
    pub(super) fn note_and_block() -> io::Result<Self> {
        let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        Ok(Self { mask, ignores_pipe: sys::ignored_pipe_at_start() })
    }

    /// Makes them that again.
    fn restore(&self) -> io::Result<()> {
        sys::set_disposition(Signal::SIGPIPE, self.ignores_pipe)?;
        Ok(self.mask.thread_set_mask()?)
    }
}

/// Why a child did not become the program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Its time was over.
    TooLate,
    /// The system's error number.
    Errno(i32),
}

/// A program that only has to be started.
pub(super) struct Ready {
    argv: Vec<CString>,
    environment: Vec<CString>,
    terminal: Option<Terminal>,
    inherited: Inherited,
}

impl Program {
    /// Makes it ready; the program sees what `inherited` says of signals.
    pub(super) fn ready(self, inherited: Inherited) -> io::Result<Ready> {
        let argv = self.argv.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?;
        let hidden = |name: &OsString| self.hidden.iter().any(|other| name == other.as_str());
        let variables = std::env::vars_os().filter(|(name, _)| !hidden(name));
        let variables = variables.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        let environment = with(variables.map(CString::new).collect::<Result<_, _>>()?, &self.variables)?;
        Ok(Ready { argv, environment, terminal: self.terminal, inherited })
    }

    /// Becomes it in this process.
    ///
    /// # Errors
    /// When the system refuses to execute it (execve(2)). What redlock has at that moment stays.
    pub fn replace_redlock(self) -> io::Result<Infallible> {
        let inherited = Inherited::note_and_block()?;
        let program = self.ready(inherited).map(|ready| Executable::new(ready.argv, ready.environment));
        inherited.restore()?;
        Err(program?.execute().into())
    }
}

/// An environment in which these variables are set as well.
fn with(mut environment: Vec<CString>, variables: &[(String, String)]) -> io::Result<Vec<CString>> {
    for (name, value) in variables {
        let name_and = format!("{name}=");
        environment.retain(|variable| !variable.as_bytes().starts_with(name_and.as_bytes()));
        environment.push(CString::new(format!("{name}={value}"))?);
    }
    Ok(environment)
}

impl Ready {
    /// Starts it with `extra` variables, as `start` says.
    pub(super) fn launch(&self, extra: &[(String, String)], start: Start) -> io::Result<Launch> {
        let orders = Orders {
            program: Executable::new(self.argv.clone(), with(self.environment.clone(), extra)?),
            terminal: self.terminal,
            inherited: self.inherited,
            parent: Pid::this(),
            start,
            is_through: AtomicBool::new(false),
        };
        Ok(Launch(Apart::start(orders, STACK, Orders::carry_out)?))
    }
}

/// When a child becomes the program.
#[derive(Debug)]
pub(super) enum Start {
    /// At once, unless it is this late when it gets to it.
    Now(Time),
    /// When this gate opens: whoever opens it says until when.
    Gate(OwnedFd),
}

impl Start {
    /// Waits until it is time; when that would be too late.
    fn wait(&self) -> io::Result<Time> {
        match self {
            Self::Now(stop_at) => Ok(*stop_at),
            Self::Gate(gate) => {
                let sent = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
                let [stop_at] = passed(gate).ok_or(Errno::EPIPE)?;
                // What was sent to it in the meantime, with everybody in its cgroup, was not meant for the program.
                // That there is no more of it is a failure, whose reason `errno` may have lost by now.
                while let Ok(Some(_)) = sent.read_signal() {}
                Ok(stop_at)
            }
        }
    }
}

/// Passes `moments` through a pipe; whether it takes them. So few bytes are written and read at once (pipe(7)).
pub(super) fn pass<const N: usize>(pipe: &OwnedFd, moments: [Time; N]) -> bool {
    let bytes = moments.map(|moment| moment.as_nanos().to_ne_bytes());
    nix::unistd::write(pipe, bytes.as_flattened()).is_ok()
}

/// The next moments that were passed; nothing at its end, or where there are none and nobody waits for them.
pub(super) fn passed<const N: usize>(pipe: &OwnedFd) -> Option<[Time; N]> {
    let mut bytes = [[0; size_of::<u64>()]; N];
    let count = nix::unistd::read(pipe, bytes.as_flattened_mut());
    (count == Ok(bytes.as_flattened().len())).then(|| bytes.map(|moment| Time::from_nanos(u64::from_ne_bytes(moment))))
}

/// Bytes that a child needs to become a program: it puts nothing large there.
const STACK: usize = 0x1_0000;

/// A child on its way to become a program; readable when it is.
pub(super) struct Launch(Apart<Orders>);

impl Launch {
    pub(super) const fn pid(&self) -> Pid {
        self.0.pid()
    }

    /// Whether it got through the gate, as far as can be told.
    pub(super) fn may_be_through(&self) -> bool {
        self.0.data().is_none_or(|orders| orders.is_through.load(Ordering::Acquire))
    }

    /// Whether it became the program, once it is decided.
    pub(super) fn end(self) -> Result<Pid, Refusal> {
        match self.0.answer() {
            None => Ok(self.pid()),
            Some(TOO_LATE) => Err(Refusal::TooLate),
            Some(errno) => Err(Refusal::Errno(errno)),
        }
    }
}

impl AsFd for Launch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What the child goes by. It shares its parent's memory, and allocates nothing.
struct Orders {
    program: Executable,
    terminal: Option<Terminal>,
    inherited: Inherited,
    parent: Pid,
    start: Start,
    /// Set by the child once it need not wait any more.
    is_through: AtomicBool,
}

/// What a child answers that came too late; else it is the system's error number.
const TOO_LATE: i32 = -1;

impl Orders {
    /// In the child: becomes the program, or says why not.
    fn carry_out(&self) -> i32 {
        match self.prepare() {
            Ok(true) => self.program.execute() as i32,
            Ok(false) => TOO_LATE,
            Err(error) => error.raw_os_error().unwrap_or(nix::libc::EINVAL),
        }
    }

    /// Waits until it is to start, and takes on what a program is given: a process group of its own, unless its terminal is
    /// shared with neighbours in a pipeline, and the signals that redlock inherited. `false` if it is too late for that.
    fn prepare(&self) -> io::Result<bool> {
        // The second net: it does not reach grandchildren, and a program that changes its user loses it.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != self.parent {
            // Nobody waits any more.
            return Err(Errno::ESRCH.into());
        }
        let stop_at = self.start.wait()?;
        self.is_through.store(true, Ordering::Release);
        // The last look at the clock before the command exists.
        if clock::now() >= stop_at {
            return Ok(false);
        }
        Terminal::enter_group(self.terminal)?;
        self.inherited.restore()?;
        Ok(true)
    }
}
