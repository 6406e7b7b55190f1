//! Attempts, event by event: the step that follows each kind of vote, and its time.

use super::*;
use crate::lock::{
    Account, AfterRelease, LockStatus, MarkSeen, Marking, NoVoteReason, ObservedHolder,
    PermanentError, Release, ServerName, ServerReport, StatusResponse,
};

pub(super) const N: usize = 5;

/// One contender with the options of [`RunOptions::for_test`]: TTL 3 s, op-timeout 150 ms.
pub(super) struct Contender {
    pub(super) acquisition: Acquisition,
    pub(super) now: Time,
    /// Number of events, to end a test whose awaited state never comes.
    events: u32,
}

/// Result and actions of one event.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) result: AcquireResult,
    pub(super) actions: Vec<Action>,
}

impl Step {
    /// No action, no result.
    pub(super) const IDLE: Self = Self { result: AcquireResult::Pending, actions: Vec::new() };

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.result, AcquireResult::Pending) && self.actions.is_empty()
    }

    pub(super) fn attempts(&self) -> bool {
        matches!(self.actions[..], [Action::Acquire(..) | Action::Propose { .. }, ..])
    }

    pub(super) fn releases(&self) -> bool {
        matches!(self.actions[..], [Action::Release(_, AfterRelease::StayQueued), ..])
    }

    pub(super) fn only_releases(&self) -> bool {
        self.releases() && self.actions.len() == 1
    }

    /// Releases, and asks all instances for their status and a place in the queue.
    fn queues(&self) -> bool {
        self.releases() && matches!(self.actions[1..], [Action::AskStatus { waited: Some(_), .. }])
    }

    /// Releases, and asks all instances for their status alone.
    fn releases_and_polls(&self) -> bool {
        self.releases() && matches!(self.actions[1..], [Action::AskStatus { waited: None, .. }])
    }

    /// The instances that are asked for their status.
    pub(super) fn polled(&self) -> &[usize] {
        match &self.actions[..] {
            [Action::AskStatus { instances, .. }] => instances,
            _ => &[],
        }
    }

    pub(super) fn polls(&self) -> bool {
        !self.polled().is_empty()
    }

    pub(super) fn polls_all(&self) -> bool {
        self.polled().len() == N
    }

    fn polls_single(&self) -> bool {
        self.polled().len() == 1
    }

    pub(super) fn acquires(&self) -> bool {
        matches!(self.result, AcquireResult::Acquired(..))
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match &self.result {
            AcquireResult::GivenUp(outcome) => Some(outcome),
            _ => None,
        }
    }
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn at(millis: u64) -> Time {
    Time::default().plus(ms(millis))
}

/// The sample of every random choice.
const SAMPLE: Sample = 1 << 31;

impl Contender {
    pub(super) fn new(wait_limit: WaitLimit) -> Self {
        Self::with(RunOptions { wait_limit, ..RunOptions::for_test(N) })
    }

    pub(super) fn for_slots(wait_limit: WaitLimit, slots: u32) -> Self {
        Self::with(RunOptions { wait_limit, slots, ..RunOptions::for_test(N) })
    }

    /// A contender that has sent its first attempt at 200 s.
    pub(super) fn with(options: RunOptions) -> Self {
        let now = at(200_000);
        let mut contender = Self {
            acquisition: Acquisition::new(&options, agreement(N, options.slots), now),
            now,
            events: 0,
        };
        assert!(contender.timeout().attempts());
        contender
    }

    pub(super) fn timeout(&mut self) -> Step {
        self.count();
        let mut actions = Vec::new();
        let result = self.acquisition.handle_timeout(self.now, SAMPLE, &mut actions);
        Step { result, actions }
    }

    fn count(&mut self) {
        self.events += 1;
        assert!(self.events < 1_000, "the awaited state does not come");
    }

    pub(super) fn sleep(&mut self) -> Step {
        assert!(self.acquisition.wake_at() > self.now, "the loop would spin");
        self.now = self.acquisition.wake_at();
        self.timeout()
    }

    fn receive(&mut self, received: InstanceResponse) -> Step {
        self.count();
        let mut actions = Vec::new();
        let result = self.acquisition.handle_response(self.now, SAMPLE, received, &mut actions);
        Step { result, actions }
    }

    pub(super) fn respond(
        &mut self,
        instance: usize,
        sent: Time,
        run_id: Option<&str>,
        response: Response,
    ) -> Step {
        let account =
            |run_id: &str| Account::Told { run_id: run_id.into(), uptime: Duration::from_secs(60) };
        let report =
            run_id.map(|run_id| ServerReport { account: Some(account(run_id)), marking: None });
        self.receive(InstanceResponse { instance, sent, report, clock: None, response })
    }

