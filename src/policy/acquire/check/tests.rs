//! Holders with another configuration of servers or slots, on one instance or on all.

use super::super::tests::{Contender, N, Step, at, ms, servers};
use super::super::*;
use crate::lock::{Difference, LockStatus, LockValue, ObservedHolder, Release, StatusResponse};

/// The status of an instance that holds the value of a run over this number of servers.
fn held_by(count: usize, slots: u32) -> LockStatus {
    let lock_value = LockValue { slots, ..LockValue::example("web2", &servers(count)) };
    LockStatus {
        free: vec![],
        holder: Some(ObservedHolder { value: lock_value.to_line(), left: Some(ms(2_000)) }),
        place: None,
    }
}

fn seen(status: &LockStatus) -> Response {
    Response::Status(StatusResponse::Seen(status.clone()))
}

/// A contender with four granted votes. Instance 4 has denied and is polled.
fn denied_by_one() -> Contender {
    use Vote::{Denied as D, Granted as G};
    let mut contender = Contender::new(WaitLimit::Once);
    let step = contender.vote(&[G, G, G, G, D]);
    assert_eq!(step.polled(), [4], "{step:?}");
    contender
}

fn difference(step: &Step) -> Option<&Difference> {
    match step.outcome() {
        Some(Outcome::Disagreed(_, difference)) => Some(difference),
        _ => None,
    }
}

#[test]
fn a_holder_beside_our_quorum_that_disagrees_twice_ends_the_run_after_the_release() {
    let mut contender = denied_by_one();
    let sent = contender.now;
    assert!(contender.respond(4, sent, None, seen(&held_by(3, 1))).is_idle());
    assert_eq!(contender.acquisition.wake_at(), sent.plus(ms(300)), "two op-timeouts");
    assert_eq!(contender.sleep().polled(), [4]);
    let sent = contender.now;
    assert!(contender.respond(4, sent, None, seen(&held_by(3, 1))).only_releases());
    assert_eq!(difference(&contender.release(None)), Some(&Difference::Count(3)));
}

#[test]
fn a_holder_that_agrees_or_is_gone_by_the_second_poll_does_not_prevent_the_start() {
    let gone = LockStatus { free: vec![0], holder: None, place: None };
    for (label, first, second) in [
        ("agrees", held_by(N, 1), None),
        ("gone", gone.clone(), None),
        ("gone by the second poll", held_by(3, 1), Some(gone)),
        ("agrees by the second poll", held_by(3, 1), Some(held_by(N, 1))),
    ] {
        let mut contender = denied_by_one();
        let sent = contender.now;
        let mut step = contender.respond(4, sent, None, seen(&first));
        if let Some(second) = second {
            assert!(contender.sleep().polls(), "{label}");
            let sent = contender.now;
            step = contender.respond(4, sent, None, seen(&second));
        }
        assert!(step.acquires(), "{label}: {step:?}");
    }
}

#[test]
fn an_instance_without_a_status_delays_the_start_by_one_op_timeout_at_most() {
    let mut contender = denied_by_one();
    assert_eq!(contender.acquisition.wake_at(), contender.now.plus(ms(150)));
    assert!(contender.sleep().acquires(), "no reason to suspect a disagreement");
}

#[test]
fn an_instance_that_disagreed_is_polled_until_it_answers() {
    let mut contender = denied_by_one();
    let sent = contender.now;
    let _ = contender.respond(4, sent, None, seen(&held_by(3, 1)));
    for _ in 0..3 {
        assert!(contender.sleep().polls());
    }
}

#[test]
fn a_holder_that_disagrees_ends_the_run_with_and_without_a_wait() {
    for wait_limit in [WaitLimit::Once, WaitLimit::Until(at(200_001)), WaitLimit::Forever] {
        let mut contender = Contender::new(wait_limit);
        let denied = [Vote::Denied, Vote::Denied, Vote::Denied];
        assert!(contender.vote(&denied).releases());
        let other = held_by(3, 1).holder.unwrap().value;
        let mut step = contender.release(Some((&other, 2_000)));
        let begun = contender.now;
        while difference(&step).is_none() {
            step = if step.is_idle() {
                contender.sleep()
            } else if step.attempts() {
                contender.vote(&denied)
            } else if step.releases() {
                contender.release(Some((&other, 2_000)))
            } else {
                assert!(step.polls(), "{wait_limit:?}: {step:?}");
                contender.status(&held_by(3, 1))
            };
        }
        assert_eq!(contender.now, begun.plus(ms(300)), "{wait_limit:?}: two op-timeouts");
    }
}

