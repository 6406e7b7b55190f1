//! What a wait does of what it sees.

use super::*;
use crate::lock::{
    Account, Difference, LockStatus, LockValue, NoVoteReason, PermanentError, ServerName,
    ServerReport,
};

fn at(millis: u64) -> Time {
    Time::default().plus(Duration::from_millis(millis))
}

fn held(left: u64) -> StatusResponse {
    let holder = ObservedHolder { value: "x".into(), left: Some(Duration::from_millis(left)) };
    StatusResponse::Seen(LockStatus { free: vec![], holder: Some(holder), place: None })
}

fn free() -> StatusResponse {
    StatusResponse::Seen(LockStatus { free: vec![0], holder: None, place: None })
}

/// The side of a wait over five servers.
fn agreement(slots: u32) -> Agreement {
    let servers =
        (0..5).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect();
    Agreement::new("deploy@web1", slots, servers, RestartGuard::Off, Duration::from_millis(100))
}

fn unknown() -> StatusResponse {
    StatusResponse::Unknown(NoVoteReason::TimedOut)
}

fn looking(wait_limit: WaitLimit, responses: &[StatusResponse]) -> (WaitUntilFree, WaitStep) {
    looking_for(1, wait_limit, responses)
}

fn looking_for(
    slots: u32,
    wait_limit: WaitLimit,
    responses: &[StatusResponse],
) -> (WaitUntilFree, WaitStep) {
    let (size, limit) = (ClusterSize::redlock(5).unwrap(), Duration::from_millis(100));
    let mut wait_free = WaitUntilFree::new(
        size,
        limit,
        wait_limit,
        RestartGuard::Off,
        agreement(slots),
        ProgressStyle::News,
        at(0),
    );
    assert_eq!(wait_free.woke(at(0), 0), WaitStep::PollAll);
    let mut last = WaitStep::Wait;
    for (instance, status) in responses.iter().enumerate() {
        last = wait_free.seen(at(1), 0, (instance, at(0)), status.clone());
    }
    (wait_free, last)
}

#[test]
fn a_majority_says_that_it_is_free() {
    assert_eq!(looking(WaitLimit::Once, &[held(9), free(), free()]).1, WaitStep::Wait);
    assert_eq!(
        looking(WaitLimit::Once, &[held(9), free(), free(), unknown(), free()]).1,
        WaitStep::Free
    );
}

#[test]
fn one_slot_is_free_where_a_majority_says_so_of_the_same_one() {
    let slots = |free: &[u32]| {
        let holder = ObservedHolder { value: "x".into(), left: Some(Duration::from_secs(9)) };
        StatusResponse::Seen(LockStatus {
            free: free.to_vec(),
            holder: Some(holder),
            ..LockStatus::default()
        })
    };
    for (label, responses, expected) in [
        ("none", [slots(&[]), slots(&[]), slots(&[]), slots(&[]), slots(&[])], false),
        ("each another", [slots(&[0]), slots(&[1]), slots(&[2]), slots(&[0]), slots(&[1])], false),
        ("the last", [slots(&[]), slots(&[2]), slots(&[]), slots(&[0, 2]), slots(&[2])], true),
    ] {
        let (_, last) = looking_for(3, WaitLimit::Once, &responses);
        let is_free = last == WaitStep::Free;
        assert!(
            is_free || matches!(last, WaitStep::GiveUp(Outcome::Busy(Some(_)))),
            "{label}: {last:?}"
        );
        assert_eq!(is_free, expected, "{label}");
    }
}

/// The last step of a wait for one of `slots`, where an instance that has just started says so of
/// itself.
fn looking_at(slots: u32, responses: &[(StatusResponse, bool)]) -> WaitStep {
    let (size, limit) =
        (ClusterSize::redlock(responses.len()).unwrap(), Duration::from_millis(100));
    let guard = RestartGuard::For(Duration::from_secs(30));
    let mut wait_free = WaitUntilFree::new(
        size,
        limit,
        WaitLimit::Once,
        guard,
        agreement(slots),
        ProgressStyle::News,
        at(100_000),
    );
    assert_eq!(wait_free.woke(at(100_000), 0), WaitStep::PollAll);
    let mut last = WaitStep::Wait;
    for (instance, (status, has_restarted)) in responses.iter().enumerate() {
        let uptime = Duration::from_secs(if *has_restarted { 3 } else { 60 });
        let account = Account::Told { run_id: format!("run{instance}"), uptime };
        let report = Some(ServerReport {
            account: Some(account),
            marking: Some(crate::lock::Marking::Unavailable),
        });
        let response = Response::Status(status.clone());
        last = wait_free.heard(
            at(100_000),
            0,
            InstanceResponse { instance, sent: at(100_000), report, clock: None, response },
        );
    }
    last
}

