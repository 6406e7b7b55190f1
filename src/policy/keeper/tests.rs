//! Rounds by hand: when they are sent, to whom, and what is told.

use super::*;
use crate::lock::{ClusterSize, Identity, Ttl, Unknown};
use std::time::Duration;

const N: usize = 3;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Time {
    Time::default().plus(ms(millis))
}

/// TTL 3 s: rounds every second, time limit 150 ms, drift 32 ms; won at 1 s by the attempt with number 7.
fn keeper(granted: usize) -> Keeper {
    let ttl = Ttl::new(ms(3_000)).unwrap();
    let mut holding = Holding::new(ClusterSize::redlock(N).unwrap(), ttl);
    for instance in 0..granted {
        let _ = holding.grant(instance, at(1_000));
    }
    let mut keeper = Keeper::new(Schedule::new(ttl, None, None).unwrap(), N, 7, holding, at(1_000));
    assert_eq!(keeper.new_deadline(), Some(Move::Deadline(at(1_000 + 2_968))));
    assert_eq!(keeper.new_deadline(), None, "it is told once");
    keeper
}

fn heard(instance: usize, sent: Time, answer: Answer) -> Heard {
    Heard { instance, sent, identity: None, clock: None, answer }
}

fn extension(instance: usize, round: Round, sent: Time, answer: Extension) -> Heard {
    heard(instance, sent, Answer::Extension(round, answer))
}

#[test]
fn a_round_is_sent_every_third_of_the_ttl() {
    let mut keeper = keeper(N);
    assert_eq!(keeper.wake_at(), at(2_000));
    assert_eq!(keeper.woke(at(1_999)), None);
    assert_eq!(keeper.woke(at(2_000)), Some(Move::Extend(1, vec![0, 1, 2])));
    for instance in 0..N {
        let _ = keeper.heard(at(2_001), &extension(instance, 1, at(2_000), Extension::Kept));
    }
    assert_eq!(keeper.wake_at(), at(3_000), "the round was confirmed: no tick in between");
    assert_eq!(keeper.woke(at(2_150)), None);
    assert_eq!(keeper.woke(at(3_000)), Some(Move::Extend(2, vec![0, 1, 2])));
}

#[test]
fn an_instance_owes_at_most_two_answers() {
    let mut keeper = keeper(N);
    let _ = keeper.woke(at(2_000));
    for instance in [0, 1] {
        let _ = keeper.heard(at(2_001), &extension(instance, 1, at(2_000), Extension::Kept));
    }
    assert_eq!(keeper.woke(at(3_000)), Some(Move::Extend(2, vec![0, 1, 2])), "a second goes behind the first");
    for instance in [0, 1] {
        let _ = keeper.heard(at(3_001), &extension(instance, 2, at(3_000), Extension::Kept));
    }
    assert_eq!(keeper.woke(at(4_000)), Some(Move::Extend(3, vec![0, 1])), "a third does not");
    let _ = keeper.heard(at(4_001), &extension(2, 1, at(2_000), Extension::Kept));
    assert_eq!(keeper.woke(at(5_000)), Some(Move::Extend(4, vec![0, 1, 2])));
}

#[test]
fn an_unconfirmed_round_is_tried_again_where_nothing_is_owed() {
    let mut keeper = keeper(N);
    let _ = keeper.woke(at(2_000));
    assert_eq!(keeper.wake_at(), at(2_150));
    let _ = keeper.heard(at(2_001), &extension(0, 1, at(2_000), Extension::Kept));
    let broken = Extension::Unknown(Unknown::Unreachable("gone".into()));
    let moves = keeper.heard(at(2_001), &extension(1, 1, at(2_000), broken.clone()));
    assert_eq!(moves, [Move::Tell(Notice::Unconfirmed { instance: 1, answer: broken })]);
    assert_eq!(keeper.woke(at(2_149)), None);
    assert_eq!(keeper.woke(at(2_150)), Some(Move::Extend(2, vec![0, 1])));
    assert_eq!(keeper.wake_at(), at(2_300));
}

