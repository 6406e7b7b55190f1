//! Wait for a lock to be free, without acquiring it.

use super::poller::Poller;
use super::progress::WaitProgress;
use super::{Acquisition, Action, Blocker, Event, Notice, Outcome, ProgressStyle, WaitLimit};
use crate::lock::{
    Agreement, Backoff, ClusterSize, Failure, InstanceResponse, Memory, ObservedHolder, Opinion,
    Response, RestartGuard, Sample, StatusResponse, Tally, Time, Verdict, Vote, part, quorum_in,
};
use std::time::Duration;

/// State of a wait after an event.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum WaitResult {
    /// The wait goes on.
    Pending,
    /// A quorum reports the lock, or one slot, as free.
    Free,
    /// The wait ends before that.
    GivenUp(Outcome),
}

/// One wait. A holder has its key on a quorum, so the instances are polled one after the other, and
/// all at once when one reports a change.
#[derive(Debug)]
pub struct WaitUntilFree {
    size: ClusterSize,
    op_timeout: Duration,
    wait_limit: WaitLimit,
    slots: u32,
    holder: Option<ObservedHolder>,
    /// Result of the last poll.
    blocker: Option<Blocker>,
    progress: WaitProgress,
    poller: Poller,
    backoff: Backoff,
    guard: RestartGuard,
    agreement: Agreement,
    /// Whether a wait at its end has waited for the second poll of a holder with another
    /// configuration.
    has_polled_again: bool,
    memories: Vec<Memory>,
    state: WaitState,
}

#[derive(Debug)]
enum WaitState {
    Pausing {
        until: Time,
    },
    PollingSingle {
        until: Time,
    },
    /// With one tally for each slot: a vote for a free slot is granted.
    PollingAll {
        begun: Time,
        until: Time,
        /// A quorum reports a free slot. `until` bounds the wait for the other responses.
        is_free: bool,
        tallies: Vec<Tally>,
    },
}

impl WaitUntilFree {
    /// Longest pause between two polls.
    const PAUSE: Duration = Duration::from_millis(500);
    /// Shortest pause between two polls.
    const PAUSE_MIN: Duration = Duration::from_millis(10);

