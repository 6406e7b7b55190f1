//! The guardian: a small process between redlock and the command, which ends the command's tree when redlock cannot.
//!
//! It is the command's parent and the subreaper of everything that the command starts, so that nothing can slip out from
//! under it; it knows the deadline, so that a frozen redlock does not matter; and it sees the end of its socket, so that
//! a dead one does not either. If the guardian itself is killed, redlock is the next subreaper and does the same.

use super::clock::{self, Timer};
use super::descendants::{self, Left};
use super::orders::{Order, Word, line, stamp, take};
use super::spawn::{Inherited, Program, Recruit, Refusal};
use super::sys::{self, Change};
use super::ward::Ward;
use crate::lock::Time;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Splits off a guardian. When it ends and is not dismissed, it has killed every descendant; in any case it removes
/// `litter` then. The earlier it is split off, the less memory there is to be split.
///
/// # Errors
/// When the system refuses a socket or a process.
pub fn split_off(litter: Option<PathBuf>) -> io::Result<Ward> {
    let (ours, theirs) = UnixStream::pair()?;
    match sys::split()? {
        ForkResult::Parent { child } => {
            drop(theirs);
            Ok(Ward::new(ours, child))
        }
        ForkResult::Child => {
            drop(ours);
            let code = Guardian::new(theirs).map_or(1, Guardian::watch);
            if let Some(litter) = litter {
                // What is gone already needs no removing.
                let _ = std::fs::remove_dir_all(litter);
            }
            // Nothing of redlock's is left to be flushed or told, and what it would do at exit is not ours to do.
            sys::exit_now(code)
        }
    }
}

struct Guardian {
    socket: UnixStream,
    programs: Vec<Program>,
    inherited: Inherited,
    children: SignalFd,
    timer: Timer,
    kill_at: Time,
    /// Who waits to become the first program.
    recruit: Option<Recruit>,
    /// The command, until it is reaped: while it is not, its pid and group mean nobody else.
    command: Option<Pid>,
    is_group: bool,
    task: Task,
    /// Whether redlock is dead.
    is_orphan: bool,
    /// One of the tree that cannot be killed by us, as redlock was told.
    untouchable: Option<Pid>,
    inbox: Vec<u8>,
}

/// What the guardian is there for at the moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Task {
    Watch,
    /// As before, and tell when nobody is left.
    Await,
    Kill,
    Leave,
}

