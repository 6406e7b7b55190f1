//! The votes of one attempt, and the verdict.

use super::{ClusterSize, NoVoteReason, PermanentError, Vote};
use std::time::Duration;

/// The votes of one attempt, one for each instance.
#[derive(Clone, Debug)]
pub struct Tally {
    size: ClusterSize,
    votes: Vec<Option<Vote>>,
}

/// The verdict of the votes so far. A verdict other than [`Verdict::Pending`] is final.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// The missing votes can decide either way.
    Pending,
    /// A quorum granted.
    Granted,
    /// No quorum can grant any more.
    Failed,
}

/// Reason why an attempt failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// A quorum answered, and too many of these instances denied.
    Contended,
    /// Fewer than a quorum answered.
    NoQuorum,
    /// So many instances refuse for good that no quorum can ever grant.
    Refused(PermanentError),
    /// A quorum granted, but with less than half the TTL left.
    TooLate,
    /// These two instances are one server, which would vote twice.
    SameServer(usize, usize),
    /// The configuration of another host differs in the servers or the slots.
    Disagreed,
}

impl Tally {
    /// A tally without votes.
    #[must_use]
    pub fn new(size: ClusterSize) -> Self {
        Self { size, votes: vec![None; size.count()] }
    }

    /// Counts the vote of `instance`. Only the first vote of an instance counts; an unknown instance
    /// is ignored.
    pub fn record(&mut self, instance: usize, vote: Vote) -> Verdict {
        if let Some(place @ None) = self.votes.get_mut(instance) {
            *place = Some(vote);
        }
        self.verdict()
    }

    /// Counts every missing vote as timed out.
    pub fn time_out(&mut self) -> Verdict {
        for place in &mut self.votes {
            place.get_or_insert(Vote::Unknown(NoVoteReason::TimedOut));
        }
        self.verdict()
    }

    /// The verdict of the votes so far.
    pub fn verdict(&self) -> Verdict {
        let (granted, unproven) = (self.granted(), self.count(is_unproven));
        let pending = self.votes.iter().filter(|vote| vote.is_none()).count();
        // If no instance has a mark that is old enough, redlock is used for the first time. The
        // uptimes count then.
        if granted >= self.size.quorum() || unproven == self.size.count() {
            Verdict::Granted
        } else if granted + pending < self.size.quorum() && unproven + pending < self.size.count() {
            Verdict::Failed
        } else {
            Verdict::Pending
        }
    }

    /// The reason of the failure. Meaningful after [`Verdict::Failed`].
    #[must_use]
    pub fn failure(&self) -> Failure {
        let refused = |kind| {
            self.count(
                |vote| matches!(vote, Vote::Unknown(NoVoteReason::Refused(k, _)) if *k == kind),
            )
        };
        let (access, configuration) =
            (refused(PermanentError::Access), refused(PermanentError::Configuration));
        let fatal = self.size.count() - self.size.quorum() + 1;
        if access + configuration >= fatal {
            return Failure::Refused(if access >= configuration {
                PermanentError::Access
            } else {
                PermanentError::Configuration
            });
        }
        // Denials alone can rule out a quorum before a quorum has answered: two of four.
        let denied = self.count(|vote| *vote == Vote::Denied);
        let answered = denied + self.granted();
        if denied >= fatal || answered >= self.size.quorum() {
            Failure::Contended
        } else {
            Failure::NoQuorum
        }
    }

    /// Whether the missing votes can change [`Tally::failure`] from [`Failure::NoQuorum`] to another
    /// reason.
    #[must_use]
    pub fn may_learn_more(&self) -> bool {
        let missing = self.votes.iter().filter(|vote| vote.is_none()).count();
        let denied = self.count(|vote| *vote == Vote::Denied);
        let fatal = self.size.count() - self.size.quorum() + 1;
        self.failure() == Failure::NoQuorum
            && missing > 0
            && (denied + missing >= fatal
                || denied + self.granted() + missing >= self.size.quorum())
    }

    /// The number of granted votes.
    #[must_use]
    pub fn granted(&self) -> usize {
        self.count(|vote| *vote == Vote::Granted)
    }

    /// The vote of each instance.
    pub fn votes(&self) -> impl Iterator<Item = Option<&Vote>> {
        self.votes.iter().map(Option::as_ref)
    }

    fn count(&self, which: impl Fn(&Vote) -> bool) -> usize {
        self.votes.iter().flatten().filter(|vote| which(vote)).count()
    }
}

fn is_unproven(vote: &Vote) -> bool {
    matches!(vote, Vote::Unknown(NoVoteReason::Unproven { .. }))
}

