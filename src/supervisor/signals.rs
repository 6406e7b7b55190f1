//! The signals that people and init systems send to redlock.

use super::sys;
use crate::policy::Signal;
use nix::sys::signal::Signal as Named;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A queue of received signals.
#[derive(Debug)]
pub struct Signals {
    queue: UnboundedReceiver<Signal>,
    feed: UnboundedSender<Signal>,
}

/// Those that have tokio's handlers; SIGINT has ctrlc's.
const HANDLED: [(Signal, Named); 6] = [
    (Signal::TERM, Named::SIGTERM),
    (Signal::HUP, Named::SIGHUP),
    (Signal::QUIT, Named::SIGQUIT),
    (Signal::USR1, Named::SIGUSR1),
    (Signal::USR2, Named::SIGUSR2),
    (Signal::WINCH, Named::SIGWINCH),
];

/// Whether SIGINT was ignored when redlock was started, as in the background of a script.
#[must_use]
pub fn was_ignored() -> bool {
    sys::is_ignored(Named::SIGINT)
}

impl Signals {
    /// Ctrl-C this often means that redlock must leave, whatever it waits for.
    const LAST: u32 = 3;

    /// Installs the handler of SIGINT, on a thread of its own. It comes first: the way out when all else hangs is to
    /// leave at once, by which the guardian learns that the command must go.
    ///
    /// # Errors
    /// When the system refuses the handler or the thread.
    pub fn install() -> io::Result<Self> {
        let (feed, queue) = unbounded_channel();
        if !was_ignored() {
            let (feed, count) = (feed.clone(), AtomicU32::new(0));
            ctrlc::try_set_handler(move || {
                // Only a run that is over has no queue any more.
                let _ = feed.send(Signal::INT);
                if count.fetch_add(1, Ordering::Relaxed) + 1 >= Self::LAST {
                    sys::exit_now(130);
                }
            })
            .map_err(io::Error::other)?;
        }
        Ok(Self { queue, feed })
    }

    /// Installs the others. What was ignored when redlock was started, as nohup(1) does with SIGHUP, stays ignored.
    ///
    /// # Errors
    /// When the system refuses a handler, or outside a tokio runtime.
    pub fn install_others(&self) -> io::Result<()> {
        for (meaning, named) in HANDLED {
            if sys::is_ignored(named) {
                continue;
            }
            let mut received = signal(SignalKind::from_raw(meaning.number()))?;
            let feed = self.feed.clone();
            tokio::spawn(async move { while received.recv().await.is_some() && feed.send(meaning).is_ok() {} });
        }
        Ok(())
    }

    /// The next signal.
    pub async fn next(&mut self) -> Option<Signal> {
        self.queue.recv().await
    }
}
