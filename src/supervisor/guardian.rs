//! The guardian: a small process between redlock and the command, which ends the command's tree when redlock cannot.
//!
//! It is the command's parent and the subreaper of everything that the command starts, so that nothing can slip out from
//! under it; it knows the deadline, so that a frozen redlock does not matter; and it sees the end of its socket, so that
//! a dead one does not either. If the guardian itself is killed, redlock is the next subreaper and does the same.

use super::clock::{self, Timer};
use super::descendants::{self, Left};
use super::launcher::{Launcher, Stage};
use super::orders::{Inbox, NO_GATE, Order, Word, line};
use super::spawn::{Inherited, Refusal, passed};
use super::sys::{self, Change};
use crate::lock::Time;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgid};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

/// What the guardian does from its beginning to its end, which is when redlock is gone or lets it go; its exit code. `gate` is
/// where a child waits for redlock to start it, `lines` where redlock draws those of the command; it moves `timer` with them.
pub(super) fn keep_watch(socket: UnixStream, gate: OwnedFd, lines: OwnedFd, timer: Timer) -> i32 {
    Guardian::new(socket, gate, lines, timer).map_or(1, Guardian::watch)
}

struct Guardian {
    socket: UnixStream,
    launcher: Launcher,
    children: SignalFd,
    timer: Timer,
    /// The lines that were not looked at yet.
    lines: OwnedFd,
    kill_at: Time,
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
    fn new(socket: UnixStream, gate: OwnedFd, lines: OwnedFd, timer: Timer) -> io::Result<Self> {
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
            launcher: Launcher::new(inherited, gate),
            children: SignalFd::with_flags(&chld, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
            timer,
            lines,
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
            self.look();
            while let Some(order) = self.inbox.next(self.launcher.arrival().is_some()) {
                self.obey(order);
            }
            if self.task == Task::Leave {
                self.launcher.send_away();
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

    /// Waits for redlock, for a child, or for the deadline; while killing, not for long. Reads only what there is to read: with
    /// a child that shares `errno` (see [`sys::Apart`]) there, why a call failed is nothing to go by.
    fn wait(&mut self) -> io::Result<()> {
        let patience = match (self.task, self.untouchable) {
            (Task::Kill, None) => PollTimeout::from(2_u8),
            (Task::Kill, Some(_)) => PollTimeout::from(100_u8),
            _ => PollTimeout::NONE,
        };
        // Whoever is not there is not watched; what leads to a dead redlock is at its end for ever, and would wake for ever.
        let timer = self.timer.as_fd();
        let (socket, news) =
            if self.is_orphan { (timer, self.launcher.arrival()) } else { (self.socket.as_fd(), self.launcher.news()) };
        let mut fds =
            [self.children.as_fd(), timer, socket, news.unwrap_or(timer)].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [children, timer, socket, news] = fds.map(|fd| fd.any().unwrap_or(true));
        if children {
            // Whoever ended is asked for by itself.
            let _ = self.children.read_signal();
        }
        if timer {
            self.timer.clear();
        }
        if news {
            self.launched();
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

    fn obey(&mut self, order: Order) {
        match order {
            Order::Enlist(program) => self.launcher.enlist(program),
            // Nobody is there any more to whom it would matter.
            Order::Poise(_) | Order::Start { .. } | Order::Await if self.is_orphan => {}
            Order::Poise(program) => {
                self.launcher.enlist(program);
                self.launcher.poise();
            }
            Order::Look => self.look(),
            Order::Start { program, extra, stop_at } => {
                let started = self.launcher.start(program, &extra, Time::from_nanos(stop_at));
                self.started(started);
            }
            Order::Signal { number, wake } => self.signal(number, wake),
            // It may have begun to kill meanwhile.
            Order::Await if self.task != Task::Watch => {}
            Order::Await => self.task = Task::Await,
            Order::Kill => self.task = Task::Kill,
            Order::Dismiss => self.task = Task::Leave,
        }
    }

    /// A child is on its way, or could not be made.
    fn started(&mut self, child: io::Result<Pid>) {
        match child {
            Ok(child) => self.command = Some(child),
            Err(error) => self.say(Word::NotStarted { errno: error.raw_os_error().unwrap_or(nix::libc::EAGAIN) }),
        }
    }

    /// Says what became of a child that was to become a program.
    fn launched(&mut self) {
        let Some(end) = self.launcher.arrive() else { return };
        let word = match end {
            Ok(pid) => {
                // A neighbour in a pipeline on a terminal stays in redlock's.
                self.is_group = getpgid(Some(pid)).is_ok_and(|group| group == pid);
                Word::Started { pid: pid.as_raw() }
            }
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
        let wake = wake.then_some(Signal::SIGCONT as i32);
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
        if let (Some(_), Some(child)) = (self.launcher.arrival(), self.command) {
            let _ = sys::send(child.as_raw(), Signal::SIGKILL as i32);
            self.launched();
        }
        // The groups first: they need no search, and no /proc.
        self.launcher.kill_poised();
        if let (true, Some(command)) = (self.is_group, self.command) {
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

    /// Reaps everybody who ended, and tells of the programs. Of their orphans there may be more than the socket holds words.
    fn reap(&mut self) {
        while let Some((pid, change)) = sys::reap() {
            let at = clock::now();
            if self.launcher.may_be_through() {
                self.look();
            }
            match (self.launcher.stage(pid), change) {
                (Some(_), Change::Stopped(_)) if !self.launcher.has_arrived() => {
                    // What was stopped on its way goes on: nobody can have meant it.
                    let _ = sys::send(pid, Signal::SIGCONT as i32);
                    continue;
                }
                (Some(Stage::Poised), _) => {
                    self.launcher.forget_poised();
                    continue;
                }
                (Some(Stage::UnderWay), _) => self.launched(),
                (None, _) => {}
            }
            if !self.launcher.has_started(pid) {
                continue;
            }
            if !matches!(change, Change::Stopped(_)) {
                self.launcher.forget(pid);
                self.command.take_if(|command| command.as_raw() == pid);
            }
            self.say(Word::of(pid, change, at));
        }
    }

    /// Looks at the lines. If redlock has opened the gate, a child is on its way.
    fn look(&mut self) {
        // They can be seen before the order that names the program, which came first.
        while self.launcher.has_programs()
            && let Some([stop_at, kill_at]) = passed(&self.lines)
        {
            self.kill_at = kill_at;
            // The gate opens for one command, and for nobody where redlock is not there any more.
            if stop_at != NO_GATE && self.command.is_none() && !self.is_orphan {
                let started = self.launcher.open(stop_at);
                self.started(started);
            }
        }
    }

    fn say(&mut self, word: Word) {
        // Whoever does not listen is dead, or so frozen that some hundred words are waiting for it already.
        let _ = self.socket.write_all(&line(&word));
    }
}
