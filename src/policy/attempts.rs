//! Getting the lock: attempt, give back, wait in line, attempt again.

mod check;
mod failed;
mod votes;

use super::{Blocker, Giveback, Line, Look, Outcome};
use crate::lock::{
    Agreement, Answer, Backoff, ClusterSize, Failure, Guard, Heard, Holding, Memory, Sample, Schedule, Tally, Time,
    Vote,
};
use std::time::Duration;

/// How long a contender is ready to wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
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
pub enum Step {
    /// Wait for an event or for [`Attempts::wake_at`].
    Wait,
    /// Send the acquisition of the current attempt, with a new token, to all instances.
    Acquire,
    /// Send the release of the current attempt to all instances, and behind it the watch, if any.
    GiveBack(Option<Watch>),
    /// Send a watch with a place in line.
    Look(Look),
    /// Send a watch without a place to these instances.
    Check(Vec<usize>),
    /// The lock is held by these votes, if only the command can be started in time.
    Won(Box<Holding>, Vec<Option<Vote>>),
    /// Leave without the lock; everything was given back.
    GiveUp(Outcome),
}

/// Why all instances are asked what is in the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Watch {
    /// To find another slot.
    Look,
    /// To wait until it is gone.
    Queue,
}

#[derive(Debug)]
enum State {
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
        giveback: Giveback,
    },
    Pausing {
        until: Time,
    },
    /// Somebody holds the lock, and will wake us, or be looked at.
    Queuing {
        until: Time,
    },
}

/// The attempts of one contender.
#[derive(Debug)]
pub struct Attempts {
    size: ClusterSize,
    schedule: Schedule,
    patience: Patience,
    number: u32,
    /// Until when a split vote is tried again without waiting.
    splits_until: Option<Time>,
    backoff: Backoff,
    slowest: Duration,
    blocker: Option<Blocker>,
    line: Line,
    is_queued: bool,
    /// How many slots there are, and the one that is tried.
    slots: u32,
    slot: u32,
    /// What the current attempt was granted, and who the instances are.
    holding: Holding,
    guard: Guard,
    /// What each instance is known to remember.
    memories: Vec<Memory>,
    agreement: Agreement,
    /// Which instances have shown what is in the way, or were asked, since the current attempt began.
    has_shown: Vec<bool>,
    /// Whether a run that does not wait has waited for a second look at a claim that disagrees.
    has_looked_again: bool,
    state: State,
}

impl Attempts {
    /// For how many time limits a contender that does not wait tries again when the votes were split and nobody won:
    /// two that start in the same millisecond must not both leave for the sake of the other.
    const SPLIT_LIMITS: u32 = 2;
    /// How long a wake-up by one instance waits for the others.
    const GRACE_MIN: Duration = Duration::from_millis(5);
    const GRACE_MAX: Duration = Duration::from_millis(100);

    /// A contender for one of `slots` that has not tried yet; its first step comes from [`Attempts::woke`] at `begin`.
    #[must_use]
    pub fn new(
        size: ClusterSize,
        schedule: Schedule,
        patience: Patience,
        slots: u32,
        guard: Guard,
        agreement: Agreement,
        begin: Time,
    ) -> Self {
        Self {
            size,
            schedule,
            patience,
            number: 0,
            splits_until: None,
            backoff: Backoff::default(),
            slowest: Duration::ZERO,
            blocker: None,
            line: Line::new(size),
            is_queued: false,
            slots: slots.max(1),
            slot: 0,
            holding: Holding::new(size, schedule.ttl(), guard),
            guard,
            memories: vec![Memory::default(); size.count()],
            agreement,
            has_shown: vec![false; size.count()],
            has_looked_again: false,
            state: State::Pausing { until: begin },
        }
    }

