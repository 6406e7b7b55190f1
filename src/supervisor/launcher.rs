//! The children that become programs: one that waits at the gate, or one that goes, and those that have arrived.

use super::spawn::{Inherited, Launch, Program, Ready, Refusal, Start};
use super::sys;
use crate::lock::Time;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// The programs that can be started, who is about to become one, and who is one.
pub(super) struct Launcher {
    /// Nothing, where it could not be made ready.
    programs: Vec<Option<Ready>>,
    inherited: Inherited,
    /// Where a child will wait for redlock to start it; the child's, once there is one.
    gate: Option<OwnedFd>,
    child: Option<(Stage, Launch)>,
    /// Those that run, until they are reaped.
    running: Vec<i32>,
}

/// How far a child has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// It waits at the gate; nobody was told of it yet.
    Poised,
    /// It is about to become a program.
    UnderWay,
}

impl Launcher {
    pub(super) fn new(inherited: Inherited, gate: OwnedFd) -> Self {
        Self { programs: Vec::new(), inherited, gate: Some(gate), child: None, running: Vec::new() }
    }

    /// Names a program. One that cannot be made ready cannot be started, and then it is told.
    pub(super) fn enlist(&mut self, program: Program) {
        self.programs.push(program.ready(self.inherited).ok());
    }

    /// Has a child wait at the gate to become the first program. Where none can be made now, one is made when the gate opens.
    pub(super) fn poise(&mut self) {
        let launch = self.gate.take().and_then(|gate| self.launch(0, &[], Start::Gate(gate)).ok());
        self.child = launch.map(|launch| (Stage::Poised, launch));
    }

    /// Whether it knows what to start.
    pub(super) fn has_programs(&self) -> bool {
        !self.programs.is_empty()
    }

    /// The gate is open for the first program: its child is on its way, or another that need not wait. What was said at the gate
    /// is for one child, and may have died with it.
    pub(super) fn open(&mut self, stop_at: Time) -> io::Result<Pid> {
        match &mut self.child {
            Some((stage, launch)) => {
                *stage = Stage::UnderWay;
                Ok(launch.pid())
            }
            None => self.start(0, &[], stop_at),
        }
    }

    /// Sends a child on its way to become the program with this number, with `extra` variables, before `stop_at`.
    pub(super) fn start(&mut self, number: usize, extra: &[(String, String)], stop_at: Time) -> io::Result<Pid> {
        let launch = self.launch(number, extra, Start::Now(stop_at))?;
        Ok(self.child.insert((Stage::UnderWay, launch)).1.pid())
    }

    fn launch(&self, number: usize, extra: &[(String, String)], start: Start) -> io::Result<Launch> {
        self.programs.get(number).and_then(Option::as_ref).ok_or(Errno::EINVAL)?.launch(extra, start)
    }

    fn at(&self, stage: Stage) -> Option<&Launch> {
        self.child.as_ref().filter(|child| child.0 == stage).map(|(_, launch)| launch)
    }

    /// Readable when the child on its way is a program, or will not be one; nothing where there is none.
    pub(super) fn arrival(&self) -> Option<BorrowedFd<'_>> {
        self.at(Stage::UnderWay).map(|launch| launch.as_fd())
    }

    /// Readable when there may be news of the child; nothing where there is none.
    pub(super) fn news(&self) -> Option<BorrowedFd<'_>> {
        self.child.as_ref().map(|(_, launch)| launch.as_fd())
    }

    /// Whether the child on its way is a program by now, or will not be one.
    pub(super) fn has_arrived(&self) -> bool {
        let is_readable = |fd| poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1);
        self.arrival().is_some_and(is_readable)
    }

    /// How far the child with this pid has come; nothing, where it is another's.
    pub(super) fn stage(&self, pid: i32) -> Option<Stage> {
        self.child.as_ref().filter(|(_, launch)| launch.pid().as_raw() == pid).map(|(stage, _)| *stage)
    }

    /// Waits for the child that is on its way, if there is one: the program that it has become, or why it could not.
    pub(super) fn arrive(&mut self) -> Option<Result<Pid, Refusal>> {
        let (_, launch) = self.child.take_if(|(stage, _)| *stage == Stage::UnderWay)?;
        let end = launch.end();
        self.running.extend(end.as_ref().ok().map(|pid| pid.as_raw()));
        Some(end)
    }

    /// Whether this process is a program that was started here, and was not reaped as far as is known.
    pub(super) fn has_started(&self, pid: i32) -> bool {
        self.running.contains(&pid)
    }

    /// It was reaped: its number may come to mean somebody else.
    pub(super) fn forget(&mut self, pid: i32) {
        self.running.retain(|running| *running != pid);
    }

    /// Whether who waits at the gate may have been let through, as far as can be told.
    pub(super) fn may_be_through(&self) -> bool {
        self.at(Stage::Poised).is_some_and(Launch::may_be_through)
    }

    /// Kills who waits at the gate, and whoever it has become without anybody having learned of it.
    pub(super) fn kill_poised(&self) {
        if let Some(poised) = self.at(Stage::Poised) {
            let pid = poised.pid().as_raw();
            let _ = (sys::send(pid, Signal::SIGKILL as i32), sys::send(-pid, Signal::SIGKILL as i32));
        }
    }

    /// Who waited at the gate is dead.
    pub(super) fn forget_poised(&mut self) {
        self.child.take_if(|(stage, _)| *stage == Stage::Poised);
    }

    /// Ends who waits at the gate for nothing.
    pub(super) fn send_away(&mut self) {
        self.kill_poised();
        if self.at(Stage::Poised).is_some() {
            // Waits for its end.
            self.forget_poised();
            while sys::reap().is_some() {}
        }
    }
}