#[test]
fn what_a_restarted_instance_says_is_free_may_be_forgotten() {
    let why = || NoVoteReason::Restarted {
        up: Duration::from_secs(2),
        votes_in: Duration::from_secs(28),
    };
    let (sure, doubtful) = (|status| (status, false), || (free(), true));
    let last = looking_at(1, &[sure(held(9)), sure(held(9)), sure(free()), doubtful(), doubtful()]);
    assert!(matches!(last, WaitStep::GiveUp(Outcome::Busy(Some(_)))), "{last:?}");
    let last = looking_at(1, &[sure(free()), doubtful(), doubtful(), doubtful(), doubtful()]);
    assert!(
        matches!(&last, WaitStep::GiveUp(Outcome::NoQuorum(votes)) if votes.contains(&Some(Vote::Unknown(why())))),
        "{last:?}"
    );
    assert_eq!(looking_at(1, &[sure(free()), sure(free()), doubtful()]), WaitStep::Free);
}

#[test]
fn a_wait_is_mentioned_after_a_second_and_its_end_only_then() {
    let (mut wait_free, _) = looking(WaitLimit::Forever, &[held(9_000), held(9_000), held(9_000)]);
    assert_eq!((wait_free.progress(at(999)), wait_free.end()), (None, None));
    let (mut wait_free, _) = looking(WaitLimit::Forever, &[held(9_000), held(9_000), held(9_000)]);
    assert!(wait_free.wake_at() < at(1_000));
    assert_eq!(wait_free.woke(at(900), 0), WaitStep::PollOne(0));
    assert_eq!(wait_free.wake_at(), at(1_000));
    assert!(matches!(
        wait_free.progress(at(1_000)),
        Some(Notice::Waiting { blocker: Blocker::Holder(Some(_)), place: None })
    ));
    assert_eq!(wait_free.end(), Some(Notice::Waited));
}

#[test]
fn a_look_is_over_when_no_instance_can_tell_busy_from_no_quorum_any_more() {
    let (mut wait_free, step) = looking(WaitLimit::Once, &[unknown(), unknown(), held(9), held(9)]);
    assert_eq!(step, WaitStep::Wait, "the fifth can tell");
    let step = wait_free.seen(at(2), 0, (4, at(0)), held(9));
    assert!(matches!(step, WaitStep::GiveUp(Outcome::Busy(Some(_)))), "{step:?}");
    let (_, step) = looking(WaitLimit::Once, &[unknown(), unknown(), unknown(), held(9)]);
    assert!(matches!(step, WaitStep::GiveUp(Outcome::NoQuorum(_))), "{step:?}");
}

#[test]
fn whoever_does_not_wait_leaves_with_what_is_known() {
    let refused =
        || StatusResponse::Unknown(NoVoteReason::Refused(PermanentError::Access, "no".into()));
    for (label, responses, is_right) in [
        (
            "busy",
            vec![held(9), held(9), held(9)],
            (|o| matches!(o, Outcome::Busy(Some(_)))) as fn(&Outcome) -> bool,
        ),
        ("no quorum", vec![free(), free(), unknown(), unknown(), unknown()], |o| {
            matches!(o, Outcome::NoQuorum(_))
        }),
        ("refused", vec![refused(), refused(), refused()], |o| {
            matches!(o, Outcome::Refused(PermanentError::Access, _))
        }),
    ] {
        let WaitStep::GiveUp(outcome) = looking(WaitLimit::Once, &responses).1 else {
            panic!("{label}")
        };
        assert!(is_right(&outcome), "{label}: {outcome:?}");
    }
}