    pub(super) fn vote(&mut self, votes: &[Vote]) -> Step {
        let (sent, number) = (self.now, self.acquisition.number());
        let mut last = Step::IDLE;
        for (instance, vote) in votes.iter().enumerate() {
            last = self.respond(instance, sent, None, Response::Vote(number, vote.clone()));
        }
        last
    }

    /// Every instance responds with this status, up to the first that causes a step.
    pub(super) fn status(&mut self, status: &LockStatus) -> Step {
        let sent = self.now;
        for instance in 0..N {
            let response = StatusResponse::Seen(status.clone());
            let step = self.respond(instance, sent, None, Response::Status(response));
            if !step.is_idle() {
                return step;
            }
        }
        Step::IDLE
    }

    /// Every instance responds to the release, and names this holder and its TTL left in ms.
    pub(super) fn release(&mut self, holder: Option<(&str, u64)>) -> Step {
        let (sent, number) = (self.now, self.acquisition.number());
        let observed = holder
            .map(|(value, left)| ObservedHolder { value: value.into(), left: Some(ms(left)) });
        let mut last = Step::IDLE;
        for instance in 0..N {
            let response = Response::Release(number, Release::Done(observed.clone()));
            last = self.respond(instance, sent, None, response);
        }
        last
    }
}

pub(super) fn servers(count: usize) -> Vec<ServerName> {
    (0..count).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect()
}

/// The configuration of a host with this number of servers and slots.
pub(super) fn agreement(count: usize, slots: u32) -> Agreement {
    Agreement::new("deploy@web1", slots, servers(count), RestartGuard::Off, ms(150))
}

fn timed_out() -> Vote {
    Vote::Unknown(NoVoteReason::TimedOut)
}

fn refused(kind: PermanentError) -> Vote {
    Vote::Unknown(NoVoteReason::Refused(kind, "no".into()))
}

#[test]
fn a_quorum_acquires_once_every_instance_has_voted() {
    use Vote::Granted as G;
    let mut contender = Contender::new(WaitLimit::Forever);
    assert!(contender.vote(&[G, G, G, G]).is_idle());
    let step = contender.vote(&[G, G, G, G, timed_out()]);
    let AcquireResult::Acquired(held_lock, _) = step.result else { panic!("not acquired") };
    assert_eq!((held_lock.members(), held_lock.deadline()), (4, Some(at(200_000 + 3_000 - 32))));
}

#[test]
fn a_quorum_acquires_after_a_short_wait_for_the_other_votes() {
    for (took, wait) in [(0, 50), (120, 60), (400, 100)] {
        assert_eq!(Acquisition::stragglers(ms(took)), ms(wait), "{took}");
    }
    for (took, wait) in [(0, 50), (40, 50), (140, 10), (149, 1)] {
        let mut contender = Contender::new(WaitLimit::Forever);
        let sent = contender.now;
        contender.now = contender.now.plus(ms(took));
        for instance in 0..3 {
            let step = contender.respond(instance, sent, None, Response::Vote(1, Vote::Granted));
            assert!(step.is_idle(), "{took}");
        }
        assert_eq!(contender.acquisition.wake_at(), contender.now.plus(ms(wait)), "{took}");
        let AcquireResult::Acquired(held_lock, votes) = contender.sleep().result else {
            panic!("not acquired after {took} ms")
        };
        assert_eq!((held_lock.members(), votes.iter().flatten().count()), (3, 3), "{took}");
    }
}

#[test]
fn a_quorum_with_less_than_half_the_ttl_left_is_released() {
    for (late, is_acquired) in [(1_468, true), (1_469, false)] {
        let mut contender = Contender::new(WaitLimit::Forever);
        let sent = contender.now;
        contender.now = contender.now.plus(ms(late));
        let mut last = Step::IDLE;
        for instance in 0..3 {
            last = contender.respond(instance, sent, None, Response::Vote(1, Vote::Granted));
        }
        assert_eq!(last.acquires(), is_acquired, "{late} ms: {last:?}");
        assert_eq!(last.releases(), !is_acquired, "{late} ms");
    }
}

#[test]
fn an_attempt_without_responses_ends_with_the_op_timeout() {
    let mut contender = Contender::new(WaitLimit::Once);
    assert_eq!(contender.acquisition.wake_at(), contender.now.plus(ms(150)));
    assert!(contender.vote(&[Vote::Granted, Vote::Granted]).is_idle());
    assert!(contender.sleep().releases());
    // The release gets no response either.
    let AcquireResult::GivenUp(Outcome::NoQuorum(votes)) = contender.sleep().result else {
        panic!("not given up")
    };
    assert_eq!(votes[..3], [Some(Vote::Granted), Some(Vote::Granted), Some(timed_out())]);
}

