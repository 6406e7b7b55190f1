//! Members and deadline, by hand and by generated rounds.

use super::*;
use crate::lock::NoVoteReason;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const GUARD: RestartGuard = RestartGuard::For(Duration::from_secs(10));

fn ttl() -> Ttl {
    Ttl::new(Duration::from_secs(10)).unwrap()
}

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * SECOND)
}

fn held(count: usize, granted: usize) -> HeldLock {
    let mut held_lock = HeldLock::new(ClusterSize::redlock(count).unwrap(), ttl(), GUARD);
    for instance in 0..granted {
        let _ = held_lock.grant(instance, at(1), None);
    }
    held_lock
}

#[test]
fn the_deadline_is_the_quorum_th_largest_lease() {
    let mut held_lock = held(5, 3);
    let lease = |seconds| Some(at(seconds).plus(ttl().validity()));
    assert_eq!(held_lock.deadline(), lease(1));
    let _ = held_lock.extend(0, at(4), at(4), &Extension::Kept);
    let _ = held_lock.extend(1, at(5), at(5), &Extension::Kept);
    assert_eq!(held_lock.deadline(), lease(1), "two of five are no quorum");
    let _ = held_lock.extend(2, at(6), at(6), &Extension::Kept);
    assert_eq!(held_lock.deadline(), lease(4));
}

#[test]
fn a_missing_or_foreign_key_ends_membership_at_once_and_silence_does_not() {
    for (label, response, members) in [
        ("kept", Extension::Kept, 3),
        ("set again", Extension::SetAgain, 2),
        ("missing", Extension::Missing, 2),
        ("foreign", Extension::Foreign, 2),
        ("silent", Extension::Unknown(NoVoteReason::TimedOut), 3),
    ] {
        let mut held_lock = held(5, 3);
        let _ = held_lock.extend(0, at(4), at(4), &response);
        assert_eq!(held_lock.members(), members, "{label}");
        assert_eq!(held_lock.deadline().is_some(), members == 3, "{label}");
    }
}

#[test]
fn a_key_set_again_counts_after_a_quorum_of_members_confirmed_later_requests() {
    let mut held_lock = held(5, 5);
    assert_eq!(held_lock.extend(0, at(4), at(5), &Extension::SetAgain), LeaseChange::Left);
    for instance in 1..5 {
        let _ = held_lock.extend(instance, at(4), at(8), &Extension::Kept);
    }
    assert_eq!(
        held_lock.members(),
        4,
        "an earlier request proves nothing about the gap, however late its response"
    );
    for instance in 1..3 {
        let _ = held_lock.extend(instance, at(7), at(7), &Extension::Kept);
    }
    assert_eq!(held_lock.members(), 4);
    let _ = held_lock.extend(3, at(7), at(7), &Extension::Kept);
    assert_eq!(held_lock.members(), 5);
}

/// Instances 1 and 2 confirm rounds 2 and 3. Instance 2 loses its memory, another run acquires the
/// lock on instances 0 and 2, and only then instance 0 executes the extension of round 1. A rule
/// that counts rounds would make instance 0 a member at once.
#[test]
fn a_late_extension_of_an_old_round_promotes_no_instance() {
    let mut held_lock = held(3, 3);
    for (sent, instance) in [(4, 1), (4, 2), (7, 1), (7, 2)] {
        let _ = held_lock.extend(instance, at(sent), at(sent), &Extension::Kept);
    }
    assert_eq!(held_lock.extend(0, at(3), at(9), &Extension::SetAgain), LeaseChange::Left);
    assert_eq!(held_lock.members(), 2);
    let _ = held_lock.extend(1, at(10), at(10), &Extension::Kept);
    assert_eq!(held_lock.extend(2, at(10), at(10), &Extension::Missing), LeaseChange::Left);
    assert_eq!((held_lock.members(), held_lock.deadline()), (1, None), "the lock is lost");
}

#[test]
fn a_key_that_is_kept_beyond_its_lease_has_a_gap() {
    let validity = ttl().validity();
    for (label, received, counts) in [
        ("within the lease", at(1).plus(validity).minus(Duration::from_nanos(1)), true),
        ("beyond the lease", at(1).plus(validity), false),
    ] {
        let mut held_lock = held(3, 3);
        for instance in 1..3 {
            let _ = held_lock.extend(instance, at(4), at(4), &Extension::Kept);
        }
        let change = held_lock.extend(0, at(7), received, &Extension::Kept);
        assert_eq!(
            (change == LeaseChange::Same, held_lock.members() == 3),
            (counts, counts),
            "{label}"
        );
        for instance in 1..3 {
            let _ = held_lock.extend(instance, received, received, &Extension::Kept);
        }
        assert_eq!(held_lock.members(), 3, "{label}: after the others confirm again");
    }
}

