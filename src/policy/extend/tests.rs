//! Rounds by hand: times, receivers and notices.

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

/// TTL 3 s: a round every second, op-timeout 150 ms, drift 32 ms.
fn schedule() -> Schedule {
    Schedule::new(Ttl::new(ms(3_000)).unwrap(), None, None).unwrap()
}

fn held_lock(granted: usize) -> HeldLock {
    let ttl = schedule().ttl();
    let mut held_lock =
        HeldLock::new(ClusterSize::redlock(N).unwrap(), ttl, RestartGuard::For(ms(3_000)));
    for instance in 0..granted {
        let _ = held_lock.grant(instance, at(1_000), None);
    }
    held_lock
}

/// Votes of an acquisition that the first instances granted. The others did not respond.
fn votes(granted: usize) -> Vec<Option<Vote>> {
    (0..N).map(|instance| (instance < granted).then_some(Vote::Granted)).collect()
}

/// The extensions of a lock that attempt 7 acquired at 1 s.
fn extender(granted: usize) -> Extender {
    let mut extender = Extender::new(schedule(), 7, held_lock(granted), &votes(granted), at(1_000));
    assert_eq!(extender.moved_deadline(), Some(at(1_000 + 2_968)));
    assert_eq!(extender.moved_deadline(), None, "each deadline is reported once");
    extender
}

fn timeout(extender: &mut Extender, now: u64) -> Vec<Action> {
    let mut out = Vec::new();
    extender.handle_timeout(at(now), &mut out);
    out
}

fn receive(extender: &mut Extender, now: u64, received: &InstanceResponse) -> Vec<Action> {
    let mut out = Vec::new();
    extender.handle_response(at(now), received, &mut out);
    out
}

fn response(instance: usize, sent: u64, response: Response) -> InstanceResponse {
    InstanceResponse { instance, sent: at(sent), report: None, clock: None, response }
}

fn extension(instance: usize, sent: u64, extension: Extension) -> InstanceResponse {
    response(instance, sent, Response::Extension(extension))
}

/// Extensions of these instances that leave a missing key missing.
fn extend(instances: &[usize]) -> [Action; 1] {
    [Action::Extend(IfMissing::Leave, instances.to_vec())]
}

fn unreachable() -> Extension {
    Extension::Unknown(NoVoteReason::Unreachable("gone".into()))
}

/// All instances but `silent` confirm the request that was sent at `sent`.
fn confirm(extender: &mut Extender, sent: u64, silent: &[usize]) {
    for instance in (0..N).filter(|instance| !silent.contains(instance)) {
        let _ = receive(extender, sent + 1, &extension(instance, sent, Extension::Kept));
    }
}

#[test]
fn a_revocation_is_known_as_long_as_an_instance_shows_it() {
    let mut extender = extender(N);
    let by = Revocation::new("ops@web2", None, 1);
    let revoked = |instance, sent| extension(instance, sent, Extension::Revoked(by.clone()));
    let _ = receive(&mut extender, 2_001, &revoked(2, 2_000));
    assert_eq!(extender.revocation(), Some(&by));
    assert!(extender.deadline().is_some(), "a minority ends no run");
    let _ = receive(&mut extender, 3_001, &extension(2, 3_000, unreachable()));
    assert_eq!(extender.revocation(), Some(&by), "silence tells nothing");
    for ended in [Extension::Missing, Extension::Foreign, Extension::SetAgain, Extension::Kept] {
        let _ = receive(&mut extender, 3_002, &extension(2, 3_001, ended.clone()));
        assert_eq!(extender.revocation(), None, "{ended:?}");
        let _ = receive(&mut extender, 3_002, &revoked(2, 3_001));
    }
    let _ = receive(&mut extender, 3_003, &revoked(0, 3_002));
    assert_eq!((extender.deadline(), extender.revocation()), (None, Some(&by)));
}

#[test]
fn a_round_is_sent_every_third_of_the_ttl() {
    let mut extender = extender(N);
    assert_eq!(extender.wake_at(), at(2_000));
    assert_eq!(timeout(&mut extender, 1_999), []);
    assert_eq!(timeout(&mut extender, 2_000), extend(&[0, 1, 2]));
    confirm(&mut extender, 2_000, &[]);
    assert_eq!(extender.wake_at(), at(3_000), "the round is confirmed: no retry");
    assert_eq!(timeout(&mut extender, 2_150), []);
    assert_eq!(timeout(&mut extender, 3_000), extend(&[0, 1, 2]));
}

