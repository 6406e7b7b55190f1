//! After a failed attempt: release, then wait in the queue, back off, or give up.

use super::{AcquireResult, Acquisition, AcquisitionState, Fence};
use crate::lock::{AfterRelease, Backoff, Failure, NoVoteReason, Sample, Time, Vote, quorum_in};
use crate::policy::{Action, Blocker, Outcome, ReleaseRound};

impl Acquisition {
    /// Releases the key on all instances after a failed attempt. If the lock is contended and the
    /// contender waits, or another slot may be free, the same write has a poll.
    pub(super) fn release(
        &mut self,
        now: Time,
        failure: Failure,
        granted: usize,
        votes: Vec<Option<Vote>>,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        out.push(Action::Release(self.number, AfterRelease::StayQueued));
        // On each connection, this release goes before the next attempt.
        if failure == Failure::Stale && self.fence.as_mut().is_some_and(Fence::retries_at_once) {
            return self.start_attempt(now, self.slot, out);
        }
        let waits = !self.wait_limit.is_reached(now);
        if failure == Failure::Contended && (waits || self.slots > 1) {
            let instances = self.queue.join(now);
            self.is_queued |= waits;
            self.ask_status(now, instances, waits, out);
        }
        let release_round =
            ReleaseRound::new(self.size, self.number, now, self.schedule.op_timeout());
        self.state = AcquisitionState::Releasing { failure, granted, votes, release_round };
        AcquireResult::Pending
    }

    /// The start line had passed before the command was started: the attempt counts as failed.
    pub fn start_refused(&mut self, now: Time, out: &mut Vec<Action>) -> AcquireResult {
        let votes = vec![Some(Vote::Unknown(NoVoteReason::TimedOut)); self.size.count()];
        self.release(now, Failure::TooLate, 0, votes, out)
    }

    /// Whether the reason of the failure is final. An unreachable instance can rule a quorum out
    /// before the instances that name the holder have answered.
    fn is_failure_final(&self, now: Time) -> bool {
        let AcquisitionState::Releasing { failure, granted, release_round, .. } = &self.state
        else {
            return true;
        };
        if now >= release_round.limit() {
            return true;
        }
        let (_, has_quorum) = release_round.holder();
        match failure {
            Failure::NoQuorum => has_quorum || release_round.is_settled(),
            Failure::Contended if !self.wait_limit.is_reached(now) => true,
            // A holder on a bare quorum looks like a split vote until the last instance of that
            // quorum has answered.
            Failure::Contended => {
                (*granted == 0 || release_round.is_decided())
                    && (self.slots == 1
                        || self.queue.free_slot(self.slot, self.slots).is_some()
                        || !self.queue.may_find(self.slots))
            }
            _ => true,
        }
    }

    pub(super) fn after_release_round(
        &mut self,
        now: Time,
        sample: Sample,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        if !self.is_failure_final(now) {
            return AcquireResult::Pending;
        }
        let waits = !self.wait_limit.is_reached(now);
        if let AcquisitionState::Releasing {
            failure: failure @ Failure::NoQuorum,
            release_round,
            ..
        } = &mut self.state
            && release_round.holder().1
        {
            // After the time limit of the votes, a quorum named a holder: the lock is contended. No
            // poll was sent with the release.
            *failure = Failure::Contended;
            if waits || self.slots > 1 {
                self.is_queued |= waits;
                let instances = self.queue.poll_all(now);
                self.ask_status(now, instances, self.is_queued, out);
                return AcquireResult::Pending;
            }
        }
        self.after_failure(now, sample, waits, out)
    }

    /// Attempts again, now or later, waits in the queue, or gives up.
    fn after_failure(
        &mut self,
        now: Time,
        sample: Sample,
        waits: bool,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        let AcquisitionState::Releasing { failure, granted, votes, release_round } = &self.state
        else {
            return AcquireResult::Pending;
        };
        let (holder, has_quorum) = release_round.holder();
        let holder = holder.cloned();
        let (outcome, blocker) = match failure {
            Failure::Refused(kind) => {
                return AcquireResult::GivenUp(Outcome::Refused(*kind, votes.clone()));
            }
            Failure::SameServer(one, other) => {
                return AcquireResult::GivenUp(Outcome::SameServer(*one, *other));
            }
            Failure::Disagreed => match self.disagreement() {
                Some(outcome) => return AcquireResult::GivenUp(outcome),
                None => (Outcome::Busy(holder), Blocker::Instances(votes.clone())),
            },
            Failure::Contended | Failure::Stale => {
                (Outcome::Busy(holder.clone()), Blocker::Holder(holder))
            }
            Failure::NoQuorum | Failure::TooLate | Failure::NoFence => {
                (Outcome::NoQuorum(votes.clone()), Blocker::Instances(votes.clone()))
            }
        };
        self.blocker = Some(blocker);
        // In a split vote each contender has some votes.
        let is_split = *failure == Failure::Contended && !has_quorum && *granted > 0;
        let splits_for = self.schedule.op_timeout().saturating_mul(Self::SPLIT_LIMITS);
        let splits_until =
            if waits { now } else { *self.splits_until.get_or_insert(now.plus(splits_for)) };
        let (cap, left) = match failure {
            Failure::NoQuorum | Failure::NoFence => (Backoff::SILENCE, quorum_in(votes, self.size)),
            _ => (Backoff::SPLIT, release_round.shortest()),
        };
        let again = now.plus(self.backoff.next(sample, cap, self.slowest_round_trip, left));
        // Any free slot will do, also after a split vote about another slot. With one slot, no poll
        // went with the release, so that the known status is older than the attempt.
        if *failure == Failure::Contended
            && !waits
            && now < splits_until
            && self.slots > 1
            && let Some(slot) = self.queue.free_slot(self.slot, self.slots)
        {
            return self.start_attempt(now, slot, out);
        }
        let has_place = waits && self.queue.place().is_some();
        if *failure == Failure::Contended && (has_quorum || has_place) {
            if has_quorum {
                self.backoff = Backoff::default();
            } else {
                // The contender in front may attempt now, and another attempt would take votes from
                // it, as no poll does. Slots reported free during this attempt did not suffice, so
                // they are forgotten.
                self.queue.restart(now);
                self.queue.poll_all_by(again);
            }
            if waits {
                let until = self.wait_limit.cap(Time::NEVER);
                self.state = AcquisitionState::Queuing { until };
                return self.poll_queue(now, out);
            }
        }
        let until = if waits {
            self.wait_limit.cap(again)
        } else if is_split && now < splits_until {
            again
        } else {
            // If the holder may have another configuration, its second poll follows now, since the
            // contender will not attempt again.
            match self.agreement.next_look(now) {
                Some(at) if !std::mem::replace(&mut self.has_polled_again, true) => at,
                _ => return AcquireResult::GivenUp(outcome),
            }
        };
        self.state = AcquisitionState::BackingOff { until };
        AcquireResult::Pending
    }
}
