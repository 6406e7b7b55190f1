//! The guardian's own process, from the split to its exit.

use super::super::clock::{self, Timer};
use super::super::record::Will;
use super::super::sys::{self, ChildChange};
use super::descendants::Descendants;
use super::launcher::Launcher;
use super::protocol::{GuardianCommand, GuardianEvent, Inbox, Missing, Outbox};
use super::spawn::{Group, Inherited, Program, StartRefusal, leave_group};
use super::title;
use crate::lock::Time;
use crate::policy::{ChildEvent, SpawnError};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

/// Guards until redlock is gone or dismisses the guardian. Returns the exit code.
pub(super) fn guard(socket: &UnixStream, inherited: Inherited) -> i32 {
    let guardian = Guardian::new(socket, inherited);
    let mut hello = Outbox::default();
    let means = guardian.as_ref().map(|guardian| guardian.descendants.means());
    hello.add(&means.map_err(|missing| *missing));
    // If the write fails, the end of the socket tells redlock.
    let _ = hello.flush(socket);
    // Only after the message, since redlock waits for the message.
    title::take();
    guardian.map_or(1, |guardian| guardian.watch(socket))
}

struct Guardian {
    launcher: Launcher,
    descendants: Descendants,
    children: SignalFd,
    timer: Timer,
    kill_at: Time,
    /// The command until it is reaped. Until then its pid means no other process.
    command: Option<Pid>,
    /// The number of the last program that was to be started.
    program: u32,
    /// Number of stops of the command that were reported.
    stops: u32,
    task: Task,
    /// Whether redlock is dead.
    is_orphan: bool,
    /// The process group of a running hook.
    hook: Option<i32>,
    /// The record to write at the end.
    will: Option<Box<Will>>,
    inbox: Inbox,
    outbox: Outbox,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Task {
    Watch,
    /// As `Watch`, and report when no descendant is left.
    Await,
    Kill,
    Leave,
}

impl Guardian {
    fn new(socket: &UnixStream, inherited: Inherited) -> Result<Self, Missing> {
        Inherited::block_all()?;
        prctl::set_child_subreaper(true)?;
        socket.set_nonblocking(true)?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self {
            launcher: Launcher::new(inherited),
            descendants: Descendants::new()?,
            children: SignalFd::with_flags(&SigSet::from(Signal::SIGCHLD), flags)?,
            timer: Timer::new()?,
            kill_at: Time::NEVER,
            command: None,
            program: 0,
            stops: 0,
            task: Task::Watch,
            is_orphan: false,
            hook: None,
            will: None,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
        })
    }

    fn watch(mut self, socket: &UnixStream) -> i32 {
        loop {
            self.reap();
            // Commands before the clock: a command may move the deadline.
            self.read(socket);
            if let Some(code) = self.act() {
                // Every guarded process is gone, so a slow write holds up none.
                self.will.iter().for_each(|will| will.execute());
                return code;
            }
            if self.outbox.flush(socket).is_err() {
                self.orphaned();
                continue;
            }
            self.wait(socket);
        }
    }

    fn read(&mut self, socket: &UnixStream) {
        if self.is_orphan {
            return;
        }
        // At the end of the stream redlock is dead. A message to start a program does not count any
        // more then.
        let is_over = !self.inbox.fill(socket);
        while let Some(command) = self.inbox.next() {
            self.obey(command, is_over);
        }
        if is_over {
            self.orphaned();
        }
    }

    fn orphaned(&mut self) {
        self.is_orphan = true;
        if let Some(group) = self.hook.take() {
            let _ = sys::send(-group, Signal::SIGKILL as i32);
        }
        if self.task != Task::Leave {
            self.task = Task::Kill;
        }
    }

