//! The command at the terminal: signals that are typed, stopping and going on, and the way back to the foreground.

use super::sys;
use super::terminal::{Terminal, put_in_front};
use super::ward::Ward;
use crate::policy::{End, Signal};
use nix::libc;
use nix::unistd::Pid;

/// A command, and the terminal that it may have.
#[derive(Debug)]
pub struct Seat {
    terminal: Option<Terminal>,
    command: Option<i32>,
}

impl Seat {
    /// A seat that nobody has taken yet.
    #[must_use]
    pub const fn new(terminal: Option<Terminal>) -> Self {
        Self { terminal, command: None }
    }

    /// The command runs as this process, which is its group too.
    pub const fn begin(&mut self, command: i32) {
        self.command = Some(command);
    }

    /// Whether this process is the command.
    #[must_use]
    pub fn is_of(&self, pid: i32) -> bool {
        self.command == Some(pid)
    }

    /// Passes a signal on, unless it was typed at a terminal that has sent it to the command as well.
    pub fn pass(&self, ward: &Ward, signal: Signal) {
        let is_typed = matches!(signal, Signal::INT | Signal::QUIT);
        let is_shared = self.terminal.is_some_and(|terminal| terminal.is_shared() && terminal.is_ours());
        if !(is_typed && is_shared) {
            ward.signal(signal, false);
        }
    }

    /// Stops redlock and its group, as the terminal would have done if the command had stayed in it. Returns when
    /// somebody continues them; `false` at once where there is no terminal, so nobody who would.
    #[must_use]
    pub fn suspend(&self) -> bool {
        let Some((terminal, command)) = self.own_group() else { return false };
        // If the terminal is gone there is nothing to take back.
        let _ = terminal.take_back_from(command);
        // The default disposition of SIGTSTP has been left alone, so this stops us here.
        let _ = sys::send(0, libc::SIGTSTP);
        true
    }

    /// Lets the stopped command go on, in the foreground if redlock is there.
    pub fn resume(&self, ward: &Ward) {
        if let Some((terminal, command)) = self.own_group()
            && terminal.is_ours()
        {
            // Without the terminal the command is stopped again, and says so.
            let _ = put_in_front(Pid::from_raw(command));
        }
        ward.signal(Signal::CONT, false);
    }

    /// The command ended. What was typed to stop it was meant for everybody in redlock's group, such as the script that
    /// called redlock; the terminal could send it to the command alone.
    pub fn end(&mut self, end: End) {
        let Some((terminal, command)) = self.own_group() else { return };
        let had_it = terminal.take_back_from(command).unwrap_or(false);
        if let End::Signaled(signal @ (Signal::INT | Signal::QUIT)) = end
            && had_it
        {
            // Nobody else is there, more often than not.
            let _ = sys::send(0, signal.number());
        }
        self.command = None;
    }

    /// The terminal and the command, where the command has a group of its own.
    fn own_group(&self) -> Option<(Terminal, i32)> {
        Some((self.terminal.filter(|terminal| !terminal.is_shared())?, self.command?))
    }
}