#[test]
fn without_a_wait_a_holder_ends_the_run_and_a_split_vote_is_retried() {
    let split = || vec![Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied];
    for (votes, holder) in [(split(), Some(("them", 900))), (vec![Vote::Denied; 3], None)] {
        let mut contender = Contender::new(WaitLimit::Once);
        assert!(contender.vote(&votes).releases());
        let step = contender.release(holder);
        let AcquireResult::GivenUp(Outcome::Busy(seen)) = step.result else { panic!("{step:?}") };
        assert_eq!(seen.as_ref().map(|seen| seen.value.as_str()), holder.map(|(value, _)| value));
    }

    let mut contender = Contender::new(WaitLimit::Once);
    let begun = contender.now;
    let _ = contender.vote(&split());
    let mut step = contender.release(None);
    while step.is_idle() {
        assert!(contender.sleep().attempts());
        let _ = contender.vote(&split());
        step = contender.release(None);
    }
    assert!(matches!(step.outcome(), Some(Outcome::Busy(None))), "{step:?}");
    let retried_for = contender.now.since(begun);
    assert!(
        retried_for >= ms(300) && retried_for <= ms(600),
        "two op-timeouts and a backoff: {retried_for:?}"
    );
}

#[test]
fn a_holder_that_is_named_late_is_a_holder() {
    let mut contender = Contender::new(WaitLimit::Once);
    assert!(contender.vote(&[Vote::Denied, Vote::Denied, timed_out()]).is_idle());
    assert!(contender.sleep().releases(), "the others did not respond");
    let step = contender.release(Some(("them", 900)));
    assert!(matches!(step.outcome(), Some(Outcome::Busy(Some(_)))), "{step:?}");
}

#[test]
fn a_holder_that_only_the_release_names_is_waited_for_in_the_queue() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let full = Vote::Unknown(NoVoteReason::Transient("out of memory".into()));
    assert!(contender.vote(&[full.clone(), full.clone(), full]).only_releases());
    assert!(contender.release(Some(("them", 9_000))).polls_all(), "no attempt follows at once");
    assert!(contender.status(&foreign_holder(9_000)).is_idle());
    assert!(contender.acquisition.wake_at() >= contender.now.plus(ms(500)));
    assert_eq!(contender.acquisition.place(), Some(0));
}

#[test]
fn without_a_wait_a_holder_that_only_the_release_names_leads_to_a_poll_of_the_other_slots() {
    for (slots, asks) in [(1, false), (2, true)] {
        let mut contender = Contender::for_slots(WaitLimit::Once, slots);
        let full = Vote::Unknown(NoVoteReason::Transient("out of memory".into()));
        assert!(contender.vote(&[full.clone(), full.clone(), full]).only_releases());
        let step = contender.release(Some(("them", 9_000)));
        assert_eq!(step.polls_all(), asks, "{slots}: {step:?}");
        assert_eq!(
            matches!(step.outcome(), Some(Outcome::Busy(Some(_)))),
            !asks,
            "{slots}: {step:?}"
        );
    }
}

#[test]
fn without_a_wait_the_run_ends_once_the_holder_is_known() {
    let mut contender = Contender::new(WaitLimit::Once);
    let _ = contender.vote(&[timed_out(), Vote::Denied, Vote::Denied]);
    assert!(contender.sleep().releases(), "the others did not respond");
    let held = || Release::Done(Some(ObservedHolder { value: "them".into(), left: None }));
    let responses = [Release::Nothing, held(), held(), Release::Written, Release::Written, held()];
    let mut steps = Vec::new();
    for (instance, response) in [0, 1, 2, 3, 4, 3].into_iter().zip(responses) {
        let sent = contender.now;
        steps.push(contender.respond(instance, sent, None, Response::Release(1, response)));
    }
    assert!(steps[..5].iter().all(Step::is_idle), "{steps:?}");
    assert!(matches!(steps[5].outcome(), Some(Outcome::Busy(Some(_)))), "{steps:?}");
}

#[test]
fn a_wait_limit_ends_with_one_last_attempt() {
    let end = at(200_000).plus(ms(700));
    let mut contender = Contender::new(WaitLimit::Until(end));
    loop {
        let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        let step = contender.release(Some(("them", 9_000)));
        if step.outcome().is_some() {
            assert!(matches!(step.outcome(), Some(Outcome::Busy(Some(_)))));
            break;
        }
        while contender.sleep().polls() {}
    }
    assert_eq!(contender.now, end);
}

