//! Getting the lock: attempt, give back, wait in line, attempt again.

mod after_failure;
mod check;
mod votes;

use super::{Blocker, Outcome, Poll, QueueWaiter, ReleaseRound};
use crate::lock::{
    Agreement, Backoff, ClusterSize, Failure, HeldLock, InstanceResponse, Memory, Response,
    RestartGuard, Sample, Schedule, Tally, Time, Vote,
};
use std::time::Duration;

/// How long a contender is ready to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WaitLimit {
    /// Not at all.
    Once,
    /// Until this moment.
    Until(Time),
    /// For as long as it takes.
    Forever,
}

/// What to do next to get the lock.
#[derive(Debug)]
#[must_use]
pub enum AcquireStep {
    /// Wait for an event or for [`Acquisition::wake_at`].
    Wait,
    /// Send the acquisition of the current attempt, with a new token, to all instances.
    Acquire,
    /// Send the release of the current attempt to all instances, and behind it the watch, if any.
    Release(Option<StatusPurpose>),
    /// Send a watch with a place in line.
    Poll(Poll),
    /// Send a watch without a place to these instances.
    Check(Vec<usize>),
    /// The lock is held by these votes, if only the command can be started in time.
    Won(Box<HeldLock>, Vec<Option<Vote>>),
    /// Leave without the lock; everything was released.
    GiveUp(Outcome),
}

/// Why all instances are asked what is in the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StatusPurpose {
    /// To find another slot.
    Poll,
    /// To wait until it is gone.
    Queue,
}

#[derive(Debug)]
enum AcquisitionState {
    /// Once a quorum granted, the other votes are waited for until then.
    Voting {
        begun: Time,
        until: Time,
        is_granted: bool,
        tally: Tally,
    },
    /// A quorum granted, and these instances are asked what is in the way there.
    Checking {
        begun: Time,
        until: Time,
        tally: Tally,
        asked: Vec<usize>,
    },
    GivingBack {
        failure: Failure,
        granted: usize,
        votes: Vec<Option<Vote>>,
        release_round: ReleaseRound,
    },
    Pausing {
        until: Time,
    },
    /// Somebody holds the lock, and will wake us, or be looked at.
    Queuing {
        until: Time,
    },
}

/// The search for a holder that disagrees, while the lock is held: once for each run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Beside {
    Unasked,
    Asked,
    /// The holder was told of.
    Told,
}

/// The attempts of one contender.
#[derive(Debug)]
pub struct Acquisition {
    size: ClusterSize,
    schedule: Schedule,
    wait_limit: WaitLimit,
    number: u32,
    /// Until when a split vote is tried again without waiting.
    splits_until: Option<Time>,
    backoff: Backoff,
    slowest: Duration,
    blocker: Option<Blocker>,
    queue: QueueWaiter,
    is_queued: bool,
    /// How many slots there are, and the one that is tried.
    slots: u32,
    slot: u32,
    /// What the current attempt was granted, and who the instances are.
    held_lock: HeldLock,
    guard: RestartGuard,
    /// What each instance is known to remember.
    memories: Vec<Memory>,
    agreement: Agreement,
    /// Which instances have shown what is in the way, or were asked, since the current attempt
    /// began.
    has_shown: Vec<bool>,
    /// Whether a run that does not wait has waited for a second look at a lock value that
    /// disagrees.
    has_looked_again: bool,
    /// How far the search for a holder beside the held lock has come.
    beside: Beside,
    state: AcquisitionState,
}

impl Acquisition {
    /// For how many time limits a contender that does not wait tries again when the votes were
    /// split and nobody won: two that start in the same millisecond must not both leave for the
    /// sake of the other.
    const SPLIT_LIMITS: u32 = 2;
    /// How long a wake-up by one instance waits for the others.
    const GRACE_MIN: Duration = Duration::from_millis(5);
    const GRACE_MAX: Duration = Duration::from_millis(100);

    /// A contender for one of `slots` that has not tried yet; its first step comes from
    /// [`Acquisition::woke`] at `begin`.
    #[must_use]
    pub fn new(
        size: ClusterSize,
        schedule: Schedule,
        wait_limit: WaitLimit,
        slots: u32,
        guard: RestartGuard,
        agreement: Agreement,
        begin: Time,
    ) -> Self {
        Self {
            size,
            schedule,
            wait_limit,
            number: 0,
            splits_until: None,
            backoff: Backoff::default(),
            slowest: Duration::ZERO,
            blocker: None,
            queue: QueueWaiter::new(size),
            is_queued: false,
            slots: slots.max(1),
            slot: 0,
            held_lock: HeldLock::new(size, schedule.ttl(), guard),
            guard,
            memories: vec![Memory::default(); size.count()],
            agreement,
            has_shown: vec![false; size.count()],
            has_looked_again: false,
            beside: Beside::Unasked,
            state: AcquisitionState::Pausing { until: begin },
        }
    }

