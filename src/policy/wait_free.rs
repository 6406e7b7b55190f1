//! Waiting until nobody holds a lock, without taking it.

use super::progress::WaitProgress;
use super::{Acquisition, Blocker, Notice, Outcome, ProgressStyle, WaitLimit};
use crate::lock::{
    Agreement, Backoff, ClusterSize, Failure, InstanceResponse, Memory, ObservedHolder, Opinion,
    Response, RestartGuard, Sample, StatusResponse, Tally, Time, Verdict, Vote, part, quorum_in,
};
use std::time::Duration;

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum WaitStep {
    /// Wait for an answer or for [`WaitUntilFree::wake_at`].
    Wait,
    /// Ask all instances what is in the way.
    PollAll,
    /// Ask this one.
    PollOne(usize),
    /// Nobody holds it, or one of its slots, as a majority says.
    Free,
    /// Leave.
    GiveUp(Outcome),
}

/// One wait: looks at one instance after the other, since a holder is on most of them, and at all
/// when one has news.
#[derive(Debug)]
pub struct WaitUntilFree {
    size: ClusterSize,
    op_timeout: Duration,
    wait_limit: WaitLimit,
    slots: u32,
    holder: Option<ObservedHolder>,
    /// What the last look found in the way.
    blocker: Option<Blocker>,
    progress: WaitProgress,
    /// The instance to look at next.
    next: usize,
    backoff: Backoff,
    guard: RestartGuard,
    agreement: Agreement,
    /// Whether a wait that is over has waited for a second look at a lock value that disagrees.
    has_looked_again: bool,
    /// What each instance is known to remember.
    memories: Vec<Memory>,
    state: WaitState,
}

#[derive(Debug)]
enum WaitState {
    Pausing {
        until: Time,
    },
    PollingOne {
        until: Time,
        instance: usize,
    },
    /// With what is said of each slot.
    PollingAll {
        begun: Time,
        until: Time,
        /// A majority says that it is free; what the others say is waited for until then.
        is_free: bool,
        tallies: Vec<Tally>,
    },
}

impl WaitUntilFree {
    /// The longest pause between two looks.
    const PAUSE: Duration = Duration::from_millis(500);
    /// The shortest.
    const PAUSE_MIN: Duration = Duration::from_millis(10);

    /// A wait for one of the slots of `agreement` that begins at `now` and has not looked yet.
    #[must_use]
    pub fn new(
        size: ClusterSize,
        op_timeout: Duration,
        wait_limit: WaitLimit,
        guard: RestartGuard,
        agreement: Agreement,
        progress: ProgressStyle,
        now: Time,
    ) -> Self {
        Self {
            size,
            op_timeout,
            wait_limit,
            slots: agreement.slots().max(1),
            agreement,
            has_looked_again: false,
            holder: None,
            blocker: None,
            progress: WaitProgress::new(progress, now),
            next: 0,
            backoff: Backoff::default(),
            guard,
            memories: vec![Memory::default(); size.count()],
            state: WaitState::Pausing { until: now },
        }
    }

