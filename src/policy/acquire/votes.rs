//! What an attempt makes of its answers: who gave them, what they are worth, and when they decide.

use super::{AcquireStep, Acquisition, AcquisitionState};
use crate::lock::{Failure, InstanceResponse, LeaseChange, Response, Time, Verdict, Vote};

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

    pub(super) fn decide(&mut self, now: Time) -> AcquireStep {
        let AcquisitionState::Voting { tally, .. } = &self.state else { return AcquireStep::Wait };
        let votes = tally.votes().map(Option::<&Vote>::cloned).collect();
        let failure = match tally.verdict() {
            Verdict::Pending => return AcquireStep::Wait,
            Verdict::Granted => {
                let deadline = self.held_lock.deadline();
                if deadline.is_some_and(|deadline| self.schedule.worth_starting(now, deadline)) {
                    return AcquireStep::Won(Box::new(self.held_lock.clone()), votes);
                }
                Failure::TooLate
            }
            Verdict::Failed => tally.failure(),
        };
        let granted = tally.granted();
        self.give_back(now, failure, granted, votes)
    }
}