/// The time until the granted votes and those of restarted instances make a quorum of `size`.
/// `None` if there are too few of both.
#[must_use]
pub fn quorum_in(votes: &[Option<Vote>], size: ClusterSize) -> Option<Duration> {
    let granted = votes.iter().flatten().filter(|vote| **vote == Vote::Granted).count();
    let mut waits: Vec<Duration> = votes
        .iter()
        .flatten()
        .filter_map(|vote| match vote {
            Vote::Unknown(
                NoVoteReason::Restarted { votes_in, .. } | NoVoteReason::Unproven { votes_in },
            ) => Some(*votes_in),
            _ => None,
        })
        .collect();
    waits.sort_unstable();
    waits.get(size.quorum().saturating_sub(granted).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(count: usize, votes: &[Vote]) -> Tally {
        let mut tally = Tally::new(ClusterSize::redlock(count).unwrap());
        for (instance, vote) in votes.iter().enumerate() {
            let _ = tally.record(instance, vote.clone());
        }
        tally
    }

    fn unknown(kind: PermanentError) -> Vote {
        Vote::Unknown(NoVoteReason::Refused(kind, String::new()))
    }

    #[test]
    fn the_verdict_falls_when_a_quorum_grants_or_cannot_grant_any_more() {
        use Vote::{Denied as D, Granted as G};
        let u = || Vote::Unknown(NoVoteReason::TimedOut);
        for (count, votes, expected) in [
            (5, vec![G, G], Verdict::Pending),
            (5, vec![G, G, G], Verdict::Granted),
            (5, vec![G, D, D], Verdict::Pending),
            (5, vec![D, u(), D], Verdict::Failed),
            (4, vec![G, G, D], Verdict::Pending),
            (4, vec![G, G, D, D], Verdict::Failed),
            (4, vec![D, D], Verdict::Failed),
            (3, vec![u(), G], Verdict::Pending),
            (3, vec![u(), G, G], Verdict::Granted),
        ] {
            assert_eq!(tally(count, &votes).verdict(), expected, "{count} {votes:?}");
        }
    }

    #[test]
    fn the_failure_tells_a_holder_from_missing_answers() {
        use PermanentError::{Access, Configuration};
        use Vote::{Denied as D, Granted as G};
        let u = || Vote::Unknown(NoVoteReason::TimedOut);
        for (votes, expected) in [
            (vec![D, D, D], Failure::Contended),
            (vec![D, G, D, u(), u()], Failure::Contended),
            (vec![D, G, u(), u(), u()], Failure::NoQuorum),
            (vec![unknown(Access), unknown(Access), unknown(Access)], Failure::Refused(Access)),
            (
                vec![unknown(Access), unknown(Configuration), unknown(Configuration)],
                Failure::Refused(Configuration),
            ),
            (vec![unknown(Access), unknown(Access), u(), u()], Failure::NoQuorum),
            (vec![G, G, unknown(Access), unknown(Access), D], Failure::Contended),
        ] {
            assert_eq!(tally(5, &votes).failure(), expected, "{votes:?}");
        }
    }

    #[test]
    fn denials_that_rule_out_a_quorum_are_contention() {
        use Vote::Denied as D;
        let u = || Vote::Unknown(NoVoteReason::TimedOut);
        assert_eq!(tally(4, &[D, D]).failure(), Failure::Contended);
        assert_eq!(tally(4, &[D, u()]).failure(), Failure::NoQuorum);
        assert_eq!(tally(5, &[D, D, u()]).failure(), Failure::NoQuorum, "until a third denial");
    }

    #[test]
    fn a_missing_vote_matters_if_it_tells_contention_from_no_quorum() {
        use Vote::{Denied as D, Granted as G};
        let u = || Vote::Unknown(NoVoteReason::TimedOut);
        for (count, votes, matters) in [
            (3, vec![u(), D], true),
            (3, vec![u(), u()], false),
            (3, vec![u(), D, D], false),
            (3, vec![D, D], false),
            (5, vec![u(), u(), D], true),
            (5, vec![u(), u(), u(), D], false),
            (5, vec![u(), u(), D, G], true),
            (4, vec![u(), D], true),
            (4, vec![u(), u(), D], true),
            (4, vec![u(), u(), u()], false),
        ] {
            assert_eq!(tally(count, &votes).may_learn_more(), matters, "{count} {votes:?}");
        }
    }

    #[test]
    fn a_quorum_is_back_when_enough_restarted_instances_vote_again() {
        use Vote::{Denied as D, Granted as G};
        let r = |secs| {
            let votes_in = Duration::from_secs(secs);
            Vote::Unknown(NoVoteReason::Restarted { up: Duration::ZERO, votes_in })
        };
        for (votes, expected) in [
            (vec![r(9), r(3), r(7), r(5), r(1)], Some(5)),
            (vec![G, r(9), r(3), r(7), D], Some(7)),
            (vec![G, r(9), D, D, D], None),
            (vec![D, D, D, G, G], None),
        ] {
            let votes: Vec<_> = votes.into_iter().map(Some).chain([None]).take(5).collect();
            let size = ClusterSize::redlock(5).unwrap();
            assert_eq!(quorum_in(&votes, size), expected.map(Duration::from_secs), "{votes:?}");
        }
    }

    #[test]
    fn a_second_vote_and_a_vote_of_an_unknown_instance_are_ignored() {
        let mut tally = tally(3, &[Vote::Denied]);
        assert_eq!(tally.record(0, Vote::Granted), Verdict::Pending);
        assert_eq!(tally.record(9, Vote::Granted), Verdict::Pending);
        assert_eq!(tally.record(1, Vote::Granted), Verdict::Pending);
        assert_eq!(tally.record(2, Vote::Granted), Verdict::Granted);
    }

    fn any_vote() -> impl Strategy<Value = Vote> {
        prop_oneof![
            Just(Vote::Granted),
            Just(Vote::Denied),
            Just(Vote::Unknown(NoVoteReason::TimedOut))
        ]
    }

    proptest! {
        #[test]
        fn a_verdict_is_final_and_even_clusters_terminate(
            count in 3_usize..12,
            votes in prop::collection::vec((0_usize..12, any_vote()), 0..40),
        ) {
            let mut tally = Tally::new(ClusterSize::redlock(count).unwrap());
            let mut last = Verdict::Pending;
            for (instance, vote) in votes {
                let now = tally.record(instance, vote);
                prop_assert!(last == Verdict::Pending || now == last);
                last = now;
            }
            let end = tally.time_out();
            prop_assert!(end != Verdict::Pending);
            prop_assert!(last == Verdict::Pending || end == last);
        }
    }
}