    /// When to call [`WaitUntilFree::woke`] and [`WaitUntilFree::progress`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let (WaitState::Pausing { until }
        | WaitState::PollingOne { until, .. }
        | WaitState::PollingAll { until, .. }) = &self.state;
        if self.blocker.is_some() { self.progress.wake_at().min(*until) } else { *until }
    }

    /// What to tell at `now` of what is in the way, if anything.
    pub fn progress(&mut self, now: Time) -> Option<Notice> {
        self.progress.due(now, || Some((self.blocker.clone()?, None)))
    }

    /// What to tell when the wait is over, if anything.
    pub fn end(&mut self) -> Option<Notice> {
        self.progress.end()
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time, sample: Sample) -> WaitStep {
        match &mut self.state {
            WaitState::Pausing { until } if now >= *until => {
                let is_last = matches!(self.wait_limit, WaitLimit::Until(end) if now >= end);
                if is_last || !matches!(self.blocker, Some(Blocker::Holder(_))) {
                    return self.poll_all(now);
                }
                let instance = self.next % self.size.count();
                self.next = instance.saturating_add(1);
                // One that hangs is not waited for: the others may know more.
                let until = now.plus(self.op_timeout.min(Self::PAUSE));
                let until = if let WaitLimit::Until(end) = self.wait_limit {
                    until.min(end)
                } else {
                    until
                };
                self.state = WaitState::PollingOne { until, instance };
                WaitStep::PollOne(instance)
            }
            WaitState::PollingOne { until, .. } if now >= *until => self.poll_all(now),
            WaitState::PollingAll { until, is_free, tallies, .. } if now >= *until => {
                if !*is_free {
                    for tally in tallies {
                        let _ = tally.time_out();
                    }
                }
                self.decide(now, sample)
            }
            _ => WaitStep::Wait,
        }
    }

    fn poll_all(&mut self, now: Time) -> WaitStep {
        self.holder = None;
        let tallies = (0..self.slots).map(|_| Tally::new(self.size)).collect();
        self.state = WaitState::PollingAll {
            begun: now,
            until: now.plus(self.op_timeout),
            is_free: false,
            tallies,
        };
        WaitStep::PollAll
    }

    /// An instance answered.
    pub fn heard(&mut self, now: Time, sample: Sample, heard: InstanceResponse) -> WaitStep {
        let Some(memory) = self.memories.get_mut(heard.instance) else { return WaitStep::Wait };
        heard.report.iter().for_each(|report| memory.learn(report, now));
        match heard.response {
            Response::Status(status) => {
                self.seen(now, sample, (heard.instance, heard.sent), status)
            }
            Response::Disconnected => {
                memory.disconnected();
                WaitStep::Wait
            }
            _ => WaitStep::Wait,
        }
    }

    /// An instance said what is in the way, to a request that was sent at that moment.
    fn seen(
        &mut self,
        now: Time,
        sample: Sample,
        (instance, sent): (usize, Time),
        status: StatusResponse,
    ) -> WaitStep {
        if let StatusResponse::Seen(view) = &status
            && self.agreement.compare(now, instance, view.holder.as_ref()) == Opinion::Disagrees
            && let Some((holder, difference)) = self.agreement.refusal()
        {
            return WaitStep::GiveUp(Outcome::Disagreed(holder, difference));
        }
        let tallies = match &mut self.state {
            WaitState::PollingAll { tallies, .. } => tallies,
            WaitState::PollingOne { instance: asked, .. } if *asked == instance => {
                return match status {
                    StatusResponse::Seen(view) if view.free.is_empty() => {
                        self.holder.clone_from(&view.holder);
                        self.go_on(now, sample, Outcome::Busy(view.holder))
                    }
                    _ => self.poll_all(now),
                };
            }
            WaitState::PollingOne { .. } | WaitState::Pausing { .. } => return WaitStep::Wait,
        };
        let Some(memory) = self.memories.get(instance) else { return WaitStep::Wait };
        for (slot, tally) in (0..).zip(tallies) {
            let vote = match &status {
                StatusResponse::Seen(view) if !view.free.contains(&slot) => Vote::Denied,
                StatusResponse::Seen(_) => memory.vote(self.guard, sent, Vote::Granted),
                StatusResponse::Unknown(why) => Vote::Unknown(why.clone()),
            };
            let _ = tally.record(instance, vote);
        }
        if let StatusResponse::Seen(view) = status {
            self.holder = view.holder.or(self.holder.take());
        }
        self.decide(now, sample)
    }

    fn decide(&mut self, now: Time, sample: Sample) -> WaitStep {
        let WaitState::PollingAll { begun, until, is_free, tallies } = &mut self.state else {
            return WaitStep::Wait;
        };
        let is = |verdict| tallies.iter().any(|tally| tally.verdict() == verdict);
        if is(Verdict::Granted) {
            if !std::mem::replace(is_free, true) {
                *until = now.plus(Acquisition::stragglers(now.since(*begun))).min(*until);
            }
            let is_open = tallies.iter().any(|tally| tally.votes().any(|vote| vote.is_none()));
            if is_open && now < *until {
                return WaitStep::Wait;
            }
            let Some(again) = self.agreement.next_look(now) else { return WaitStep::Free };
            self.blocker = None;
            self.state = WaitState::Pausing { until: again.max(now.plus(self.op_timeout)) };
            return WaitStep::Wait;
        }
        if is(Verdict::Pending) {
            return WaitStep::Wait;
        }
        // All slots are held, or it is not known of one.
        let unknown = tallies.iter().find(|tally| tally.failure() != Failure::Contended);
        if unknown.is_some_and(Tally::may_learn_more) {
            return WaitStep::Wait;
        }
        let outcome = match unknown.map(|tally| (tally.failure(), votes(tally))) {
            None => Outcome::Busy(self.holder.clone()),
            Some((Failure::Refused(kind), votes)) => {
                return WaitStep::GiveUp(Outcome::Refused(kind, votes));
            }
            Some((_, votes)) => Outcome::NoQuorum(votes),
        };
        self.go_on(now, sample, outcome)
    }

    /// Pauses, or leaves with `outcome` where there is no more time.
    fn go_on(&mut self, now: Time, sample: Sample, outcome: Outcome) -> WaitStep {
        self.blocker = match &outcome {
            Outcome::Busy(holder) => Some(Blocker::Holder(holder.clone())),
            Outcome::NoQuorum(votes) => Some(Blocker::Instances(votes.clone())),
            _ => None,
        };
        let pause = if let Outcome::NoQuorum(votes) = &outcome {
            self.backoff.next(sample, Backoff::SILENCE, Duration::ZERO, quorum_in(votes, self.size))
        } else {
            self.backoff = Backoff::default();
            let left = self.holder.as_ref().and_then(|holder| holder.left).unwrap_or(Self::PAUSE);
            Self::PAUSE_MIN + left.min(Self::PAUSE) + part(Self::PAUSE_MIN, sample)
        };
        let is_over = match self.wait_limit {
            WaitLimit::Once => true,
            WaitLimit::Until(end) => now >= end,
            WaitLimit::Forever => false,
        };
        let until = match self.wait_limit {
            _ if is_over => match self.agreement.next_look(now) {
                Some(again) if !std::mem::replace(&mut self.has_looked_again, true) => again,
                _ => return WaitStep::GiveUp(outcome),
            },
            WaitLimit::Until(end) => now.plus(pause).min(end),
            WaitLimit::Once | WaitLimit::Forever => now.plus(pause),
        };
        self.state = WaitState::Pausing { until };
        WaitStep::Wait
    }
}

fn votes(tally: &Tally) -> Vec<Option<Vote>> {
    tally.votes().map(Option::<&Vote>::cloned).collect()
}

#[cfg(test)]
mod tests;
