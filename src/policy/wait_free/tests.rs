//! A wait by hand: polls, pauses and results.

use super::*;
use crate::lock::{
    Account, Difference, LockStatus, LockValue, Marking, NoVoteReason, PermanentError, ServerName,
    ServerReport, ServerWarning,
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

fn servers(count: usize) -> Vec<ServerName> {
    (0..count).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect()
}

/// The configuration of a host with five servers.
fn agreement(slots: u32) -> Agreement {
    let limit = Duration::from_millis(100);
    Agreement::new("deploy@web1", slots, servers(5), RestartGuard::Off, limit)
}

fn unknown() -> StatusResponse {
    StatusResponse::Unknown(NoVoteReason::TimedOut)
}

/// A wait in progress.
struct Wait {
    wait_free: WaitUntilFree,
    /// Actions of the last event.
    actions: Vec<Action>,
}

impl Wait {
    fn timeout(&mut self, now: Time, sample: Sample) -> WaitResult {
        self.actions.clear();
        self.wait_free.handle(now, sample, Event::Woke, &mut self.actions)
    }

    fn receive(&mut self, now: Time, sample: Sample, received: InstanceResponse) -> WaitResult {
        self.actions.clear();
        self.wait_free.handle(now, sample, Event::Response(received), &mut self.actions)
    }

    fn status(&mut self, now: Time, instance: usize, status: StatusResponse) -> WaitResult {
        self.receive(now, 0, response(instance, status))
    }

    fn wake_at(&self) -> Time {
        self.wait_free.wake_at()
    }

    /// The instances that the last event polls.
    fn polled(&self) -> Vec<usize> {
        let asked = self.actions.iter().filter_map(|action| match action {
            Action::AskStatus { instances, waited: None } => Some(instances.clone()),
            _ => None,
        });
        asked.flatten().collect()
    }

    fn notices(&self) -> Vec<Notice> {
        let notices = self.actions.iter().filter_map(|action| match action {
            Action::Notify(notice) => Some(notice.clone()),
            _ => None,
        });
        notices.collect()
    }
}

const ALL: [usize; 5] = [0, 1, 2, 3, 4];

fn response(instance: usize, status: StatusResponse) -> InstanceResponse {
    let response = Response::Status(status);
    InstanceResponse { instance, sent: at(0), report: None, clock: None, response }
}

/// A wait that begins at 0 s, and whose first poll gets these responses at 1 ms.
fn polled(wait_limit: WaitLimit, responses: &[StatusResponse]) -> (Wait, WaitResult) {
    polled_for(1, wait_limit, responses)
}

fn polled_for(
    slots: u32,
    wait_limit: WaitLimit,
    responses: &[StatusResponse],
) -> (Wait, WaitResult) {
    let size = ClusterSize::redlock(5).unwrap();
    let (limit, guard) = (Duration::from_millis(100), RestartGuard::Off);
    let style = ProgressStyle::News;
    let wait_free =
        WaitUntilFree::new(size, limit, wait_limit, guard, agreement(slots), style, at(0));
    let mut wait = Wait { wait_free, actions: Vec::new() };
    assert_eq!(wait.timeout(at(0), 0), WaitResult::Pending);
    assert_eq!(wait.polled(), ALL);
    let mut last = WaitResult::Pending;
    for (instance, status) in responses.iter().enumerate() {
        last = wait.status(at(1), instance, status.clone());
    }
    (wait, last)
}

fn held_by_all(wait_limit: WaitLimit) -> Wait {
    polled(wait_limit, &[held(9_000), held(9_000), held(9_000)]).0
}

#[test]
fn a_lock_is_free_if_a_majority_says_so() {
    let (_, two_free) = polled(WaitLimit::Once, &[held(9), free(), free()]);
    assert_eq!(two_free, WaitResult::Pending);
    let (_, three_free) = polled(WaitLimit::Once, &[held(9), free(), free(), unknown(), free()]);
    assert_eq!(three_free, WaitResult::Free);
}

#[test]
fn a_slot_is_free_if_a_majority_says_so_of_the_same_slot() {
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
        let (_, last) = polled_for(3, WaitLimit::Once, &responses);
        let is_free = last == WaitResult::Free;
        let is_busy = matches!(last, WaitResult::GivenUp(Outcome::Busy(Some(_))));
        assert!(is_free || is_busy, "{label}: {last:?}");
        assert_eq!(is_free, expected, "{label}");
    }
}