#[test]
fn a_silent_instance_is_retried_with_a_growing_delay() {
    let mut extender = extender(N);
    assert_eq!(timeout(&mut extender, 2_000), extend(&[0, 1, 2]));
    confirm(&mut extender, 2_000, &[2]);
    for retry in [2_150, 2_450] {
        assert_eq!(extender.wake_at(), at(retry));
        assert_eq!(timeout(&mut extender, retry - 1), []);
        assert_eq!(timeout(&mut extender, retry), extend(&[2]));
    }
    assert_eq!(extender.wake_at(), at(3_000), "the next round is sooner");
    let _ = timeout(&mut extender, 3_000);
    confirm(&mut extender, 3_000, &[]);
    assert_eq!(extender.wake_at(), at(4_000), "a confirmation ends the retries");
}

#[test]
fn an_unconfirmed_round_is_retried_after_every_op_timeout() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[1, 2]);
    let actions = receive(&mut extender, 2_001, &extension(1, 2_000, unreachable()));
    let notice = Notice::Unconfirmed { instance: 1, response: unreachable() };
    assert_eq!(actions, [Action::Notify(notice)]);
    for retry in [2_150, 2_300, 2_450, 2_600] {
        assert_eq!(timeout(&mut extender, retry - 1), [], "{retry}");
        assert_eq!(timeout(&mut extender, retry), extend(&[1, 2]), "{retry}");
    }
}

#[test]
fn a_missing_key_is_set_again_by_a_request_of_its_own_and_counts_after_an_early_round() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[2]);
    let actions = receive(&mut extender, 2_010, &extension(2, 2_000, Extension::Missing));
    assert!(actions.contains(&Action::Extend(IfMissing::Set, vec![2])), "{actions:?}");
    assert_eq!(extender.held_lock.members(), 2);
    let _ = receive(&mut extender, 2_020, &extension(2, 2_010, Extension::SetAgain));
    assert_eq!(extender.wake_at(), at(2_020), "the next round is early");
    assert_eq!(timeout(&mut extender, 2_020), extend(&[0, 1, 2]));
    confirm(&mut extender, 2_020, &[2]);
    assert_eq!(extender.held_lock.members(), 3);
    assert_eq!(extender.wake_at(), at(2_170), "instance 2 has not confirmed this round");
}

#[test]
fn a_member_that_counts_again_by_the_response_of_another_is_reported() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[2]);
    let _ = receive(&mut extender, 2_010, &extension(2, 2_000, Extension::Missing));
    let _ = receive(&mut extender, 2_020, &extension(2, 2_010, Extension::SetAgain));
    let _ = timeout(&mut extender, 2_020);
    for (instance, members) in [(2, 2), (0, 2), (1, 3)] {
        let kept = extension(instance, 2_020, Extension::Kept);
        let actions = receive(&mut extender, 2_030, &kept);
        let rejoined = Action::Notify(Notice::InstanceRejoined { instance: 2 });
        assert_eq!(actions.contains(&rejoined), members == 3, "{instance}: {actions:?}");
        assert_eq!(extender.held_lock.members(), members, "{instance}");
    }
}

#[test]
fn early_rounds_are_an_op_timeout_apart() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[2]);
    for (received, round) in [(2_020, 2_020), (2_040, 2_170), (2_180, 2_320)] {
        let set_again = extension(2, received - 5, Extension::SetAgain);
        let _ = receive(&mut extender, received, &set_again);
        assert_eq!(timeout(&mut extender, round - 1), [], "{received}");
        assert_eq!(timeout(&mut extender, round), extend(&[0, 1, 2]), "{received}");
        confirm(&mut extender, round, &[2]);
        let _ = receive(&mut extender, round + 1, &extension(2, round, Extension::Kept));
    }
}

#[test]
fn a_regular_round_delays_no_early_round() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[2]);
    let set_again = |sent| extension(2, sent, Extension::SetAgain);
    let _ = receive(&mut extender, 3_000, &set_again(2_990));
    assert_eq!(timeout(&mut extender, 3_000), extend(&[0, 1, 2]), "due at this moment anyway");
    confirm(&mut extender, 3_000, &[2]);
    let _ = receive(&mut extender, 3_020, &set_again(3_010));
    assert_eq!(extender.wake_at(), at(3_020));
}

