//! The guardian: a small process between redlock and the command, which ends the command's tree when redlock cannot.
//!
//! It is the command's parent and the subreaper of everything that the command starts, so that nothing can slip out from
//! under it; it knows the deadline, so that a frozen redlock does not matter; and it sees the end of its socket, so that
//! a dead one does not either. If the guardian itself is killed, redlock is the next subreaper and does the same.

use super::clock::{self, Timer};
use super::descendants::{self, Left};
use super::orders::{Inbox, Order, Word, line, stamp};
use super::spawn::{Inherited, Launch, Ready, Refusal, Start};
use super::sys::{self, Change};
use super::ward::Ward;
use crate::lock::Time;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid, pipe2};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Splits off a guardian. When it ends and is not dismissed, it has killed every descendant; in any case it removes
/// `litter` then. The earlier it is split off, the less memory there is to be split.
///
/// # Errors
/// When the system refuses a socket or a process.
pub fn split_off(litter: Option<PathBuf>) -> io::Result<Ward> {
    let (ours, theirs) = UnixStream::pair()?;
    let (gate, key) = pipe2(OFlag::O_CLOEXEC)?;
    match sys::split()? {
        ForkResult::Parent { child } => {
            drop((theirs, gate));
            Ok(Ward::new(ours, key, child))
        }
        ForkResult::Child => {
            drop((ours, key));
            let code = Guardian::new(theirs, gate).map_or(1, Guardian::watch);
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
    /// What can be started; nothing, where that could not be made ready.
    programs: Vec<Option<Ready>>,
    inherited: Inherited,
    /// Where a child waits for redlock to start it.
    gate: OwnedFd,
    children: SignalFd,
    timer: Timer,
    kill_at: Time,
    /// Who waits at the gate; nobody was told of it yet.
    poised: Option<Launch>,
    /// Who is about to become a program.
    launch: Option<Launch>,
    /// The command, until it is reaped: while it is not, its pid and group mean nobody else.
    command: Option<Pid>,
    is_group: bool,
    task: Task,
    /// Whether redlock is dead.
    is_orphan: bool,
    /// One of the tree that cannot be killed by us, as redlock was told.
    untouchable: Option<Pid>,
    inbox: Inbox,
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
    fn new(socket: UnixStream, gate: OwnedFd) -> io::Result<Self> {
        // A group of its own: whoever kills redlock's group leaves the guardian to do its duty.
        nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        // Not found by those who kill every `redlock`.
        prctl::set_name(c"redlock-guard")?;
        prctl::set_child_subreaper(true)?;
        let inherited = Inherited::note_and_block()?;
        let chld = SigSet::from(Signal::SIGCHLD);
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            programs: Vec::new(),
            inherited,
            gate,
            poised: None,
            launch: None,
            children: SignalFd::with_flags(&chld, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            timer: Timer::new()?,
            kill_at: Time::NEVER,
            command: None,
            is_group: true,
            task: Task::Watch,
            is_orphan: false,
            untouchable: None,
            inbox: Inbox::default(),
        })
    }

    fn watch(mut self) -> i32 {
        loop {
            self.reap();
            while let Some(order) = self.next_order() {
                self.obey(order);
            }
            if self.task == Task::Leave {
                self.send_away();
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

    /// Waits for redlock, for a child, or for the deadline; while killing, not for long. Reads only what there is to read: a
    /// child on its way to become a program shares `errno`, and no call may fail that long.
    fn wait(&mut self) -> io::Result<()> {
        let patience = match (self.task, self.untouchable) {
            (Task::Kill, None) => PollTimeout::from(2_u8),
            (Task::Kill, Some(_)) => PollTimeout::from(100_u8),
            _ => PollTimeout::NONE,
        };
        // Whoever is not there is not watched; an orphan's socket is at its end for ever, and would wake it for ever.
        let socket = if self.is_orphan { self.timer.as_fd() } else { self.socket.as_fd() };
        let launch = self.launch.as_ref().map_or(self.timer.as_fd(), AsFd::as_fd);
        let mut fds =
            [self.children.as_fd(), self.timer.as_fd(), socket, launch].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [children, timer, socket, launch] = fds.map(|fd| fd.any().unwrap_or(true));
        if children {
            // Whoever ended is asked for by itself.
            let _ = self.children.read_signal();
        }
        if timer {
            self.timer.clear();
        }
        if launch && let Some(launch) = self.launch.take() {
            self.launched(launch);
        }
        if socket && !self.is_orphan {
            self.read_orders();
        }
        Ok(())
    }

    fn read_orders(&mut self) {
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(count @ 1..) => self.inbox.add(bytes.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => {
                // Only an order to leave that came before this can still change it.
                self.is_orphan = true;
                self.task = Task::Kill;
            }
        }
    }

    /// The next order to carry out. While a child is on its way to become a program, all but these wait: they are for what
    /// it will be.
    fn next_order(&mut self) -> Option<Order> {
        let is_launching = self.launch.is_some();
        self.inbox.next(|order| !is_launching || matches!(order, Order::Guard { .. } | Order::Kill))
    }

    fn obey(&mut self, order: Order) {
        match order {
            // One that cannot be made ready cannot be started, and then it is told.
            Order::Enlist(program) => self.programs.push(program.ready(self.inherited).ok()),
            // Nobody is there any more to whom it would matter.
            Order::Poise(_) | Order::Open { .. } | Order::Start { .. } | Order::Await if self.is_orphan => {}
            // Where no child can be made now, it is tried again when the gate opens.
            Order::Poise(program) => {
                self.programs.push(program.ready(self.inherited).ok());
                self.poised = self.launch(0, &[], self.at_gate()).ok();
            }
            Order::Open { kill_at } => {
                let launch = self.poised.take().map_or_else(|| self.launch(0, &[], self.at_gate()), Ok);
                self.started(0, launch, Time::from_nanos(kill_at));
            }
            Order::Start { program, extra, stop_at, kill_at } => {
                let launch = self.launch(program, &extra, Start::Now(Time::from_nanos(stop_at)));
                self.started(program, launch, Time::from_nanos(kill_at));
            }
            Order::Guard { kill_at } => self.kill_at = Time::from_nanos(kill_at),
            Order::Signal { number, wake } => self.signal(number, wake),
            Order::Await => self.task = Task::Await,
            Order::Kill => self.task = Task::Kill,
            Order::Dismiss => self.task = Task::Leave,
        }
    }

    fn at_gate(&self) -> Start {
        Start::Gate(self.gate.as_raw_fd())
    }

    fn program(&self, number: usize) -> Option<&Ready> {
        self.programs.get(number).and_then(Option::as_ref)
    }

    fn launch(&self, number: usize, extra: &[(String, String)], start: Start) -> io::Result<Launch> {
        self.program(number).ok_or_else(|| Errno::EINVAL.into()).and_then(|program| program.launch(extra, start))
    }

    /// A child is on its way to become the program with this number, or could not be made.
    fn started(&mut self, number: usize, launch: io::Result<Launch>, kill_at: Time) {
        self.is_group = self.program(number).is_none_or(Ready::is_group);
        match launch {
            Ok(launch) => {
                (self.command, self.kill_at) = (Some(launch.pid()), kill_at);
                self.launch = Some(launch);
            }
            Err(error) => self.say(Word::NotStarted { errno: error.raw_os_error().unwrap_or(nix::libc::EAGAIN) }),
        }
    }

    /// Ends who waits at the gate for nothing.
    fn send_away(&mut self) {
        if let Some(poised) = self.poised.take() {
            let _ = sys::send(poised.pid().as_raw(), Signal::SIGKILL as i32);
            // Waits for its end.
            drop(poised);
            while sys::reap().is_some() {}
        }
    }

    /// Says what became of a child that was to become a program.
    fn launched(&mut self, launch: Launch) {
        let word = match launch.end() {
            Ok(pid) => Word::Started { pid: pid.as_raw() },
            Err(refusal) => {
                (self.command, self.kill_at) = (None, Time::NEVER);
                match refusal {
                    Refusal::TooLate => Word::TooLate,
                    Refusal::Errno(errno) => Word::NotStarted { errno },
                }
            }
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
        if let Some(launch) = self.launch.take() {
            let _ = sys::send(launch.pid().as_raw(), Signal::SIGKILL as i32);
            self.launched(launch);
        }
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
            let is_it = |launch: &mut Launch| launch.pid().as_raw() == pid;
            // What was stopped on its way goes on: nobody can have meant it.
            if matches!(change, Change::Stopped(_))
                && [&mut self.poised, &mut self.launch].into_iter().flatten().any(is_it)
            {
                let _ = sys::send(pid, Signal::SIGCONT as i32);
                continue;
            }
            if let Some(poised) = self.poised.take_if(is_it) {
                // It may have been let through, and over before the order to do so was read.
                if !self.is_orphan {
                    self.read_orders();
                }
                let Some(Order::Open { kill_at }) = self.inbox.next(|order| matches!(order, Order::Open { .. })) else {
                    continue;
                };
                self.started(0, Ok(poised), Time::from_nanos(kill_at));
            }
            if let Some(launch) = self.launch.take_if(is_it) {
                self.launched(launch);
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
