//! Attempts with a fencing token: the step that follows the fence votes, and the notices about the
//! counters.

use super::super::tests::{Contender, N, Step, ms};
use super::*;
use crate::lock::{LackingCounter, Response};
use crate::policy::{Outcome, RunOptions, WaitLimit};

/// The first `count` instances lack the counter, and all grant the lock.
fn grant(contender: &mut Contender, count: usize) -> Step {
    let (sent, attempt) = (contender.now, contender.acquisition.number());
    let mut last = Step::IDLE;
    for instance in 0..N {
        let vote = if instance < count { lacking(&[0]) } else { FenceVote::Raised };
        contender.respond(instance, sent, None, Response::Fence(attempt, vote));
        last = contender.respond(instance, sent, None, Response::Vote(attempt, Vote::Granted));
    }
    last
}

/// These instances confirm the second step.
fn confirm(contender: &mut Contender, instances: std::ops::Range<usize>) -> Step {
    let (sent, attempt) = (contender.now, contender.acquisition.number());
    let mut last = Step::IDLE;
    for instance in instances {
        let response = Response::Fence(attempt, FenceVote::Raised);
        last = contender.respond(instance, sent, None, response);
    }
    last
}

fn contender() -> Contender {
    contender_with(WaitLimit::Forever)
}

fn contender_with(wait_limit: WaitLimit) -> Contender {
    Contender::with(RunOptions { wait_limit, is_fenced: true, ..RunOptions::for_test(N) })
}

/// Each instance gives its fence vote and its lock vote, up to the first that causes a step.
fn cast(contender: &mut Contender, votes: &[(FenceVote, Vote)]) -> Step {
    let (sent, attempt) = (contender.now, contender.acquisition.number());
    for (instance, (fence, vote)) in votes.iter().enumerate() {
        contender.respond(instance, sent, None, Response::Fence(attempt, fence.clone()));
        let step = contender.respond(instance, sent, None, Response::Vote(attempt, vote.clone()));
        if !step.is_idle() {
            return step;
        }
    }
    Step::IDLE
}

/// The instance set the key, and lacks the counters of these keys.
fn lacking(keys: &[usize]) -> FenceVote {
    FenceVote::Lacking(keys.iter().map(|key| LackingCounter { key: *key, earlier: None }).collect())
}

fn stale() -> (FenceVote, Vote) {
    (FenceVote::Stale(token()), Vote::Denied)
}

fn token() -> FenceToken {
    FenceToken::new(7).unwrap()
}

/// If the notice came later, an attempt that then failed would leave counters behind, and the next
/// holder would give no notice. `tests/model` has this wrong rule as `LateWarning`.
#[test]
fn that_a_majority_lost_its_counters_is_told_before_they_begin_anew_and_once() {
    let mut contender = contender();
    let step = grant(&mut contender, 3);
    assert!(
        matches!(step.actions[..], [Action::Notify(Notice::CountersLost), Action::Raise(..)]),
        "{step:?}"
    );
    assert!(confirm(&mut contender, 0..1).acquires());
    assert_eq!(contender.acquisition.fence_notice(), None, "it is told");
}

#[test]
fn whether_it_is_a_first_use_is_told_once_it_is_known() {
    for (confirmed, notice) in [(N, Notice::FirstFence), (3, Notice::CountersLost)] {
        let mut contender = contender();
        let step = grant(&mut contender, N);
        assert!(matches!(step.actions[..], [Action::Raise(..)]), "{step:?}");
        let mut step = confirm(&mut contender, 0..confirmed);
        while !step.acquires() {
            step = contender.sleep();
        }
        assert_eq!(contender.acquisition.fence_notice(), Some(notice));
    }
}

#[test]
fn a_second_attempt_that_begins_the_counters_anew_tells_it_no_more() {
    let mut contender = contender();
    grant(&mut contender, 3);
    let mut step = Step::IDLE;
    while !step.attempts() {
        step = contender.sleep();
    }
    let step = grant(&mut contender, 3);
    assert!(matches!(step.actions[..], [Action::Raise(..)]), "{step:?}");
}

#[test]
fn after_a_larger_counter_a_larger_token_is_tried_at_once_four_times() {
    let mut contender = contender();
    for attempt in 1..=5 {
        let step = cast(&mut contender, &[stale(), stale(), stale()]);
        if attempt == 5 {
            assert!(step.only_releases(), "a delay follows: {step:?}");
        } else {
            let next = Action::Propose { attempt: attempt + 1, above: Some(token()) };
            assert!(step.releases() && step.actions[1..] == [next], "{attempt}: {step:?}");
        }
    }
}

