//! What an attempt makes of its answers: who gave them, what they are worth, and when they decide.

use super::{AcquireStep, Acquisition, AcquisitionState};
use crate::lock::{
    InstanceResponse, LeaseChange, NoVoteReason, Opinion, Response, Time, Verdict, Vote,
};

impl Acquisition {
    /// Learns who answers, what it remembers and what its clock shows. Answers the number of an
    /// instance that is the same server.
    pub(super) fn meet(&mut self, now: Time, heard: &InstanceResponse) -> Option<usize> {
        let memory = self.memories.get_mut(heard.instance)?;
        if heard.response == Response::Disconnected {
            memory.disconnected();
            self.held_lock.disconnected(heard.instance);
        }
        let report = heard.report.as_ref();
        if let Some(report) = report {
            memory.learn(report, now);
        }
        let run_id =
            memory.run_id().filter(|_| report.is_some_and(|report| report.account.is_some()));
        let change = run_id.map(|run_id| self.held_lock.identify(heard.instance, run_id));
        if let Some(clock) = heard.clock {
            // Nothing is held that a step could endanger; this is what later looks are compared
            // with.
            let _ = self.held_lock.observe_clock(heard.instance, clock, heard.sent, now);
        }
        match change {
            Some(LeaseChange::Twin(duplicate_of)) => Some(duplicate_of),
            _ => None,
        }
    }

    /// Counts a vote of the current attempt.
    pub(super) fn voted(
        &mut self,
        now: Time,
        instance: usize,
        sent: Time,
        vote: Vote,
    ) -> AcquireStep {
        let (AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. }) =
            &mut self.state
        else {
            return AcquireStep::Wait;
        };
        let Some(memory) = self.memories.get(instance) else { return AcquireStep::Wait };
        if vote == Vote::Granted && self.slots == 1 {
            let _: Opinion = self.agreement.compare(now, instance, None);
        }
        let vote = memory.vote(self.guard, sent, vote);
        // Our key is there; what its vote is worth, the tally says.
        if matches!(vote, Vote::Granted | Vote::Unknown(NoVoteReason::Unproven { .. })) {
            let _: LeaseChange = self.held_lock.grant(instance, sent, None);
        }
        if !matches!(vote, Vote::Unknown(_)) {
            self.slowest = self.slowest.max(now.since(sent));
        }
        let _ = tally.record(instance, vote);
        self.decide(now)
    }

    /// What the votes say so far, and what follows.
    pub(super) fn decide(&mut self, now: Time) -> AcquireStep {
        let (AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. }) =
            &self.state
        else {
            return AcquireStep::Wait;
        };
        match tally.verdict() {
            Verdict::Pending => AcquireStep::Wait,
            Verdict::Granted => self.check(now),
            // A run that leaves now has to know whether the lock is busy. An instance that has not
            // got the request yet would lose it with the release.
            Verdict::Failed if !self.waits(now) && tally.may_learn_more() => AcquireStep::Wait,
            Verdict::Failed => self.fail(now, tally.failure()),
        }
    }
}
