//! The notice about instances that do not do their part while the others suffice: once in a run, and
//! without a delay of the run.
//!
//! The notice is due once the lock is acquired and every instance has voted or timed out, or at the
//! end of a shorter run. Warnings of servers are collected until then. Later warnings have notices
//! of their own.

use super::Notice;
use crate::lock::{NoVoteReason, ServerWarning, Time, Vote};
use std::time::Duration;

/// One weakness of a lock. Instances are counted from 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Weakness {
    /// The instance cannot vote, for this reason.
    NoVote(usize, NoVoteReason),
    /// The instance has not answered for this time, and the run has ended.
    Silent(usize, Duration),
    /// The instance answers and has this property.
    Warned(usize, ServerWarning),
}

/// The weaknesses of one run.
#[derive(Debug)]
pub(super) struct Weaknesses {
    op_timeout: Duration,
    warnings: Vec<(usize, ServerWarning)>,
    acquired: Option<Acquired>,
    is_reported: bool,
}

#[derive(Debug)]
struct Acquired {
    at: Time,
    votes: Vec<Option<Vote>>,
}

impl Weaknesses {
    /// Part of the op-timeout after which a silent instance is reported at the end. A server that is
    /// only slower than the others is no weakness.
    const SILENT_PART: u32 = 4;

    /// A run without known weaknesses.
    pub(super) const fn new(op_timeout: Duration) -> Self {
        Self { op_timeout, warnings: Vec::new(), acquired: None, is_reported: false }
    }

    /// The server of `instance` has sent `warning`. Returns a notice after the common one.
    pub(super) fn warned(&mut self, instance: usize, warning: ServerWarning) -> Option<Notice> {
        if self.is_reported {
            return Some(Notice::ServerWarning { instance, warning });
        }
        if !self.warnings.contains(&(instance, warning)) {
            self.warnings.push((instance, warning));
        }
        None
    }

    /// The lock was acquired at `now` by `votes`.
    pub(super) fn acquired(&mut self, now: Time, votes: &[Option<Vote>]) {
        self.acquired = Some(Acquired { at: now, votes: votes.to_vec() });
    }

    /// The start was refused, so another attempt follows.
    pub(super) fn failed(&mut self) {
        self.acquired = None;
    }

    /// The vote of `instance` came after the acquisition.
    pub(super) fn voted(&mut self, instance: usize, vote: &Vote) {
        if let Some(acquired) = &mut self.acquired
            && let Some(place @ None) = acquired.votes.get_mut(instance)
        {
            *place = Some(vote.clone());
        }
    }

    /// The moment at which [`Weaknesses::due`] may return the notice.
    pub(super) fn wake_at(&self) -> Time {
        match &self.acquired {
            Some(acquired) if !self.is_reported => acquired.at.plus(self.op_timeout),
            _ => Time::NEVER,
        }
    }

    /// The notice, if due at `now`.
    pub(super) fn due(&mut self, now: Time) -> Option<Notice> {
        let acquired = self.acquired.as_mut()?;
        if !self.is_reported && now >= acquired.at.plus(self.op_timeout.saturating_mul(2)) {
            // redlock was frozen: responses of that time are not read yet.
            acquired.at = now;
        }
        let is_over = now >= acquired.at.plus(self.op_timeout);
        if !is_over && acquired.votes.contains(&None) {
            return None;
        }
        self.report(|instance| Some(Weakness::NoVote(instance, NoVoteReason::TimedOut)))
    }

    /// The notice at the end of the run, unless reported before.
    pub(super) fn end(&mut self, now: Time) -> Option<Notice> {
        let silent_for = self.acquired.as_ref().map_or(Duration::ZERO, |won| now.since(won.at));
        let is_fault = silent_for >= self.op_timeout / Self::SILENT_PART;
        self.report(|instance| is_fault.then_some(Weakness::Silent(instance, silent_for)))
    }

