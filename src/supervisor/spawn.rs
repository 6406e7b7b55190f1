//! Starting a program as it would have started without redlock.
//!
//! The process is split off long before it is needed, and waits to become the program: what fork costs is then paid
//! while redlock waits for the servers, and not by those who wait for the lock.

use super::clock;
use super::orders::{line, take};
use super::sys;
use super::terminal::Terminal;
use crate::lock::Time;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{ForkResult, Pid, execvpe, getppid};
use serde::{Deserialize, Serialize};
use std::ffi::{CString, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;

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
}

/// A child of the guardian that waits to become a program.
#[derive(Debug)]
pub(super) struct Recruit {
    pid: Pid,
    socket: UnixStream,
}

/// What it is told.
#[derive(Debug, Deserialize, Serialize)]
struct Call {
    extra: Vec<(String, String)>,
    stop_at: u64,
}

/// Why it did not become the program.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Refusal {
    /// Its time was over.
    TooLate,
    /// The system's error number.
    Errno(i32),
}

impl Recruit {
    /// Splits off a child for `program`. `guardian` is closed in it: whoever listens at its other end must hear when the
    /// guardian is dead, and not when the command is.
    pub(super) fn new(program: &Program, inherited: Inherited, guardian: &UnixStream) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let parent = Pid::this();
        match sys::split()? {
            ForkResult::Parent { child } => Ok(Self { pid: child, socket: ours }),
            ForkResult::Child => {
                drop(ours);
                sys::close(guardian);
                // Nobody waits any more for one that was told nothing.
                let _ = wait_for_call(theirs, parent, program, inherited);
                sys::exit_now(1)
            }
        }
    }

    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Has it become the program, with `extra` variables, unless it is `stop_at` or later when it gets to it.
    pub(super) fn call(mut self, extra: Vec<(String, String)>, stop_at: Time) -> Result<Pid, Refusal> {
        let refused = |error: io::Error| Refusal::Errno(error.raw_os_error().unwrap_or(nix::libc::EIO));
        self.socket.write_all(&line(&Call { extra, stop_at: stop_at.as_nanos() })).map_err(refused)?;
        // Its end of the socket is closed when it becomes the program.
        let mut answer = Vec::new();
        self.socket.read_to_end(&mut answer).map_err(refused)?;
        match take(&mut answer) {
            Some(refusal) => Err(refusal),
            None => Ok(self.pid),
        }
    }

    /// Sends it home.
    pub(super) fn dismiss(self) {
        let _ = sys::send(self.pid.as_raw(), Signal::SIGKILL as i32);
        sys::wait_for(self.pid);
    }
}

/// In the child: waits, and becomes the program, or says why not.
fn wait_for_call(mut socket: UnixStream, parent: Pid, program: &Program, inherited: Inherited) -> io::Result<()> {
    // The second net: it does not reach grandchildren, and a program that changes its user loses it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Ok(());
    }
    let mut ready = program.ready()?;
    let (mut inbox, mut bytes) = (Vec::new(), [0; 4096]);
    let call: Call = loop {
        if let Some(call) = take(&mut inbox) {
            break call;
        }
        match socket.read(&mut bytes)? {
            0 => return Ok(()),
            count => inbox.extend_from_slice(bytes.get(..count).unwrap_or_default()),
        }
    };
    // The last look at the clock before the command exists.
    let refusal = if clock::now() >= Time::from_nanos(call.stop_at) {
        Refusal::TooLate
    } else {
        ready.add(&call.extra)?;
        Refusal::Errno(ready.go(program.terminal, inherited) as i32)
    };
    socket.write_all(&line(&refusal))
}

/// A program that only has to be executed.
struct Ready {
    argv: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn ready(&self) -> io::Result<Ready> {
        let argv = self.argv.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?;
        let hidden = |name: &OsString| self.hidden.iter().any(|other| name == other.as_str());
        let inherited = std::env::vars_os().filter(|(name, _)| !hidden(name));
        let inherited = inherited.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        let environment = inherited.map(CString::new).collect::<Result<_, _>>()?;
        let mut ready = Ready { argv, environment };
        ready.add(&self.variables)?;
        Ok(ready)
    }
}

impl Ready {
    fn add(&mut self, variables: &[(String, String)]) -> io::Result<()> {
        for (name, value) in variables {
            let name_and = format!("{name}=");
            self.environment.retain(|variable| !variable.as_bytes().starts_with(name_and.as_bytes()));
            self.environment.push(CString::new(format!("{name}={value}"))?);
        }
        Ok(())
    }

    /// Executes it: in a process group of its own, unless its terminal is shared with neighbours in a pipeline, and with
    /// the signals that redlock inherited. Comes back only if that fails.
    fn go(&self, terminal: Option<Terminal>, inherited: Inherited) -> Errno {
        let Some(program) = self.argv.first() else { return Errno::EINVAL };
        let prepare = || -> io::Result<()> {
            Terminal::enter_group(terminal)?;
            sys::set_disposition(Signal::SIGPIPE, inherited.ignores_pipe)?;
            Ok(inherited.mask.thread_set_mask()?)
        };
        if let Err(error) = prepare() {
            return error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw);
        }
        match execvpe(program, &self.argv, &self.environment) {
            Ok(never) => match never {},
            Err(errno) => errno,
        }
    }
}