/// The status of a lock with a foreign holder, whose TTL has `left` ms.
fn foreign_holder(left: u64) -> LockStatus {
    LockStatus {
        free: vec![],
        holder: Some(ObservedHolder { value: "them".into(), left: Some(ms(left)) }),
        place: Some(0),
    }
}

fn queuing(left: u64) -> Contender {
    let mut contender = Contender::new(WaitLimit::Forever);
    assert!(contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]).queues());
    assert!(contender.release(Some(("them", left))).is_idle());
    assert!(contender.status(&foreign_holder(left)).is_idle());
    contender
}

#[test]
fn a_lease_about_to_expire_shortens_the_time_to_the_next_poll() {
    for (left, expected) in [(9_000, 530), (2, 32)] {
        let contender = queuing(left);
        assert_eq!(contender.acquisition.wake_at().since(contender.now), ms(expected), "{left}");
    }
}

#[test]
fn a_wake_up_of_a_quorum_leads_to_an_attempt_and_of_a_minority_to_a_poll() {
    let mut contender = queuing(9_000);
    let woken = |contender: &mut Contender, instance| {
        contender.respond(instance, Time::default(), None, Response::Woken(0))
    };
    assert!(woken(&mut contender, 1).is_idle());
    assert!(contender.sleep().polls_all());
    assert!(contender.status(&foreign_holder(9_000)).is_idle(), "the lock is still held");
    assert!(woken(&mut contender, 1).is_idle());
    assert!(woken(&mut contender, 4).is_idle());
    assert!(woken(&mut contender, 0).attempts());
    assert_eq!(contender.acquisition.number(), 2);
}

#[test]
fn a_lock_that_is_free_when_the_queue_is_joined_is_attempted_at_once() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.release(Some(("them", 9_000)));
    let free = LockStatus { free: vec![0], holder: None, place: Some(0) };
    assert!(contender.status(&free).attempts());
}

/// All instances deny each attempt for ten seconds, but show the lock as free or send a wake-up.
/// Returns the number of attempts.
fn attempts_on_false_hints(is_woken: bool) -> u32 {
    let mut contender = Contender::new(WaitLimit::Forever);
    let free = LockStatus { free: vec![0], holder: None, place: Some(0) };
    let end = contender.now.plus(ms(10_000));
    while contender.now < end {
        let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        let _ = contender.release(Some(("them", 9_000)));
        let shown = if is_woken { &foreign_holder(9_000) } else { &free };
        let mut step = contender.status(shown);
        while !step.attempts() && contender.now < end {
            contender.events = 0;
            assert!(contender.acquisition.wake_at() > contender.now, "the loop would spin");
            contender.now = contender.now.plus(ms(1)).min(contender.acquisition.wake_at());
            step = contender.timeout();
            if is_woken && !step.attempts() {
                let woken = [0, 1, 2].map(|instance| {
                    contender.respond(instance, Time::default(), None, Response::Woken(0))
                });
                step = woken.into_iter().find(|step| !step.is_idle()).unwrap_or(step);
            }
            if step.polls() {
                step = contender.status(shown);
            }
        }
    }
    contender.acquisition.number()
}

#[test]
fn instances_that_show_a_held_lock_as_free_lead_to_few_attempts() {
    for (label, is_woken) in [("status", false), ("wake-ups", true)] {
        let attempts = attempts_on_false_hints(is_woken);
        assert!((10..=50).contains(&attempts), "{label}: {attempts} attempts in ten seconds");
    }
}

#[test]
fn after_a_split_vote_only_the_first_in_the_queue_attempts_again() {
    let status =
        |free: &[u32], place| LockStatus { free: free.to_vec(), holder: None, place: Some(place) };
    for (place, attempts) in [(0, true), (2, false)] {
        let mut contender = Contender::new(WaitLimit::Forever);
        let _ = contender.vote(&[Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied]);
        assert!(contender.status(&status(&[], place)).is_idle());
        assert!(contender.release(None).is_idle());
        assert!(
            contender.sleep().polls_all(),
            "a poll takes no votes from the contender whose turn it is"
        );
        let step = contender.status(&status(&[0], place));
        assert_eq!(step.attempts(), attempts, "{place}: {step:?}");
        if !attempts {
            let begun = contender.now;
            assert!(contender.sleep().polls_single(), "the contenders ahead may have died");
            assert_eq!(contender.now.since(begun), ms(2_025), "two turns have passed");
            assert!(contender.status(&status(&[0], place)).polls_all());
            assert!(contender.status(&status(&[0], place)).attempts());
        }
    }
}

