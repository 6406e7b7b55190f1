//! What an attempt makes of its answers: who gave them, what they are worth, and when they decide.

use super::{Attempts, State, Step};
use crate::lock::{Answer, Change, Heard, Opinion, Time, Unknown, Verdict, Vote};

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

    /// Counts a vote of the current attempt.
    pub(super) fn voted(&mut self, now: Time, instance: usize, sent: Time, vote: Vote) -> Step {
        let (State::Voting { tally, .. } | State::Checking { tally, .. }) = &mut self.state else { return Step::Wait };
        let Some(memory) = self.memories.get(instance) else { return Step::Wait };
        if vote == Vote::Granted && self.slots == 1 {
            let _: Opinion = self.agreement.compare(now, instance, None);
        }
        let vote = memory.vote(self.guard, sent, vote);
        // Our key is there; what its vote is worth, the tally says.
        if matches!(vote, Vote::Granted | Vote::Unknown(Unknown::Unproven { .. })) {
            let _: Change = self.holding.grant(instance, sent, None);
        }
        if !matches!(vote, Vote::Unknown(_)) {
            self.slowest = self.slowest.max(now.since(sent));
        }
        let _ = tally.record(instance, vote);
        self.decide(now)
    }

    /// What the votes say so far, and what follows.
    pub(super) fn decide(&mut self, now: Time) -> Step {
        let (State::Voting { tally, .. } | State::Checking { tally, .. }) = &self.state else { return Step::Wait };
        match tally.verdict() {
            Verdict::Pending => Step::Wait,
            Verdict::Granted => self.check(now),
            Verdict::Failed => self.fail(now, tally.failure()),
        }
    }
}
