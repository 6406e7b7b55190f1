//! Instances that do not do their part while the others suffice: one notice in a run, and nothing
//! waits for it.
//!
//! The notice comes as soon as the lock is acquired and each instance has voted or its time limit is
//! over; in a shorter run, at the end. Warnings of servers are collected until then. Later ones have
//! a notice of their own.

use super::Notice;
use crate::lock::{NoVoteReason, ServerWarning, Time, Vote};
use std::time::Duration;

/// One thing that makes a lock weaker than it could be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Weakness {
    /// The instance with this number, from 0, cannot vote.
    NoVote(usize, NoVoteReason),
    /// The instance with this number has not answered for this long, and the run is over.
    Silent(usize, Duration),
    /// The instance with this number answers and has a fault.
    Warned(usize, ServerWarning),
}

/// What is known of the instances of one run.
#[derive(Debug)]
pub(super) struct Weaknesses {
    op_timeout: Duration,
    warnings: Vec<(usize, ServerWarning)>,
    acquired: Option<Acquired>,
    is_told: bool,
}

#[derive(Debug)]
struct Acquired {
    at: Time,
    votes: Vec<Option<Vote>>,
}

impl Weaknesses {
    /// A silent instance is told at the end if it was silent for this part of the time limit: a
    /// server that is only slower than the others is no fault.
    const SILENT_PART: u32 = 4;

    /// Nothing is known.
    pub(super) const fn new(op_timeout: Duration) -> Self {
        Self { op_timeout, warnings: Vec::new(), acquired: None, is_told: false }
    }

    /// The server behind `instance` has a fault.
    pub(super) fn warned(&mut self, instance: usize, warning: ServerWarning) -> Option<Notice> {
        if self.is_told {
            return Some(Notice::ServerWarning { instance, warning });
        }
        if !self.warnings.contains(&(instance, warning)) {
            self.warnings.push((instance, warning));
        }
        None
    }

    /// The lock was acquired at `now` by these votes.
    pub(super) fn acquired(&mut self, now: Time, votes: &[Option<Vote>]) {
        self.acquired = Some(Acquired { at: now, votes: votes.to_vec() });
    }

    /// The command was not started in time, so another attempt follows.
    pub(super) fn failed(&mut self) {
        self.acquired = None;
    }

    /// `instance` voted late, or its failure became known late.
    pub(super) fn voted(&mut self, instance: usize, vote: &Vote) {
        if let Some(acquired) = &mut self.acquired
            && let Some(place @ None) = acquired.votes.get_mut(instance)
        {
            *place = Some(vote.clone());
        }
    }

    /// When to call [`Weaknesses::due`] at the latest.
    pub(super) fn wake_at(&self) -> Time {
        match &self.acquired {
            Some(acquired) if !self.is_told => acquired.at.plus(self.op_timeout),
            _ => Time::NEVER,
        }
    }

    /// What to tell at `now`, if it is time.
    pub(super) fn due(&mut self, now: Time) -> Option<Notice> {
        let acquired = self.acquired.as_mut()?;
        if !self.is_told && now >= acquired.at.plus(self.op_timeout.saturating_mul(2)) {
            // redlock slept: what came meanwhile is not read yet.
            acquired.at = now;
        }
        let is_over = now >= acquired.at.plus(self.op_timeout);
        if !is_over && acquired.votes.contains(&None) {
            return None;
        }
        self.tell(|instance| Some(Weakness::NoVote(instance, NoVoteReason::TimedOut)))
    }

    /// What to tell at `now`, when the run is over.
    pub(super) fn end(&mut self, now: Time) -> Option<Notice> {
        let silent_for = self.acquired.as_ref().map_or(Duration::ZERO, |won| now.since(won.at));
        let is_fault = silent_for >= self.op_timeout / Self::SILENT_PART;
        self.tell(|instance| is_fault.then_some(Weakness::Silent(instance, silent_for)))
    }

    /// Everything that is known, once; `silent` says what it means that an instance has not voted.
    fn tell(&mut self, silent: impl Fn(usize) -> Option<Weakness>) -> Option<Notice> {
        if std::mem::replace(&mut self.is_told, true) {
            return None;
        }
        let votes = self.acquired.iter().flat_map(|won| won.votes.iter().enumerate());
        let faults = votes.filter_map(|(instance, vote)| match vote {
            None => silent(instance),
            Some(Vote::Granted | Vote::Denied) => None,
            // Both end by themselves, and the key is there.
            Some(Vote::Unknown(NoVoteReason::Restarted { .. } | NoVoteReason::Unproven { .. })) => {
                None
            }
            Some(Vote::Unknown(why)) => Some(Weakness::NoVote(instance, why.clone())),
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
    fn a_minority_that_cannot_vote_is_told_once_and_at_once() {
        use Vote::{Denied, Granted};
        let mut weaknesses = acquired(&[Some(Granted), Some(refused()), Some(Denied)]);
        let told = Some(Notice::Weaknesses(vec![no_vote(1, refused())]));
        assert_eq!(weaknesses.due(at(0)), told);
        assert_eq!((weaknesses.due(at(900)), weaknesses.end(at(900))), (None, None));
        assert_eq!(weaknesses.wake_at(), Time::NEVER);
    }

    #[test]
    fn an_instance_that_ends_its_silence_by_itself_is_no_fault() {
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
    fn a_failure_that_becomes_known_while_the_command_runs_is_told_then() {
        let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
        assert_eq!((weaknesses.due(at(10)), weaknesses.wake_at()), (None, at(400)));
        weaknesses.voted(1, &refused());
        assert!(weaknesses.due(at(20)).is_some());
    }

    #[test]
    fn an_instance_that_is_silent_for_its_time_limit_has_timed_out() {
        let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
        assert_eq!(weaknesses.due(at(399)), None);
        let timed_out = Weakness::NoVote(1, NoVoteReason::TimedOut);
        assert_eq!(weaknesses.due(at(400)), Some(Notice::Weaknesses(vec![timed_out])));
    }

    #[test]
    fn a_redlock_that_slept_reads_first_what_came_meanwhile() {
        let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
        assert_eq!((weaknesses.due(at(5_000)), weaknesses.end(at(5_001))), (None, None));
    }

    #[test]
    fn a_run_that_is_over_tells_of_long_silence_and_not_of_a_server_that_is_slower() {
        for (ended, told) in [(99, false), (100, true)] {
            let mut weaknesses = acquired(&[Some(Vote::Granted), None]);
            let silent = Weakness::Silent(1, Duration::from_millis(ended));
            let expected = told.then_some(Notice::Weaknesses(vec![silent]));
            assert_eq!(weaknesses.end(at(ended)), expected, "{ended}");
        }
    }

    #[test]
    fn warnings_are_collected_until_the_notice_and_told_alone_after_it() {
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
    fn a_run_without_the_lock_tells_its_warnings_at_the_end() {
        let mut weaknesses = acquired(&[Some(refused())]);
        weaknesses.failed();
        let _ = weaknesses.warned(0, ServerWarning::Unaccounted);
        let warned = Weakness::Warned(0, ServerWarning::Unaccounted);
        assert_eq!(weaknesses.end(at(0)), Some(Notice::Weaknesses(vec![warned])));
    }
}