#[test]
fn it_looks_again_when_the_lease_is_over_or_half_a_second_later_and_leaves_when_its_time_is_over() {
    for (left, pause) in [(40, 50), (20_000, 510)] {
        let (wait_free, last) = looking(WaitLimit::Forever, &[held(left), held(left), held(left)]);
        assert_eq!((last, wait_free.wake_at()), (WaitStep::Wait, at(1 + pause)), "{left}");
    }
    let (mut wait_free, _) =
        looking(WaitLimit::Until(at(200)), &[held(9_000), held(9_000), held(9_000)]);
    assert_eq!(wait_free.wake_at(), at(200));
    assert_eq!(wait_free.woke(at(200), 0), WaitStep::PollAll, "once more at the end");
    assert_eq!(wait_free.wake_at(), at(300));
    assert!(
        matches!(wait_free.woke(at(300), 0), WaitStep::GiveUp(Outcome::NoQuorum(_))),
        "nobody answered"
    );
}

#[test]
fn an_early_wake_up_neither_looks_nor_gives_up() {
    let (mut hasty, _) = looking(WaitLimit::Once, &[held(40), held(40)]);
    assert_eq!(hasty.woke(at(99), 0), WaitStep::Wait, "the others may answer yet");
    let (mut wait_free, _) = looking(WaitLimit::Forever, &[held(40), held(40)]);
    assert_eq!(wait_free.seen(at(99), 0, (2, at(0)), held(40)), WaitStep::Wait);
    assert_eq!(wait_free.wake_at(), at(99 + 50));
    assert_eq!(wait_free.woke(at(148), 0), WaitStep::Wait, "nothing has changed yet");
    assert_eq!(wait_free.woke(at(149), 0), WaitStep::PollOne(0));
}

#[test]
fn one_instance_after_the_other_is_looked_at_and_all_when_one_has_news() {
    let (mut wait_free, _) = looking(WaitLimit::Forever, &[held(9_000), held(9_000), held(9_000)]);
    for (second, instance) in (1..).zip(0..7) {
        let now = at(second * 1_000);
        assert_eq!(wait_free.woke(now, 0), WaitStep::PollOne(instance % 5));
        assert_eq!(
            wait_free.seen(now, 0, ((instance + 1) % 5, at(0)), free()),
            WaitStep::Wait,
            "nobody asked it"
        );
        assert_eq!(wait_free.seen(now, 0, (instance % 5, at(0)), held(9_000)), WaitStep::Wait);
    }
    for (label, news) in [("free", Some(free())), ("unknown", Some(unknown())), ("silent", None)] {
        let (mut wait_free, _) =
            looking(WaitLimit::Forever, &[held(9_000), held(9_000), held(9_000)]);
        let now = wait_free.wake_at();
        assert_eq!(wait_free.woke(now, 0), WaitStep::PollOne(0), "{label}");
        let next = match news {
            Some(news) => wait_free.seen(now, 0, (0, at(0)), news),
            None => wait_free.woke(now.plus(Duration::from_millis(100)), 0),
        };
        assert_eq!(next, WaitStep::PollAll, "{label}");
        for instance in 0..2 {
            assert_eq!(
                wait_free.seen(now, 0, (instance, at(0)), free()),
                WaitStep::Wait,
                "{label}"
            );
        }
        assert_eq!(
            wait_free.seen(now, 0, (2, at(0)), free()),
            WaitStep::Wait,
            "{label}: the others are waited for"
        );
        assert_eq!(
            wait_free.woke(now.plus(Duration::from_millis(10)), 0),
            WaitStep::Free,
            "{label}"
        );
    }
}

#[test]
fn one_that_hangs_is_waited_for_no_longer_than_there_is_time_or_between_two_looks() {
    let (size, limit) = (ClusterSize::redlock(3).unwrap(), Duration::from_secs(5));
    for (wait_limit, glance, until) in
        [(WaitLimit::Forever, 2_000, 2_500), (WaitLimit::Until(at(2_200)), 2_000, 2_200)]
    {
        let mut wait_free = WaitUntilFree::new(
            size,
            limit,
            wait_limit,
            RestartGuard::Off,
            agreement(1),
            ProgressStyle::Live,
            at(1_000),
        );
        assert_eq!(wait_free.woke(at(1_000), 0), WaitStep::PollAll);
        (0..2).for_each(|instance| {
            assert_eq!(
                wait_free.seen(at(1_000), 0, (instance, at(0)), held(9_000)),
                WaitStep::Wait
            );
        });
        assert_eq!(wait_free.woke(at(glance), 0), WaitStep::PollOne(0));
        assert!(wait_free.progress(at(glance)).is_some());
        assert_eq!(wait_free.wake_at(), at(until), "{wait_limit:?}");
        assert_eq!(wait_free.woke(at(until), 0), WaitStep::PollAll, "{wait_limit:?}");
    }
}

