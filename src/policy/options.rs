//! Options of a run that the decisions depend on.

use super::Signal;
use crate::lock::{ClusterSize, RestartGuard, Schedule, Time};
use std::time::Duration;

/// Options of one run.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Number of instances.
    pub size: ClusterSize,
    /// TTL, kill-after and op-timeout.
    pub schedule: Schedule,
    /// Shortest time that an instance must have kept its memory to vote. No lease of any host is
    /// longer.
    pub guard: RestartGuard,
    /// Bound of the wait for the lock.
    pub wait_limit: WaitLimit,
    /// Delay before the first attempt.
    pub delay: Duration,
    /// Number of slots: the largest number of runs that hold the lock at once.
    pub slots: u32,
    /// Whether the command gets a fencing token. Not with several slots.
    pub is_fenced: bool,
    /// Style of the messages about a wait of more than a second.
    pub progress: ProgressStyle,
    /// Shortest time from the start of the command to the end of the lock.
    pub min_hold: Duration,
    /// Ends of the command after which `min_hold` counts.
    pub min_hold_on: MinHoldOn,
    /// Time from the end of the command to the end of the lock.
    pub cooldown: Duration,
    /// Signal that asks the command to stop.
    pub stop_signal: Signal,
    /// Whether a command that ignores the user's signal is killed after kill-after.
    pub escalates: bool,
    /// Effect of a loss on the command.
    pub on_lost: OnLost,
    /// Longest run time of the command (`--max-runtime`), or longest hold without one (`--max-hold`).
    pub max_runtime: Option<Duration>,
    /// Whether the lock is held until every descendant of the command has ended.
    pub awaits_descendants: bool,
}

/// Bound of the wait for the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WaitLimit {
    /// No wait: a single attempt.
    Once,
    /// A wait until this moment.
    Until(Time),
    /// An unbounded wait.
    Forever,
}

impl WaitLimit {
    /// Whether no further attempt may follow one that failed at `now`.
    #[must_use]
    pub fn is_reached(self, now: Time) -> bool {
        match self {
            Self::Once => true,
            Self::Until(end) => now >= end,
            Self::Forever => false,
        }
    }

    /// `at`, or the end of the wait if that is earlier.
    #[must_use]
    pub fn cap(self, at: Time) -> Time {
        if let Self::Until(end) = self { at.min(end) } else { at }
    }
}

/// Style of the messages about a long wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProgressStyle {
    /// A line of its own, at most every 30 s, and only if the holder or the place has changed.
    News,
    /// One line that is rewritten every second.
    Live,
}

/// Ends of the command after which the least time of the lock counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MinHoldOn {
    /// Every end.
    Always,
    /// Exit code 0. After any other end another run may try at once.
    Success,
}

/// Effect of a loss on the command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnLost {
    /// The command is stopped before another run can acquire the lock.
    Stop,
    /// The command goes on, and the loss is reported.
    Warn,
}

#[cfg(test)]
impl RunOptions {
    /// A run over `count` instances without a restart guard: TTL 3 s, op-timeout 150 ms,
    /// kill-after 750 ms, kill margin 150 ms, drift 32 ms.
    pub(super) fn for_test(count: usize) -> Self {
        let ttl = crate::lock::Ttl::new(Duration::from_secs(3)).unwrap();
        Self {
            size: ClusterSize::redlock(count).unwrap(),
            schedule: Schedule::new(ttl, None, None).unwrap(),
            guard: RestartGuard::Off,
            wait_limit: WaitLimit::Forever,
            delay: Duration::ZERO,
            slots: 1,
            is_fenced: false,
            progress: ProgressStyle::News,
            min_hold: Duration::ZERO,
            min_hold_on: MinHoldOn::Always,
            cooldown: Duration::ZERO,
            stop_signal: Signal::TERM,
            escalates: false,
            on_lost: OnLost::Stop,
            max_runtime: None,
            awaits_descendants: false,
        }
    }
}