#[test]
fn with_slots_the_other_slots_are_compared_before_the_start() {
    for (slots, is_refused) in [(1, true), (2, false)] {
        let mut contender = Contender::for_slots(WaitLimit::Once, 2);
        let (sent, number) = (contender.now, contender.acquisition.number());
        let mut step = Step::IDLE;
        for instance in 0..N {
            assert!(step.is_idle(), "the other instances are awaited");
            let vote = Response::Vote(number, Vote::Granted);
            assert!(contender.respond(instance, sent, None, vote).is_idle(), "a vote is no status");
            let status = LockStatus { free: vec![1], ..held_by(N, slots) };
            step = contender.respond(instance, sent, None, seen(&status));
        }
        assert_eq!(step.acquires(), !is_refused, "{slots}: {step:?}");
        if is_refused {
            assert!(contender.sleep().polls_all());
            let sent = contender.now;
            let step = contender.respond(0, sent, None, seen(&held_by(N, slots)));
            assert!(step.releases(), "{step:?}");
            assert_eq!(difference(&contender.release(None)), Some(&Difference::Slots(1)));
        }
    }
}

#[test]
fn a_lease_longer_than_the_guard_is_reported_once() {
    let mut contender = denied_by_one();
    contender.acquisition.agreement =
        Agreement::new("deploy@web1", 1, servers(N), RestartGuard::For(ms(29_999)), ms(150));
    let sent = contender.now;
    let _ = contender.respond(4, sent, None, seen(&held_by(N, 1)));
    assert!(contender.acquisition.take_long_lease().is_some());
    assert!(contender.acquisition.take_long_lease().is_none());
}

#[test]
fn every_instance_that_denied_is_awaited_before_the_start() {
    use Vote::{Denied as D, Granted as G};
    let mut contender = Contender::new(WaitLimit::Once);
    assert_eq!(contender.vote(&[G, G, G, D, D]).polled(), [3, 4]);
    let sent = contender.now;
    assert!(contender.respond(3, sent, None, seen(&held_by(N, 1))).is_idle());
    assert!(contender.respond(4, sent, None, seen(&held_by(N, 1))).acquires());
}

/// A missing vote could still move the deadline of the lock.
#[test]
fn an_early_timeout_does_not_end_the_check() {
    use Vote::{Denied as D, Granted as G};
    let options = RunOptions::for_test(N);
    let ttl = options.schedule.ttl();
    let schedule = Schedule::new(ttl, None, Some(ms(1_200))).unwrap();
    let mut contender = Contender::with(RunOptions { schedule, ..options });
    let sent = contender.now;
    contender.now = sent.plus(ms(300));
    for (instance, vote) in [G, G, G, G, D].into_iter().enumerate() {
        let _ = contender.respond(instance, sent, None, Response::Vote(1, vote));
    }
    assert_eq!(contender.acquisition.wake_at(), sent.plus(ms(1_500)), "the holder is polled");
    contender.now = sent.plus(ms(1_499));
    assert!(contender.timeout().is_idle());
    assert!(contender.sleep().releases(), "less than half the TTL is left");
}

/// A contender with this number of slots to which instance 0 has shown a holder that disagrees.
fn suspicious(slots: u32) -> Contender {
    let mut contender = Contender::for_slots(WaitLimit::Once, slots);
    let sent = contender.now;
    assert!(contender.respond(0, sent, None, seen(&held_by(3, slots))).is_idle());
    assert_eq!(contender.acquisition.agreement.suspects(sent), [0]);
    contender
}

#[test]
fn a_vote_of_an_instance_with_a_suspect_clears_it_if_the_lock_has_one_slot() {
    for (slots, vote, is_cleared) in [
        (1, Vote::Granted, true),
        (1, Vote::Denied, false),
        (2, Vote::Granted, false),
        (2, Vote::Denied, false),
    ] {
        let mut contender = suspicious(slots);
        let _ = contender.vote(std::slice::from_ref(&vote));
        let suspects = contender.acquisition.agreement.suspects(contender.now);
        assert_eq!(suspects.is_empty(), is_cleared, "{slots}: {vote:?}");
    }
}

#[test]
fn a_release_that_finds_no_holder_clears_the_suspect_if_the_lock_has_one_slot() {
    for (slots, is_cleared) in [(1, true), (2, false)] {
        let mut contender = suspicious(slots);
        assert!(contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]).releases());
        let sent = contender.now;
        let response = Response::Release(1, Release::Done(None));
        assert!(contender.respond(0, sent, None, response).is_idle());
        let suspects = contender.acquisition.agreement.suspects(contender.now);
        assert_eq!(suspects.is_empty(), is_cleared, "{slots}");
    }
}

#[test]
fn without_a_wait_the_second_poll_of_a_suspect_is_awaited_once() {
    let denied = [Vote::Denied, Vote::Denied, Vote::Denied];
    let mut contender = Contender::new(WaitLimit::Once);
    let begun = contender.now;
    assert!(contender.vote(&denied).releases());
    let other = held_by(3, 1).holder.unwrap().value;
    assert!(contender.release(Some((&other, 2_000))).is_idle());
    assert!(contender.sleep().attempts());
    assert_eq!(contender.now, begun.plus(ms(300)), "two op-timeouts");
    assert!(contender.vote(&denied).releases());
    let sent = contender.now;
    let mut last = Step::IDLE;
    for instance in 0..N {
        let unknown = Release::Unknown(crate::lock::NoVoteReason::TimedOut);
        last = contender.respond(instance, sent, None, Response::Release(2, unknown));
    }
    assert!(matches!(last.outcome(), Some(Outcome::Busy(_))), "{last:?}");
}