#[test]
fn it_is_busy_where_all_slots_are_held_and_unknown_where_one_is() {
    for held in [0, 1] {
        let view = LockStatus { free: vec![1 - held], ..LockStatus::default() };
        let last = looking_at(2, &[(); 5].map(|()| (StatusResponse::Seen(view.clone()), true)));
        assert!(
            matches!(last, WaitStep::GiveUp(Outcome::NoQuorum(_))),
            "slot {held} is held: {last:?}"
        );
    }
}

#[test]
fn those_who_can_answer_are_spared_while_too_few_do() {
    let (mut wait_free, _) =
        looking(WaitLimit::Forever, &[free(), unknown(), unknown(), unknown(), unknown()]);
    let mut looks = 0;
    while wait_free.wake_at() < at(20_000) && looks < 100 {
        let now = wait_free.wake_at();
        let _ = wait_free.progress(now);
        if wait_free.woke(now, Sample::MAX) == WaitStep::PollAll {
            looks += 1;
            for instance in 0..5 {
                let _ = wait_free.seen(
                    now,
                    Sample::MAX,
                    (instance, at(0)),
                    if instance == 0 { held(1) } else { unknown() },
                );
            }
        }
    }
    assert!((10..20).contains(&looks), "{looks} looks in 20 s");
}

#[test]
fn those_who_wait_for_the_same_lock_do_not_all_look_at_once() {
    let pauses = [0, Sample::MAX].map(|sample| {
        let (mut wait_free, _) = looking(WaitLimit::Forever, &[held(40), held(40)]);
        assert_eq!(wait_free.seen(at(1), sample, (2, at(0)), held(40)), WaitStep::Wait);
        wait_free.wake_at()
    });
    let apart = pauses[1].since(pauses[0]);
    assert!(apart > Duration::from_millis(9) && apart < Duration::from_millis(11), "{apart:?}");
}

#[test]
fn a_claim_that_disagrees_twice_is_a_refusal_and_a_lock_is_not_free_before() {
    let servers: Vec<_> =
        (0..3).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect();
    let value = LockValue::example("web2", &servers).to_line();
    let holder = ObservedHolder { value, left: Some(Duration::from_secs(9)) };
    let other = || {
        StatusResponse::Seen(LockStatus { free: vec![], holder: Some(holder.clone()), place: None })
    };
    for (label, wait_limit, responses) in [
        ("beside a majority", WaitLimit::Once, [free(), free(), free(), free(), other()]),
        ("on a majority", WaitLimit::Once, [other(), other(), other(), free(), free()]),
        ("and waits", WaitLimit::Forever, [other(), other(), other(), free(), free()]),
    ] {
        let (mut wait_free, last) = looking(wait_limit, &responses);
        assert_eq!(last, WaitStep::Wait, "{label}");
        let again = wait_free.wake_at();
        let step = wait_free.woke(again, 0);
        assert_ne!(step, WaitStep::Free, "{label}");
        let step = wait_free.seen(again.max(at(201)), 0, (4, again), other());
        let expected = Difference::Count(3);
        assert!(
            matches!(&step, WaitStep::GiveUp(Outcome::Disagreed(_, of)) if *of == expected),
            "{label}: {step:?}"
        );
    }
    let (mut wait_free, last) =
        looking(WaitLimit::Once, &[free(), free(), free(), free(), other()]);
    assert_eq!((last, wait_free.woke(at(201), 0)), (WaitStep::Wait, WaitStep::PollAll));
    for instance in 0..4 {
        assert_eq!(wait_free.seen(at(202), 0, (instance, at(201)), free()), WaitStep::Wait);
    }
    assert_eq!(wait_free.seen(at(202), 0, (4, at(201)), free()), WaitStep::Free, "it is gone");
}