/// The result of a wait without patience for one of `slots`. Each instance reports whether it has
/// just started.
fn polled_once(slots: u32, responses: &[(StatusResponse, bool)]) -> WaitResult {
    let (now, size) = (at(100_000), ClusterSize::redlock(responses.len()).unwrap());
    let mut wait = guarded(size, slots, WaitLimit::Once, now);
    let mut last = WaitResult::Pending;
    for (instance, (status, has_restarted)) in responses.iter().enumerate() {
        last = wait.receive(now, 0, reported(now, instance, status.clone(), *has_restarted));
    }
    last
}

/// A wait with a restart guard of 30 s that has sent its first poll at `now`.
fn guarded(size: ClusterSize, slots: u32, wait_limit: WaitLimit, now: Time) -> Wait {
    let (limit, guard) = (Duration::from_millis(100), RestartGuard::For(Duration::from_secs(30)));
    let (agreement, style) = (agreement(slots), ProgressStyle::News);
    let wait_free = WaitUntilFree::new(size, limit, wait_limit, guard, agreement, style, now);
    let mut wait = Wait { wait_free, actions: Vec::new() };
    assert_eq!(wait.timeout(now, 0), WaitResult::Pending);
    wait
}

/// The first response on a connection, with the report of the server.
fn reported(
    sent: Time,
    instance: usize,
    status: StatusResponse,
    has_restarted: bool,
) -> InstanceResponse {
    let uptime = Duration::from_secs(if has_restarted { 3 } else { 60 });
    let account = Some(Account::Told { run_id: format!("run{instance}"), uptime });
    let report = Some(ServerReport { account, marking: Some(Marking::Unavailable) });
    InstanceResponse { sent, report, ..response(instance, status) }
}

#[test]
fn after_a_disconnection_an_instance_reports_again_before_its_free_lock_counts() {
    for (is_disconnected, expected) in [(false, WaitResult::Free), (true, WaitResult::Pending)] {
        let (now, size) = (at(100_000), ClusterSize::redlock(3).unwrap());
        let mut wait = guarded(size, 1, WaitLimit::Forever, now);
        for instance in 0..2 {
            let last = wait.receive(now, 0, reported(now, instance, held(9_000), false));
            assert_eq!(last, WaitResult::Pending);
        }
        let gone = InstanceResponse { response: Response::Disconnected, ..response(0, free()) };
        if is_disconnected {
            assert_eq!(wait.receive(now, 0, gone), WaitResult::Pending);
        }
        let sent = wait.wake_at();
        let _ = wait.timeout(sent, 0);
        let mut last = WaitResult::Pending;
        // The response to the single poll leads to a poll of all.
        for instance in [0, 0, 1, 2] {
            let status = if instance == 2 { held(9_000) } else { free() };
            let received = InstanceResponse { sent, ..response(instance, status) };
            last = wait.receive(sent, 0, received);
        }
        assert_eq!(last, expected, "{is_disconnected}");
    }
}

#[test]
fn a_restarted_instance_may_have_forgotten_a_holder() {
    let reason = || NoVoteReason::Restarted {
        up: Duration::from_secs(2),
        votes_in: Duration::from_secs(28),
    };
    let (sure, doubtful) = (|status| (status, false), || (free(), true));
    let last =
        polled_once(1, &[sure(held(9)), sure(held(9)), sure(free()), doubtful(), doubtful()]);
    assert!(matches!(last, WaitResult::GivenUp(Outcome::Busy(Some(_)))), "{last:?}");
    let last = polled_once(1, &[sure(free()), doubtful(), doubtful(), doubtful(), doubtful()]);
    assert!(
        matches!(&last, WaitResult::GivenUp(Outcome::NoQuorum(votes)) if votes.contains(&Some(Vote::Unknown(reason())))),
        "{last:?}"
    );
    assert_eq!(polled_once(1, &[sure(free()), sure(free()), doubtful()]), WaitResult::Free);
}

#[test]
fn a_wait_is_reported_after_a_second_and_its_end_only_after_that() {
    for (reported, now) in [(false, at(999)), (true, at(1_000))] {
        let mut wait = held_by_all(WaitLimit::Forever);
        assert!(wait.wake_at() < at(1_000));
        let _ = wait.timeout(at(900), 0);
        assert_eq!(wait.polled(), [0]);
        assert_eq!(wait.wake_at(), at(1_000));
        let _ = wait.status(now, 0, free());
        assert_eq!(wait.polled(), ALL);
        let is_waiting = matches!(
            wait.notices()[..],
            [Notice::Waiting { blocker: Blocker::Holder(Some(_)), place: None }]
        );
        assert_eq!(is_waiting, reported);
        for instance in ALL {
            let _ = wait.status(now, instance, free());
        }
        let expected = if reported { vec![Notice::Waited] } else { vec![] };
        assert_eq!(wait.notices(), expected);
    }
}

