//! A queue by hand: the time of the next poll for each status of the lock.

use super::*;
use crate::lock::NoVoteReason;

const VALUE: &str = "{\"v\":1,\"id\":\"a\",\"token\":\"\",\"owner\":\"\",\"pid\":1,\"cmd\":\"\",\"since\":0,\"ttl_ms\":1,\"n\":5}";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Time {
    Time::default().plus(ms(millis))
}

fn ask_all() -> Poll {
    Poll::Ask(vec![0, 1, 2, 3, 4])
}

fn ask(instance: usize) -> Poll {
    Poll::Ask(vec![instance])
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

/// A queue of five instances of which nothing is known.
fn empty() -> QueueWaiter {
    QueueWaiter::new(ClusterSize::redlock(5).unwrap(), false)
}

/// All instances respond alike.
fn all_respond(queue: &mut QueueWaiter, now: u64, status: &StatusResponse) {
    for instance in 0..5 {
        queue.handle_status(at(now), 0, instance, status.clone());
    }
}

/// A queue that was polled at 1 s.
fn polled(status: &StatusResponse) -> QueueWaiter {
    let mut queue = empty();
    let _ = queue.poll_all(at(1_000));
    all_respond(&mut queue, 1_000, status);
    queue
}

/// A queue that was joined at 1 s.
fn joined(status: &StatusResponse) -> QueueWaiter {
    let mut queue = empty();
    let _ = queue.join(at(1_000));
    all_respond(&mut queue, 1_000, status);
    queue
}

#[test]
fn wake_ups_of_one_instance_that_no_quorum_confirms_are_ignored_more_and_more() {
    let mut queue = empty();
    let _ = queue.poll_all(at(0));
    let mut polls = 0;
    for millis in 0..60_000 {
        queue.handle_wake_up(at(millis), 1, 0, ms(5));
        if queue.poll(at(millis)) == ask_all() {
            polls += 1;
        }
    }
    assert!((9..80).contains(&polls), "{polls} polls in a minute of wake-ups by one of five");
    queue.confirm_wake_ups();
    queue.handle_wake_up(at(60_000), 1, 0, ms(0));
    assert_eq!(queue.poll(at(60_000)), ask_all(), "after a confirmation wake-ups count again");
}

#[test]
fn a_slot_is_free_once_a_quorum_has_sent_a_wake_up() {
    let mut queue = polled(&held(VALUE, 20_000, Some(0)));
    for (instance, slot) in [(0, None), (0, None), (3, None), (4, Some(0))] {
        queue.handle_wake_up(at(2_000), instance, 0, ms(10));
        assert_eq!(queue.free_slot(0, 1), slot, "{instance}");
    }
}

#[test]
fn wake_ups_for_two_slots_at_one_moment_both_count() {
    let mut queue = polled(&held(VALUE, 20_000, Some(0)));
    for slot in [0, 1] {
        for instance in 0..3 {
            queue.handle_wake_up(at(2_000), instance, slot, ms(10));
        }
    }
    assert_eq!((queue.free_slot(0, 2), queue.free_slot(1, 2)), (Some(0), Some(1)));
}

#[test]
fn a_request_that_was_sent_before_the_last_poll_of_all_is_older() {
    let queue = polled(&held(VALUE, 20_000, Some(0)));
    for (sent, is_older) in [(999, true), (1_000, false), (1_001, false)] {
        assert_eq!(queue.is_older(at(sent)), is_older, "{sent}");
    }
}

#[test]
fn a_wake_up_of_a_minority_is_followed_by_a_poll_of_all() {
    let mut queue = polled(&held(VALUE, 20_000, Some(0)));
    queue.handle_wake_up(at(2_000), 1, 0, ms(10));
    assert_eq!(queue.wake_at(), at(2_010));
    assert_eq!(queue.poll(at(2_009)), Poll::NotDue);
    assert_eq!(queue.poll(at(2_010)), ask_all());
    all_respond(&mut queue, 2_011, &held(VALUE, 20_000, Some(0)));
    assert_eq!(queue.free_slot(0, 1), None, "the lock is still held");
    assert_eq!(queue.poll(at(2_020)), Poll::NotDue);
}

#[test]
fn without_a_wake_up_the_poll_follows_the_lease_and_comes_later_for_each_place() {
    for (label, status, wake_at) in [
        ("the first", held(VALUE, 20_000, Some(0)), 21_005),
        ("the third", held(VALUE, 20_000, Some(2)), 21_200),
        ("the hundredth", held(VALUE, 20_000, Some(99)), 22_000),
        ("the third behind a short lease", held(VALUE, 500, Some(2)), 3_000),
        ("the hundredth behind a short lease", held(VALUE, 500, Some(99)), 11_000),
        ("a long lease", held(VALUE, 900_000, Some(0)), 31_005),
        ("a foreign holder", held("x", 20_000, Some(0)), 1_505),
        ("a foreign holder, one contender ahead", held("x", 20_000, Some(1)), 2_500),
        ("a foreign holder, many contenders ahead", held("x", 20_000, Some(99)), 11_500),
        ("no place, so no wake-up", held(VALUE, 20_000, None), 1_505),
        ("no status", StatusResponse::Unknown(NoVoteReason::TimedOut), 2_000),
    ] {
        let queue = polled(&status);
        assert_eq!(queue.wake_at(), at(wake_at), "{label}");
    }
}

#[test]
fn a_live_display_shortens_the_time_between_two_polls() {
    for (label, status, wake_at) in [
        ("the first", held(VALUE, 20_000, Some(0)), 11_005),
        ("the third", held(VALUE, 20_000, Some(2)), 11_200),
        ("a short lease", held(VALUE, 2_000, Some(0)), 3_005),
    ] {
        let mut queue = QueueWaiter::new(ClusterSize::redlock(5).unwrap(), true);
        let _ = queue.poll_all(at(1_000));
        queue.handle_status(at(1_000), 0, 0, status);
        assert_eq!(queue.wake_at(), at(wake_at), "{label}");
    }
}

#[test]
fn free_slots_are_left_to_the_contenders_ahead() {
    let slots = |free: &[u32], place| {
        StatusResponse::Seen(LockStatus { free: free.to_vec(), holder: None, place })
    };
    for (label, status, slot, wake_at) in [
        ("the first", slots(&[0], Some(0)), Some(0), 1_505),
        ("the second", slots(&[0], Some(1)), None, 2_000),
        ("far back", slots(&[0], Some(70)), None, 11_000),
        ("enough for both", slots(&[0, 2], Some(1)), Some(0), 2_000),
        ("no place", slots(&[0], None), Some(0), 1_505),
    ] {
        let queue = joined(&status);
        assert_eq!(queue.free_slot(0, 3), slot, "{label}");
        assert_eq!(queue.wake_at(), at(wake_at), "{label}");
    }
}

#[test]
fn a_wake_up_gives_a_contender_behind_others_its_turn() {
    let mut queue = joined(&free_behind(1));
    for instance in 0..3 {
        queue.handle_wake_up(at(1_500), instance, 0, ms(10));
    }
    assert_eq!(queue.free_slot(0, 1), Some(0));
}

#[test]
fn a_slot_that_is_still_free_at_a_later_poll_is_taken_from_the_contenders_ahead() {
    let mut queue = joined(&free_behind(1));
    queue.poll_all_by(at(1_010));
    assert_eq!(queue.poll(at(1_010)), ask_all());
    all_respond(&mut queue, 1_011, &free_behind(1));
    assert_eq!(queue.free_slot(0, 1), None, "the contender ahead may be about to acquire");
    assert_eq!(queue.poll(at(2_010)), Poll::NotDue);
    assert_eq!(queue.poll(at(2_011)), ask(0));
    queue.handle_status(at(2_012), 0, 0, free_behind(1));
    assert_eq!(queue.poll(at(2_012)), ask_all());
    all_respond(&mut queue, 2_013, &free_behind(1));
    assert_eq!(queue.free_slot(0, 1), Some(0), "the contender ahead did not acquire");
}

#[test]
fn a_single_poll_asks_one_instance_and_the_next_poll_another() {
    let mut queue = polled(&held(VALUE, 20_000, Some(0)));
    assert_eq!(queue.poll(at(21_005)), ask(0));
    assert_eq!(queue.wake_at(), at(22_005), "retry, if no response comes");
    queue.handle_status(at(21_006), 0, 0, held(VALUE, 10_000, Some(0)));
    assert_eq!(queue.wake_at(), at(31_011), "one response speaks for all");
    assert_eq!(queue.poll(at(31_011)), ask(1));
    queue.handle_status(at(31_012), 0, 1, free());
    assert_eq!(queue.free_slot(0, 1), None, "one instance is no quorum");
    assert_eq!(queue.poll(at(31_012)), ask_all());
    for instance in 0..3 {
        queue.handle_status(at(31_013), 0, instance, free());
    }
    assert_eq!(queue.free_slot(0, 1), Some(0));
}

#[test]
fn an_attempt_follows_if_fewer_than_a_quorum_answer_status_requests() {
    let mut queue = polled(&StatusResponse::Unknown(NoVoteReason::TimedOut));
    queue.handle_status(at(1_001), 0, 0, held(VALUE, 400, Some(0)));
    assert_eq!(queue.poll(at(1_405)), Poll::NotDue);
    assert_eq!(queue.poll(at(1_406)), Poll::Attempt);
}

#[test]
fn an_attempt_follows_if_the_instances_stop_answering_one_by_one() {
    let mut queue = polled(&held(VALUE, 1_000, Some(0)));
    let mut now = at(3_000);
    for expected in [ask(0), ask(1), ask(2), Poll::Attempt] {
        assert_eq!(queue.poll(now), expected);
        now = now.plus(ms(1_000));
    }
}

#[test]
fn a_slot_may_be_free_while_enough_responses_are_missing() {
    let busy = StatusResponse::Seen(LockStatus::default());
    let dead = StatusResponse::Unknown(NoVoteReason::TimedOut);
    for (responses, may_find) in [
        (vec![], true),
        (vec![busy.clone(), busy.clone()], true),
        (vec![busy.clone(), busy.clone(), busy.clone()], false),
        (vec![dead.clone(), busy.clone(), busy.clone()], false),
        (vec![busy.clone(), busy, free(), free()], true),
    ] {
        let mut queue = empty();
        let _ = queue.poll_all(at(0));
        for (instance, response) in responses.iter().enumerate() {
            queue.handle_status(at(0), 0, instance, response.clone());
        }
        assert_eq!(queue.may_find(3), may_find, "{responses:?}");
    }
}

#[test]
fn the_search_for_a_free_slot_begins_at_the_slot_of_the_contender() {
    let mut queue = QueueWaiter::new(ClusterSize::redlock(3).unwrap(), false);
    let status = LockStatus { free: vec![0, 2], holder: None, place: None };
    for instance in 0..2 {
        queue.handle_status(at(0), 0, instance, StatusResponse::Seen(status.clone()));
    }
    for (start, slot) in [(0, 0), (1, 2), (2, 2), (u32::MAX, 0)] {
        assert_eq!(queue.free_slot(start, 3), Some(slot), "{start}");
    }
}

#[test]
fn the_ttl_of_the_holder_runs_down_between_polls() {
    let queue = polled(&held(VALUE, 20_000, Some(0)));
    assert_eq!(queue.holder(at(4_000)).unwrap().left, Some(ms(17_000)));
    assert_eq!(queue.holder(at(90_000)).unwrap().left, Some(ms(0)));
}

#[test]
fn the_shortest_lease_of_all_instances_sets_the_next_poll() {
    let mut queue = empty();
    let _ = queue.poll_all(at(1_000));
    for (instance, left) in [(0, 20_000), (1, 400), (2, 20_000)] {
        queue.handle_status(at(1_000), 0, instance, held(VALUE, left, Some(0)));
    }
    assert_eq!(queue.wake_at(), at(1_405));
}

#[test]
fn contenders_poll_at_different_moments() {
    for (label, value, place) in [
        ("the first", VALUE, Some(0)),
        ("the second", VALUE, Some(1)),
        ("the second behind a foreign holder", "x", Some(1)),
        ("no place", VALUE, None),
    ] {
        let polls = [0, Sample::MAX].map(|sample| {
            let mut queue = empty();
            let _ = queue.poll_all(at(1_000));
            queue.handle_status(at(1_000), sample, 0, held(value, 400, place));
            queue.wake_at()
        });
        let apart = polls[1].since(polls[0]);
        assert!(apart > ms(49) && apart < ms(51), "{label}: {apart:?}");
    }
}