#[test]
fn a_slot_reported_free_during_a_split_vote_is_not_attempted_at_once() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let restarted =
        || Vote::Unknown(NoVoteReason::Restarted { up: ms(1_000), votes_in: ms(9_000) });
    let _ = contender.vote(&[Vote::Granted, Vote::Granted, Vote::Denied, restarted(), restarted()]);
    let free = LockStatus { free: vec![0], holder: None, place: Some(0) };
    assert!(contender.status(&free).is_idle());
    assert!(contender.release(None).is_idle(), "the same attempt would fail again");
    assert!(contender.acquisition.wake_at() > contender.now);
    assert!(contender.sleep().polls_all());
    assert!(contender.status(&free).attempts());
}

#[test]
fn without_any_status_the_next_attempt_follows() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.release(Some(("them", 9_000)));
    assert!(contender.sleep().attempts());
}

#[test]
fn without_a_wait_every_free_slot_is_attempted() {
    for wait_limit in [WaitLimit::Once, WaitLimit::Until(at(200_000))] {
        try_every_slot(wait_limit);
    }
}

fn try_every_slot(wait_limit: WaitLimit) {
    let mut contender = Contender::for_slots(wait_limit, 3);
    assert_eq!(contender.acquisition.slot, 2, "by the sample");
    assert!(contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]).releases_and_polls());
    assert!(contender.release(Some(("them", 9_000))).is_idle(), "another slot may be free");
    let one_free = LockStatus { free: vec![0], holder: None, place: None };
    assert!(contender.status(&one_free).attempts());
    assert_eq!(contender.acquisition.slot, 0);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.release(Some(("others", 9_000)));
    assert!(matches!(
        contender.status(&LockStatus::default()).outcome(),
        Some(Outcome::Busy(Some(_)))
    ));
}

#[test]
fn a_free_slot_is_attempted_even_if_no_quorum_names_a_holder_of_the_first_slot() {
    let mut contender = Contender::for_slots(WaitLimit::Once, 3);
    let (sent, number) = (contender.now, contender.acquisition.number());
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    // The release cancels the request on the other instances, to which it was not sent yet.
    let holder = ObservedHolder { value: "them".into(), left: Some(ms(9_000)) };
    for instance in 0..N {
        let release =
            if instance == 0 { Release::Done(Some(holder.clone())) } else { Release::Nothing };
        let _ = contender.respond(instance, sent, None, Response::Release(number, release));
    }
    let status = LockStatus { free: vec![1], holder: Some(holder), place: None };
    assert!(contender.status(&status).attempts());
    assert_eq!(contender.acquisition.slot, 1);
}

#[test]
fn without_a_wait_each_vote_that_tells_contention_from_no_quorum_is_awaited() {
    let dead = || Vote::Unknown(NoVoteReason::Unreachable("connection refused".into()));
    for (wait_limit, waits) in [(WaitLimit::Once, false), (WaitLimit::Forever, true)] {
        let mut contender = Contender::new(wait_limit);
        let step = contender.vote(&[dead(), dead(), Vote::Denied]);
        assert_eq!(step.releases(), waits, "{wait_limit:?}: {step:?}");
        if !waits {
            assert!(contender.sleep().releases(), "after the op-timeout");
        }
    }
}

#[test]
fn slow_instances_lengthen_the_backoff() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    contender.now = contender.now.plus(ms(100));
    for instance in 0..3 {
        let _ = contender.respond(instance, sent, None, Response::Vote(1, Vote::Denied));
    }
    assert!(contender.release(None).is_idle());
    assert_eq!(
        contender.acquisition.wake_at().since(contender.now),
        ms(101),
        "half of twice the round trip, and the floor"
    );
}

#[test]
fn a_permanent_error_ends_the_wait_at_once() {
    use PermanentError::{Access, Configuration};
    for kind in [Access, Configuration] {
        let mut contender = Contender::new(WaitLimit::Forever);
        assert!(contender.vote(&[refused(kind), refused(kind), refused(kind)]).releases());
        let step = contender.release(None);
        assert!(matches!(step.outcome(), Some(Outcome::Refused(k, _)) if *k == kind), "{step:?}");
    }
}

