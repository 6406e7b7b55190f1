//! Acquisition of the lock: attempt, release after a failure, wait in the queue, attempt again.

mod after_failure;
mod check;
mod fence;
mod rival;
mod votes;

pub use rival::Rival;

use rival::RivalSearch;

use super::{
    Action, Blocker, Outcome, Poll, ProgressStyle, QueueWaiter, ReleaseRound, RunOptions, WaitLimit,
};
use crate::lock::{
    Agreement, Backoff, ClusterSize, Failure, HeldLock, InstanceResponse, Memory, Response,
    RestartGuard, Sample, Schedule, Tally, Time, Vote,
};
use fence::Fence;
use std::time::Duration;

/// State of an acquisition after an event.
#[derive(Debug)]
#[must_use]
pub enum AcquireResult {
    /// Neither acquired nor given up.
    Pending,
    /// A quorum granted the lock by these votes. The command still has to start in time.
    Acquired(Box<HeldLock>, Vec<Option<Vote>>),
    /// No further attempt follows. Every attempt was released.
    GivenUp(Outcome),
}

#[derive(Debug)]
enum AcquisitionState {
    /// The votes of the current attempt are counted. After a quorum granted, `until` bounds the wait
    /// for the other votes.
    Voting {
        begun: Time,
        until: Time,
        is_granted: bool,
        tally: Tally,
    },
    /// A quorum granted. The `asked` instances are polled for a holder with another configuration.
    Checking {
        begun: Time,
        until: Time,
        tally: Tally,
        asked: Vec<usize>,
    },
    /// The current attempt has failed, and its release is sent.
    Releasing {
        failure: Failure,
        granted: usize,
        votes: Vec<Option<Vote>>,
        release_round: ReleaseRound,
    },
    BackingOff {
        until: Time,
    },
    /// Another run holds the lock. A wake-up or a poll tells when the lock is free.
    Queuing {
        until: Time,
    },
}

/// The attempts of one contender.
#[derive(Debug)]
pub struct Acquisition {
    size: ClusterSize,
    schedule: Schedule,
    wait_limit: WaitLimit,
    begun: Time,
    /// Number of the current attempt, from 1.
    number: u32,
    /// End of the attempts that follow a split vote, for a contender that does not wait.
    splits_until: Option<Time>,
    backoff: Backoff,
    slowest_round_trip: Duration,
    blocker: Option<Blocker>,
    queue: QueueWaiter,
    is_queued: bool,
    slots: u32,
    /// Slot of the current attempt, from 0.
    slot: u32,
    /// Leases that the current attempt was granted, and the `run_id` of each instance.
    held_lock: HeldLock,
    guard: RestartGuard,
    memories: Vec<Memory>,
    agreement: Agreement,
    /// Whether each instance has reported its status, or was asked, since the current attempt began.
    has_status: Vec<bool>,
    /// Whether a contender that does not wait has already waited once for the second poll of a
    /// suspect holder.
    has_polled_again: bool,
    rivals: RivalSearch,
    /// The fencing token, if the command gets one.
    fence: Option<Fence>,
    state: AcquisitionState,
}

impl Acquisition {
    /// Time for attempts after a split vote, in op-timeouts, if the contender does not wait.
    /// Without such attempts, two contenders that start in the same millisecond could both give up
    /// because of each other.
    const SPLIT_LIMITS: u32 = 2;
    /// Shortest time from the first wake-up to a poll, in which the other instances send theirs.
    const GRACE_MIN: Duration = Duration::from_millis(5);
    /// Longest such time.
    const GRACE_MAX: Duration = Duration::from_millis(100);

    /// An acquisition that begins at `begun`. The first attempt follows the delay of `options`.
    /// `agreement` is the configuration of this host.
    #[must_use]
    pub fn new(options: &RunOptions, agreement: Agreement, begun: Time) -> Self {
        Self {
            size: options.size,
            schedule: options.schedule,
            wait_limit: options.wait_limit,
            begun,
            number: 0,
            splits_until: None,
            backoff: Backoff::default(),
            slowest_round_trip: Duration::ZERO,
            blocker: None,
            queue: QueueWaiter::new(options.size, options.progress == ProgressStyle::Live),
            is_queued: false,
            slots: options.slots.max(1),
            slot: 0,
            held_lock: HeldLock::new(options.size, options.schedule.ttl(), options.guard),
            guard: options.guard,
            memories: vec![Memory::default(); options.size.count()],
            agreement,
            has_status: vec![false; options.size.count()],
            has_polled_again: false,
            rivals: RivalSearch::default(),
            fence: options.is_fenced.then(|| Fence::new(options.size)),
            state: AcquisitionState::BackingOff { until: begun.plus(options.delay) },
        }
    }

    /// The number of the current attempt, from 1. 0 before the first one.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The reason why the last attempt failed, with the holder's TTL left at `now`. `None` before
    /// the first failure.
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

    /// The number of contenders ahead in the queue, if known.
    #[must_use]
    pub fn place(&self) -> Option<u32> {
        self.queue.place().filter(|_| self.is_queued)
    }

