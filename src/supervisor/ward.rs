//! redlock's end of the guardian: orders to it, and what it says.

use super::clock::Timer;
use super::guardian::keep_watch;
use super::orders::{NO_GATE, Order, Word, line, stamp, take};
use super::spawn::{Program, pass};
use super::sys;
use crate::lock::Time;
use crate::policy::{End, Signal};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, pipe2, read};
use std::cell::Cell;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use tokio::io::unix::AsyncFd;

/// Splits off a guardian. When it ends and is not dismissed, it has killed every descendant; in any case it removes
/// `litter` then. The earlier it is split off, the less memory there is to be split.
///
/// # Errors
/// When the system refuses a socket or a process.
pub fn split_off(litter: Option<PathBuf>) -> io::Result<Ward> {
    let (ours, theirs) = UnixStream::pair()?;
    let (gate, key) = pipe2(OFlag::O_CLOEXEC)?;
    let (drawn, lines) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let timer = Timer::new()?;
    match sys::split()? {
        ForkResult::Parent { child } => {
            drop((theirs, gate, drawn));
            let (kill_at, unseen) = (Cell::new(Time::NEVER), Cell::new(0));
            Ok(Ward { socket: ours, gate: key, lines, timer, kill_at, unseen, guardian: child })
        }
        ForkResult::Child => {
            drop((ours, key, lines));
            let code = keep_watch(theirs, gate, drawn, timer);
            if let Some(litter) = litter {
                // What is gone already needs no removing.
                let _ = std::fs::remove_dir_all(litter);
            }
            // Nothing of redlock's is left to be flushed or told, and what it would do at exit is not ours to do.
            sys::exit_now(code)
        }
    }
}

/// The guardian, and the command that it was last told to start.
#[derive(Debug)]
pub struct Ward {
    socket: UnixStream,
    gate: OwnedFd,
    /// Where the lines of the command are drawn: until when it may be started, and when its tree dies. The guardian looks there
    /// whenever it wakes, and is not woken by it.
    lines: OwnedFd,
    /// The guardian's own, at which it wakes to kill.
    timer: Timer,
    /// The last line of the latter kind.
    kill_at: Cell<Time>,
    /// How many lines were drawn since the guardian was woken for them.
    unseen: Cell<u32>,
    guardian: Pid,
}

/// What the guardian reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Report {
    /// A program runs; its process id, which is its group's too.
    Started(i32),
    /// It could not be started; the system's error number (errno(3)).
    NotStarted(i32),
    /// It was not started, because it was too late.
    TooLate,
    /// A process was stopped.
    Stopped(i32, Signal),
    /// A process ended, in this way, at that moment.
    Ended(i32, End, Time),
    /// The moment has come at which the guardian kills the tree by itself.
    Expired,
    /// Nobody of the tree is left.
    Gone,
    /// This process of the tree cannot be killed by us.
    Untouchable(i32),
}

impl Ward {
    /// Names a program that is to be started later: the first one is number 0.
    ///
    /// # Errors
    /// When the guardian is gone, or the system refuses redlock to be the subreaper that follows it.
    pub fn enlist(&self, program: Program) -> io::Result<()> {
        self.name(&Order::Enlist(program))
    }

    /// Names the first program, and has a child wait to become it, so that [`Ward::open`] need not wait for one to be made.
    ///
    /// # Errors
    /// As [`Ward::enlist`].
    pub fn poise(&self, program: Program) -> io::Result<()> {
        self.name(&Order::Poise(program))
    }

    fn name(&self, order: &Order) -> io::Result<()> {
        prctl::set_child_subreaper(true)?;
        // It may be longer than what the socket holds; the guardian reads meanwhile.
        (&self.socket).write_all(&line(order))
    }

    /// Starts the first program without extra variables, unless it is `stop_at` or later; its tree dies at `kill_at`.
    pub fn open(&self, stop_at: Time, kill_at: Time) {
        // The lines first: they are there before anybody comes through, whatever becomes of redlock in between. To be woken for
        // them, the guardian needs the processor that the command needs.
        if self.draw(stop_at, kill_at) {
            // Whoever waits there goes; where nobody does, the guardian starts another.
            let _ = pass(&self.gate, [stop_at]);
            self.order(&Order::Look);
        }
    }

    /// Starts the program with this number, unless it is `stop_at` or later; its tree dies at `kill_at`.
    pub fn start(&self, program: usize, extra: Vec<(String, String)>, stop_at: Time, kill_at: Time) {
        self.draw(NO_GATE, kill_at);
        self.order(&Order::Start { program, extra, stop_at: stamp(stop_at) });
    }