    /// Somebody looks on while it waits.
    pub const fn keep_up(&mut self) {
        self.line.keep_up();
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

    /// What keeps us from the lock, as it stands at `now`; `None` before the first attempt has failed.
    #[must_use]
    pub fn blocker(&self, now: Time) -> Option<Blocker> {
        match self.blocker.as_ref()? {
            Blocker::Holder(holder) => Some(Blocker::Holder(self.line.holder(now).or_else(|| holder.clone()))),
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
        self.line.place().filter(|_| self.is_queued)
    }

    /// Whether there may be a place in a queue to leave.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// When to call [`Attempts::woke`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        match &self.state {
            State::Voting { until, .. } | State::Checking { until, .. } | State::Pausing { until } => *until,
            State::GivingBack { giveback, .. } => giveback.limit(),
            State::Queuing { until } => self.line.wake_at().min(*until),
        }
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time, sample: Sample) -> Step {
        match &mut self.state {
            State::Pausing { until } if now >= *until => {
                let slot = if self.number == 0 { sample % self.slots } else { self.slot };
                self.begin(now, slot)
            }
            State::Queuing { until } if now >= *until => self.begin(now, self.slot),
            State::Queuing { .. } => self.queue(now),
            State::Voting { until, tally, is_granted, .. } if now >= *until => {
                if !*is_granted {
                    let _ = tally.time_out();
                }
                self.decide(now)
            }
            State::Checking { until, .. } if now >= *until => self.decide(now),
            State::GivingBack { giveback, .. } if giveback.is_done(now) => self.after_giveback(now, sample),
            _ => Step::Wait,
        }
    }

    /// An instance answered. What it says of another attempt changes nothing.
    pub fn heard(&mut self, now: Time, sample: Sample, heard: Heard) -> Step {
        if let Some(twin) = self.meet(now, &heard) {
            let same = Failure::SameServer(twin, heard.instance);
            match &mut self.state {
                State::Voting { .. } | State::Checking { .. } => return self.give_back(now, same, 0, vec![]),
                State::GivingBack { failure, .. } => *failure = same,
                State::Pausing { .. } | State::Queuing { .. } => {
                    return Step::GiveUp(Outcome::SameServer(twin, heard.instance));
                }
            }
        }
        let is_shown = self.is_shown(heard.sent);
        match (&mut self.state, heard.answer) {
            (State::Voting { .. } | State::Checking { .. }, Answer::Vote(attempt, vote)) if attempt == self.number => {
                self.voted(now, heard.instance, heard.sent, vote)
            }
            (_, Answer::Watch(watched)) if is_shown => self.showed(now, heard.instance, watched),
            (State::GivingBack { giveback, .. }, Answer::Release(attempt, answer)) => {
                giveback.heard(heard.instance, attempt, answer.clone());
                self.released(now, heard.instance, &answer);
                self.woke(now, sample)
            }
            // What was asked during an attempt may have seen our own key.
            (_, Answer::Watch(_)) if self.line.is_older(heard.sent) => Step::Wait,
            (_, Answer::Watch(watched)) => self.watched(now, sample, heard.instance, watched),
            (State::Queuing { .. }, Answer::Disconnected) if self.is_queued => {
                self.line.lost_place(now);
                self.woke(now, sample)
            }
            (_, Answer::Woken(slot)) => {
                let grace = self.slowest.saturating_mul(2).clamp(Self::GRACE_MIN, Self::GRACE_MAX);
                self.line.woken(now, heard.instance, slot, grace);
                self.woke(now, sample)
            }
            _ => Step::Wait,
        }
    }

    fn begin(&mut self, now: Time, slot: u32) -> Step {
        self.slot = slot;
        self.holding.vacate();
        self.number = self.number.saturating_add(1);
        self.has_shown.fill(false);
        let (until, tally) = (now.plus(self.schedule.op_timeout()), Tally::new(self.size));
        self.state = State::Voting { begun: now, until, is_granted: false, tally };
        Step::Acquire
    }

    /// Tries where a quorum is free, or looks whether it is.
    fn queue(&mut self, now: Time) -> Step {
        if let Some(slot) = self.line.choice(self.slot, self.slots) {
            self.line.tries();
            return self.begin(now, slot);
        }
        match self.line.due(now) {
            Look::None => Step::Wait,
            Look::Try => self.begin(now, self.slot),
            look => Step::Look(look),
        }
    }
}

#[cfg(test)]
mod tests;
