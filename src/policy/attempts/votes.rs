//! What an attempt makes of its answers: who gave them, what they are worth, and when they decide.

use super::{Attempts, State, Step};
use crate::lock::{Answer, Change, Failure, Heard, Time, Verdict, Vote};

impl Attempts {
    /// Learns who answers, what it remembers and what its clock shows. Answers the number of an instance that is the same
    /// server.
    pub(super) fn meet(&mut self, now: Time, heard: &Heard) -> Option<usize> {
        let memory = self.memories.get_mut(heard.instance)?;
        if heard.answer == Answer::Disconnected {
            memory.disconnected();
            self.holding.disconnected(heard.instance);
        }
        let report = heard.report.as_ref();
        if let Some(report) = report {
            memory.learn(report, now);
        }
        let run_id = memory.run_id().filter(|_| report.is_some_and(|report| report.account.is_some()));
        let change = run_id.map(|run_id| self.holding.identify(heard.instance, run_id));
        if let Some(clock) = heard.clock {
            // Nothing is held that a step could endanger; this is what later looks are compared with.
            let _ = self.holding.look_at(heard.instance, clock, heard.sent, now);
        }
        match change {
            Some(Change::Twin(twin)) => Some(twin),
            _ => None,
        }
    }

    pub(super) fn decide(&mut self, now: Time) -> Step {
        let State::Voting { tally, .. } = &self.state else { return Step::Wait };
        let votes = tally.votes().map(Option::<&Vote>::cloned).collect();
        let failure = match tally.verdict() {
            Verdict::Pending => return Step::Wait,
            Verdict::Granted => {
                let deadline = self.holding.deadline();
                if deadline.is_some_and(|deadline| self.schedule.worth_starting(now, deadline)) {
                    return Step::Won(Box::new(self.holding.clone()), votes);
                }
                Failure::TooLate
            }
            Verdict::Failed => tally.failure(),
        };
        let granted = tally.granted();
        self.give_back(now, failure, granted, votes)
    }
}