fn has_extension(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Extend(..)))
}

#[test]
fn a_key_that_cannot_be_set_again_is_retried_later_and_not_at_once() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[2]);
    let missing = |sent| extension(2, sent, Extension::Missing);
    let _ = receive(&mut extender, 2_001, &missing(2_000));
    let actions = receive(&mut extender, 2_002, &missing(2_001));
    assert!(!has_extension(&actions), "{actions:?}");
    assert_eq!(extender.wake_at(), at(2_001 + 300));
}

#[test]
fn a_key_is_not_set_again_for_a_lock_that_is_lost() {
    let mut extender = extender(2);
    let _ = timeout(&mut extender, 2_000);
    let actions = receive(&mut extender, 2_001, &extension(1, 2_000, Extension::Missing));
    assert!(!has_extension(&actions), "{actions:?}");
    assert_eq!(extender.deadline(), None);
}

#[test]
fn a_closed_connection_is_replaced_at_once() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[]);
    let disconnected = response(1, 0, Response::Disconnected);
    let _ = receive(&mut extender, 2_500, &disconnected);
    assert_eq!(extender.wake_at(), at(2_500));
    assert_eq!(timeout(&mut extender, 2_500), extend(&[1]));
    let _ = receive(&mut extender, 2_501, &disconnected);
    assert_eq!(extender.wake_at(), at(2_650), "once per op-timeout");
}

#[test]
fn an_instance_that_confirms_and_ends_each_connection_is_left_to_the_rounds() {
    let mut extender = extender(N);
    let _ = timeout(&mut extender, 2_000);
    confirm(&mut extender, 2_000, &[]);
    let disconnected = response(1, 0, Response::Disconnected);
    let mut sent = 2_001;
    for next in [2_001, 2_151, 2_451] {
        let _ = receive(&mut extender, sent, &disconnected);
        assert_eq!(extender.wake_at(), at(next));
        assert_eq!(timeout(&mut extender, next), extend(&[1]));
        let _ = receive(&mut extender, next, &extension(1, next, Extension::Kept));
        sent = next;
    }
    let _ = receive(&mut extender, sent, &disconnected);
    assert_eq!(extender.wake_at(), at(3_000), "the next round is sooner");
    assert_eq!(timeout(&mut extender, 3_000), extend(&[0, 1, 2]));
}

#[test]
fn a_denied_vote_is_retried_right_after_the_start_and_a_missing_vote_an_op_timeout_later() {
    let silent = Some(Vote::Unknown(NoVoteReason::TimedOut));
    for (vote, retry) in [(Some(Vote::Denied), 1_000), (silent, 1_150), (None, 1_150)] {
        let votes = [Some(Vote::Granted), Some(Vote::Granted), vote.clone()];
        let mut extender = Extender::new(schedule(), 7, held_lock(2), &votes, at(1_000));
        assert_eq!(extender.wake_at(), at(retry), "{vote:?}");
        assert_eq!(timeout(&mut extender, retry), extend(&[2]), "{vote:?}");
    }
}

#[test]
fn a_late_denial_is_followed_by_a_request_at_once_unless_one_is_under_way() {
    for (label, requested, received, retry) in
        [("no request yet", None, 1_020, 1_020), ("a request", Some(1_150), 1_160, 1_300)]
    {
        let mut extender = extender(2);
        if let Some(requested) = requested {
            assert_eq!(timeout(&mut extender, requested), extend(&[2]), "{label}");
        }
        let denied = response(2, 1_000, Response::Vote(7, Vote::Denied));
        let _ = receive(&mut extender, received, &denied);
        assert_eq!(extender.wake_at(), at(retry), "{label}");
        assert_eq!(timeout(&mut extender, retry), extend(&[2]), "{label}");
    }
}

#[test]
fn an_instance_is_reported_with_the_first_request_that_it_does_not_confirm() {
    let mut extender = extender(N);
    let mut sent = 2_000;
    for (retry, label) in [(2_150, "first"), (3_150, "first after a confirmation")] {
        let _ = timeout(&mut extender, sent);
        confirm(&mut extender, sent, &[2]);
        let notice = Notice::Unconfirmed { instance: 2, response: unreachable() };
        let actions = receive(&mut extender, sent + 1, &extension(2, sent, unreachable()));
        assert_eq!(actions, [Action::Notify(notice)], "{label}");
        assert_eq!(timeout(&mut extender, retry), extend(&[2]), "{label}");
        let actions = receive(&mut extender, retry + 1, &extension(2, retry, unreachable()));
        assert_eq!(actions, [], "{label}: reported before");
        let _ = receive(&mut extender, retry + 2, &extension(2, retry, Extension::Kept));
        sent += 1_000;
    }
}