#[test]
fn two_instances_with_one_run_id_have_one_vote() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    let (id, granted) = (|| Some("a"), || Response::Vote(1, Vote::Granted));
    for instance in [0, 1] {
        assert!(contender.respond(instance, sent, id(), granted()).is_idle());
    }
    assert!(contender.respond(2, sent, None, granted()).is_idle(), "two servers");
    let _ = contender.respond(3, sent, None, granted());
    // The last vote is awaited for a short time.
    let step = contender.respond(4, sent, None, Response::Vote(1, timed_out()));
    let AcquireResult::Acquired(held_lock, _) = step.result else {
        panic!("three servers granted: {step:?}")
    };
    assert_eq!((held_lock.members(), held_lock.duplicates().collect()), (3, vec![(0, 1)]));
}

#[test]
fn fewer_servers_than_a_quorum_end_the_wait() {
    let id = || Some("a");
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    for instance in [0, 1, 4] {
        let step = contender.respond(instance, sent, id(), Response::Vote(1, Vote::Granted));
        assert!(step.is_idle(), "{instance}: {step:?}");
    }
    let step = contender.respond(2, sent, id(), Response::Vote(1, Vote::Granted));
    assert!(step.releases(), "two servers of five: {step:?}");
    let step = contender.release(None);
    assert!(matches!(step.outcome(), Some(Outcome::SameServer(0, 1))), "{step:?}");
}

#[test]
fn a_response_to_an_earlier_attempt_is_ignored() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.release(None);
    assert!(contender.sleep().attempts());
    assert_eq!(contender.acquisition.number(), 2);
    let sent = contender.now;
    for instance in 0..N {
        let vote = Response::Vote(1, Vote::Granted);
        assert!(contender.respond(instance, sent, None, vote).is_idle());
    }
}

#[test]
fn the_blocker_is_the_reason_of_the_last_failure() {
    let mut contender = Contender::new(WaitLimit::Forever);
    assert_eq!(contender.acquisition.blocker(contender.now), None);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.release(Some(("them", 900)));
    assert!(matches!(contender.acquisition.blocker(contender.now), Some(Blocker::Holder(Some(_)))));
    let _ = contender.sleep();
    let _ = contender.vote(&[timed_out(), timed_out(), timed_out()]);
    let _ = contender.release(None);
    assert!(
        matches!(contender.acquisition.blocker(contender.now), Some(Blocker::Instances(votes)) if votes[4].is_none())
    );
}

#[test]
fn an_early_timeout_does_not_end_the_vote() {
    let mut contender = Contender::new(WaitLimit::Once);
    let _ = contender.vote(&[Vote::Granted, Vote::Granted]);
    contender.now = contender.acquisition.wake_at().minus(ms(1));
    assert!(contender.timeout().is_idle());
    let sent = contender.now;
    assert!(contender.respond(2, sent, None, Response::Vote(1, Vote::Granted)).is_idle());
    assert!(contender.sleep().acquires());
}

#[test]
fn without_a_wait_and_a_quorum_the_run_ends_with_the_release() {
    let mut contender = Contender::new(WaitLimit::Once);
    assert!(contender.vote(&[timed_out(), timed_out(), timed_out()]).releases());
    let step = contender.release(None);
    assert!(matches!(step.outcome(), Some(Outcome::NoQuorum(_))), "{step:?}");
}

#[test]
fn without_a_wait_only_a_lock_with_slots_is_polled() {
    for (slots, polls) in [(1, false), (2, true)] {
        let mut contender = Contender::for_slots(WaitLimit::Once, slots);
        let step = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        assert_eq!(step.only_releases(), !polls, "{slots}: {step:?}");
        assert_eq!(step.releases_and_polls(), polls, "{slots}: {step:?}");
    }
}

#[test]
fn a_split_vote_is_retried_for_two_op_timeouts_at_most() {
    for (after, again) in [(299, true), (300, false)] {
        let mut contender = Contender::new(WaitLimit::Once);
        let begun = contender.now;
        let split = [Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied];
        let _ = contender.vote(&split);
        assert!(contender.release(None).is_idle());
        assert!(contender.sleep().attempts());
        contender.now = begun.plus(ms(after - 1));
        let _ = contender.vote(&split);
        contender.now = begun.plus(ms(after));
        let step = contender.release(None);
        assert_eq!(step.is_idle(), again, "{after}: {step:?}");
        assert_eq!(matches!(step.outcome(), Some(Outcome::Busy(None))), !again, "{after}");
    }
}