#[test]
fn a_wait_for_a_quorum_is_reported_with_the_instances() {
    let unknown = || vec![unknown(); 3];
    let (mut wait, last) = polled(WaitLimit::Forever, &unknown());
    assert_eq!(last, WaitResult::Pending);
    let _ = wait.timeout(at(1_000), 0);
    let expected = Some(Vote::Unknown(NoVoteReason::TimedOut));
    assert!(
        matches!(
            &wait.notices()[..],
            [Notice::Waiting { blocker: Blocker::Instances(votes), place: None }]
                if votes[..3].iter().all(|vote| *vote == expected)
        ),
        "{:?}",
        wait.notices()
    );
}

#[test]
fn a_warning_of_an_instance_is_reported() {
    let mut wait = held_by_all(WaitLimit::Forever);
    let warning = ServerWarning::Evicts;
    let response = Response::Warning(warning);
    let received =
        InstanceResponse { instance: 3, sent: at(0), report: None, clock: None, response };
    assert_eq!(wait.receive(at(2), 0, received), WaitResult::Pending);
    assert_eq!(wait.notices(), [Notice::ServerWarning { instance: 3, warning }]);
}

#[test]
fn a_poll_ends_once_no_response_can_tell_busy_from_no_quorum() {
    let (mut wait, last) = polled(WaitLimit::Once, &[unknown(), unknown(), held(9), held(9)]);
    assert_eq!(last, WaitResult::Pending, "instance 4 can tell");
    let last = wait.status(at(2), 4, held(9));
    assert!(matches!(last, WaitResult::GivenUp(Outcome::Busy(Some(_)))), "{last:?}");
    let (_, last) = polled(WaitLimit::Once, &[unknown(), unknown(), unknown(), held(9)]);
    assert!(matches!(last, WaitResult::GivenUp(Outcome::NoQuorum(_))), "{last:?}");
}

#[test]
fn a_wait_without_patience_ends_with_the_first_poll() {
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
        let WaitResult::GivenUp(outcome) = polled(WaitLimit::Once, &responses).1 else {
            panic!("{label}")
        };
        assert!(is_right(&outcome), "{label}: {outcome:?}");
    }
}

#[test]
fn the_next_poll_follows_the_lease_but_half_a_second_at_most() {
    for (left, pause) in [(40, 50), (20_000, 510)] {
        let (wait, last) = polled(WaitLimit::Forever, &[held(left), held(left), held(left)]);
        assert_eq!((last, wait.wake_at()), (WaitResult::Pending, at(1 + pause)), "{left}");
    }
}

#[test]
fn a_wait_ends_with_one_last_poll_of_all() {
    let mut wait = held_by_all(WaitLimit::Until(at(200)));
    assert_eq!(wait.wake_at(), at(200));
    assert_eq!(wait.timeout(at(200), 0), WaitResult::Pending);
    assert_eq!((wait.polled(), wait.wake_at()), (ALL.to_vec(), at(300)));
    let last = wait.timeout(at(300), 0);
    assert!(matches!(last, WaitResult::GivenUp(Outcome::NoQuorum(_))), "no response: {last:?}");
}

#[test]
fn an_early_timeout_neither_polls_nor_gives_up() {
    let (mut once, _) = polled(WaitLimit::Once, &[held(40), held(40)]);
    assert_eq!(once.timeout(at(99), 0), WaitResult::Pending, "more responses may come");
    let (mut wait, _) = polled(WaitLimit::Forever, &[held(40), held(40)]);
    assert_eq!(wait.status(at(99), 2, held(40)), WaitResult::Pending);
    assert_eq!(wait.wake_at(), at(99 + 50));
    for (now, polled) in [(148, vec![]), (149, vec![0]), (248, vec![]), (249, ALL.to_vec())] {
        assert_eq!(wait.timeout(at(now), 0), WaitResult::Pending);
        assert_eq!(wait.polled(), polled, "{now}");
    }
}

