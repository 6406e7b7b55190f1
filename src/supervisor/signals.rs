//! The signals that redlock receives: from people, terminals, shells and init systems.

use super::sys;
use crate::policy::Signal;
use nix::libc;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getsid};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// One signal that was received.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// The signal.
    pub signal: Signal,
    /// Whether a terminal sent it to its whole foreground group, or a shell to its whole job, and
    /// so to the command as well.
    pub is_typed: bool,
}

/// The signals that were received.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    ready: AsyncFd<OwnedFd>,
    /// Every SIGINT.
    interrupts: UnboundedReceiver<Received>,
    /// How many of those the loop has not taken.
    untaken: Arc<AtomicU32>,
}

/// So many interrupts that the loop has not taken mean that the loop hangs.
const HANGS: u32 = 3;

/// The signals that are not received: two that cannot be, those that only tell of a fault of
/// redlock's own, and those that redlock itself causes (children, closed pipes).
const LEFT_ALONE: [i32; 10] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGCHLD,
    libc::SIGPIPE,
];

impl Signals {
    /// Has signals received, so that none ends redlock while it has something to give back. What
    /// was ignored when redlock was started, as nohup(1) does with SIGHUP, stays ignored.
    ///
    /// # Errors
    /// When the system refuses a descriptor, or outside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let is_received = |number: &i32| !LEFT_ALONE.contains(number) && !sys::is_ignored(*number);
        // The C library keeps those between the standard and the real-time ones to itself.
        let mut received =
            sys::signal_set((1..32).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).filter(is_received));
        // The thread of the interrupts inherits this.
        received.thread_block()?;
        let untaken = Arc::<AtomicU32>::default();
        let interrupts = hear_interrupts(&untaken);
        // Where the system has no thread to spare, interrupts come as all others do.
        if interrupts.is_some() {
            received.remove(nix::sys::signal::Signal::SIGINT);
        }
        let descriptor =
            SignalFd::with_flags(&received, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let ready = sys::status(descriptor.as_fd().try_clone_to_owned()?)?;
        Ok(Self {
            descriptor,
            ready,
            interrupts: interrupts.unwrap_or_else(|| unbounded_channel().1),
            untaken,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Option<Received> {
        tokio::select! {
            biased;
            Some(received) = self.interrupts.recv() => {
                self.untaken.fetch_sub(1, Ordering::Relaxed);
                Some(received)
            }
            Ok(received) = by_descriptor(&self.descriptor, &self.ready) => Some(received),
            else => None,
        }
    }

    /// Stops redlock by `signal`, as a shell wants to see it. Returns when redlock goes on; `false`
    /// at once where the system does not stop it, because there is no shell that would have it go
    /// on.
    #[must_use]
    pub fn stop_by(&self, signal: Signal) -> bool {
        // It waits to be received, however often it was sent by now.
        sys::take_pending(libc::SIGCONT);
        sys::raise_by_default(signal.number());
        sys::take_pending(libc::SIGCONT)
    }
}

/// Gives SIGINT a handler and a thread. It is the way out of a hang: where the loop takes no
/// interrupts any more, redlock leaves at once, by which the guardian learns that the command must
/// go. `None` where SIGINT stays ignored, or where the system refuses a thread.
fn hear_interrupts(untaken: &Arc<AtomicU32>) -> Option<UnboundedReceiver<Received>> {
    if sys::is_ignored(libc::SIGINT) {
        return None;
    }
    let (feed, interrupts) = unbounded_channel();
    let untaken = Arc::clone(untaken);
    let set = SigSet::from(nix::sys::signal::Signal::SIGINT);
    // The thread inherits this too: it takes what the loop's thread cannot.
    set.thread_unblock().ok()?;
    let handler = ctrlc::try_set_handler(move || {
        // Counted first: the loop may take it at once.
        let is_hanging = untaken.fetch_add(1, Ordering::Relaxed) + 1 >= HANGS;
        let _ = feed.send(Received { signal: Signal::INT, is_typed: sys::take_typed_interrupt() });
        if is_hanging {
            sys::exit_now(130);
        }
    });
    if handler.is_err() {
        let _ = set.thread_block();
        return None;
    }
    sys::note_typed_interrupts();
    Some(interrupts)
}

async fn by_descriptor(descriptor: &SignalFd, ready: &AsyncFd<OwnedFd>) -> io::Result<Received> {
    loop {
        let mut guard = ready.readable().await?;
        if let Some(received) = descriptor.read_signal()? {
            let number = i32::try_from(received.ssi_signo).unwrap_or_default();
            let is_typed = if received.ssi_code == libc::SI_KERNEL {
                is_of_the_terminal(number)
            } else {
                number == libc::SIGCONT && is_of_this_session(received.ssi_pid)
            };
            return Ok(Received { signal: Signal::new(number), is_typed });
        }
        guard.clear_ready();
    }
}

/// Whether a process belongs to our session. A SIGCONT from there is a shell's `fg` or `bg`, to the
/// whole job. The command has it, and may have been stopped anew by the time at which it would be
/// passed on.
fn is_of_this_session(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 0 && getsid(Some(Pid::from_raw(pid))) == getsid(None))
}

/// Whether a terminal is what the kernel sends this signal for, and to a whole process group. That
/// it hung up it tells the leader of the session alone.
fn is_of_the_terminal(number: i32) -> bool {
    let is_leader = || getsid(None) == Ok(Pid::this());
    match number {
        libc::SIGINT
        | libc::SIGQUIT
        | libc::SIGTSTP
        | libc::SIGTTIN
        | libc::SIGTTOU
        | libc::SIGWINCH => true,
        libc::SIGHUP | libc::SIGCONT => !is_leader(),
        _ => false,
    }
}
