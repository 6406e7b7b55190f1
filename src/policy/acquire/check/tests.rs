//! What follows when an instance holds the lock value of a host that names other servers or slots.

use super::super::tests::{Contender, N, at, ms, servers};
use super::super::*;
use crate::lock::{Difference, LockStatus, LockValue, ObservedHolder, StatusResponse};

/// What is in the way: the lock value of a run over so many servers.
fn view(count: usize, slots: u32) -> LockStatus {
    let lock_value = LockValue { slots, ..LockValue::example("web2", &servers(count)) };
    LockStatus {
        free: vec![],
        holder: Some(ObservedHolder { value: lock_value.to_line(), left: Some(ms(2_000)) }),
        place: None,
    }
}

fn seen(view: &LockStatus) -> Response {
    Response::Status(StatusResponse::Seen(view.clone()))
}

/// A contender with four votes, and the last instance held by another.
fn denied_by_one() -> Contender {
    use Vote::{Denied as D, Granted as G};
    let mut contender = Contender::new(WaitLimit::Once);
    let step = contender.vote(&[G, G, G, G, D]);
    assert!(matches!(&step, AcquireStep::Check(instances) if instances == &[4]), "{step:?}");
    contender
}

fn difference(step: &AcquireStep) -> Option<&Difference> {
    if let AcquireStep::GiveUp(Outcome::Disagreed(_, difference)) = step {
        Some(difference)
    } else {
        None
    }
}

#[test]
fn a_claim_beside_our_majority_that_disagrees_twice_is_a_refusal_after_the_release() {
    let mut contender = denied_by_one();
    let sent = contender.now;
    assert!(matches!(contender.hear(4, sent, None, seen(&view(3, 1))), AcquireStep::Wait));
    assert_eq!(contender.attempts.wake_at(), sent.plus(ms(300)), "two time limits");
    assert!(matches!(contender.sleep(), AcquireStep::Check(instances) if instances == [4]));
    let sent = contender.now;
    assert!(matches!(contender.hear(4, sent, None, seen(&view(3, 1))), AcquireStep::Release(None)));
    assert_eq!(difference(&contender.give_back(None)), Some(&Difference::Count(3)));
}

#[test]
fn a_claim_that_agrees_or_is_gone_at_once_or_by_the_second_look_keeps_no_command_from_starting() {
    let gone = LockStatus { free: vec![0], holder: None, place: None };
    for (label, first, second) in [
        ("agrees", view(N, 1), None),
        ("gone", gone.clone(), None),
        ("gone by the second look", view(3, 1), Some(gone)),
        ("agrees by the second look", view(3, 1), Some(view(N, 1))),
    ] {
        let mut contender = denied_by_one();
        let sent = contender.now;
        let mut step = contender.hear(4, sent, None, seen(&first));
        if let Some(second) = second {
            assert!(matches!(contender.sleep(), AcquireStep::Check(_)), "{label}");
            let sent = contender.now;
            step = contender.hear(4, sent, None, seen(&second));
        }
        assert!(matches!(step, AcquireStep::Won(..)), "{label}: {step:?}");
    }
}

#[test]
fn an_instance_that_does_not_say_what_is_there_is_waited_for_no_longer_than_a_time_limit() {
    let mut contender = denied_by_one();
    assert_eq!(contender.attempts.wake_at(), contender.now.plus(ms(150)));
    assert!(
        matches!(contender.sleep(), AcquireStep::Won(..)),
        "no reason to think that it disagrees"
    );
    let mut contender = denied_by_one();
    let sent = contender.now;
    let _ = contender.hear(4, sent, None, seen(&view(3, 1)));
    for _ in 0..3 {
        assert!(
            matches!(contender.sleep(), AcquireStep::Check(_)),
            "it disagreed, and is asked again"
        );
    }
}

#[test]
fn a_holder_that_disagrees_is_a_refusal_whether_the_run_waits_or_not() {
    for wait_limit in [WaitLimit::Once, WaitLimit::Until(at(1_001)), WaitLimit::Forever] {
        let mut contender = Contender::new(wait_limit);
        assert!(matches!(
            contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]),
            AcquireStep::Release(_)
        ));
        let other = view(3, 1).holder.unwrap().value;
        let mut step = contender.give_back(Some((&other, 2_000)));
        let begun = contender.now;
        while difference(&step).is_none() {
            step = match step {
                AcquireStep::Wait => contender.sleep(),
                AcquireStep::Acquire => contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]),
                AcquireStep::Release(_) => contender.give_back(Some((&other, 2_000))),
                AcquireStep::Poll(_) => contender.watch(&view(3, 1)),
                step => panic!("{wait_limit:?}: {step:?}"),
            };
        }
        assert_eq!(contender.now, begun.plus(ms(300)), "{wait_limit:?}: two time limits");
    }
}

#[test]
fn with_slots_what_is_in_the_others_is_looked_at_before_a_start() {
    for (theirs, refused) in [(1, true), (2, false)] {
        let mut contender = Contender::for_slots(WaitLimit::Once, 2);
        let (sent, number) = (contender.now, contender.attempts.number());
        let mut step = AcquireStep::Wait;
        for instance in 0..N {
            assert!(matches!(step, AcquireStep::Wait), "the others are waited for");
            let _ = contender.hear(instance, sent, None, Response::Vote(number, Vote::Granted));
            step = contender.hear(
                instance,
                sent,
                None,
                seen(&LockStatus { free: vec![1], ..view(N, theirs) }),
            );
        }
        assert_eq!(matches!(step, AcquireStep::Won(..)), !refused, "{theirs}: {step:?}");
        if refused {
            assert!(
                matches!(contender.sleep(), AcquireStep::Check(instances) if instances.len() == N)
            );
            let sent = contender.now;
            let step = contender.hear(0, sent, None, seen(&view(N, theirs)));
            assert!(matches!(step, AcquireStep::Release(_)), "{step:?}");
            assert_eq!(difference(&contender.give_back(None)), Some(&Difference::Slots(1)));
        }
    }
}

#[test]
fn a_lease_that_the_guard_does_not_cover_is_told_once() {
    let mut contender = denied_by_one();
    contender.attempts.agreement =
        Agreement::new("deploy@web1", 1, servers(N), RestartGuard::For(ms(29_999)), ms(150));
    let sent = contender.now;
    let _ = contender.hear(4, sent, None, seen(&view(N, 1)));
    assert!(contender.attempts.take_long_lease().is_some());
    assert!(contender.attempts.take_long_lease().is_none());
}
