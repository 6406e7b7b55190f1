//! Members by hand and by generated rounds: who counts, and until when.

use super::*;
use crate::lock::Unknown;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn ttl() -> Ttl {
    Ttl::new(Duration::from_secs(10)).unwrap()
}

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * SECOND)
}

fn held(count: usize, granted: usize) -> Holding {
    let mut holding = Holding::new(ClusterSize::redlock(count).unwrap(), ttl());
    for instance in 0..granted {
        let _ = holding.grant(instance, at(1));
    }
    holding
}

#[test]
fn the_deadline_is_the_quorum_th_largest_lease() {
    let mut holding = held(5, 3);
    let lease = |seconds| Some(at(seconds).plus(ttl().validity()));
    assert_eq!(holding.deadline(), lease(1));
    let _ = holding.extend(0, 1, at(4), &Extension::Kept);
    let _ = holding.extend(1, 1, at(5), &Extension::Kept);
    assert_eq!(holding.deadline(), lease(1), "two of five moved nothing");
    let _ = holding.extend(2, 1, at(6), &Extension::Kept);
    assert_eq!(holding.deadline(), lease(4));
}

#[test]
fn a_missing_or_foreign_key_ends_membership_at_once_and_silence_does_not() {
    for (label, answer, members) in [
        ("kept", Extension::Kept, 3),
        ("set again", Extension::SetAgain, 2),
        ("missing", Extension::Missing, 2),
        ("foreign", Extension::Foreign, 2),
        ("silent", Extension::Unknown(Unknown::TimedOut), 3),
    ] {
        let mut holding = held(5, 3);
        let _ = holding.extend(0, 1, at(4), &answer);
        assert_eq!(holding.members(), members, "{label}");
        assert_eq!(holding.deadline().is_some(), members == 3, "{label}");
    }
}

#[test]
fn a_key_set_again_counts_after_a_later_round_of_a_quorum_of_members() {
    let mut holding = held(5, 5);
    assert_eq!(holding.extend(0, 1, at(4), &Extension::SetAgain), Change::Left);
    for instance in 1..5 {
        let _ = holding.extend(instance, 1, at(4), &Extension::Kept);
    }
    assert_eq!(holding.members(), 4, "the round that set it again proves nothing about the gap");
    for instance in 1..3 {
        let _ = holding.extend(instance, 2, at(7), &Extension::Kept);
    }
    assert_eq!(holding.members(), 4);
    let _ = holding.extend(3, 2, at(7), &Extension::Kept);
    assert_eq!(holding.members(), 5);
}

#[test]
fn instances_that_return_cannot_vouch_for_each_other() {
    let mut holding = held(5, 3);
    for instance in 0..3 {
        let _ = holding.extend(instance, 1, at(4), &Extension::SetAgain);
    }
    for round in 2..9 {
        for instance in 0..3 {
            let _ = holding.extend(instance, round, at(4 + round), &Extension::Kept);
        }
    }
    assert_eq!((holding.members(), holding.deadline()), (0, None));
}

#[test]
fn another_run_id_ends_membership_even_if_the_key_survived() {
    let id = |run_id: &str| Identity { run_id: run_id.into(), forgets: true };
    let mut holding = held(3, 3);
    let lasting = Identity { run_id: "0".into(), forgets: false };
    assert_eq!(holding.identify(0, &lasting), Change::Same);
    assert_eq!(holding.identify(0, &Identity { run_id: "a".into(), ..lasting }), Change::Same, "nothing is lost");
    assert_eq!(holding.identify(0, &id("a")), Change::Same);
    assert_eq!(holding.identify(0, &id("a")), Change::Same);
    assert_eq!(holding.identify(0, &id("b")), Change::Left);
    assert_eq!(holding.extend(0, 1, at(4), &Extension::Kept), Change::Same);
    for instance in 1..3 {
        let _ = holding.extend(instance, 2, at(7), &Extension::Kept);
    }
    assert_eq!(holding.members(), 3);
}

