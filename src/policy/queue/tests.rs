//! A line by hand: what each view of the lock means for when to look again.

use super::*;
use crate::lock::NoVoteReason;

const CLAIM: &str = "{\"v\":1,\"id\":\"a\",\"token\":\"\",\"owner\":\"\",\"pid\":1,\"cmd\":\"\",\"since\":0,\"ttl_ms\":1,\"n\":5}";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Time {
    Time::default().plus(ms(millis))
}

fn held(value: &str, left: u64, place: Option<u32>) -> StatusResponse {
    let holder = ObservedHolder { value: value.into(), left: Some(ms(left)) };
    StatusResponse::Seen(LockStatus { free: vec![], holder: Some(holder), place })
}

fn free() -> StatusResponse {
    free_behind(0)
}

fn free_behind(place: u32) -> StatusResponse {
    StatusResponse::Seen(LockStatus { free: vec![0], holder: None, place: Some(place) })
}

fn waiting(status: &StatusResponse) -> QueueWaiter {
    let mut queue = QueueWaiter::new(ClusterSize::redlock(5).unwrap());
    queue.ask_all(at(1_000));
    for instance in 0..5 {
        queue.seen(at(1_000), 0, instance, status.clone());
    }
    queue
}

#[test]
fn an_instance_that_wakes_in_vain_again_and_again_is_followed_less_and_less() {
    let mut queue = QueueWaiter::new(ClusterSize::redlock(3).unwrap());
    queue.ask_all(at(0));
    let mut followed = 0;
    for millis in 0..60_000 {
        queue.woken(at(millis), 1, 0, ms(5));
        if queue.due(at(millis)) == Poll::All {
            followed += 1;
        }
    }
    assert!(
        (9..80).contains(&followed),
        "{followed} looks in a minute of wake-ups by one of three"
    );
    queue.tries();
    queue.woken(at(60_000), 1, 0, ms(0));
    assert_eq!(queue.due(at(60_000)), Poll::All, "a quorum was free: it is believed again");
}

#[test]
fn a_wake_up_counts_when_a_quorum_says_so() {
    let mut queue = waiting(&held(CLAIM, 20_000, Some(0)));
    for (instance, choice) in [(0, None), (0, None), (3, None), (4, Some(0))] {
        queue.woken(at(2_000), instance, 0, ms(10));
        assert_eq!(queue.choice(0, 1), choice, "{instance}");
    }
}

#[test]
fn a_wake_up_of_few_is_followed_by_a_look_at_all() {
    let mut queue = waiting(&held(CLAIM, 20_000, Some(0)));
    queue.woken(at(2_000), 1, 0, ms(10));
    assert_eq!(queue.wake_at(), at(2_010));
    assert_eq!(queue.due(at(2_009)), Poll::None);
    assert_eq!(queue.due(at(2_010)), Poll::All);
    for instance in 0..5 {
        queue.seen(at(2_011), 0, instance, held(CLAIM, 20_000, Some(0)));
    }
    assert_eq!((queue.choice(0, 1), queue.due(at(2_020))), (None, Poll::None), "the hint was none");
}

#[test]
fn whoever_is_not_woken_looks_when_the_lease_is_over_and_later_the_further_back() {
    for (label, status, wake_at) in [
        ("the first", held(CLAIM, 20_000, Some(0)), 21_005),
        ("the third", held(CLAIM, 20_000, Some(2)), 21_200),
        ("the hundredth", held(CLAIM, 20_000, Some(99)), 22_000),
        ("the third behind a short lease", held(CLAIM, 500, Some(2)), 3_000),
        ("the hundredth behind a short lease", held(CLAIM, 500, Some(99)), 11_000),
        ("a lease without an end", held(CLAIM, 900_000, Some(0)), 31_005),
        ("a stranger holds it", held("x", 20_000, Some(0)), 1_505),
        ("a stranger holds it, and others are before us", held("x", 20_000, Some(1)), 2_500),
        ("and many are", held("x", 20_000, Some(99)), 11_500),
        ("nobody will wake us", held(CLAIM, 20_000, None), 1_505),
        ("nobody says anything", StatusResponse::Unknown(NoVoteReason::TimedOut), 2_000),
    ] {
        let queue = waiting(&status);
        assert_eq!(queue.wake_at(), at(wake_at), "{label}");
    }
}