    fn obey(&mut self, command: GuardianCommand, is_over: bool) {
        match command {
            GuardianCommand::Start { id, program, stop_at, kill_at } if !is_over => {
                self.start(id, &program, stop_at, kill_at);
            }
            GuardianCommand::SetKillDeadline(at) => self.kill_at = at,
            GuardianCommand::Signal { number, wake } => self.signal(number, wake),
            GuardianCommand::Continue { stops } => {
                // The command may have been continued and stopped again since that stop.
                let is_stopped = |pid: Pid| self.launcher.is_stopped(pid.as_raw());
                if self.stops == stops && self.command.is_some_and(is_stopped) {
                    self.signal(Signal::SIGCONT as i32, false);
                }
            }
            GuardianCommand::Await if self.task == Task::Watch => self.task = Task::Await,
            // If redlock is dead, no program starts, and a guardian that has begun to kill
            // continues.
            GuardianCommand::Start { .. } | GuardianCommand::Await => {}
            GuardianCommand::Kill => self.task = Task::Kill,
            GuardianCommand::SetHook(group) => self.hook = group,
            GuardianCommand::SetWill(will) => {
                will.keep_from_command();
                self.will = Some(will);
            }
            GuardianCommand::Dismiss => self.task = Task::Leave,
        }
    }

    /// Starts a program. The timer is armed before there is a child: from here on the tree dies in
    /// time, even if redlock fails.
    fn start(&mut self, id: u32, program: &Program, stop_at: Time, kill_at: Time) {
        (self.program, self.kill_at) = (id, kill_at);
        // Until the start, the guardian is in redlock's process group. A signal that a terminal
        // sent to the group before the command existed cancels the start. redlock has received the
        // signal as well.
        let is_typed = |number: &i32| sys::take_pending(*number) && !sys::is_ignored(*number);
        if clock::now() >= stop_at
            || [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP].iter().any(is_typed)
        {
            return self.not_started(id, StartRefusal::TooLate);
        }
        match self.timer.set(kill_at).and_then(|()| self.launcher.start(id, program, stop_at)) {
            Ok(pid) => {
                self.command = Some(pid);
                if let Some(will) = &mut self.will {
                    will.acquired = Some(clock::now());
                }
            }
            Err(error) => self
                .not_started(id, StartRefusal::Errno(error.raw_os_error().unwrap_or(libc::EAGAIN))),
        }
    }

    fn not_started(&mut self, id: u32, refusal: StartRefusal) {
        self.kill_at = Time::NEVER;
        let what = match refusal {
            StartRefusal::TooLate => ChildEvent::TooLate,
            StartRefusal::Errno(errno) => ChildEvent::NotStarted(SpawnError::of(errno)),
        };
        self.say(id, 0, what);
    }

    fn signal(&self, number: i32, wake: bool) {
        let wake = wake.then_some(Signal::SIGCONT as i32);
        for number in [Some(number), wake].into_iter().flatten() {
            match self.command {
                Some(command) => self.descendants.signal_job(command, number),
                // The command has ended, and redlock waits for the other descendants.
                None if self.task == Task::Await => self.descendants.signal(number, None, None),
                None => {}
            }
        }
    }

    /// Does all work that is due now. Returns the exit code when there is no process left to guard.
    fn act(&mut self) -> Option<i32> {
        if self.task == Task::Leave {
            // A hook has to be killed if redlock dies, and a will may still be replaced: then the
            // guardian stays until redlock has exited.
            let is_done = self.hook.is_none() && self.will.is_none();
            return (is_done || self.is_orphan).then_some(0);
        }
        // The clock decides, since a wake-up is no proof of the time. A message that came after the
        // deadline changes nothing.
        if clock::now() >= self.kill_at {
            self.kill_at = Time::NEVER;
            self.task = Task::Kill;
            self.say(self.program, 0, ChildEvent::Expired);
        }
        if self.task == Task::Kill {
            self.kill();
        }
        let is_childless = sys::has_children() == Some(false);
        if is_childless
            && (self.task == Task::Await || self.task == Task::Kill || self.command.is_some())
        {
            // Without children the command has ended, even if its end was not seen.
            self.command = None;
            self.task = Task::Watch;
            self.kill_at = Time::NEVER;
            self.say(self.program, 0, ChildEvent::Gone);
        }
        (self.is_orphan && self.task != Task::Kill).then_some(0)
    }

