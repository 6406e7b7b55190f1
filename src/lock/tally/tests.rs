//! Verdicts and reasons of failures, in tables.

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
    let p = || Vote::Unknown(NoVoteReason::Unproven { votes_in: Duration::ZERO });
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
        (3, vec![p(), p(), p()], Verdict::Granted),
        (3, vec![p(), p()], Verdict::Pending),
        (3, vec![p(), p(), u()], Verdict::Failed),
        (5, vec![p(), p(), u(), u()], Verdict::Failed),
    ] {
        let tally = tally(count, &votes);
        assert_eq!(tally.verdict(), expected, "{count} {votes:?}");
        assert_eq!(tally.votes().flatten().collect::<Vec<_>>(), votes.iter().collect::<Vec<_>>());
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
fn two_instances_that_are_one_server_vote_once() {
    use Vote::{Denied as D, Granted as G};
    let u = || Vote::Unknown(NoVoteReason::TimedOut);
    for (label, votes, pairs, verdict, granted) in [
        ("both grant", vec![G, G, D], vec![(0, 1)], Verdict::Failed, 1),
        ("the first and another", vec![G, D, G], vec![(0, 1)], Verdict::Granted, 2),
        ("the second and another", vec![D, G, G], vec![(0, 1)], Verdict::Granted, 2),
        ("one vote is missing", vec![G, G], vec![(0, 1)], Verdict::Pending, 1),
        ("one vote timed out", vec![u(), G, G], vec![(0, 1)], Verdict::Granted, 2),
        ("all three", vec![G], vec![(0, 1), (0, 2)], Verdict::Failed, 1),
    ] {
        let mut tally = tally(3, &votes);
        for (one, other) in &pairs {
            tally.count_once(*one, *other);
        }
        assert_eq!((tally.verdict(), tally.granted()), (verdict, granted), "{label}");
        let is_too_few = tally.failure() == Failure::SameServer(0, 1);
        assert_eq!(is_too_few, pairs.len() == 2, "{label}: {:?}", tally.failure());
    }
}

#[test]
fn a_pair_of_names_of_one_server_counts_once_however_often_it_is_reported() {
    use Vote::{Denied as D, Granted as G};
    let mut tally = tally(3, &[D, G, G]);
    for (one, other) in [(0, 1), (0, 1), (2, 2)] {
        tally.count_once(one, other);
    }
    assert_eq!((tally.verdict(), tally.granted()), (Verdict::Granted, 2));
}

#[test]
fn refusals_count_with_the_names_that_have_no_server_of_their_own() {
    use PermanentError::Access;
    let u = || Vote::Unknown(NoVoteReason::TimedOut);
    let votes = [Vote::Granted, u(), unknown(Access), unknown(Access), u()];
    let mut tally = tally(5, &votes);
    assert_eq!(tally.failure(), Failure::NoQuorum);
    tally.count_once(0, 1);
    assert_eq!(tally.failure(), Failure::Refused(Access), "two of four servers can grant");
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