#[test]
fn where_somebody_looks_on_the_holder_is_looked_at_more_often() {
    for (label, status, wake_at) in [
        ("the first", held(CLAIM, 20_000, Some(0)), 11_005),
        ("the third", held(CLAIM, 20_000, Some(2)), 11_200),
        ("a short lease", held(CLAIM, 2_000, Some(0)), 3_005),
    ] {
        let mut queue = QueueWaiter::new(ClusterSize::redlock(5).unwrap());
        queue.keep_up();
        queue.ask_all(at(1_000));
        queue.seen(at(1_000), 0, 0, status);
        assert_eq!(queue.wake_at(), at(wake_at), "{label}");
    }
}

/// A line that was just joined, and in which all say this.
fn joined(status: &StatusResponse) -> QueueWaiter {
    let mut queue = QueueWaiter::new(ClusterSize::redlock(5).unwrap());
    queue.join(at(1_000));
    for instance in 0..5 {
        queue.seen(at(1_000), 0, instance, status.clone());
    }
    queue
}

#[test]
fn what_is_free_is_left_to_those_before() {
    let slots = |free: &[u32], place| {
        StatusResponse::Seen(LockStatus { free: free.to_vec(), holder: None, place })
    };
    for (label, status, choice, wake_at) in [
        ("the first", slots(&[0], Some(0)), Some(0), 1_505),
        ("the second", slots(&[0], Some(1)), None, 2_000),
        ("far back", slots(&[0], Some(70)), None, 11_000),
        ("enough for both", slots(&[0, 2], Some(1)), Some(0), 2_000),
        ("nobody is woken", slots(&[0], None), Some(0), 1_505),
    ] {
        let queue = joined(&status);
        assert_eq!((queue.choice(0, 3), queue.wake_at()), (choice, at(wake_at)), "{label}");
    }
}

#[test]
fn what_is_free_is_taken_by_whoever_is_woken_or_finds_it_still_free() {
    let mut queue = joined(&free_behind(1));
    for instance in 0..3 {
        queue.woken(at(1_500), instance, 0, ms(10));
    }
    assert_eq!(queue.choice(0, 1), Some(0), "woken");

    let mut queue = joined(&free_behind(1));
    queue.look_by(at(1_010));
    assert_eq!(queue.due(at(1_010)), Poll::All);
    (0..5).for_each(|instance| queue.seen(at(1_011), 0, instance, free_behind(1)));
    assert_eq!(
        (queue.choice(0, 1), queue.due(at(2_010))),
        (None, Poll::None),
        "so early they may be about to take it"
    );
    assert_eq!(queue.due(at(2_011)), Poll::One(0));
    queue.seen(at(2_012), 0, 0, free_behind(1));
    assert_eq!(queue.due(at(2_012)), Poll::All);
    (0..5).for_each(|instance| queue.seen(at(2_013), 0, instance, free_behind(1)));
    assert_eq!(queue.choice(0, 1), Some(0), "they did not");
}

#[test]
fn one_instance_is_asked_at_a_time_and_another_the_next_time() {
    let mut queue = waiting(&held(CLAIM, 20_000, Some(0)));
    assert_eq!(queue.due(at(21_005)), Poll::One(0));
    assert_eq!(queue.wake_at(), at(22_005), "it may not answer");
    queue.seen(at(21_006), 0, 0, held(CLAIM, 10_000, Some(0)));
    assert_eq!(queue.wake_at(), at(31_011), "it speaks for all");
    assert_eq!(queue.due(at(31_011)), Poll::One(1));
    queue.seen(at(31_012), 0, 1, free());
    assert_eq!((queue.choice(0, 1), queue.due(at(31_012))), (None, Poll::All), "one is no quorum");
    for instance in 0..3 {
        queue.seen(at(31_013), 0, instance, free());
    }
    assert_eq!(queue.choice(0, 1), Some(0));
}

