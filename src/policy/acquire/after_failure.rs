//! What follows from an attempt that failed: giving back, waiting in line, leaving.

use super::{AcquireStep, Acquisition, AcquisitionState, StatusPurpose, WaitLimit};
use crate::lock::{Backoff, Failure, NoVoteReason, Sample, Time, Vote, quorum_in};
use crate::policy::{Blocker, Outcome, Poll, ReleaseRound};

impl Acquisition {
    pub(super) fn give_back(
        &mut self,
        now: Time,
        failure: Failure,
        granted: usize,
        votes: Vec<Option<Vote>>,
    ) -> AcquireStep {
        let release_round =
            ReleaseRound::new(self.size, self.number, now, self.schedule.op_timeout());
        let watch = match failure {
            Failure::Contended if self.waits(now) => Some(StatusPurpose::Queue),
            Failure::Contended if self.slots > 1 => Some(StatusPurpose::Poll),
            _ => None,
        };
        if watch.is_some() {
            self.queue.join(now);
        }
        self.is_queued |= watch == Some(StatusPurpose::Queue);
        self.state = AcquisitionState::GivingBack { failure, granted, votes, release_round };
        AcquireStep::Release(watch)
    }

    /// Whether this contender goes on after a failed attempt.
    pub(super) fn waits(&self, now: Time) -> bool {
        match self.wait_limit {
            WaitLimit::Once => false,
            WaitLimit::Until(end) => now < end,
            WaitLimit::Forever => true,
        }
    }

    /// The lock was won, and the command was not started in time: the attempt counts as failed.
    pub fn too_late(&mut self, now: Time) -> AcquireStep {
        let votes = vec![Some(Vote::Unknown(NoVoteReason::TimedOut)); self.size.count()];
        self.give_back(now, Failure::TooLate, 0, votes)
    }

    /// Whether it is clear what the attempt failed of: a dead instance can rule a quorum out before
    /// those that know the holder have answered.
    fn knows_enough(&self, now: Time) -> bool {
        let AcquisitionState::GivingBack { failure, granted, release_round, .. } = &self.state
        else {
            return true;
        };
        if now >= release_round.limit() {
            return true;
        }
        let (_, has_quorum) = release_round.holder();
        match failure {
            Failure::NoQuorum => has_quorum || release_round.is_settled(),
            Failure::Contended if self.waits(now) => true,
            // A holder on a bare quorum looks like a split until the last of those has answered.
            Failure::Contended => {
                (*granted == 0 || release_round.is_decided())
                    && (self.slots == 1
                        || self.queue.choice(self.slot, self.slots).is_some()
                        || !self.queue.may_find(self.slots))
            }
            _ => true,
        }
    }

    pub(super) fn after_release_round(&mut self, now: Time, sample: Sample) -> AcquireStep {
        if !self.knows_enough(now) {
            return AcquireStep::Wait;
        }
        let waits = self.waits(now);
        if let AcquisitionState::GivingBack {
            failure: failure @ Failure::NoQuorum,
            release_round,
            ..
        } = &mut self.state
            && release_round.holder().1
        {
            // Whoever has a quorum holds it, however few of the votes came in time. Nobody was
            // asked about it yet.
            *failure = Failure::Contended;
            if waits || self.slots > 1 {
                self.is_queued |= waits;
                self.queue.ask_all(now);
                return AcquireStep::Poll(Poll::All);
            }
        }
        self.go_on(now, sample, waits)
    }

    /// Tries again at once or later, waits in line, or leaves.
    fn go_on(&mut self, now: Time, sample: Sample, waits: bool) -> AcquireStep {
        let AcquisitionState::GivingBack { failure, granted, votes, release_round } = &self.state
        else {
            return AcquireStep::Wait;
        };
        let (holder, has_quorum) = release_round.holder();
        let holder = holder.cloned();
        // A vote is split where everybody got some.
        let is_split = *failure == Failure::Contended && !has_quorum && *granted > 0;
        let outcome = match failure {
            Failure::Refused(kind) => {
                return AcquireStep::GiveUp(Outcome::Refused(*kind, votes.clone()));
            }
            Failure::SameServer(one, other) => {
                return AcquireStep::GiveUp(Outcome::SameServer(*one, *other));
            }
            Failure::Disagreed => match self.disagreement() {
                Some(outcome) => return AcquireStep::GiveUp(outcome),
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
        let splits_until =
            if waits { now } else { *self.splits_until.get_or_insert(now.plus(splits_for)) };
        let (cap, left) = match failure {
            Failure::NoQuorum => (Backoff::SILENCE, quorum_in(votes, self.size)),
            _ => (Backoff::SPLIT, release_round.shortest()),
        };
        let again = now.plus(self.backoff.next(sample, cap, self.slowest, left));
        let is_in_line = waits && self.queue.place().is_some();
        // Any slot that is free will do, also where the one that was tried is split.
        if *failure == Failure::Contended
            && !waits
            && now < splits_until
            && (has_quorum || self.slots > 1)
            && let Some(slot) = self.queue.choice(self.slot, self.slots)
        {
            return self.begin(now, slot);
        }
        if *failure == Failure::Contended && (has_quorum || is_in_line) {
            if has_quorum {
                self.backoff = Backoff::default();
            } else {
                // Asking for votes again would take them from whoever is woken meanwhile; a look
                // takes nothing. What was free behind this attempt is no reason to try at once: it
                // was not enough, or was not counted.
                self.queue.ask_all(now);
                self.queue.look_by(again);
            }
            if waits {
                let until =
                    if let WaitLimit::Until(end) = self.wait_limit { end } else { Time::NEVER };
                self.state = AcquisitionState::Queuing { until };
                return self.queue(now);
            }
        }
        let until = match self.wait_limit {
            WaitLimit::Forever => again,
            WaitLimit::Until(end) if waits => again.min(end),
            _ if is_split && now < splits_until => again,
            // Another host may disagree: a second look tells, which is not to be put off until
            // another run.
            WaitLimit::Until(_) | WaitLimit::Once => match self.agreement.next_look(now) {
                Some(at) if !std::mem::replace(&mut self.has_looked_again, true) => at,
                _ => return AcquireStep::GiveUp(outcome),
            },
        };
        self.state = AcquisitionState::Pausing { until };
        AcquireStep::Wait
    }
}