impl Guardian {
    fn new(socket: UnixStream) -> io::Result<Self> {
        // A group of its own: whoever kills redlock's group leaves the guardian to do its duty.
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        // Not found by those who kill every `redlock`.
        prctl::set_name(c"redlock-guard")?;
        prctl::set_child_subreaper(true)?;
        let inherited = Inherited::note_and_block()?;
        let mut chld = SigSet::empty();
        chld.add(Signal::SIGCHLD);
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            programs: Vec::new(),
            inherited,
            recruit: None,
            children: SignalFd::with_flags(&chld, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            timer: Timer::new()?,
            kill_at: Time::NEVER,
            command: None,
            is_group: true,
            task: Task::Watch,
            is_orphan: false,
            untouchable: None,
            inbox: Vec::new(),
        })
    }

    fn watch(mut self) -> i32 {
        loop {
            self.reap();
            if self.task == Task::Leave {
                self.recruit.take().into_iter().for_each(Recruit::dismiss);
                return 0;
            }
            // The clock first: a wake-up is no proof of the time, and orders that came too late change nothing.
            if clock::now() >= self.kill_at {
                self.kill_at = Time::NEVER;
                self.task = Task::Kill;
                self.say(Word::Expired);
            }
            match self.task {
                Task::Kill => self.kill(),
                Task::Await if !sys::has_children() => {
                    self.task = Task::Watch;
                    self.say(Word::Gone);
                }
                _ => {}
            }
            if self.is_orphan && self.task != Task::Kill {
                return 0;
            }
            if self.timer.set(self.kill_at).and_then(|()| self.wait()).is_err() {
                // Without a clock or a poll there is no watch to keep.
                self.task = Task::Kill;
                self.is_orphan = true;
            }
        }
    }

    /// Waits for redlock, for a child, or for the deadline; while killing, not for long.
    fn wait(&mut self) -> io::Result<()> {
        let patience = match (self.task, self.untouchable) {
            (Task::Kill, None) => PollTimeout::from(2_u8),
            (Task::Kill, Some(_)) => PollTimeout::from(100_u8),
            _ => PollTimeout::NONE,
        };
        let mut fds = [
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
        ];
        // An orphan's socket is at its end for ever, and would wake it for ever.
        let watched = if self.is_orphan { fds.get_mut(..2) } else { fds.get_mut(..) };
        match poll(watched.unwrap_or_default(), patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Ok(Some(_)) = self.children.read_signal() {}
        self.timer.clear();
        if !self.is_orphan {
            self.read_orders();
        }
        Ok(())
    }

    fn read_orders(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(count @ 1..) => self.inbox.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => {
                    // Only an order to leave that came before this can still change it.
                    self.is_orphan = true;
                    self.task = Task::Kill;
                    break;
                }
            }
        }
        while let Some(order) = take(&mut self.inbox) {
            self.obey(order);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Enlist(program) => {
                if self.programs.is_empty() {
                    // One that cannot be made now is made when it is needed, or not, and then it is told.
                    self.recruit = Recruit::new(&program, self.inherited, &self.socket).ok();
                }
                self.programs.push(program);
            }
            Order::Start { program, extra, stop_at, kill_at } => {
                // Nobody is there any more to whom it would matter.
                if !self.is_orphan {
                    self.start(program, extra, Time::from_nanos(stop_at), Time::from_nanos(kill_at));
                }
            }
            Order::Guard { kill_at } => self.kill_at = Time::from_nanos(kill_at),
            Order::Signal { number, wake } => self.signal(number, wake),
            Order::Await => self.task = Task::Await,
            Order::Kill => self.task = Task::Kill,
            Order::Dismiss => self.task = Task::Leave,
        }
    }

    fn start(&mut self, number: usize, extra: Vec<(String, String)>, stop_at: Time, kill_at: Time) {
        let Some(program) = self.programs.get(number) else { return };
        self.is_group = !program.terminal.is_some_and(|t| t.is_shared() && t.is_ours());
        let recruit = match self.recruit.take() {
            Some(recruit) if number == 0 => Ok(recruit),
            other => {
                self.recruit = other;
                Recruit::new(program, self.inherited, &self.socket)
            }
        };
        let started = match recruit {
            Ok(recruit) => recruit.call(extra, stop_at),
            Err(error) => Err(Refusal::Errno(error.raw_os_error().unwrap_or(nix::libc::EAGAIN))),
        };
        let word = match started {
            Ok(command) => {
                (self.command, self.kill_at) = (Some(command), kill_at);
                Word::Started { pid: command.as_raw() }
            }
            Err(Refusal::TooLate) => Word::TooLate,
            Err(Refusal::Errno(errno)) => Word::NotStarted { errno },
        };
        self.say(word);
    }

    fn signal(&self, number: i32, wake: bool) {
        let wake = if wake { Some(Signal::SIGCONT as i32) } else { None };
        for number in [Some(number), wake].into_iter().flatten() {
            match self.command {
                // A command that has just ended needs no signal; one that may not be signalled is found when it is killed.
                Some(command) => {
                    let whom = if self.is_group { -command.as_raw() } else { command.as_raw() };
                    let _ = sys::send(whom, number);
                }
                // It ended, and is waited for by what it started.
                None => descendants::send_all(number),
            }
        }
    }

    /// Kills whoever is there; over when nobody is.
    fn kill(&mut self) {
        // The group first: it needs no search, and no /proc.
        if self.is_group
            && let Some(command) = self.command
        {
            let _ = sys::send(-command.as_raw(), Signal::SIGKILL as i32);
        }
        let left = descendants::kill_all();
        self.reap();
        if !sys::has_children() {
            self.task = Task::Watch;
            self.kill_at = Time::NEVER;
            self.say(Word::Gone);
        } else if let Left::Untouchable(pid) = left
            && self.untouchable != Some(pid)
        {
            self.untouchable = Some(pid);
            self.say(Word::Untouchable { pid: pid.as_raw() });
        }
    }

    /// Reaps everybody who ended, and tells of them.
    fn reap(&mut self) {
        while let Some((pid, change)) = sys::reap() {
            let at = stamp(clock::now());
            // Whoever killed one that was never needed: another is made where it is.
            if self.recruit.as_ref().is_some_and(|recruit| recruit.pid().as_raw() == pid) {
                if !matches!(change, Change::Stopped(_)) {
                    self.recruit = None;
                }
                continue;
            }
            if !matches!(change, Change::Stopped(_)) && self.command == Some(Pid::from_raw(pid)) {
                self.command = None;
            }
            self.say(match change {
                Change::Exited(code) => Word::Exited { pid, code, at },
                Change::Died(signal) => Word::Died { pid, signal, at },
                Change::Stopped(signal) => Word::Stopped { pid, signal },
            });
        }
    }

    fn say(&mut self, word: Word) {
        // Whoever does not listen is dead, or so frozen that 200 kB are waiting for it already.
        let _ = self.socket.write_all(&line(&word));
    }
}