#[test]
fn a_key_about_to_expire_shortens_the_backoff_after_a_split_vote() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    contender.now = contender.now.plus(ms(100));
    for (instance, vote) in
        [Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied].into_iter().enumerate()
    {
        let _ = contender.respond(instance, sent, None, Response::Vote(1, vote));
    }
    for (instance, left) in [(0, None), (1, Some(40)), (2, Some(2)), (3, None), (4, None)] {
        let seen =
            left.map(|left| ObservedHolder { value: format!("them {left}"), left: Some(ms(left)) });
        let step =
            contender.respond(instance, sent, None, Response::Release(1, Release::Done(seen)));
        assert!(step.is_idle(), "{step:?}");
    }
    assert_eq!(
        contender.acquisition.wake_at().since(contender.now),
        ms(2 + 1 + 50),
        "the TTL left, the floor and half a round trip"
    );
}

/// The report of a server that has been up for `uptime` seconds, with a mark as old as `marked`.
fn report(run_id: &str, uptime: u64, marked: u64) -> ServerReport {
    let wall = Duration::from_secs(1_700_000_000);
    let made = wall.saturating_sub(Duration::from_secs(marked)).as_micros();
    let seen =
        MarkSeen { text: format!("{run_id} {made} {made}"), server_clock: wall, host_clock: wall };
    let account = Account::Told { run_id: run_id.into(), uptime: Duration::from_secs(uptime) };
    ServerReport { account: Some(account), marking: Some(Marking::Seen(seen)) }
}

#[test]
fn an_instance_without_an_old_mark_has_no_vote_unless_no_instance_has_one() {
    for (label, marked, wins) in [
        ("all marks are old", [99; N], true),
        ("two marks are new", [99, 99, 99, 0, 0], true),
        ("three marks are new", [99, 99, 0, 0, 0], false),
        ("all marks but one are new", [99, 0, 0, 0, 0], false),
        ("all marks are new", [0; N], true),
    ] {
        let guard = RestartGuard::For(Duration::from_secs(30));
        let options = RunOptions { wait_limit: WaitLimit::Once, guard, ..RunOptions::for_test(N) };
        let mut contender = Contender::with(options);
        let mut last = Step::IDLE;
        for (instance, marked) in marked.into_iter().enumerate().rev() {
            if last.is_idle() {
                let report = Some(report(&format!("run{instance}"), 99, marked));
                let response = Response::Vote(1, Vote::Granted);
                let sent = contender.now;
                last = contender.receive(InstanceResponse {
                    instance,
                    sent,
                    report,
                    clock: None,
                    response,
                });
            }
        }
        assert_eq!(last.acquires(), wins, "{label}: {last:?}");
    }
}

#[test]
fn a_place_lost_with_its_connection_is_taken_again_once_a_second() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let queued = LockStatus { free: vec![], holder: None, place: Some(0) };
    let _ = contender.status(&queued);
    let _ = contender.release(Some(("them", 9_000)));
    contender.now = contender.now.plus(ms(2_000));
    let lost = |contender: &mut Contender| {
        contender.respond(1, Time::default(), None, Response::Disconnected)
    };
    assert!(lost(&mut contender).polls_all());
    assert!(lost(&mut contender).is_idle());
    assert_eq!(contender.acquisition.wake_at().since(contender.now), ms(1_000));
}

#[test]
fn the_holders_of_the_other_slots_are_asked_for_with_each_attempt() {
    for (slots, asks) in [(1, false), (2, true)] {
        let options = RunOptions { slots, ..RunOptions::for_test(N) };
        let now = at(200_000);
        let mut acquisition = Acquisition::new(&options, agreement(N, slots), now);
        let mut actions = Vec::new();
        let _ = acquisition.handle_timeout(now, SAMPLE, &mut actions);
        let asked = Action::AskStatus { instances: (0..N).collect(), waited: None };
        assert_eq!(actions[1..], vec![asked; usize::from(asks)], "{slots}");
    }
}

#[test]
fn a_status_that_is_older_than_the_last_poll_does_not_count() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    contender.now = sent.plus(ms(10));
    assert!(contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]).queues());
    let _ = contender.release(Some(("them", 9_000)));
    let free = LockStatus { free: vec![0], holder: None, place: Some(0) };
    for instance in 0..N {
        let old = Response::Status(StatusResponse::Seen(free.clone()));
        assert!(contender.respond(instance, sent, None, old).is_idle(), "{instance}");
    }
    assert!(contender.status(&free).attempts());
}

