//! Getting the lock: attempt, give back, wait, attempt again.

use super::{Blocker, Giveback, Outcome};
use crate::lock::{
    Answer, Backoff, Change, ClusterSize, Failure, Heard, Holding, Sample, Schedule, Tally, Time, Unknown, Verdict,
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
    /// Send the release of the current attempt to all instances.
    GiveBack,
    /// The lock is held, if only the command can be started in time.
    Won(Box<Holding>),
    /// Leave without the lock; everything was given back.
    GiveUp(Outcome),
}

#[derive(Debug)]
enum State {
    Voting { until: Time, tally: Tally },
    GivingBack { failure: Failure, granted: usize, votes: Vec<Option<Vote>>, giveback: Giveback },
    Pausing { until: Time },
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
    /// What the current attempt was granted, and who the instances are.
    holding: Holding,
    state: State,
}

impl Attempts {
    /// For how many time limits a contender that does not wait tries again when the votes were split and nobody won:
    /// two that start in the same millisecond must not both leave for the sake of the other.
    const SPLIT_LIMITS: u32 = 2;

    /// A contender that has not tried yet; its first step comes from [`Attempts::woke`].
    #[must_use]
    pub fn new(size: ClusterSize, schedule: Schedule, patience: Patience) -> Self {
        Self {
            size,
            schedule,
            patience,
            number: 0,
            splits_until: None,
            backoff: Backoff::default(),
            slowest: Duration::ZERO,
            blocker: None,
            holding: Holding::new(size, schedule.ttl()),
            state: State::Pausing { until: Time::default() },
        }
    }

    /// The number of the current attempt, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// What kept the last attempt from succeeding.
    #[must_use]
    pub const fn blocker(&self) -> Option<&Blocker> {
        self.blocker.as_ref()
    }

    /// When to call [`Attempts::woke`] at the latest.
    #[must_use]
    pub const fn wake_at(&self) -> Time {
        match &self.state {
            State::Voting { until, .. } | State::Pausing { until } => *until,
            State::GivingBack { giveback, .. } => giveback.limit(),
        }
    }

    /// The time is `now`.
    pub fn woke(&mut self, now: Time, sample: Sample) -> Step {
        match &mut self.state {
            State::Pausing { until } if now >= *until => self.begin(now),
            State::Voting { until, tally, .. } if now >= *until => {
                let _ = tally.time_out();
                self.decide(now)
            }
            State::GivingBack { giveback, .. } if giveback.is_done(now) => self.after_giveback(now, sample),
            _ => Step::Wait,
        }
    }

    /// An instance answered. What it says of another attempt changes nothing.
    pub fn heard(&mut self, now: Time, sample: Sample, heard: Heard) -> Step {
        if let Some(twin) = self.meet(now, &heard) {
            let same = Failure::SameServer(twin, heard.instance);
            match &mut self.state {
                State::Voting { .. } => return self.give_back(now, same, 0, vec![]),
                State::GivingBack { failure, .. } => *failure = same,
                State::Pausing { .. } => return Step::GiveUp(Outcome::SameServer(twin, heard.instance)),
            }
        }
        match (&mut self.state, heard.answer) {
            (State::Voting { tally, .. }, Answer::Vote(attempt, vote)) if attempt == self.number => {
                if vote == Vote::Granted {
                    let _: Change = self.holding.grant(heard.instance, heard.sent);
                }
                if !matches!(vote, Vote::Unknown(_)) {
                    self.slowest = self.slowest.max(now.since(heard.sent));
                }
                let _ = tally.record(heard.instance, vote);
                self.decide(now)
            }
            (State::GivingBack { giveback, .. }, Answer::Release(attempt, answer)) => {
                giveback.heard(heard.instance, attempt, answer);
                self.woke(now, sample)
            }
            _ => Step::Wait,
        }
    }

    /// Learns who answers and what its clock shows. Answers the number of an instance that is the same server.
    fn meet(&mut self, now: Time, heard: &Heard) -> Option<usize> {
        let change = heard.identity.as_ref().map(|identity| self.holding.identify(heard.instance, identity));
        if let Some(clock) = heard.clock {
            // Nothing is held that a step could endanger; this is what later looks are compared with.
            let _ = self.holding.look_at(heard.instance, clock, heard.sent, now);
        }
        match change {
            Some(Change::Twin(twin)) => Some(twin),
            _ => None,
        }
    }

