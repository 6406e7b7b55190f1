//! Starting a program as it would have started without redlock.

use super::sys;
use super::terminal::Terminal;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use std::ffi::OsString;
use std::io;
use std::process::{Child, Command};

/// A program to run under a guardian.
#[derive(Debug)]
pub struct Program {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
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

impl Program {
    /// Starts it with `variables` in addition: in a process group of its own, unless its terminal is shared with
    /// neighbours in a pipeline; with the signals that redlock inherited; and with SIGKILL when the guardian dies, as
    /// the second net (it does not reach grandchildren, and a program that changes its user loses it).
    pub(super) fn start(&self, variables: &[(String, String)], inherited: Inherited) -> io::Result<Child> {
        let (program, arguments) =
            self.argv.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut command = Command::new(program);
        command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
        self.hidden.iter().for_each(|name| {
            command.env_remove(name);
        });
        let terminal = self.terminal.clone();
        sys::before_exec(&mut command, move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            Terminal::enter_group(terminal.as_ref())?;
            sys::set_disposition(Signal::SIGPIPE, inherited.ignores_pipe)?;
            Ok(inherited.mask.thread_set_mask()?)
        });
        command.spawn()
    }
}