#[test]
fn a_larger_token_is_tried_at_once_only_if_a_quorum_may_grant_it() {
    let granted = || (FenceVote::Raised, Vote::Granted);
    let denied = || (FenceVote::NotOurs, Vote::Denied);
    for (label, votes, is_tried) in [
        ("three larger counters", [stale(), stale(), stale(), denied(), denied()], true),
        ("two, and one vote", [granted(), stale(), stale(), denied(), denied()], true),
        ("one, and one vote", [granted(), stale(), denied(), denied(), denied()], false),
        ("two", [stale(), stale(), denied(), denied(), denied()], false),
        ("none", [granted(), granted(), denied(), denied(), denied()], false),
    ] {
        let mut contender = contender();
        let step = cast(&mut contender, &votes);
        assert!(step.releases(), "{label}: {step:?}");
        assert_eq!(contender.acquisition.number() == 2, is_tried, "{label}: {step:?}");
    }
}

#[test]
fn a_confirmation_of_an_earlier_second_step_does_not_count() {
    let mut contender = contender();
    grant(&mut contender, 3);
    let sent = contender.now;
    let mut step = Step::IDLE;
    while !step.attempts() {
        step = contender.sleep();
    }
    grant(&mut contender, 3);
    for instance in 0..3 {
        let late = Response::Fence(1, FenceVote::Raised);
        assert!(contender.respond(instance, sent, None, late).is_idle());
    }
    assert!(confirm(&mut contender, 0..1).acquires());
}

#[test]
fn the_first_counters_are_awaited_for_the_whole_op_timeout() {
    let mut contender = contender();
    assert!(!grant(&mut contender, N).is_idle(), "the second step begins");
    let begun = contender.now;
    assert!(confirm(&mut contender, 0..4).is_idle(), "a quorum does not show a first use");
    assert_eq!(contender.acquisition.wake_at(), begun.plus(ms(150)));
    assert!(confirm(&mut contender, 4..N).acquires());
    assert_eq!(contender.acquisition.fence_notice(), Some(Notice::FirstFence));
}

#[test]
fn an_instance_that_was_just_started_gets_the_counters_that_begin_anew_and_no_other() {
    let restarted =
        || Vote::Unknown(NoVoteReason::Restarted { up: ms(1_000), votes_in: ms(9_000) });
    for (lacks, gets) in [(&[0][..], &[0][..]), (&[0, 1], &[0]), (&[1], &[])] {
        let mut contender = contender();
        let without = || (lacking(&[0]), Vote::Granted);
        let votes = [
            without(),
            without(),
            without(),
            (FenceVote::Raised, Vote::Granted),
            (lacking(lacks), restarted()),
        ];
        let step = cast(&mut contender, &votes);
        let Some(Action::Raise(1, asked)) = step.actions.last() else { panic!("{step:?}") };
        let mut expected: Vec<_> = (0..3).map(|instance| (instance, vec![0])).collect();
        expected.extend((!gets.is_empty()).then(|| (4, gets.to_vec())));
        assert_eq!(*asked, expected, "{lacks:?}");
    }
}

#[test]
fn counters_that_so_many_refuse_for_good_that_no_quorum_is_left_end_the_wait() {
    let refused = || NoVoteReason::Refused(PermanentError::Access, "no".into());
    for (last, ends) in [(refused(), true), (NoVoteReason::TimedOut, false)] {
        let mut contender = contender();
        grant(&mut contender, 3);
        let sent = contender.now;
        let mut step = Step::IDLE;
        for (instance, why) in [refused(), refused(), last].into_iter().enumerate() {
            assert!(step.is_idle(), "{step:?}");
            let response = Response::Fence(1, FenceVote::Unknown(why));
            step = contender.respond(instance, sent, None, response);
        }
        assert!(step.only_releases(), "{step:?}");
        let step = contender.release(None);
        match step.outcome() {
            Some(Outcome::Refused(PermanentError::Access, votes)) => {
                assert!(ends && votes[0] == Some(Vote::Unknown(refused())), "{votes:?}");
            }
            _ => assert!(!ends && step.is_idle(), "{step:?}"),
        }
    }
}

#[test]
fn an_instance_without_a_fence_vote_is_shown_with_the_reason() {
    let mut contender = contender_with(WaitLimit::Once);
    let silent = || NoVoteReason::TimedOut;
    let votes = [
        (FenceVote::Raised, Vote::Granted),
        (lacking(&[0]), Vote::Granted),
        (lacking(&[0]), Vote::Granted),
        stale(),
        (FenceVote::Unknown(silent()), Vote::Unknown(silent())),
    ];
    assert!(cast(&mut contender, &votes).only_releases());
    let step = contender.release(None);
    let Some(Outcome::NoQuorum(shown)) = step.outcome() else { panic!("{step:?}") };
    let reasons = [
        NoVoteReason::NoCounter,
        NoVoteReason::NoCounter,
        NoVoteReason::HigherCounter(token()),
        silent(),
    ];
    assert_eq!(shown[0], Some(Vote::Granted));
    assert_eq!(shown[1..], reasons.map(|why| Some(Vote::Unknown(why))));
}