    /// The notice about every weakness, once. `silent` is the weakness of an instance without a vote.
    fn report(&mut self, silent: impl Fn(usize) -> Option<Weakness>) -> Option<Notice> {
        if std::mem::replace(&mut self.is_reported, true) {
            return None;
        }
        let votes = self.acquired.iter().flat_map(|won| won.votes.iter().enumerate());
        let faults = votes.filter_map(|(instance, vote)| match vote {
            None => silent(instance),
            Some(Vote::Granted | Vote::Denied) => None,
            // Both states end without help, and the key is set.
            Some(Vote::Unknown(NoVoteReason::Restarted { .. } | NoVoteReason::Unproven { .. })) => {
                None
            }
            Some(Vote::Unknown(reason)) => Some(Weakness::NoVote(instance, reason.clone())),
        });
        let warnings = std::mem::take(&mut self.warnings);
        let warned =
            warnings.into_iter().map(|(instance, warning)| Weakness::Warned(instance, warning));
        let all: Vec<Weakness> = faults.chain(warned).collect();
        (!all.is_empty()).then_some(Notice::Weaknesses(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(400);

    fn at(millis: u64) -> Time {
        Time::default().plus(Duration::from_millis(millis))
    }

    fn refused() -> Vote {
        Vote::Unknown(NoVoteReason::Unreachable("connection refused".into()))
    }

    fn no_vote(instance: usize, vote: Vote) -> Weakness {
        let Vote::Unknown(why) = vote else { panic!("it voted") };
        Weakness::NoVote(instance, why)
    }

    fn acquired(votes: &[Option<Vote>]) -> Weaknesses {
        let mut weaknesses = Weaknesses::new(LIMIT);
        weaknesses.acquired(at(0), votes);
        weaknesses
    }

    #[test]
    fn a_minority_that_cannot_vote_is_reported_once_and_at_once() {
        use Vote::{Denied, Granted};
        let mut weaknesses = acquired(&[Some(Granted), Some(refused()), Some(Denied)]);
        let notice = Some(Notice::Weaknesses(vec![no_vote(1, refused())]));
        assert_eq!(weaknesses.due(at(0)), notice);
        assert_eq!((weaknesses.due(at(900)), weaknesses.end(at(900))), (None, None));
        assert_eq!(weaknesses.wake_at(), Time::NEVER);
    }

    #[test]
    fn an_instance_that_will_vote_again_is_no_weakness() {
        let (up, votes_in) = (Duration::ZERO, LIMIT);
        for vote in [
            Vote::Granted,
            Vote::Denied,
            Vote::Unknown(NoVoteReason::Restarted { up, votes_in }),
            Vote::Unknown(NoVoteReason::Unproven { votes_in }),
        ] {
            let mut weaknesses = acquired(&[Some(Vote::Granted), Some(vote.clone())]);
            assert_eq!(weaknesses.due(at(0)), None, "{vote:?}");
        }
    }

    #[test]
    fn a_failure_that_becomes_known_while_the_command_runs_is_reported_then() {
        let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
        assert_eq!((weaknesses.due(at(10)), weaknesses.wake_at()), (None, at(400)));
        weaknesses.voted(1, &refused());
        assert!(weaknesses.due(at(20)).is_some());
    }

    #[test]
    fn an_instance_that_is_silent_for_one_op_timeout_has_timed_out() {
        let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
        assert_eq!(weaknesses.due(at(399)), None);
        let timed_out = Weakness::NoVote(1, NoVoteReason::TimedOut);
        assert_eq!(weaknesses.due(at(400)), Some(Notice::Weaknesses(vec![timed_out])));
    }

    #[test]
    fn a_redlock_that_was_frozen_reads_the_responses_first() {
        let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
        assert_eq!((weaknesses.due(at(5_000)), weaknesses.end(at(5_001))), (None, None));
    }

    #[test]
    fn a_run_that_ends_reports_a_silent_instance_and_no_slow_one() {
        for (ended, is_expected) in [(99, false), (100, true)] {
            let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
            let silent = Weakness::Silent(1, Duration::from_millis(ended));
            let expected = is_expected.then_some(Notice::Weaknesses(vec![silent]));
            assert_eq!(weaknesses.end(at(ended)), expected, "{ended}");
        }
    }

    #[test]
    fn warnings_are_collected_until_the_notice_and_reported_alone_after_it() {
        let (evicts, unmarked) = (ServerWarning::Evicts, ServerWarning::Unmarked);
        let mut weaknesses = Weaknesses::new(LIMIT);
        for instance in [1, 0, 1] {
            assert_eq!(weaknesses.warned(instance, evicts), None);
        }
        assert_eq!(weaknesses.due(at(0)), None, "the lock is not acquired");
        weaknesses.acquired(at(0), &[Some(Vote::Granted)]);
        let all = [1, 0].map(|instance| Weakness::Warned(instance, evicts));
        assert_eq!(weaknesses.due(at(0)), Some(Notice::Weaknesses(all.into())));
        let alone = Notice::ServerWarning { instance: 0, warning: unmarked };
        assert_eq!(weaknesses.warned(0, unmarked), Some(alone));
    }

    #[test]
    fn a_run_without_the_lock_reports_its_warnings_at_the_end() {
        let mut weaknesses = acquired(&[Some(refused())]);
        weaknesses.failed();
        let _ = weaknesses.warned(0, ServerWarning::Unaccounted);
        let warned = Weakness::Warned(0, ServerWarning::Unaccounted);
        assert_eq!(weaknesses.end(at(0)), Some(Notice::Weaknesses(vec![warned])));
    }
}