#[test]
fn rejoining_instances_do_not_make_each_other_members() {
    let mut held_lock = held(5, 3);
    for instance in 0..3 {
        let _ = held_lock.extend(instance, at(4), at(4), &Extension::SetAgain);
    }
    for round in 2..9 {
        for instance in 0..3 {
            let _ = held_lock.extend(instance, at(4 + round), at(4 + round), &Extension::Kept);
        }
    }
    assert_eq!((held_lock.members(), held_lock.deadline()), (0, None));
}

#[test]
fn another_run_id_ends_membership_even_if_the_key_is_kept() {
    let mut lasting = HeldLock::new(ClusterSize::redlock(3).unwrap(), ttl(), RestartGuard::Off);
    let _ = lasting.grant(0, at(1), None);
    assert_eq!(
        (lasting.identify(0, "a"), lasting.identify(0, "b")),
        (LeaseChange::Same, LeaseChange::Same),
        "without a guard a restart loses no key"
    );
    let mut held_lock = held(3, 3);
    assert_eq!(
        (held_lock.identify(0, "a"), held_lock.identify(0, "a")),
        (LeaseChange::Same, LeaseChange::Same)
    );
    assert_eq!(held_lock.identify(0, "b"), LeaseChange::Left);
    assert_eq!(held_lock.extend(0, at(4), at(4), &Extension::Kept), LeaseChange::Same);
    for instance in 1..3 {
        let _ = held_lock.extend(instance, at(7), at(7), &Extension::Kept);
    }
    assert_eq!(held_lock.members(), 3);
}

#[test]
fn a_server_under_two_urls_counts_once() {
    let mut held_lock = held(3, 1);
    let _ = held_lock.identify(0, "a");
    assert_eq!(held_lock.identify(1, "a"), LeaseChange::Duplicate(0));
    let _ = held_lock.extend(1, at(4), at(4), &Extension::Kept);
    let _ = held_lock.extend(1, at(5), at(5), &Extension::Kept);
    assert_eq!(held_lock.grant(1, at(6), None), LeaseChange::Same);
    assert_eq!((held_lock.members(), held_lock.deadline()), (1, None));
    assert_eq!(held_lock.identify(1, "b"), LeaseChange::Same, "another server answers there now");
    assert_eq!(held_lock.grant(1, at(7), None), LeaseChange::Same);
    assert_eq!(held_lock.membership(1), Membership::Held);
}

/// Name 0 moves away from the server, and name 1 moves there: the server has one name at a time.
#[test]
fn a_server_that_moved_from_one_name_to_another_counts_once() {
    for (label, has_ended, change) in
        [("still connected", false, LeaseChange::Duplicate(0)), ("moved", true, LeaseChange::Same)]
    {
        let mut held_lock = held(3, 0);
        let _ = held_lock.identify(0, "a");
        if has_ended {
            held_lock.disconnected(0);
        }
        assert_eq!(held_lock.identify(1, "a"), change, "{label}");
    }
}

#[test]
fn a_clock_step_forward_ends_membership_until_the_next_round() {
    let wall = |millis| Duration::from_secs(1_700_000_000) + Duration::from_millis(millis);
    let drift = u64::try_from(ttl().drift().as_millis()).unwrap();
    for (label, later, stepped) in [
        ("same speed as our clock", 3_000, None),
        ("drift", 3_000 + drift, None),
        ("explained by a slow response", 3_500 + drift, None),
        ("a step", 3_501 + drift, Some(Duration::from_millis(drift + 1))),
        ("a step back", 0, None),
    ] {
        let mut held_lock = held(3, 3);
        assert_eq!(held_lock.observe_clock(0, wall(0), at(1), at(1)), None);
        let received = at(4).plus(Duration::from_millis(500));
        let step = held_lock.observe_clock(0, wall(later), at(4), received);
        let _ = held_lock.extend(0, at(4), at(4), &Extension::Kept);
        assert_eq!(step, stepped, "{label}");
        assert_eq!(held_lock.members(), if stepped.is_some() { 2 } else { 3 }, "{label}");
    }
}

fn any_extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        4 => Just(Extension::Kept),
        1 => Just(Extension::SetAgain),
        1 => Just(Extension::Missing),
        1 => Just(Extension::Foreign),
        2 => Just(Extension::Unknown(NoVoteReason::TimedOut)),
    ]
}