    /// The tree dies at `kill_at`, whatever becomes of redlock.
    pub fn guard(&self, kill_at: Time) {
        let before = self.kill_at.get();
        if kill_at == before {
            return;
        }
        // A timer that is too early is harmless, since the guardian looks at the lines before it kills: so it is moved to a
        // farther line after that is drawn, and to a nearer one before.
        if kill_at < before {
            let _ = self.timer.arm(kill_at);
        }
        self.draw(NO_GATE, kill_at);
        self.unseen.set(self.unseen.get().saturating_add(1));
        if kill_at < before || self.unseen.get() >= Self::UNSEEN_MAX {
            // A nearer line it has not gone to sleep for; and now and then it empties the pipe.
            self.unseen.set(0);
            self.order(&Order::Look);
        } else {
            let _ = self.timer.arm(kill_at);
        }
    }

    /// A pipe has room for forty times as many (pipe(7): 64 KiB).
    const UNSEEN_MAX: u32 = 100;

    /// Draws the lines; whether the guardian can see them.
    fn draw(&self, stop_at: Time, kill_at: Time) -> bool {
        self.kill_at.set(kill_at);
        pass(&self.lines, [stop_at, kill_at])
    }

    /// Sends `signal` to the command, and wakes it if it is stopped and `wake` is set.
    pub fn signal(&self, signal: Signal, wake: bool) {
        self.order(&Order::Signal { number: signal.number(), wake });
    }

    /// Kills the tree.
    pub fn kill(&self) {
        self.order(&Order::Kill);
        // Should somebody have stopped the guardian, it goes on for this.
        let _ = sys::send(self.guardian.as_raw(), nix::libc::SIGCONT);
    }

    /// Has it said when nobody of the tree is left.
    pub fn wait_for_tree(&self) {
        self.order(&Order::Await);
    }

    /// Lets the guardian go without harming anybody.
    pub fn dismiss(&self) {
        self.order(&Order::Dismiss);
    }

    /// Does without it after all.
    pub fn let_go(self) {
        self.dismiss();
        self.see_off();
    }

    /// Waits until the guardian is gone, and reaps it. It goes at once, unless somebody has stopped it.
    pub fn see_off(self) {
        let Self { socket, gate, lines, guardian, .. } = self;
        drop((socket, gate, lines));
        if let Ok(handle) = sys::pidfd(guardian) {
            // Whatever comes of it, nothing else can be done about it.
            let _ = poll(&mut [PollFd::new(handle.as_fd(), PollFlags::POLLIN)], 1_000_u16);
        }
        let _ = waitpid(guardian, Some(WaitPidFlag::WNOHANG));
    }

    /// A listener to what the guardian says.
    ///
    /// # Errors
    /// When the system refuses another descriptor, or outside a tokio runtime.
    pub fn listen(&self) -> io::Result<Listener> {
        self.socket.set_nonblocking(true)?;
        Ok(Listener { socket: sys::watched(self.socket.try_clone()?.into())?, inbox: Vec::new() })
    }

    fn order(&self, order: &Order) {
        // A guardian that does not take orders is dead, which its listener hears, or frozen; a message is far smaller than
        // what the socket holds.
        let _ = (&self.socket).write_all(&line(order));
    }
}

/// Hears what the guardian says.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<OwnedFd>,
    inbox: Vec<u8>,
}

impl Listener {
    /// The next report; `None` when the guardian is gone. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Report> {
        loop {
            if let Some(word) = take(&mut self.inbox) {
                return Some(report(word));
            }
            let mut ready = self.socket.readable().await.ok()?;
            let mut bytes = [0; 1024];
            match ready.try_io(|socket| Ok(read(socket, &mut bytes)?)) {
                Ok(Ok(0) | Err(_)) => return None,
                Ok(Ok(count)) => self.inbox.extend_from_slice(bytes.get(..count)?),
                // There is nothing to read yet.
                Err(_) => {}
            }
        }
    }
}

fn report(word: Word) -> Report {
    match word {
        Word::Started { pid } => Report::Started(pid),
        Word::NotStarted { errno } => Report::NotStarted(errno),
        Word::TooLate => Report::TooLate,
        Word::Stopped { pid, signal } => Report::Stopped(pid, Signal::new(signal)),
        Word::Exited { pid, code, at } => {
            Report::Ended(pid, End::Exited(u8::try_from(code).unwrap_or(u8::MAX)), Time::from_nanos(at))
        }
        Word::Died { pid, signal, at } => Report::Ended(pid, End::Signaled(Signal::new(signal)), Time::from_nanos(at)),
        Word::Expired => Report::Expired,
        Word::Gone => Report::Gone,
        Word::Untouchable { pid } => Report::Untouchable(pid),
    }
}

#[cfg(test)]
mod tests;