    fn kill(&mut self) {
        // The launched programs are known without a search.
        for pid in self.launcher.pids() {
            let _ = sys::send(pid, Signal::SIGKILL as i32);
        }
        let left = self.descendants.kill();
        self.reap();
        if sys::has_children() != Some(false)
            && let Some(what) = self.descendants.news(left)
        {
            self.say(self.program, 0, what);
        }
    }

    /// Reaps every child that has ended, and reports those that are programs. Orphans are not
    /// reported: there may be more of them than the socket has room for events.
    fn reap(&mut self) {
        while let Some((pid, change)) = sys::reap() {
            let at = clock::now();
            self.settle();
            let program = self.launcher.program(pid);
            let what = match change {
                ChildChange::Ended(end) => {
                    self.launcher.forget(pid);
                    self.command.take_if(|command| command.as_raw() == pid);
                    ChildEvent::Ended { end, at }
                }
                ChildChange::Stopped(_) if self.command != Some(Pid::from_raw(pid)) => continue,
                ChildChange::Stopped(signal) => {
                    self.launcher.set_stopped(pid, true);
                    self.stops += 1;
                    ChildEvent::Stopped(signal)
                }
                ChildChange::Continued => {
                    self.launcher.set_stopped(pid, false);
                    continue;
                }
            };
            if let Some(program) = program {
                self.say(program, pid, what);
            }
        }
    }

    /// Reports the children that became programs or failed.
    fn settle(&mut self) {
        while let Some((id, pid, end)) = self.launcher.settle() {
            let refusal = match end {
                Ok(group) => {
                    if group == Group::Redlock {
                        leave_group();
                    }
                    self.say(id, pid.as_raw(), ChildEvent::Started);
                    continue;
                }
                Err(refusal) => refusal,
            };
            self.command.take_if(|command| *command == pid);
            self.not_started(id, refusal);
        }
    }

    fn say(&mut self, program: u32, pid: i32, what: ChildEvent) {
        if !self.is_orphan {
            self.outbox.add(&GuardianEvent { program, pid, what });
        }
    }

    /// Waits for redlock, for a child, or for the deadline.
    fn wait(&mut self, socket: &UnixStream) {
        let is_armed = self.timer.set(self.kill_at).is_ok();
        let (children, timer) = (self.children.as_fd(), self.timer.as_fd());
        let mut fds =
            vec![PollFd::new(children, PollFlags::POLLIN), PollFd::new(timer, PollFlags::POLLIN)];
        if !self.is_orphan {
            // A dead redlock's socket is always readable, and would wake the guardian without end.
            let room = if self.outbox.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            fds.push(PollFd::new(socket.as_fd(), PollFlags::POLLIN | room));
        }
        fds.extend(self.launcher.on_their_way().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let patience = self.patience(is_armed);
        if poll(&mut fds, patience).is_err() {
            // An error is no reason to kill. All state is checked again after a pause.
            clock::pause(LOOK_AGAIN);
        }
        drop(fds);
        // SIGCHLD tells no more than that the children have to be checked.
        let _ = self.children.read_signal();
        self.timer.clear();
        self.settle();
    }

    /// The longest time until the next check.
    fn patience(&self, is_armed: bool) -> PollTimeout {
        match self.task {
            Task::Kill => PollTimeout::from(self.descendants.patience()),
            _ if is_armed => PollTimeout::NONE,
            _ => PollTimeout::from(LOOK_AGAIN),
        }
    }
}

/// Milliseconds from one check to the next if there is no event to wait for.
const LOOK_AGAIN: u16 = 100;