    /// Whether an instance may have a place of this contender in its queue.
    #[must_use]
    pub const fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// The moment at which [`Acquisition::handle_timeout`] is due next.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        match &self.state {
            AcquisitionState::Voting { until, .. }
            | AcquisitionState::Checking { until, .. }
            | AcquisitionState::BackingOff { until } => *until,
            AcquisitionState::Releasing { release_round, .. } => release_round.limit(),
            AcquisitionState::Queuing { until } => self.queue.wake_at().min(*until),
        }
    }

    /// Acts on the deadlines that have passed by `now`.
    pub fn handle_timeout(
        &mut self,
        now: Time,
        sample: Sample,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        match &mut self.state {
            AcquisitionState::BackingOff { until } if now >= *until => {
                let slot = if self.number == 0 { sample % self.slots } else { self.slot };
                self.start_attempt(now, slot, out)
            }
            AcquisitionState::Queuing { until } if now >= *until => {
                self.start_attempt(now, self.slot, out)
            }
            AcquisitionState::Queuing { .. } => self.poll_queue(now, out),
            AcquisitionState::Voting { until, tally, is_granted, .. } if now >= *until => {
                if !*is_granted {
                    let _ = tally.time_out();
                    self.fence.iter_mut().for_each(Fence::time_out);
                }
                self.decide(now, out)
            }
            AcquisitionState::Checking { until, .. } if now >= *until => self.decide(now, out),
            AcquisitionState::Releasing { release_round, .. } if release_round.is_done(now) => {
                self.after_release_round(now, sample, out)
            }
            _ => AcquireResult::Pending,
        }
    }

    /// Takes a response that was received at `now`. Responses to earlier attempts are ignored.
    pub fn handle_response(
        &mut self,
        now: Time,
        sample: Sample,
        received: InstanceResponse,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        let instance = received.instance;
        if let Some(duplicate_of) = self.identify(now, &received)
            && let AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. } =
                &mut self.state
        {
            tally.count_once(duplicate_of, instance);
        }
        let sent = received.sent;
        let is_of_attempt = self.is_of_attempt(sent);
        match (&mut self.state, received.response) {
            (
                AcquisitionState::Voting { .. } | AcquisitionState::Checking { .. },
                Response::Vote(attempt, vote),
            ) if attempt == self.number => {
                return self.count_vote(now, instance, (sent, vote), out);
            }
            (AcquisitionState::Voting { .. }, Response::Fence(attempt, vote))
                if attempt == self.number =>
            {
                return self.hear_fence(now, instance, vote, out);
            }
            (_, Response::Status(status)) if is_of_attempt => {
                return self.check_status(now, instance, status, out);
            }
            (
                AcquisitionState::Releasing { release_round, .. },
                Response::Release(attempt, release),
            ) => {
                release_round.record(instance, attempt, release.clone());
                self.compare_release(now, instance, &release);
            }
            // A status that was requested before the last poll may show the key of this run's own
            // attempt.
            (_, Response::Status(_)) if self.queue.is_older(sent) => {
                return AcquireResult::Pending;
            }
            (_, Response::Status(status)) => {
                return self.handle_status(now, sample, instance, status, out);
            }
            (AcquisitionState::Queuing { .. }, Response::Disconnected) => {
                self.queue.handle_disconnect(now);
            }
            (_, Response::Woken(slot)) => {
                let grace = self.slowest_round_trip.saturating_mul(2);
                let grace = grace.clamp(Self::GRACE_MIN, Self::GRACE_MAX);
                self.queue.handle_wake_up(now, instance, slot, grace);
            }
            _ => return AcquireResult::Pending,
        }
        self.handle_timeout(now, sample, out)
    }

    fn start_attempt(&mut self, now: Time, slot: u32, out: &mut Vec<Action>) -> AcquireResult {
        self.slot = slot;
        self.held_lock.reset();
        self.number = self.number.saturating_add(1);
        self.has_status.fill(false);
        self.rivals.forget_denials();
        let (until, mut tally) = (now.plus(self.schedule.op_timeout()), Tally::new(self.size));
        self.held_lock.duplicates().for_each(|(one, other)| tally.count_once(one, other));
        self.state = AcquisitionState::Voting { begun: now, until, is_granted: false, tally };
        out.push(match &mut self.fence {
            Some(fence) => Action::Propose { attempt: self.number, above: fence.begin() },
            None => Action::Acquire(self.number, self.slot),
        });
        // The holders of the other slots show whether their hosts have the same number of slots.
        if self.slots > 1 {
            self.ask_status(now, (0..self.size.count()).collect(), false, out);
        }
        AcquireResult::Pending
    }

    /// Starts an attempt for a slot that is free on a quorum, as far as the budget of such attempts
    /// goes. Otherwise polls if a poll is due.
    fn poll_queue(&mut self, now: Time, out: &mut Vec<Action>) -> AcquireResult {
        if let Some(slot) = self.queue.free_slot(self.slot, self.slots)
            && self.queue.spend_attempt(now, self.slots)
        {
            self.queue.confirm_wake_ups();
            return self.start_attempt(now, slot, out);
        }
        match self.queue.poll(now) {
            Poll::NotDue => AcquireResult::Pending,
            Poll::Attempt => self.start_attempt(now, self.slot, out),
            Poll::Ask(instances) => {
                self.ask_status(now, instances, self.is_queued, out);
                AcquireResult::Pending
            }
        }
    }

    /// Polls `instances`. With `takes_place`, also takes a place in the queue.
    fn ask_status(
        &self,
        now: Time,
        instances: Vec<usize>,
        takes_place: bool,
        out: &mut Vec<Action>,
    ) {
        let waited = takes_place.then(|| now.since(self.begun));
        out.push(Action::AskStatus { instances, waited });
    }
}

#[cfg(test)]
mod tests;
