//! Rounds by hand: when they are sent, to whom, and what is told.

use super::*;
use crate::lock::{ClusterSize, NoVoteReason, RestartGuard, ServerReport, Ttl};
use std::time::Duration;

const N: usize = 3;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Time {
    Time::default().plus(ms(millis))
}

fn held_lock(granted: usize) -> HeldLock {
    let ttl = Ttl::new(ms(3_000)).unwrap();
    let mut held_lock =
        HeldLock::new(ClusterSize::redlock(N).unwrap(), ttl, RestartGuard::For(ms(3_000)));
    for instance in 0..granted {
        let _ = held_lock.grant(instance, at(1_000), None);
    }
    held_lock
}

/// The first granted; of the others nothing was heard.
fn votes(granted: usize) -> Vec<Option<Vote>> {
    (0..N).map(|instance| (instance < granted).then_some(Vote::Granted)).collect()
}

/// TTL 3 s: rounds every second, time limit 150 ms, drift 32 ms; won at 1 s by the attempt with
/// number 7.
fn extender(granted: usize) -> Extender {
    let ttl = Ttl::new(ms(3_000)).unwrap();
    let mut extender = Extender::new(
        Schedule::new(ttl, None, None).unwrap(),
        7,
        held_lock(granted),
        &votes(granted),
        at(1_000),
    );
    assert_eq!(extender.new_deadline(), Some(ExtendStep::Deadline(at(1_000 + 2_968))));
    assert_eq!(extender.new_deadline(), None, "it is told once");
    extender
}

fn heard(instance: usize, sent: Time, response: Response) -> InstanceResponse {
    InstanceResponse { instance, sent, report: None, clock: None, response }
}

fn extension(instance: usize, sent: Time, response: Extension) -> InstanceResponse {
    heard(instance, sent, Response::Extension(response))
}

#[test]
fn a_round_is_sent_every_third_of_the_ttl() {
    let mut extender = extender(N);
    assert_eq!(extender.wake_at(), at(2_000));
    assert_eq!(extender.woke(at(1_999)), None);
    assert_eq!(extender.woke(at(2_000)), Some(ExtendStep::Extend(IfMissing::Leave, vec![0, 1, 2])));
    for instance in 0..N {
        let _ = extender.heard(at(2_001), &extension(instance, at(2_000), Extension::Kept));
    }
    assert_eq!(extender.wake_at(), at(3_000), "the round was confirmed: no tick in between");
    assert_eq!(extender.woke(at(2_150)), None);
    assert_eq!(extender.woke(at(3_000)), Some(ExtendStep::Extend(IfMissing::Leave, vec![0, 1, 2])));
}

/// What asks these instances.
fn leave(instances: &[usize]) -> ExtendStep {
    ExtendStep::Extend(IfMissing::Leave, instances.to_vec())
}

fn unreachable() -> Extension {
    Extension::Unknown(NoVoteReason::Unreachable("gone".into()))
}

/// All but `silent` confirm what was sent at `sent`.
fn confirm(extender: &mut Extender, sent: u64, silent: &[usize]) {
    for instance in (0..N).filter(|instance| !silent.contains(instance)) {
        let _ = extender.heard(at(sent + 1), &extension(instance, at(sent), Extension::Kept));
    }
}

#[test]
fn an_instance_that_is_silent_is_asked_again_less_and_less_often() {
    let mut extender = extender(N);
    assert_eq!(extender.woke(at(2_000)), Some(leave(&[0, 1, 2])));
    confirm(&mut extender, 2_000, &[2]);
    for again in [2_150, 2_450] {
        assert_eq!(extender.wake_at(), at(again));
        assert_eq!(
            (extender.woke(at(again - 1)), extender.woke(at(again))),
            (None, Some(leave(&[2])))
        );
    }
    assert_eq!(extender.wake_at(), at(3_000), "the next round is sooner");
    let _ = extender.woke(at(3_000));
    confirm(&mut extender, 3_000, &[]);
    assert_eq!(extender.wake_at(), at(4_000), "and is asked no more once it has confirmed");
}

