//! The signals that people and init systems send to redlock.

use super::sys;
use crate::policy::Signal;
use nix::sys::signal::{SigSet, Signal as Named};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The signals that were received.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
    ready: AsyncFd<OwnedFd>,
    /// Those that the thread heard.
    interrupts: UnboundedReceiver<Signal>,
    feed: UnboundedSender<Signal>,
    count: Arc<Count>,
}

/// How often SIGINT came, whichever way.
#[derive(Debug, Default)]
struct Count(AtomicU32);

impl Count {
    /// Ctrl-C this often means that redlock must leave, whatever it waits for.
    const LAST: u32 = 3;

    fn add(&self) {
        if self.0.fetch_add(1, Ordering::Relaxed) + 1 >= Self::LAST {
            sys::exit_now(130);
        }
    }
}

const HANDLED: [Named; 7] =
    [Named::SIGINT, Named::SIGTERM, Named::SIGHUP, Named::SIGQUIT, Named::SIGUSR1, Named::SIGUSR2, Named::SIGWINCH];

/// Whether SIGINT was ignored when redlock was started, as in the background of a script.
#[must_use]
pub fn was_ignored() -> bool {
    sys::is_ignored(Named::SIGINT)
}

impl Signals {
    /// Has signals come by descriptor, so that none ends redlock while it has something to give back. What was ignored when
    /// redlock was started, as nohup(1) does with SIGHUP, stays ignored.
    ///
    /// # Errors
    /// When the system refuses a descriptor, or outside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let handled = HANDLED.into_iter().filter(|signal| !sys::is_ignored(*signal)).collect::<SigSet>();
        handled.thread_block()?;
        let descriptor = SignalFd::with_flags(&handled, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let ready = sys::watched(descriptor.as_fd().try_clone_to_owned()?)?;
        let (feed, interrupts) = unbounded_channel();
        Ok(Self { descriptor, ready, interrupts, feed, count: Arc::default() })
    }

    /// Gives SIGINT a handler and a thread: the way out when all else hangs is to leave at once, by which the guardian
    /// learns that the command must go. Where the system has no thread to spare, it goes on coming by descriptor.
    pub fn hear_interrupts_apart(&self) {
        if was_ignored() {
            return;
        }
        let (feed, count) = (self.feed.clone(), Arc::clone(&self.count));
        let handler = ctrlc::try_set_handler(move || {
            // Only a run that is over has no queue any more.
            let _ = feed.send(Signal::INT);
            count.add();
        });
        if handler.is_ok() {
            // It fails for no set that is one.
            let _ = SigSet::from(Named::SIGINT).thread_unblock();
        }
    }

    /// The next signal.
    pub async fn next(&mut self) -> Option<Signal> {
        tokio::select! {
            biased;
            signal = self.interrupts.recv() => signal,
            Ok(signal) = by_descriptor(&self.descriptor, &self.ready) => {
                if signal == Signal::INT {
                    self.count.add();
                }
                Some(signal)
            }
        }
    }
}

async fn by_descriptor(descriptor: &SignalFd, ready: &AsyncFd<OwnedFd>) -> io::Result<Signal> {
    loop {
        let mut guard = ready.readable().await?;
        if let Some(received) = descriptor.read_signal()? {
            return Ok(Signal::new(i32::try_from(received.ssi_signo).unwrap_or_default()));
        }
        guard.clear_ready();
    }
}