#[test]
fn what_is_lost_is_not_extended_and_wakes_nobody() {
    for (label, granted, now) in [("expired", N, at(3_968)), ("too few members", 1, at(2_000))] {
        let ttl = Ttl::new(ms(3_000)).unwrap();
        let mut holding = Holding::new(ClusterSize::redlock(N).unwrap(), ttl);
        for instance in 0..granted {
            let _ = holding.grant(instance, at(1_000));
        }
        let mut keeper = Keeper::new(Schedule::new(ttl, None, None).unwrap(), N, 7, holding, at(1_000));
        assert_eq!(keeper.woke(now), None, "{label}");
        assert_eq!(keeper.wake_at(), Time::NEVER, "{label}");
    }
}

#[test]
fn a_late_grant_makes_a_member_and_one_of_another_attempt_does_not() {
    for (attempt, members) in [(7, 3), (6, 2)] {
        let mut keeper = keeper(2);
        let moves = keeper.heard(at(1_100), &heard(2, at(1_000), Answer::Vote(attempt, Vote::Granted)));
        assert_eq!(moves.contains(&Move::Tell(Notice::Joined { instance: 2 })), members == 3, "{attempt}");
        assert_eq!(keeper.holding.members(), members);
    }
}

#[test]
fn the_deadline_is_told_when_it_moves_on_by_a_twentieth_or_back_at_all() {
    let mut keeper = keeper(N);
    for (sent, told) in [(1_149, None), (1_150, Some(at(1_150 + 2_968))), (1_299, None), (1_300, Some(at(4_268)))] {
        let _ = keeper.heard(at(sent), &extension(0, 1, at(sent), Extension::Kept));
        let moves = keeper.heard(at(sent), &extension(1, 1, at(sent), Extension::Kept));
        assert_eq!(moves, told.map(Move::Deadline).into_iter().collect::<Vec<_>>(), "{sent}");
    }
    let moves = keeper.heard(at(2_000), &extension(0, 2, at(2_000), Extension::Foreign));
    let left = Move::Tell(Notice::Left { instance: 0, answer: Some(Extension::Foreign) });
    assert_eq!(moves, [left, Move::Deadline(at(1_000 + 2_968))], "without it, an older lease is the second");
}

#[test]
fn a_new_run_id_and_a_step_of_the_clock_are_told() {
    let mut keeper = keeper(N);
    let mut with = |run_id: &str, clock: u64, at_ms: u64| {
        let identity = Some(Identity { run_id: run_id.into(), forgets: true });
        let clock = Some(Duration::from_secs(1_700_000_000) + ms(clock));
        let answer = Answer::Extension(1, Extension::Kept);
        keeper.heard(at(at_ms), &Heard { instance: 0, sent: at(at_ms), identity, clock, answer })
    };
    assert_eq!(with("a", 0, 1_010), []);
    assert_eq!(with("b", 10, 1_020)[0], Move::Tell(Notice::Left { instance: 0, answer: None }));
    let stepped = with("b", 20 + 500, 1_030);
    assert_eq!(stepped[0], Move::Tell(Notice::ClockStepped { instance: 0, by: ms(500) }));
}

#[test]
fn a_server_that_turns_out_to_be_another_is_told_and_counts_once() {
    let mut keeper = keeper(N);
    let mut with = |instance| {
        let identity = Some(Identity { run_id: "a".into(), forgets: true });
        let answer = Answer::Extension(1, Extension::Kept);
        keeper.heard(at(1_010), &Heard { instance, sent: at(1_010), identity, clock: None, answer })
    };
    assert_eq!(with(0), []);
    assert_eq!(with(2), [Move::Tell(Notice::SameServer { one: 0, other: 2 })]);
    assert_eq!(keeper.holding.members(), 2);
}
