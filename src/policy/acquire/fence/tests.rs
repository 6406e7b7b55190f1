//! The notices about the counters of the fence.

use super::super::tests::{Contender, N, Step};
use super::*;
use crate::lock::{LackingCounter, Response};
use crate::policy::RunOptions;

/// The first `lacking` instances lack the counter, and all grant the lock.
fn grant(contender: &mut Contender, lacking: usize) -> Step {
    let (sent, attempt) = (contender.now, contender.acquisition.number());
    let mut last = Step::IDLE;
    for instance in 0..N {
        let vote = if instance < lacking {
            FenceVote::Lacking(vec![LackingCounter { key: 0, earlier: None }])
        } else {
            FenceVote::Raised
        };
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
    Contender::with(RunOptions { is_fenced: true, ..RunOptions::for_test(N) })
}

/// Otherwise the next holder finds the counters of an attempt that then failed, and has nothing to
/// tell: `tests/model` has that rule as `LateWarning`.
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
