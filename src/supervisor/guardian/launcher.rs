//! The programs of a guardian: children before execve(2), and running programs.

use super::spawn::{Group, Inherited, Launch, Program, StartRefusal};
use crate::lock::Time;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

/// The programs that were started and are not reaped.
pub(super) struct Launcher {
    inherited: Inherited,
    launching: Vec<(u32, Launch)>,
    running: Vec<RunningProgram>,
}

struct RunningProgram {
    id: u32,
    pid: i32,
    is_stopped: bool,
}

impl Launcher {
    pub(super) const fn new(inherited: Inherited) -> Self {
        Self { inherited, launching: Vec::new(), running: Vec::new() }
    }

    /// Starts a child that is to become the program `id` before `stop_at`.
    pub(super) fn start(&mut self, id: u32, program: &Program, stop_at: Time) -> io::Result<Pid> {
        let launch = program.launch(self.inherited, stop_at)?;
        let pid = launch.pid;
        self.launching.push((id, launch));
        Ok(pid)
    }

    /// Descriptors of the children before execve(2). Each is readable once its child has become the
    /// program or has failed.
    pub(super) fn on_their_way(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.launching.iter().map(|(_, launch)| launch.as_fd())
    }

    /// Takes a child that has become its program or has failed. Returns the number of the program,
    /// the pid, and the program's group or the reason of the failure.
    pub(super) fn settle(&mut self) -> Option<(u32, Pid, Result<Group, StartRefusal>)> {
        let (at, end) = self
            .launching
            .iter()
            .enumerate()
            .find_map(|(at, (_, launch))| Some((at, launch.end()?)))?;
        let (id, launch) = self.launching.remove(at);
        if end.is_ok() {
            self.running.push(RunningProgram { id, pid: launch.pid.as_raw(), is_stopped: false });
        }
        Some((id, launch.pid, end.map(|()| launch.group)))
    }

    /// The number of the program with this pid.
    pub(super) fn program(&self, pid: i32) -> Option<u32> {
        self.running.iter().find(|running| running.pid == pid).map(|running| running.id)
    }

    /// The process was stopped or continued.
    pub(super) fn set_stopped(&mut self, pid: i32, is_stopped: bool) {
        self.running
            .iter_mut()
            .filter(|running| running.pid == pid)
            .for_each(|running| running.is_stopped = is_stopped);
    }

    pub(super) fn is_stopped(&self, pid: i32) -> bool {
        self.running.iter().any(|running| running.pid == pid && running.is_stopped)
    }

    /// The process was reaped: its pid may mean another process later.
    pub(super) fn forget(&mut self, pid: i32) {
        self.running.retain(|running| running.pid != pid);
    }

    /// Every process that is not reaped.
    pub(super) fn pids(&self) -> impl Iterator<Item = i32> {
        let launching = self.launching.iter().map(|(_, launch)| launch.pid.as_raw());
        launching.chain(self.running.iter().map(|running| running.pid))
    }
}