    fn begin(&mut self, now: Time) -> Step {
        self.holding.vacate();
        self.number = self.number.saturating_add(1);
        self.state = State::Voting { until: now.plus(self.schedule.op_timeout()), tally: Tally::new(self.size) };
        Step::Acquire
    }

    fn decide(&mut self, now: Time) -> Step {
        let State::Voting { tally, .. } = &self.state else { return Step::Wait };
        let failure = match tally.verdict() {
            Verdict::Pending => return Step::Wait,
            Verdict::Granted => {
                let deadline = self.holding.deadline();
                if deadline.is_some_and(|deadline| self.schedule.worth_starting(now, deadline)) {
                    return Step::Won(Box::new(self.holding.clone()));
                }
                Failure::TooLate
            }
            Verdict::Failed => tally.failure(),
        };
        let (granted, votes) = (tally.granted(), tally.votes().map(Option::<&Vote>::cloned).collect());
        self.give_back(now, failure, granted, votes)
    }

    fn give_back(&mut self, now: Time, failure: Failure, granted: usize, votes: Vec<Option<Vote>>) -> Step {
        let giveback = Giveback::new(self.size, self.number, now, self.schedule.op_timeout());
        self.state = State::GivingBack { failure, granted, votes, giveback };
        Step::GiveBack
    }

    /// The lock was won, and the command was not started in time: the attempt counts as failed.
    pub fn too_late(&mut self, now: Time) -> Step {
        let votes = vec![Some(Vote::Unknown(Unknown::TimedOut)); self.size.count()];
        self.give_back(now, Failure::TooLate, 0, votes)
    }

    /// Whether it is clear what the attempt failed of, where that is what the contender leaves with: a dead instance can
    /// rule a quorum out before those that know the holder have answered.
    fn knows_enough(&self, now: Time) -> bool {
        let State::GivingBack { failure: Failure::NoQuorum, giveback, .. } = &self.state else { return true };
        let leaves = match self.patience {
            Patience::Once => true,
            Patience::Until(end) => now >= end,
            Patience::Forever => false,
        };
        let (_, has_quorum) = giveback.holder();
        !leaves || has_quorum || giveback.is_settled() || now >= giveback.limit()
    }

    fn after_giveback(&mut self, now: Time, sample: Sample) -> Step {
        if !self.knows_enough(now) {
            return Step::Wait;
        }
        let State::GivingBack { failure, granted, votes, giveback } = &self.state else { return Step::Wait };
        let (holder, has_quorum) = giveback.holder();
        let holder = holder.cloned();
        // Whoever has a quorum holds it, however few of the votes came in time. A vote is split where everybody got some.
        let failure = if has_quorum && *failure == Failure::NoQuorum { &Failure::Contended } else { failure };
        let is_split = *failure == Failure::Contended && !has_quorum && *granted > 0;
        let outcome = match failure {
            Failure::Refused(kind) => return Step::GiveUp(Outcome::Refused(*kind, votes.clone())),
            Failure::SameServer(one, other) => return Step::GiveUp(Outcome::SameServer(*one, *other)),
            Failure::Contended => Outcome::Busy(holder.clone()),
            Failure::NoQuorum | Failure::TooLate => Outcome::NoQuorum(votes.clone()),
        };
        self.blocker = Some(match failure {
            Failure::Contended => Blocker::Holder(holder),
            _ => Blocker::Instances(votes.clone()),
        });
        let splits_for = self.schedule.op_timeout().saturating_mul(Self::SPLIT_LIMITS);
        let splits_until = *self.splits_until.get_or_insert(now.plus(splits_for));
        let again = now.plus(self.backoff.next(sample, self.slowest, giveback.shortest()));
        let until = match self.patience {
            Patience::Forever => again,
            Patience::Until(end) if now < end => again.min(end),
            Patience::Once if is_split && now < splits_until => again,
            Patience::Until(_) | Patience::Once => return Step::GiveUp(outcome),
        };
        self.state = State::Pausing { until };
        Step::Wait
    }
}

#[cfg(test)]
mod tests;
