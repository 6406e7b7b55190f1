//! Notes the times at which the machine was too busy to wake a thread in time: without the
//! processor, no program can kill another before a deadline.

use crate::journal::Journal;
use crate::support::clock;
use nix::poll::poll;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// A thread that sleeps for a few milliseconds again and again, until this is dropped.
pub(crate) struct Lag {
    over: Arc<AtomicBool>,
    longest: Arc<AtomicU64>,
}

impl Lag {
    const PERIOD_MS: u8 = 5;
    const WORTH_NOTING: Duration = Duration::from_millis(15);

    pub(crate) fn watch(journal: Journal) -> Self {
        let this = Self { over: Arc::default(), longest: Arc::default() };
        let (over, longest) = (Arc::clone(&this.over), Arc::clone(&this.longest));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let wanted = clock::now() + Duration::from_millis(Self::PERIOD_MS.into());
                let _ = poll(&mut [], Self::PERIOD_MS);
                let late = clock::since(wanted);
                longest.fetch_max(
                    u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
                    Ordering::Relaxed,
                );
                if late >= Self::WORTH_NOTING {
                    journal.note(format!("the machine woke a sleeper {late:?} too late"));
                }
            }
        });
        this
    }

    /// The longest delay so far, in milliseconds.
    pub(crate) fn longest_ms(&self) -> u64 {
        self.longest.load(Ordering::Relaxed)
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
