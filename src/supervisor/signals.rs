//! The signals that redlock receives from users, terminals, shells and service managers.

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

/// One received signal.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// The signal.
    pub signal: Signal,
    /// Whether a terminal sent the signal to its whole foreground group, or a shell to its whole
    /// job. The command has then received the signal as well.
    pub is_typed: bool,
}

/// The received signals.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    ready: AsyncFd<OwnedFd>,
    /// Every SIGINT.
    interrupts: UnboundedReceiver<Received>,
    /// Number of interrupts that the loop has not taken.
    untaken: Arc<AtomicU32>,
}

/// Number of untaken interrupts that proves that the loop hangs.
const HANGS: u32 = 3;

/// Signals that are not received: two that cannot be, those that report a fault of redlock itself,
/// and those that redlock itself causes (children, closed pipes).
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
    /// Receives signals, so that no signal ends redlock before the lock is released. A signal that
    /// was ignored at the start of redlock, as SIGHUP by nohup(1), is received and dropped: so only
    /// the signals that arrive have to be checked, and not all 62 at the start.
    ///
    /// # Errors
    /// When the system refuses a descriptor, or outside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let is_received = |number: &i32| !LEFT_ALONE.contains(number);
        // The C library uses the numbers between the standard and the real-time signals itself.
        let mut received =
            sys::signal_set((1..32).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()).filter(is_received));
        // Blocked before the thread of the interrupts starts, which inherits this mask.
        received.thread_block()?;
        let untaken = Arc::<AtomicU32>::default();
        let interrupts = hear_interrupts(&untaken);
        // If the system refuses a thread, interrupts are received like all other signals.
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

    /// Stops redlock by `signal`, as a shell expects. Returns after redlock was continued. Returns
    /// `false` at once if the kernel does not stop redlock, since no shell could continue it.
    #[must_use]
    pub fn stop_by(&self, signal: Signal) -> bool {
        // A pending SIGCONT from before would count as the one that continues redlock.
        sys::take_pending(libc::SIGCONT);
        sys::raise_by_default(signal.number());
        sys::take_pending(libc::SIGCONT)
    }
}

/// Sets a handler and a thread for SIGINT, as the way out of a hang: if the loop takes no
/// interrupts any more, redlock exits at once, and the guardian ends the command. `None` if SIGINT
/// is ignored, or if the system refuses a thread.
fn hear_interrupts(untaken: &Arc<AtomicU32>) -> Option<UnboundedReceiver<Received>> {
    if sys::is_ignored(libc::SIGINT) {
        return None;
    }
    let (feed, interrupts) = unbounded_channel();
    let untaken = Arc::clone(untaken);
    let set = SigSet::from(nix::sys::signal::Signal::SIGINT);
    // `ctrlc`'s thread inherits this mask, so that it takes the signals that the loop's thread
    // blocks.
    set.thread_unblock().ok()?;
    let handler = ctrlc::try_set_handler(move || {
        // Counted before the send, since the loop may take the interrupt at once.
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
            // A blocked signal is queued even if it is ignored.
            if sys::is_ignored(number) {
                continue;
            }
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

/// Whether a process belongs to this session. A SIGCONT from there is a shell's `fg` or `bg`, sent
/// to the whole job. The command has received it, too, and may have been stopped again before
/// redlock could forward it.
fn is_of_this_session(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| pid > 0 && getsid(Some(Pid::from_raw(pid))) == getsid(None))
}

/// Whether a signal of the kernel comes from a terminal and goes to a whole process group. A hangup
/// of the terminal goes to the leader of the session alone.
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