#[test]
fn a_lost_lock_is_neither_extended_nor_timed() {
    for (label, granted, now) in [("expired", N, 3_968), ("too few members", 1, 2_000)] {
        let mut extender =
            Extender::new(schedule(), 7, held_lock(granted), &votes(granted), at(1_000));
        assert_eq!(timeout(&mut extender, now), [], "{label}");
        assert_eq!(extender.wake_at(), Time::NEVER, "{label}");
    }
}

#[test]
fn a_vote_in_time_makes_a_member_and_a_late_vote_has_to_be_confirmed() {
    for (label, attempt, received, members) in
        [("in time", 7, 1_149, 3), ("late", 7, 1_150, 2), ("of another attempt", 6, 1_149, 2)]
    {
        let mut extender = extender(2);
        let vote = response(2, 1_000, Response::Vote(attempt, Vote::Granted));
        let actions = receive(&mut extender, received, &vote);
        let rejoined = Action::Notify(Notice::InstanceRejoined { instance: 2 });
        assert_eq!(actions.contains(&rejoined), members == 3, "{label}");
        assert_eq!(extender.held_lock.members(), members, "{label}");
        let _ = timeout(&mut extender, received);
        confirm(&mut extender, received, &[2]);
        assert_eq!(
            extender.held_lock.members(),
            if attempt == 7 { 3 } else { 2 },
            "{label}: after an early round"
        );
    }
}

#[test]
fn the_deadline_is_reported_when_it_moves_on_by_a_twentieth_of_the_ttl_or_moves_back() {
    let mut extender = extender(N);
    for (sent, deadline) in
        [(1_149, None), (1_150, Some(at(1_150 + 2_968))), (1_299, None), (1_300, Some(at(4_268)))]
    {
        for instance in [0, 1] {
            let kept = extension(instance, sent, Extension::Kept);
            assert_eq!(receive(&mut extender, sent, &kept), [], "{sent}");
        }
        assert_eq!(extender.moved_deadline(), deadline, "{sent}");
    }
    let actions = receive(&mut extender, 2_000, &extension(0, 2_000, Extension::Foreign));
    let response = Some(Extension::Foreign);
    assert_eq!(actions, [Action::Notify(Notice::InstanceLost { instance: 0, response })]);
    let older = Some(at(1_000 + 2_968));
    assert_eq!(extender.moved_deadline(), older, "the quorum-th lease is an older one now");
}

fn report(run_id: &str) -> ServerReport {
    let account = Account::Told { run_id: run_id.into(), uptime: Duration::from_secs(60) };
    ServerReport { account: Some(account), marking: None }
}

#[test]
fn a_new_run_id_and_a_clock_step_are_reported() {
    let mut extender = extender(N);
    let mut with = |run_id: &str, clock: u64, now: u64| {
        let clock = Some(Duration::from_secs(1_700_000_000) + ms(clock));
        let kept = extension(0, now, Extension::Kept);
        let received = InstanceResponse { report: Some(report(run_id)), clock, ..kept };
        receive(&mut extender, now, &received)
    };
    assert_eq!(with("a", 0, 1_010), []);
    let lost = Action::Notify(Notice::InstanceLost { instance: 0, response: None });
    assert_eq!(with("b", 10, 1_020)[0], lost);
    let stepped = Action::Notify(Notice::ClockStepped { instance: 0, by: ms(500) });
    assert_eq!(with("b", 20 + 500, 1_030)[0], stepped);
}

#[test]
fn a_duplicate_server_is_reported_and_counts_once() {
    let mut extender = extender(N);
    let mut with = |instance| {
        let kept = extension(instance, 1_010, Extension::Kept);
        let received = InstanceResponse { report: Some(report("a")), ..kept };
        receive(&mut extender, 1_010, &received)
    };
    assert_eq!(with(0), []);
    assert_eq!(with(2), [Action::Notify(Notice::SameServer { one: 0, other: 2 })]);
    assert_eq!(extender.held_lock.members(), 2);
}