    /// A wait for one of the slots of `agreement` that begins at `now`. The first poll follows [`Event::Woke`].
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
            has_polled_again: false,
            holder: None,
            blocker: None,
            progress: WaitProgress::new(progress, now),
            poller: Poller::new(size),
            backoff: Backoff::default(),
            guard,
            memories: vec![Memory::default(); size.count()],
            state: WaitState::Pausing { until: now },
        }
    }

    /// The moment at which [`Event::Woke`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        let (WaitState::Pausing { until }
        | WaitState::PollingSingle { until }
        | WaitState::PollingAll { until, .. }) = &self.state;
        if self.blocker.is_some() { self.progress.wake_at().min(*until) } else { *until }
    }

    /// Takes an event that came at `now`. Adds [`Action::AskStatus`] and [`Action::Notify`] to
    /// `out`, and no other action.
    pub fn handle(
        &mut self,
        now: Time,
        sample: Sample,
        event: Event,
        out: &mut Vec<Action>,
    ) -> WaitResult {
        let result = match event {
            Event::Response(received) => self.handle_response(now, sample, received, out),
            _ => self.handle_timeout(now, sample, out),
        };
        let notice = if result == WaitResult::Pending {
            self.progress.due(now, || Some((self.blocker.clone()?, None)))
        } else {
            self.progress.end()
        };
        out.extend(notice.map(Action::Notify));
        result
    }

    fn handle_timeout(&mut self, now: Time, sample: Sample, out: &mut Vec<Action>) -> WaitResult {
        match &mut self.state {
            WaitState::Pausing { until } if now >= *until => {
                let is_held = matches!(self.blocker, Some(Blocker::Holder(_)));
                if self.wait_limit.is_reached(now) || !is_held {
                    return self.poll_all(now, out);
                }
                // An instance that hangs is not waited for longer than a pause: another instance
                // may answer.
                let until = self.wait_limit.cap(now.plus(self.op_timeout.min(Self::PAUSE)));
                self.state = WaitState::PollingSingle { until };
                out.push(Action::AskStatus { instances: self.poller.single(), waited: None });
                WaitResult::Pending
            }
            WaitState::PollingSingle { until } if now >= *until => self.poll_all(now, out),
            WaitState::PollingAll { until, is_free, tallies, .. } if now >= *until => {
                if !*is_free {
                    for tally in tallies {
                        let _ = tally.time_out();
                    }
                }
                self.decide(now, sample)
            }
            _ => WaitResult::Pending,
        }
    }

    fn poll_all(&mut self, now: Time, out: &mut Vec<Action>) -> WaitResult {
        self.holder = None;
        let tallies = (0..self.slots).map(|_| Tally::new(self.size)).collect();
        let until = now.plus(self.op_timeout);
        self.state = WaitState::PollingAll { begun: now, until, is_free: false, tallies };
        out.push(Action::AskStatus { instances: self.poller.all(), waited: None });
        WaitResult::Pending
    }

    fn handle_response(
        &mut self,
        now: Time,
        sample: Sample,
        received: InstanceResponse,
        out: &mut Vec<Action>,
    ) -> WaitResult {
        let instance = received.instance;
        let Some(memory) = self.memories.get_mut(instance) else { return WaitResult::Pending };
        received.report.iter().for_each(|report| memory.learn(report, now));
        match received.response {
            Response::Status(status) => {
                return self.handle_status(now, sample, (instance, received.sent), status, out);
            }
            Response::Disconnected => memory.disconnected(),
            Response::Warning(warning) => {
                out.push(Action::Notify(Notice::ServerWarning { instance, warning }));
            }
            _ => {}
        }
        WaitResult::Pending
    }

    /// Takes the response of `instance` to the status request that was sent at `sent`.
    fn handle_status(
        &mut self,
        now: Time,
        sample: Sample,
        (instance, sent): (usize, Time),
        response: StatusResponse,
        out: &mut Vec<Action>,
    ) -> WaitResult {
        if let StatusResponse::Seen(status) = &response
            && self.agreement.compare(now, instance, status.holder.as_ref()) == Opinion::Disagrees
            && let Some((holder, difference)) = self.agreement.refusal()
        {
            return WaitResult::GivenUp(Outcome::Disagreed(holder, difference));
        }
        match self.state {
            WaitState::PollingAll { .. } => {
                self.count(instance, sent, response);
                self.decide(now, sample)
            }
            WaitState::PollingSingle { .. } if self.poller.is_single(instance) => match response {
                StatusResponse::Seen(status) if status.free.is_empty() => {
                    self.holder.clone_from(&status.holder);
                    self.pause(now, sample, Outcome::Busy(status.holder))
                }
                _ => self.poll_all(now, out),
            },
            WaitState::PollingSingle { .. } | WaitState::Pausing { .. } => WaitResult::Pending,
        }
    }

    /// Counts the response of `instance` to the request that was sent at `sent`, for each slot.
    fn count(&mut self, instance: usize, sent: Time, response: StatusResponse) {
        let (WaitState::PollingAll { tallies, .. }, Some(memory)) =
            (&mut self.state, self.memories.get(instance))
        else {
            return;
        };
        for (slot, tally) in (0..).zip(tallies) {
            let vote = match &response {
                StatusResponse::Seen(status) if !status.free.contains(&slot) => Vote::Denied,
                StatusResponse::Seen(_) => memory.vote(self.guard, sent, Vote::Granted),
                StatusResponse::Unknown(reason) => Vote::Unknown(reason.clone()),
            };
            let _ = tally.record(instance, vote);
        }
        if let StatusResponse::Seen(status) = response {
            self.holder = status.holder.or(self.holder.take());
        }
    }

    fn decide(&mut self, now: Time, sample: Sample) -> WaitResult {
        let WaitState::PollingAll { begun, until, is_free, tallies } = &mut self.state else {
            return WaitResult::Pending;
        };
        let has = |verdict| tallies.iter().any(|tally| tally.verdict() == verdict);
        if has(Verdict::Granted) {
            if !std::mem::replace(is_free, true) {
                *until = now.plus(Acquisition::stragglers(now.since(*begun))).min(*until);
            }
            let is_open = tallies.iter().any(|tally| tally.votes().any(|vote| vote.is_none()));
            if is_open && now < *until {
                return WaitResult::Pending;
            }
            let Some(again) = self.agreement.next_look(now) else { return WaitResult::Free };
            // A holder with another configuration, whose instance may be silent since then.
            let suspects = self.agreement.suspects(now);
            let holder = suspects.first().and_then(|instance| self.agreement.suspicion(*instance));
            self.blocker = None;
            let outcome = Outcome::Busy(holder.map(|(holder, _)| holder));
            return self.pause_until(now, again.max(now.plus(self.op_timeout)), outcome);
        }
        if has(Verdict::Pending) {
            return WaitResult::Pending;
        }
        // The lock is busy if every slot is held. A slot that may be free is no quorum.
        let unknown = tallies.iter().find(|tally| tally.failure() != Failure::Contended);
        if unknown.is_some_and(Tally::may_learn_more) {
            return WaitResult::Pending;
        }
        let outcome = match unknown.map(|tally| (tally.failure(), votes(tally))) {
            None => Outcome::Busy(self.holder.clone()),
            Some((Failure::Refused(kind), votes)) => {
                return WaitResult::GivenUp(Outcome::Refused(kind, votes));
            }
            Some((_, votes)) => Outcome::NoQuorum(votes),
        };
        self.pause(now, sample, outcome)
    }

    /// Pauses after a poll that found no free lock.
    fn pause(&mut self, now: Time, sample: Sample, outcome: Outcome) -> WaitResult {
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
        self.pause_until(now, now.plus(pause), outcome)
    }

    /// Pauses until `until` or the end of the wait. Gives up with `outcome` after that end, but for
    /// the second poll of a holder with another configuration.
    fn pause_until(&mut self, now: Time, until: Time, outcome: Outcome) -> WaitResult {
        let until = if self.wait_limit.is_reached(now) {
            match self.agreement.next_look(now) {
                Some(again) if !std::mem::replace(&mut self.has_polled_again, true) => again,
                _ => return WaitResult::GivenUp(outcome),
            }
        } else {
            self.wait_limit.cap(until)
        };
        self.state = WaitState::Pausing { until };
        WaitResult::Pending
    }
}

fn votes(tally: &Tally) -> Vec<Option<Vote>> {
    tally.votes().map(Option::<&Vote>::cloned).collect()
}

#[cfg(test)]
mod tests;
