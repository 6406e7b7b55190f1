//! Votes of an attempt: the instance that cast each, its memory, and the verdict.

use super::{AcquireResult, Acquisition, AcquisitionState};
use crate::lock::{
    Failure, InstanceResponse, LeaseChange, NoVoteReason, Response, Time, Verdict, Vote,
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
    pub(super) fn count_vote(&mut self, now: Time, instance: usize, sent: Time, vote: Vote) {
        let (AcquisitionState::Voting { tally, .. }, Some(memory)) =
            (&mut self.state, self.memories.get(instance))
        else {
            return;
        };
        let vote = memory.vote(self.guard, sent, vote);
        // The key is set on an unproven instance too. The tally decides whether the vote counts.
        if matches!(vote, Vote::Granted | Vote::Unknown(NoVoteReason::Unproven { .. })) {
            let _: LeaseChange = self.held_lock.grant(instance, sent, None);
        }
        if !matches!(vote, Vote::Unknown(_)) {
            self.slowest_round_trip = self.slowest_round_trip.max(now.since(sent));
        }
        let _ = tally.record(instance, vote);
    }

    /// Ends the attempt if the votes have decided it.
    pub(super) fn decide(&mut self, now: Time, out: &mut Vec<Action>) -> AcquireResult {
        let AcquisitionState::Voting { tally, .. } = &self.state else {
            return AcquireResult::Pending;
        };
        let votes = tally.votes().map(Option::<&Vote>::cloned).collect();
        let failure = match tally.verdict() {
            Verdict::Pending => return AcquireResult::Pending,
            Verdict::Granted => {
                let deadline = self.held_lock.deadline();
                if deadline.is_some_and(|deadline| self.schedule.worth_starting(now, deadline)) {
                    return AcquireResult::Acquired(Box::new(self.held_lock.clone()), votes);
                }
                Failure::TooLate
            }
            Verdict::Failed => tally.failure(),
        };
        let granted = tally.granted();
        self.fail(now, failure, granted, votes, out)
    }
}
