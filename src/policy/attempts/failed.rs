//! What follows from an attempt that failed: giving back, waiting in line, leaving.

use super::{Attempts, Patience, State, Step, Watch};
use crate::lock::{Backoff, Failure, Sample, Time, Unknown, Vote, quorum_in};
use crate::policy::{Blocker, Giveback, Look, Outcome};

impl Attempts {
    pub(super) fn give_back(&mut self, now: Time, failure: Failure, granted: usize, votes: Vec<Option<Vote>>) -> Step {
        let giveback = Giveback::new(self.size, self.number, now, self.schedule.op_timeout());
        let watch = match failure {
            Failure::Contended if self.waits(now) => Some(Watch::Queue),
            Failure::Contended if self.slots > 1 => Some(Watch::Look),
            _ => None,
        };
        if watch.is_some() {
            self.line.join(now);
        }
        self.is_queued |= watch == Some(Watch::Queue);
        self.state = State::GivingBack { failure, granted, votes, giveback };
        Step::GiveBack(watch)
    }

    /// Whether this contender goes on after a failed attempt.
    fn waits(&self, now: Time) -> bool {
        match self.patience {
            Patience::Once => false,
            Patience::Until(end) => now < end,
            Patience::Forever => true,
        }
    }

    /// The lock was won, and the command was not started in time: the attempt counts as failed.
    pub fn too_late(&mut self, now: Time) -> Step {
        let votes = vec![Some(Vote::Unknown(Unknown::TimedOut)); self.size.count()];
        self.give_back(now, Failure::TooLate, 0, votes)
    }

    /// Whether it is clear what the attempt failed of: a dead instance can rule a quorum out before those that know the
    /// holder have answered.
    fn knows_enough(&self, now: Time) -> bool {
        let State::GivingBack { failure, granted, giveback, .. } = &self.state else { return true };
        if now >= giveback.limit() {
            return true;
        }
        let (_, has_quorum) = giveback.holder();
        match failure {
            Failure::NoQuorum => has_quorum || giveback.is_settled(),
            Failure::Contended if self.waits(now) => true,
            // A holder on a bare quorum looks like a split until the last of those has answered.
            Failure::Contended => (*granted == 0 || giveback.is_decided()) && (self.slots == 1 || self.line.is_known()),
            _ => true,
        }
    }

    pub(super) fn after_giveback(&mut self, now: Time, sample: Sample) -> Step {
        if !self.knows_enough(now) {
            return Step::Wait;
        }
        let waits = self.waits(now);
        if let State::GivingBack { failure: failure @ Failure::NoQuorum, giveback, .. } = &mut self.state
            && giveback.holder().1
        {
            // Whoever has a quorum holds it, however few of the votes came in time. Nobody was asked about it yet.
            *failure = Failure::Contended;
            if waits || self.slots > 1 {
                self.is_queued |= waits;
                self.line.ask_all(now);
                return Step::Look(Look::All);
            }
        }
        self.go_on(now, sample, waits)
    }

    /// Tries again at once or later, waits in line, or leaves.
    fn go_on(&mut self, now: Time, sample: Sample, waits: bool) -> Step {
        let State::GivingBack { failure, granted, votes, giveback } = &self.state else { return Step::Wait };
        let (holder, has_quorum) = giveback.holder();
        let holder = holder.cloned();
        // A vote is split where everybody got some.
        let is_split = *failure == Failure::Contended && !has_quorum && *granted > 0;
        let outcome = match failure {
            Failure::Refused(kind) => return Step::GiveUp(Outcome::Refused(*kind, votes.clone())),
            Failure::SameServer(one, other) => return Step::GiveUp(Outcome::SameServer(*one, *other)),
            Failure::Disagreed => match self.disagreement() {
                Some(outcome) => return Step::GiveUp(outcome),
                None => Outcome::Busy(holder.clone()),
            },
            Failure::Contended => Outcome::Busy(holder.clone()),
            Failure::NoQuorum | Failure::TooLate => Outcome::NoQuorum(votes.clone()),
        };
        self.blocker = Some(match failure {
            Failure::Contended => Blocker::Holder(holder),
            _ => Blocker::Instances(votes.clone()),
        });
        let splits_for = self.schedule.op_timeout().saturating_mul(Self::SPLIT_LIMITS);
        let splits_until = if waits { now } else { *self.splits_until.get_or_insert(now.plus(splits_for)) };
        let (cap, left) = match failure {
            Failure::NoQuorum => (Backoff::SILENCE, quorum_in(votes, self.size)),
            _ => (Backoff::SPLIT, giveback.shortest()),
        };
        let again = now.plus(self.backoff.next(sample, cap, self.slowest, left));
        let is_in_line = waits && self.line.place().is_some();
        if *failure == Failure::Contended && (has_quorum || is_in_line) {
            if has_quorum {
                self.backoff = Backoff::default();
            } else {
                // Asking for votes again would take them from whoever is woken meanwhile; a look takes nothing. What was
                // free behind this attempt is no reason to try at once: it was not enough, or was not counted.
                self.line.ask_all(now);
                self.line.look_by(again);
            }
            if !waits
                && now < splits_until
                && let Some(slot) = self.line.choice(self.slot, self.slots)
            {
                return self.begin(now, slot);
            }
            if waits {
                let until = if let Patience::Until(end) = self.patience { end } else { Time::NEVER };
                self.state = State::Queuing { until };
                return self.queue(now);
            }
        }
        let until = match self.patience {
            Patience::Forever => again,
            Patience::Until(end) if waits => again.min(end),
            _ if is_split && now < splits_until => again,
            // Another host may disagree: a second look tells, which is not to be put off until another run.
            Patience::Until(_) | Patience::Once => match self.agreement.look_at(now) {
                Some(at) if !std::mem::replace(&mut self.has_looked_again, true) => at,
                _ => return Step::GiveUp(outcome),
            },
        };
        self.state = State::Pausing { until };
        Step::Wait
    }
}