#[test]
fn instances_are_polled_one_after_the_other() {
    let mut wait = held_by_all(WaitLimit::Forever);
    for (second, instance) in (1..).zip(0..7) {
        let now = at(second * 1_000);
        let _ = wait.timeout(now, 0);
        assert_eq!(wait.polled(), [instance % 5]);
        let _ = wait.status(now, (instance + 1) % 5, free());
        assert!(wait.polled().is_empty(), "an instance that was not polled changes nothing");
        assert_eq!(wait.status(now, instance % 5, held(9_000)), WaitResult::Pending);
        assert!(wait.polled().is_empty());
    }
}

#[test]
fn all_instances_are_polled_if_one_reports_a_change() {
    for (label, status) in [("free", Some(free())), ("unknown", Some(unknown())), ("silent", None)]
    {
        let mut wait = held_by_all(WaitLimit::Forever);
        let now = wait.wake_at();
        let _ = wait.timeout(now, 0);
        assert_eq!(wait.polled(), [0], "{label}");
        let _ = match status {
            Some(status) => wait.status(now, 0, status),
            None => wait.timeout(now.plus(Duration::from_millis(100)), 0),
        };
        assert_eq!(wait.polled(), ALL, "{label}");
        for instance in 0..2 {
            assert_eq!(wait.status(now, instance, free()), WaitResult::Pending, "{label}");
        }
        let others = "the other responses are awaited";
        assert_eq!(wait.status(now, 2, free()), WaitResult::Pending, "{label}: {others}");
        let later = now.plus(Duration::from_millis(50));
        assert_eq!(wait.timeout(later, 0), WaitResult::Free, "{label}");
    }
}

#[test]
fn an_instance_that_hangs_delays_the_poll_of_all_by_one_pause_at_most() {
    let (size, limit) = (ClusterSize::redlock(3).unwrap(), Duration::from_secs(5));
    for (wait_limit, until) in [(WaitLimit::Forever, 2_500), (WaitLimit::Until(at(2_200)), 2_200)] {
        let (guard, style) = (RestartGuard::Off, ProgressStyle::Live);
        let wait_free =
            WaitUntilFree::new(size, limit, wait_limit, guard, agreement(1), style, at(1_000));
        let mut wait = Wait { wait_free, actions: Vec::new() };
        let _ = wait.timeout(at(1_000), 0);
        for instance in 0..2 {
            assert_eq!(wait.status(at(1_000), instance, held(9_000)), WaitResult::Pending);
        }
        let _ = wait.timeout(at(2_000), 0);
        assert_eq!((wait.polled(), wait.notices().len()), (vec![0], 1), "{wait_limit:?}");
        assert_eq!(wait.wake_at(), at(until), "{wait_limit:?}");
        let _ = wait.timeout(at(until), 0);
        assert_eq!(wait.polled(), [0, 1, 2], "{wait_limit:?}");
    }
}

#[test]
fn slots_are_busy_only_if_every_slot_is_known_to_be_held() {
    for held in [0, 1] {
        let status = LockStatus { free: vec![1 - held], ..LockStatus::default() };
        let last = polled_once(2, &[(); 5].map(|()| (StatusResponse::Seen(status.clone()), true)));
        let is_unknown = matches!(last, WaitResult::GivenUp(Outcome::NoQuorum(_)));
        assert!(is_unknown, "slot {held} is held: {last:?}");
    }
}

#[test]
fn polls_become_rare_while_fewer_than_a_quorum_answer() {
    let silent = [free(), unknown(), unknown(), unknown(), unknown()];
    let (mut wait, _) = polled(WaitLimit::Forever, &silent);
    let (mut polls, mut timeouts) = (0, 0);
    while wait.wake_at() < at(20_000) {
        timeouts += 1;
        assert!(timeouts < 1_000, "the wait does not get on after {polls} polls");
        let now = wait.wake_at();
        let _ = wait.timeout(now, Sample::MAX);
        if wait.polled() == ALL {
            polls += 1;
            for instance in 0..5 {
                let status = if instance == 0 { held(1) } else { unknown() };
                let _ = wait.receive(now, Sample::MAX, response(instance, status));
            }
        }
    }
    assert!((10..20).contains(&polls), "{polls} polls in 20 s");
}

