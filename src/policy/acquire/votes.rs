//! Votes of an attempt: the instance that cast each, its memory, and the verdict.

use super::{AcquireResult, Acquisition, AcquisitionState, Fence};
use crate::lock::{
    Failure, InstanceResponse, LeaseChange, NoVoteReason, Opinion, Response, Time, Verdict, Vote,
};
use crate::policy::Action;

impl Acquisition {
    /// Notes the `run_id`, the memory and the clock of the instance that responded. Returns the
    /// number of the instance that is the same server, if any.
    pub(super) fn identify(&mut self, now: Time, received: &InstanceResponse) -> Option<usize> {
        let memory = self.memories.get_mut(received.instance)?;
        if received.response == Response::Disconnected {
            memory.disconnected();
            self.held_lock.disconnected(received.instance);
        }
        let report = received.report.as_ref();
        if let Some(report) = report {
            memory.learn(report, now);
        }
        let run_id =
            memory.run_id().filter(|_| report.is_some_and(|report| report.account.is_some()));
        let change = run_id.map(|run_id| self.held_lock.identify(received.instance, run_id));
        if let Some(clock) = received.clock {
            // No lease is held yet, so a step is harmless. The extensions compare later clocks with
            // this one.
            let _ = self.held_lock.observe_clock(received.instance, clock, received.sent, now);
        }
        match change {
            Some(LeaseChange::Duplicate(duplicate_of)) => Some(duplicate_of),
            _ => None,
        }
    }

    /// Counts the vote of `instance` on the request that was sent at `sent`.
    pub(super) fn count_vote(
        &mut self,
        now: Time,
        instance: usize,
        (sent, vote): (Time, Vote),
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        let (
            AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. },
            Some(memory),
        ) = (&mut self.state, self.memories.get(instance))
        else {
            return AcquireResult::Pending;
        };
        if vote == Vote::Granted && self.slots == 1 {
            let _: Opinion = self.agreement.compare(now, instance, None);
        }
        let vote = memory.vote(self.guard, sent, vote);
        // The key is set on an unproven instance too. The tally decides whether the vote counts.
        if let Some(fence) = &mut self.fence {
            fence.vote(instance, &vote);
        }
        if matches!(vote, Vote::Granted | Vote::Unknown(NoVoteReason::Unproven { .. })) {
            let _: LeaseChange = self.held_lock.grant(instance, sent, None);
        }
        if !matches!(vote, Vote::Unknown(_)) {
            self.slowest_round_trip = self.slowest_round_trip.max(now.since(sent));
        }
        let _ = tally.record(instance, vote);
        self.decide(now, out)
    }

    /// Acts on the verdict of the votes so far.
    pub(super) fn decide(&mut self, now: Time, out: &mut Vec<Action>) -> AcquireResult {
        let (AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. }) =
            &self.state
        else {
            return AcquireResult::Pending;
        };
        match tally.verdict() {
            Verdict::Pending => AcquireResult::Pending,
            Verdict::Granted => self.check_fence(now, out),
            // The outcome of a run that gives up has to tell busy from no quorum. A release would
            // cancel the requests that are not sent yet.
            Verdict::Failed if self.wait_limit.is_reached(now) && tally.may_learn_more() => {
                AcquireResult::Pending
            }
            Verdict::Failed => {
                let is_stale = |fence: &Fence| fence.is_stale(tally.granted());
                let is_stale = self.fence.as_ref().is_some_and(is_stale);
                let failure = if is_stale { Failure::Stale } else { tally.failure() };
                self.fail(now, failure, out)
            }
        }
    }

    /// The attempt has failed by its votes.
    pub(super) fn fail(
        &mut self,
        now: Time,
        failure: Failure,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        let (AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. }) =
            &self.state
        else {
            return AcquireResult::Pending;
        };
        let shown = |(instance, vote): (usize, Option<&Vote>)| match &self.fence {
            Some(fence) => fence.shown(instance, vote.cloned()),
            None => vote.cloned(),
        };
        let votes = tally.votes().enumerate().map(shown).collect();
        let granted = tally.granted();
        self.release(now, failure, granted, votes, out)
    }
}