#[test]
fn an_unconfirmed_round_is_tried_again_after_every_time_limit() {
    let mut extender = extender(N);
    let _ = extender.woke(at(2_000));
    confirm(&mut extender, 2_000, &[1, 2]);
    let moves = extender.heard(at(2_001), &extension(1, at(2_000), unreachable()));
    assert_eq!(
        moves,
        [ExtendStep::Notify(Notice::Unconfirmed { instance: 1, response: unreachable() })]
    );
    for again in [2_150, 2_300, 2_450, 2_600] {
        assert_eq!(
            (extender.woke(at(again - 1)), extender.woke(at(again))),
            (None, Some(leave(&[1, 2]))),
            "{again}"
        );
    }
}

#[test]
fn a_missing_key_is_set_again_by_a_request_of_its_own_and_counts_after_an_early_round() {
    let mut extender = extender(N);
    let _ = extender.woke(at(2_000));
    confirm(&mut extender, 2_000, &[2]);
    let moves = extender.heard(at(2_010), &extension(2, at(2_000), Extension::Missing));
    assert!(moves.contains(&ExtendStep::Extend(IfMissing::Set, vec![2])), "{moves:?}");
    assert_eq!(extender.held_lock.members(), 2);
    let _ = extender.heard(at(2_020), &extension(2, at(2_010), Extension::SetAgain));
    assert_eq!(extender.wake_at(), at(2_020), "the others are asked at once");
    assert_eq!(extender.woke(at(2_020)), Some(leave(&[0, 1, 2])));
    confirm(&mut extender, 2_020, &[2]);
    assert_eq!(extender.held_lock.members(), 3);
    assert_eq!(extender.wake_at(), at(2_170), "the third has not answered this round");
}

#[test]
fn early_rounds_are_a_time_limit_apart() {
    let mut extender = extender(N);
    let _ = extender.woke(at(2_000));
    confirm(&mut extender, 2_000, &[2]);
    for (told, round) in [(2_020, 2_020), (2_040, 2_170), (2_180, 2_320)] {
        let _ = extender.heard(at(told), &extension(2, at(told - 5), Extension::SetAgain));
        assert_eq!(
            (extender.woke(at(round - 1)), extender.woke(at(round))),
            (None, Some(leave(&[0, 1, 2]))),
            "{told}"
        );
        confirm(&mut extender, round, &[2]);
        let _ = extender.heard(at(round + 1), &extension(2, at(round), Extension::Kept));
    }
}

#[test]
fn a_key_that_cannot_be_set_again_is_tried_later_and_not_at_once() {
    let mut extender = extender(N);
    let _ = extender.woke(at(2_000));
    confirm(&mut extender, 2_000, &[2]);
    let missing = |sent| extension(2, at(sent), Extension::Missing);
    let _ = extender.heard(at(2_001), &missing(2_000));
    let moves = extender.heard(at(2_002), &missing(2_001));
    assert!(!moves.iter().any(|next| matches!(next, ExtendStep::Extend(..))), "{moves:?}");
    assert_eq!(extender.wake_at(), at(2_001 + 300));
}

#[test]
fn a_key_is_not_set_again_for_a_lock_that_is_lost() {
    let mut extender = extender(2);
    let _ = extender.woke(at(2_000));
    let moves = extender.heard(at(2_001), &extension(1, at(2_000), Extension::Missing));
    assert!(!moves.iter().any(|next| matches!(next, ExtendStep::Extend(..))), "{moves:?}");
    assert_eq!(extender.deadline(), None);
}

#[test]
fn a_connection_that_ends_is_made_anew_at_once() {
    let mut extender = extender(N);
    let _ = extender.woke(at(2_000));
    confirm(&mut extender, 2_000, &[]);
    let ended = heard(1, Time::default(), Response::Disconnected);
    let _ = extender.heard(at(2_500), &ended);
    assert_eq!((extender.wake_at(), extender.woke(at(2_500))), (at(2_500), Some(leave(&[1]))));
    let _ = extender.heard(at(2_501), &ended);
    assert_eq!(extender.wake_at(), at(2_650), "but not again and again");
}

#[test]
fn a_key_that_was_in_the_way_is_looked_at_right_after_the_start_and_who_said_nothing_later() {
    let schedule = Schedule::new(Ttl::new(ms(3_000)).unwrap(), None, None).unwrap();
    let silent = Some(Vote::Unknown(NoVoteReason::TimedOut));
    for (vote, again) in [(Some(Vote::Denied), 1_000), (silent, 1_150), (None, 1_150)] {
        let votes = [Some(Vote::Granted), Some(Vote::Granted), vote.clone()];
        let mut extender = Extender::new(schedule, 7, held_lock(2), &votes, at(1_000));
        assert_eq!(extender.wake_at(), at(again), "{vote:?}");
        assert_eq!(extender.woke(at(again)), Some(leave(&[2])), "{vote:?}");
    }
}