#[test]
fn two_waits_for_the_same_lock_poll_at_different_moments() {
    let polls = [0, Sample::MAX].map(|sample| {
        let (mut wait, _) = polled(WaitLimit::Forever, &[held(40), held(40)]);
        let last = wait.receive(at(1), sample, response(2, held(40)));
        assert_eq!(last, WaitResult::Pending);
        wait.wake_at()
    });
    let apart = polls[1].since(polls[0]);
    assert!(apart > Duration::from_millis(9) && apart < Duration::from_millis(11), "{apart:?}");
}

/// The status of an instance that holds the value of a host with three servers.
fn held_by_another_host() -> StatusResponse {
    let value = LockValue::example("web2", &servers(3)).to_line();
    let holder = Some(ObservedHolder { value, left: Some(Duration::from_secs(9)) });
    StatusResponse::Seen(LockStatus { free: vec![], holder, place: None })
}

#[test]
fn a_holder_that_disagrees_twice_ends_the_wait() {
    let other = held_by_another_host;
    for (label, wait_limit, responses) in [
        ("beside a majority", WaitLimit::Once, [free(), free(), free(), free(), other()]),
        ("on a majority", WaitLimit::Once, [other(), other(), other(), free(), free()]),
        ("with a wait", WaitLimit::Forever, [other(), other(), other(), free(), free()]),
    ] {
        let (mut wait, last) = polled(wait_limit, &responses);
        assert_eq!(last, WaitResult::Pending, "{label}");
        let again = wait.wake_at();
        assert_ne!(wait.timeout(again, 0), WaitResult::Free, "{label}");
        let last = wait.status(again.max(at(201)), 4, other());
        let expected = Difference::Count(3);
        assert!(
            matches!(&last, WaitResult::GivenUp(Outcome::Disagreed(_, of)) if *of == expected),
            "{label}: {last:?}"
        );
    }
}

#[test]
fn a_wait_at_its_end_polls_a_holder_that_disagreed_once_more() {
    for wait_limit in [WaitLimit::Once, WaitLimit::Until(at(1))] {
        let responses = [held_by_another_host(), held(9_000), held(9_000)];
        let (mut wait, last) = polled(wait_limit, &responses);
        assert_eq!((last, wait.wake_at()), (WaitResult::Pending, at(201)), "{wait_limit:?}");
        assert_eq!(wait.timeout(at(201), 0), WaitResult::Pending, "{wait_limit:?}");
        assert_eq!(wait.polled(), ALL, "{wait_limit:?}");
        let responses = [unknown(), held(9_000), held(9_000), held(9_000)];
        let mut results = vec![];
        for (instance, status) in responses.into_iter().enumerate() {
            results.push(wait.status(at(202), instance, status));
        }
        assert!(
            matches!(results[3], WaitResult::GivenUp(Outcome::Busy(_))),
            "{wait_limit:?}, no third poll: {results:?}"
        );
    }
}

#[test]
fn a_lock_is_free_once_a_holder_that_disagreed_is_gone() {
    let responses = [free(), free(), free(), free(), held_by_another_host()];
    let (mut wait, last) = polled(WaitLimit::Once, &responses);
    assert_eq!((last, wait.timeout(at(201), 0)), (WaitResult::Pending, WaitResult::Pending));
    assert_eq!(wait.polled(), ALL);
    for instance in 0..4 {
        assert_eq!(wait.status(at(202), instance, free()), WaitResult::Pending);
    }
    assert_eq!(wait.status(at(202), 4, free()), WaitResult::Free);
}

#[test]
fn a_wait_ends_at_its_limit_though_a_holder_that_disagreed_is_silent() {
    let limit = 500;
    let responses = [free(), free(), free(), free(), held_by_another_host()];
    let (mut wait, mut last) = polled(WaitLimit::Until(at(limit)), &responses);
    let (mut now, mut timeouts) = (at(1), 0);
    while last == WaitResult::Pending {
        timeouts += 1;
        now = now.max(wait.wake_at());
        assert!(timeouts < 100 && now <= at(limit + 200), "the wait goes on");
        last = wait.timeout(now, 0);
        if wait.polled() == ALL {
            for instance in 0..4 {
                let result = wait.status(now, instance, free());
                assert_eq!(result, WaitResult::Pending, "instance {instance} decides nothing");
            }
        }
    }
    let WaitResult::GivenUp(Outcome::Busy(Some(holder))) = last else { panic!("{last:?}") };
    let StatusResponse::Seen(shown) = held_by_another_host() else { unreachable!() };
    assert_eq!(Some(holder), shown.holder);
    assert!(now >= at(limit), "not before its limit");
}