#[test]
fn without_a_wait_the_instance_that_tells_a_holder_from_a_split_vote_is_awaited() {
    use Vote::{Denied as D, Granted as G};
    for (label, wait_limit, votes, is_awaited) in [
        ("a split vote", WaitLimit::Once, &[G, D, D, D][..], true),
        ("no vote for us", WaitLimit::Once, &[D, D, D], false),
        ("a wait", WaitLimit::Forever, &[G, D, D, D], false),
    ] {
        let mut contender = Contender::new(wait_limit);
        let sent = contender.now;
        assert!(contender.vote(votes).releases(), "{label}");
        let held = Release::Done(Some(ObservedHolder { value: "them".into(), left: None }));
        let none = || Release::Done(None);
        let responses = [none(), held, none(), Release::Written, Release::Written];
        let mut last = Step::IDLE;
        for (instance, response) in responses.into_iter().enumerate() {
            assert!(last.is_idle(), "{label}: {last:?}");
            last = contender.respond(instance, sent, None, Response::Release(1, response));
        }
        let limit = sent.plus(ms(150));
        let is_over = last.outcome().is_some() || contender.acquisition.wake_at() < limit;
        assert_eq!(!is_over, is_awaited, "{label}: {last:?}");
    }
}

#[test]
fn while_too_few_vote_the_delay_grows_to_two_seconds_unless_votes_come_back_sooner() {
    let restarted = || Vote::Unknown(NoVoteReason::Restarted { up: ms(1_000), votes_in: ms(20) });
    for (label, last, delay) in [("silence", timed_out(), 1_001), ("a restart", restarted(), 21)] {
        let votes = [Vote::Granted, Vote::Granted, timed_out(), timed_out(), last];
        let mut contender = Contender::new(WaitLimit::Forever);
        for _ in 0..12 {
            assert!(contender.vote(&votes).only_releases(), "{label}");
            assert!(contender.release(None).is_idle(), "{label}");
            let _ = contender.sleep();
        }
        let _ = contender.vote(&votes);
        let _ = contender.release(None);
        let waits = contender.acquisition.wake_at().since(contender.now);
        assert_eq!(waits, ms(delay), "{label}: half of the ceiling, and the floor");
    }
}

#[test]
fn without_a_wait_free_slots_are_attempted_for_two_op_timeouts_at_most() {
    let free = |slot| LockStatus { free: vec![slot], holder: None, place: None };
    let denied = [Vote::Denied, Vote::Denied, Vote::Denied];
    for (after, again) in [(299, true), (300, false)] {
        let mut contender = Contender::for_slots(WaitLimit::Once, 3);
        let begun = contender.now;
        let _ = contender.vote(&denied);
        let _ = contender.release(Some(("them", 9_000)));
        assert!(contender.status(&free(0)).attempts());
        contender.now = begun.plus(ms(after));
        let _ = contender.vote(&denied);
        let _ = contender.release(Some(("others", 9_000)));
        let step = contender.status(&free(1));
        assert_eq!(step.attempts(), again, "{after}: {step:?}");
        assert_eq!(matches!(step.outcome(), Some(Outcome::Busy(_))), !again, "{after}");
    }
}

#[test]
fn the_age_of_an_instance_is_known_until_its_connection_ends() {
    let guard = RestartGuard::For(Duration::from_secs(30));
    for is_disconnected in [false, true] {
        let mut contender = Contender::with(RunOptions { guard, ..RunOptions::for_test(N) });
        let sent = contender.now;
        for instance in 0..N {
            let report = Some(report(&format!("run{instance}"), 99, 99));
            let response = Response::Vote(1, Vote::Denied);
            let _ = contender.receive(InstanceResponse {
                instance,
                sent,
                report,
                clock: None,
                response,
            });
        }
        let _ = contender.release(None);
        for instance in (0..N).filter(|_| is_disconnected) {
            let _ = contender.respond(instance, sent, None, Response::Disconnected);
        }
        assert!(contender.sleep().attempts());
        let granted = std::array::from_fn::<_, N, _>(|_| Vote::Granted);
        assert_eq!(contender.vote(&granted).acquires(), !is_disconnected);
    }
}

#[test]
fn after_the_end_of_the_wait_a_lock_that_was_shown_free_before_is_not_attempted_again() {
    let end = at(200_000).plus(ms(700));
    let mut contender = Contender::new(WaitLimit::Until(end));
    let denied = [Vote::Denied, Vote::Denied, Vote::Denied];
    assert!(contender.vote(&denied).queues());
    let _ = contender.release(Some(("them", 9_000)));
    let free = LockStatus { free: vec![0], holder: None, place: Some(0) };
    assert!(contender.status(&free).attempts());
    contender.now = end;
    assert!(contender.vote(&denied).only_releases());
    let step = contender.release(Some(("others", 9_000)));
    assert!(matches!(step.outcome(), Some(Outcome::Busy(Some(_)))), "{step:?}");
}