proptest! {
    #[test]
    fn the_deadline_never_exceeds_the_confirmed_leases_of_a_quorum(
        count in 3_usize..8,
        responses in prop::collection::vec((0_usize..8, any_extension()), 0..60),
    ) {
        let mut held_lock = held(count, count);
        let mut confirmed = vec![at(1).plus(ttl().validity()); count];
        for (round, (instance, response)) in (1..).zip(responses) {
            let sent = at(1 + round);
            let _ = held_lock.extend(instance, sent, sent, &response);
            if instance < count && matches!(response, Extension::Kept | Extension::SetAgain) {
                confirmed[instance] = sent.plus(ttl().validity());
            }
            if let Some(deadline) = held_lock.deadline() {
                let behind = confirmed.iter().filter(|lease| **lease >= deadline).count();
                prop_assert!(behind >= ClusterSize::redlock(count).unwrap().quorum());
            }
        }
    }
}

#[test]
fn a_new_attempt_forgets_the_votes_and_keeps_the_run_ids() {
    let mut held_lock = held(3, 3);
    let _ = held_lock.identify(0, "a");
    held_lock.reset();
    assert_eq!((held_lock.members(), held_lock.deadline()), (0, None));
    assert_eq!(held_lock.identify(1, "a"), LeaseChange::Duplicate(0));
}

#[test]
fn the_leases_of_an_earlier_process_are_resumed_for_the_same_number_of_instances() {
    let size = |count| ClusterSize::redlock(count).unwrap();
    let before = held(3, 2);
    let resumed = |count| HeldLock::resumed(size(count), ttl(), GUARD, before.leases().to_vec());
    let after = resumed(3).unwrap();
    assert_eq!((after.leases(), after.deadline()), (before.leases(), before.deadline()));
    assert_eq!(after.leases()[1].confirmed(), Some(at(1)));
    assert!(resumed(5).is_none());
}

/// Name 1 moves to the server of name 0, which has lost our key. Without a restart guard, another
/// `run_id` alone ends no membership.
#[test]
fn a_name_that_moves_to_the_server_of_another_name_brings_no_membership_along() {
    let mut held_lock = HeldLock::new(ClusterSize::redlock(3).unwrap(), ttl(), RestartGuard::Off);
    let _ = (held_lock.identify(0, "a"), held_lock.identify(1, "b"));
    let _ = held_lock.grant(1, at(1), None);
    assert_eq!(held_lock.identify(1, "a"), LeaseChange::Duplicate(0));
    assert_eq!((held_lock.membership(1), held_lock.members()), (Membership::NotHeld, 0));
    let _ = held_lock.grant(1, at(2), None);
    assert_eq!(held_lock.identify(1, "a"), LeaseChange::Duplicate(0));
    assert_eq!((held_lock.membership(1), held_lock.members()), (Membership::Held, 1));
}

#[test]
fn a_late_vote_does_not_end_a_gap() {
    let mut held_lock = held(3, 3);
    assert_eq!(held_lock.extend(0, at(4), at(4), &Extension::SetAgain), LeaseChange::Left);
    assert_eq!(held_lock.grant(0, at(1), None), LeaseChange::Same);
    assert_eq!(held_lock.members(), 2);
}

#[test]
fn a_vote_after_the_acquisition_counts_as_a_key_set_again() {
    let mut held_lock = held(3, 2);
    assert_eq!(held_lock.grant(2, at(1), Some(at(6))), LeaseChange::Same);
    for (sent, members) in [(5, 2), (6, 3)] {
        for instance in 0..2 {
            let _ = held_lock.extend(instance, at(sent), at(6), &Extension::Kept);
        }
        assert_eq!(held_lock.members(), members, "{sent}");
    }
}

#[test]
fn one_of_two_instances_with_one_run_id_suffices_for_their_common_vote() {
    for granted in [[true, false], [false, true], [true, true]] {
        let mut held_lock =
            HeldLock::new(ClusterSize::redlock(3).unwrap(), ttl(), RestartGuard::Off);
        let _ = held_lock.grant(2, at(1), None);
        let _ = held_lock.identify(0, "a");
        assert_eq!(held_lock.identify(1, "a"), LeaseChange::Duplicate(0));
        for (instance, _) in granted.iter().enumerate().filter(|(_, granted)| **granted) {
            let _ = held_lock.grant(instance, at(1), None);
        }
        assert_eq!(held_lock.members(), 2, "{granted:?}");
        // One instance may be another server that has copied the run_id, and respond anything.
        let liar = usize::from(granted[0]);
        let _ = held_lock.extend(liar, at(2), at(2), &Extension::Foreign);
        assert_eq!(held_lock.members(), 2, "{granted:?}");
    }
}