#[test]
fn where_too_few_answer_only_an_attempt_can_tell() {
    let mut queue = waiting(&StatusResponse::Unknown(NoVoteReason::TimedOut));
    queue.seen(at(1_001), 0, 0, held(CLAIM, 400, Some(0)));
    assert_eq!(queue.due(at(1_405)), Poll::None);
    assert_eq!(queue.due(at(1_406)), Poll::Try);
}

#[test]
fn instances_that_fall_silent_one_by_one_leave_an_attempt_to_tell() {
    let mut queue = waiting(&held(CLAIM, 1_000, Some(0)));
    let mut now = at(3_000);
    for expected in [Poll::One(0), Poll::One(1), Poll::One(2), Poll::Try] {
        assert_eq!(queue.due(now), expected);
        now = now.plus(ms(1_000));
    }
}

#[test]
fn a_slot_may_be_found_while_enough_instances_can_still_name_it() {
    let busy = StatusResponse::Seen(LockStatus::default());
    let dead = StatusResponse::Unknown(NoVoteReason::TimedOut);
    for (answers, may) in [
        (vec![], true),
        (vec![busy.clone(), busy.clone()], true),
        (vec![busy.clone(), busy.clone(), busy.clone()], false),
        (vec![dead.clone(), busy.clone(), busy.clone()], false),
        (vec![busy.clone(), busy, free(), free()], true),
    ] {
        let mut queue = QueueWaiter::new(ClusterSize::redlock(5).unwrap());
        queue.ask_all(at(0));
        for (instance, answer) in answers.iter().enumerate() {
            queue.seen(at(0), 0, instance, answer.clone());
        }
        assert_eq!(queue.may_find(3), may, "{answers:?}");
    }
}

#[test]
fn a_slot_is_chosen_from_where_this_contender_begins() {
    let mut queue = QueueWaiter::new(ClusterSize::redlock(3).unwrap());
    let view = LockStatus { free: vec![0, 2], holder: None, place: None };
    for instance in 0..2 {
        queue.seen(at(0), 0, instance, StatusResponse::Seen(view.clone()));
    }
    for (start, choice) in [(0, 0), (1, 2), (2, 2), (u32::MAX, 0)] {
        assert_eq!(queue.choice(start, 3), Some(choice), "{start}");
    }
}

#[test]
fn the_lease_of_the_holder_runs_down_while_nobody_looks() {
    let queue = waiting(&held(CLAIM, 20_000, Some(0)));
    assert_eq!(queue.holder(at(4_000)).unwrap().left, Some(ms(17_000)));
    assert_eq!(queue.holder(at(90_000)).unwrap().left, Some(ms(0)));
}

#[test]
fn the_shortest_lease_that_anybody_sees_decides_when_to_look() {
    let mut queue = QueueWaiter::new(ClusterSize::redlock(5).unwrap());
    queue.ask_all(at(1_000));
    for (instance, left) in [(0, 20_000), (1, 400), (2, 20_000)] {
        queue.seen(at(1_000), 0, instance, held(CLAIM, left, Some(0)));
    }
    assert_eq!(queue.wake_at(), at(1_405));
}

#[test]
fn those_who_wait_do_not_all_look_at_once() {
    for (label, place) in
        [("the first", Some(0)), ("one behind it", Some(1)), ("one whom nobody will wake", None)]
    {
        let looks = [0, Sample::MAX].map(|sample| {
            let mut queue = QueueWaiter::new(ClusterSize::redlock(5).unwrap());
            queue.ask_all(at(1_000));
            queue.seen(at(1_000), sample, 0, held(CLAIM, 400, place));
            queue.wake_at()
        });
        let apart = looks[1].since(looks[0]);
        assert!(apart > ms(49) && apart < ms(51), "{label}: {apart:?}");
    }
}