#[test]
fn what_is_lost_is_not_extended_and_wakes_nobody() {
    for (label, granted, now) in [("expired", N, at(3_968)), ("too few members", 1, at(2_000))] {
        let schedule = Schedule::new(Ttl::new(ms(3_000)).unwrap(), None, None).unwrap();
        let mut extender =
            Extender::new(schedule, 7, held_lock(granted), &votes(granted), at(1_000));
        assert_eq!(extender.woke(now), None, "{label}");
        assert_eq!(extender.wake_at(), Time::NEVER, "{label}");
    }
}

#[test]
fn a_grant_within_its_time_limit_makes_a_member_and_a_later_one_has_to_be_confirmed() {
    for (label, attempt, came, members) in
        [("in time", 7, 1_149, 3), ("late", 7, 1_150, 2), ("of another attempt", 6, 1_149, 2)]
    {
        let mut extender = extender(2);
        let moves =
            extender.heard(at(came), &heard(2, at(1_000), Response::Vote(attempt, Vote::Granted)));
        assert_eq!(
            moves.contains(&ExtendStep::Notify(Notice::InstanceRejoined { instance: 2 })),
            members == 3,
            "{label}"
        );
        assert_eq!(extender.held_lock.members(), members, "{label}");
        let _ = extender.woke(at(came));
        confirm(&mut extender, came, &[2]);
        assert_eq!(
            extender.held_lock.members(),
            if attempt == 7 { 3 } else { 2 },
            "{label}: after an early round"
        );
    }
}

#[test]
fn the_deadline_is_told_when_it_moves_on_by_a_twentieth_or_back_at_all() {
    let mut extender = extender(N);
    for (sent, told) in
        [(1_149, None), (1_150, Some(at(1_150 + 2_968))), (1_299, None), (1_300, Some(at(4_268)))]
    {
        let _ = extender.heard(at(sent), &extension(0, at(sent), Extension::Kept));
        let moves = extender.heard(at(sent), &extension(1, at(sent), Extension::Kept));
        assert_eq!(moves, told.map(ExtendStep::Deadline).into_iter().collect::<Vec<_>>(), "{sent}");
    }
    let moves = extender.heard(at(2_000), &extension(0, at(2_000), Extension::Foreign));
    let left = ExtendStep::Notify(Notice::InstanceLost {
        instance: 0,
        response: Some(Extension::Foreign),
    });
    assert_eq!(
        moves,
        [left, ExtendStep::Deadline(at(1_000 + 2_968))],
        "without it, an older lease is the second"
    );
}

fn report(run_id: &str) -> ServerReport {
    let account = Account::Told { run_id: run_id.into(), uptime: Duration::from_secs(60) };
    ServerReport { account: Some(account), marking: None }
}

#[test]
fn a_new_run_id_and_a_step_of_the_clock_are_told() {
    let mut extender = extender(N);
    let mut with = |run_id: &str, clock: u64, at_ms: u64| {
        let report = Some(report(run_id));
        let clock = Some(Duration::from_secs(1_700_000_000) + ms(clock));
        let response = Response::Extension(Extension::Kept);
        extender.heard(
            at(at_ms),
            &InstanceResponse { instance: 0, sent: at(at_ms), report, clock, response },
        )
    };
    assert_eq!(with("a", 0, 1_010), []);
    assert_eq!(
        with("b", 10, 1_020)[0],
        ExtendStep::Notify(Notice::InstanceLost { instance: 0, response: None })
    );
    let stepped = with("b", 20 + 500, 1_030);
    assert_eq!(stepped[0], ExtendStep::Notify(Notice::ClockStepped { instance: 0, by: ms(500) }));
}

#[test]
fn a_server_that_turns_out_to_be_another_is_told_and_counts_once() {
    let mut extender = extender(N);
    let mut with = |instance| {
        let report = Some(report("a"));
        let response = Response::Extension(Extension::Kept);
        extender.heard(
            at(1_010),
            &InstanceResponse { instance, sent: at(1_010), report, clock: None, response },
        )
    };
    assert_eq!(with(0), []);
    assert_eq!(with(2), [ExtendStep::Notify(Notice::SameServer { one: 0, other: 2 })]);
    assert_eq!(extender.held_lock.members(), 2);
}