#[test]
fn a_server_under_two_urls_counts_once() {
    let id = |run_id: &str| Identity { run_id: run_id.into(), forgets: true };
    let mut holding = held(3, 1);
    let _ = holding.identify(0, &id("a"));
    assert_eq!(holding.identify(1, &id("a")), Change::Twin(0));
    let _ = holding.extend(1, 1, at(4), &Extension::Kept);
    let _ = holding.extend(1, 2, at(5), &Extension::Kept);
    assert_eq!(holding.grant(1, at(6)), Change::Same);
    assert_eq!((holding.members(), holding.deadline()), (1, None));
    assert_eq!(holding.identify(1, &id("b")), Change::Same, "another server has moved in");
    assert_eq!(holding.grant(1, at(7)), Change::Joined);
}

#[test]
fn a_clock_that_steps_forward_ends_membership_until_a_round_confirms_it() {
    let wall = |millis| Duration::from_secs(1_700_000_000) + Duration::from_millis(millis);
    let drift = u64::try_from(ttl().drift().as_millis()).unwrap();
    for (label, later, stepped) in [
        ("it runs as ours does", 3_000, None),
        ("drift", 3_000 + drift, None),
        ("a slow answer explains it", 3_500 + drift, None),
        ("a step", 3_501 + drift, Some(Duration::from_millis(drift + 1))),
        ("a step back", 0, None),
    ] {
        let mut holding = held(3, 3);
        assert_eq!(holding.look_at(0, wall(0), at(1), at(1)), None);
        let heard = at(4).plus(Duration::from_millis(500));
        let step = holding.look_at(0, wall(later), at(4), heard);
        let _ = holding.extend(0, 1, at(4), &Extension::Kept);
        assert_eq!(step, stepped, "{label}");
        assert_eq!(holding.members(), if stepped.is_some() { 2 } else { 3 }, "{label}");
    }
}

fn any_answer() -> impl Strategy<Value = Extension> {
    prop_oneof![
        4 => Just(Extension::Kept),
        1 => Just(Extension::SetAgain),
        1 => Just(Extension::Missing),
        1 => Just(Extension::Foreign),
        2 => Just(Extension::Unknown(Unknown::TimedOut)),
    ]
}

proptest! {
    #[test]
    fn the_deadline_never_exceeds_what_a_quorum_confirmed(
        count in 3_usize..8,
        answers in prop::collection::vec((0_usize..8, any_answer()), 0..60),
    ) {
        let mut holding = held(count, count);
        let mut confirmed = vec![at(1).plus(ttl().validity()); count];
        for (round, (instance, answer)) in (1..).zip(answers) {
            let sent = at(1 + round);
            let _ = holding.extend(instance, round, sent, &answer);
            if instance < count && matches!(answer, Extension::Kept | Extension::SetAgain) {
                confirmed[instance] = sent.plus(ttl().validity());
            }
            if let Some(deadline) = holding.deadline() {
                let behind = confirmed.iter().filter(|lease| **lease >= deadline).count();
                prop_assert!(behind >= ClusterSize::redlock(count).unwrap().quorum());
            }
        }
    }
}

#[test]
fn a_new_attempt_inherits_no_grant_and_knows_who_is_where() {
    let id = Identity { run_id: "a".into(), forgets: true };
    let mut holding = held(3, 3);
    let _ = holding.identify(0, &id);
    holding.vacate();
    assert_eq!((holding.members(), holding.deadline()), (0, None));
    assert_eq!(holding.identify(1, &id), Change::Twin(0));
}

#[test]
fn a_late_grant_is_no_way_around_a_gap() {
    let mut holding = held(3, 3);
    assert_eq!(holding.extend(0, 1, at(4), &Extension::SetAgain), Change::Left);
    assert_eq!(holding.grant(0, at(1)), Change::Same);
    assert_eq!(holding.members(), 2);
}

#[test]
fn a_twin_has_no_vote_to_give() {
    let id = Identity { run_id: "a".into(), forgets: true };
    let mut holding = held(3, 1);
    let _ = holding.identify(0, &id);
    assert_eq!(holding.identify(1, &id), Change::Twin(0));
    assert_eq!(holding.grant(1, at(2)), Change::Same);
    assert_eq!((holding.members(), holding.deadline()), (1, None));
}