    /// Somebody looks on while it waits.
    pub const fn keep_up(&mut self) {
        self.queue.keep_up();
    }

    /// The number of the current attempt, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The slot of the current attempt, from 0.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        self.slot
    }

    /// What keeps us from the lock, as it stands at `now`; `None` before the first attempt has
    /// failed.
    #[must_use]
    pub fn blocker(&self, now: Time) -> Option<Blocker> {
        match self.blocker.as_ref()? {
            Blocker::Holder(holder) => {
                Some(Blocker::Holder(self.queue.holder(now).or_else(|| holder.clone())))
            }
            blocker @ Blocker::Instances(_) => Some(blocker.clone()),
        }
    }

    /// Whether an attempt has failed.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.blocker.is_some()
    }

    /// How many wait before us, where that is known.
    #[must_use]
    pub fn place(&self) -> Option<u32> {
        self.queue.place().filter(|_| self.is_queued)
    }

    /// Whether there may be a place in a queue to leave.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// When to call [`Acquisition::woke`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        match &self.state {
            AcquisitionState::Voting { until, .. }
            | AcquisitionState::Checking { until, .. }
            | AcquisitionState::Pausing { until } => *until,
            AcquisitionState::GivingBack { release_round, .. } => release_round.limit(),
            AcquisitionState::Queuing { until } => self.queue.wake_at().min(*until),
        }
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time, sample: Sample) -> AcquireStep {
        match &mut self.state {
            AcquisitionState::Pausing { until } if now >= *until => {
                let slot = if self.number == 0 { sample % self.slots } else { self.slot };
                self.begin(now, slot)
            }
            AcquisitionState::Queuing { until } if now >= *until => self.begin(now, self.slot),
            AcquisitionState::Queuing { .. } => self.queue(now),
            AcquisitionState::Voting { until, tally, is_granted, .. } if now >= *until => {
                if !*is_granted {
                    let _ = tally.time_out();
                }
                self.decide(now)
            }
            AcquisitionState::Checking { until, .. } if now >= *until => self.decide(now),
            AcquisitionState::GivingBack { release_round, .. } if release_round.is_done(now) => {
                self.after_release_round(now, sample)
            }
            _ => AcquireStep::Wait,
        }
    }

    /// An instance answered. What it says of another attempt changes nothing.
    pub fn heard(&mut self, now: Time, sample: Sample, heard: InstanceResponse) -> AcquireStep {
        if let Some(duplicate_of) = self.meet(now, &heard)
            && let AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. } =
                &mut self.state
        {
            tally.count_once(duplicate_of, heard.instance);
        }
        let is_shown = self.is_shown(heard.sent);
        match (&mut self.state, heard.response) {
            (
                AcquisitionState::Voting { .. } | AcquisitionState::Checking { .. },
                Response::Vote(attempt, vote),
            ) if attempt == self.number => self.voted(now, heard.instance, heard.sent, vote),
            (_, Response::Status(status)) if is_shown => self.showed(now, heard.instance, status),
            (
                AcquisitionState::GivingBack { release_round, .. },
                Response::Release(attempt, response),
            ) => {
                release_round.heard(heard.instance, attempt, response.clone());
                self.released(now, heard.instance, &response);
                self.woke(now, sample)
            }
            // What was asked during an attempt may have seen our own key.
            (_, Response::Status(_)) if self.queue.is_older(heard.sent) => AcquireStep::Wait,
            (_, Response::Status(status)) => self.status(now, sample, heard.instance, status),
            (AcquisitionState::Queuing { .. }, Response::Disconnected) if self.is_queued => {
                self.queue.lost_place(now);
                self.woke(now, sample)
            }
            (_, Response::Woken(slot)) => {
                let grace = self.slowest.saturating_mul(2).clamp(Self::GRACE_MIN, Self::GRACE_MAX);
                self.queue.woken(now, heard.instance, slot, grace);
                self.woke(now, sample)
            }
            _ => AcquireStep::Wait,
        }
    }

    fn begin(&mut self, now: Time, slot: u32) -> AcquireStep {
        self.slot = slot;
        self.held_lock.reset();
        self.number = self.number.saturating_add(1);
        self.has_shown.fill(false);
        let (until, mut tally) = (now.plus(self.schedule.op_timeout()), Tally::new(self.size));
        self.held_lock.duplicates().for_each(|(one, other)| tally.count_once(one, other));
        self.state = AcquisitionState::Voting { begun: now, until, is_granted: false, tally };
        AcquireStep::Acquire
    }

    /// Tries where a quorum is free, or looks whether it is.
    fn queue(&mut self, now: Time) -> AcquireStep {
        if let Some(slot) = self.queue.choice(self.slot, self.slots) {
            self.queue.tries();
            return self.begin(now, slot);
        }
        match self.queue.due(now) {
            Poll::None => AcquireStep::Wait,
            Poll::Try => self.begin(now, self.slot),
            look => AcquireStep::Poll(look),
        }
    }
}

#[cfg(test)]
mod tests;
