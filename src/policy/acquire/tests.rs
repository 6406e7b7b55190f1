//! Attempts by hand: what follows from each kind of vote, and for how long.

use super::*;
use crate::lock::{
    Account, LockStatus, MarkSeen, Marking, NoVoteReason, ObservedHolder, PermanentError, Release,
    ServerName, ServerReport, StatusResponse, Ttl,
};

pub(super) const N: usize = 5;

pub(super) struct Contender {
    pub(super) attempts: Acquisition,
    pub(super) now: Time,
    /// How much has happened: a test that waits for something must fail where it never comes.
    pub(super) events: u32,
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn at(millis: u64) -> Time {
    Time::default().plus(ms(millis))
}

/// TTL 3 s, time limit 150 ms, and a die that always shows the same.
const SAMPLE: Sample = 1 << 31;

impl Contender {
    pub(super) fn new(wait_limit: WaitLimit) -> Self {
        Self::for_slots(wait_limit, 1)
    }

    pub(super) fn woke(&mut self) -> AcquireStep {
        self.count();
        self.attempts.woke(self.now, SAMPLE)
    }

    pub(super) fn count(&mut self) {
        self.events += 1;
        assert!(self.events < 1_000, "what is waited for does not come");
    }

    pub(super) fn sleep(&mut self) -> AcquireStep {
        assert!(self.attempts.wake_at() > self.now, "it would spin");
        self.now = self.attempts.wake_at();
        self.woke()
    }

    pub(super) fn hear(
        &mut self,
        instance: usize,
        sent: Time,
        run_id: Option<&str>,
        response: Response,
    ) -> AcquireStep {
        self.count();
        let told =
            |run_id: &str| Account::Told { run_id: run_id.into(), uptime: Duration::from_secs(60) };
        let report =
            run_id.map(|run_id| ServerReport { account: Some(told(run_id)), marking: None });
        let heard = InstanceResponse { instance, sent, report, clock: None, response };
        self.attempts.heard(self.now, SAMPLE, heard)
    }

    pub(super) fn vote(&mut self, votes: &[Vote]) -> AcquireStep {
        let (sent, number) = (self.now, self.attempts.number());
        let mut last = AcquireStep::Wait;
        for (instance, vote) in votes.iter().enumerate() {
            last = self.hear(instance, sent, None, Response::Vote(number, vote.clone()));
        }
        last
    }

    pub(super) fn for_slots(wait_limit: WaitLimit, slots: u32) -> Self {
        let schedule = Schedule::new(Ttl::new(ms(3_000)).unwrap(), None, None).unwrap();
        let size = ClusterSize::redlock(N).unwrap();
        let attempts = Acquisition::new(
            size,
            schedule,
            wait_limit,
            slots,
            RestartGuard::Off,
            agreement(N, slots),
            Time::default(),
        );
        let mut contender = Self { attempts, now: at(1_000), events: 0 };
        assert!(matches!(contender.woke(), AcquireStep::Acquire));
        contender
    }

    /// Every instance says what is in the way; what follows from the first that makes a difference.
    pub(super) fn watch(&mut self, view: &LockStatus) -> AcquireStep {
        let sent = self.now;
        for instance in 0..N {
            match self.hear(
                instance,
                sent,
                None,
                Response::Status(StatusResponse::Seen(view.clone())),
            ) {
                AcquireStep::Wait => {}
                step => return step,
            }
        }
        AcquireStep::Wait
    }

    pub(super) fn give_back(&mut self, holder: Option<(&str, u64)>) -> AcquireStep {
        let (sent, number) = (self.now, self.attempts.number());
        let observed = holder
            .map(|(value, left)| ObservedHolder { value: value.into(), left: Some(ms(left)) });
        let mut last = AcquireStep::Wait;
        for instance in 0..N {
            last = self.hear(
                instance,
                sent,
                None,
                Response::Release(number, Release::Done(observed.clone())),
            );
        }
        last
    }
}

pub(super) fn servers(count: usize) -> Vec<ServerName> {
    (0..count).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect()
}

/// The side of a run over so many servers, with the time limit of these tests.
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
fn a_quorum_wins_when_all_have_voted_or_the_rest_has_had_its_time() {
    use Vote::Granted as G;
    let mut contender = Contender::new(WaitLimit::Forever);
    assert!(matches!(contender.vote(&[G, G, G, G]), AcquireStep::Wait));
    let AcquireStep::Won(held_lock, _) = contender.vote(&[G, G, G, G, timed_out()]) else {
        panic!("not won")
    };
    assert_eq!((held_lock.members(), held_lock.deadline()), (4, Some(at(1_000 + 3_000 - 32))));
    for (took, rest) in [(0, 5), (40, 20), (140, 10), (149, 1)] {
        let mut contender = Contender::new(WaitLimit::Forever);
        let sent = contender.now;
        contender.now = contender.now.plus(ms(took));
        for instance in 0..3 {
            assert!(
                matches!(
                    contender.hear(instance, sent, None, Response::Vote(1, G)),
                    AcquireStep::Wait
                ),
                "{took}"
            );
        }
        assert_eq!(contender.attempts.wake_at(), contender.now.plus(ms(rest)), "{took}");
        let AcquireStep::Won(held_lock, votes) = contender.sleep() else {
            panic!("not won after {took} ms")
        };
        assert_eq!((held_lock.members(), votes.iter().flatten().count()), (3, 3), "{took}");
    }
}

#[test]
fn a_quorum_that_comes_with_less_than_half_the_ttl_left_is_given_back() {
    for (late, won) in [(1_468, true), (1_469, false)] {
        let mut contender = Contender::new(WaitLimit::Forever);
        let sent = contender.now;
        contender.now = contender.now.plus(ms(late));
        let mut last = AcquireStep::Wait;
        for instance in 0..3 {
            last = contender.hear(instance, sent, None, Response::Vote(1, Vote::Granted));
        }
        assert_eq!(matches!(last, AcquireStep::Won(..)), won, "{late} ms: {last:?}");
        assert_eq!(matches!(last, AcquireStep::Release(_)), !won, "{late} ms");
    }
}

#[test]
fn silence_is_over_with_the_time_limit() {
    let mut contender = Contender::new(WaitLimit::Once);
    assert_eq!(contender.attempts.wake_at(), contender.now.plus(ms(150)));
    assert!(matches!(contender.vote(&[Vote::Granted, Vote::Granted]), AcquireStep::Wait));
    assert!(matches!(contender.sleep(), AcquireStep::Release(_)));
    // Nobody answers that either.
    let AcquireStep::GiveUp(Outcome::NoQuorum(votes)) = contender.sleep() else {
        panic!("not given up")
    };
    assert_eq!(votes[..3], [Some(Vote::Granted), Some(Vote::Granted), Some(timed_out())]);
}

#[test]
fn those_who_do_not_wait_leave_a_holder_and_contest_a_split() {
    let split = || vec![Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied];
    for (votes, holder) in [(split(), Some(("them", 900))), (vec![Vote::Denied; 3], None)] {
        let mut contender = Contender::new(WaitLimit::Once);
        assert!(matches!(contender.vote(&votes), AcquireStep::Release(_)));
        let step = contender.give_back(holder);
        let AcquireStep::GiveUp(Outcome::Busy(seen)) = step else { panic!("{step:?}") };
        assert_eq!(seen.as_ref().map(|seen| seen.value.as_str()), holder.map(|(value, _)| value));
    }

    let mut contender = Contender::new(WaitLimit::Once);
    let begun = contender.now;
    let _ = contender.vote(&split());
    let mut step = contender.give_back(None);
    while matches!(step, AcquireStep::Wait) {
        assert!(matches!(contender.sleep(), AcquireStep::Acquire));
        let _ = contender.vote(&split());
        step = contender.give_back(None);
    }
    assert!(matches!(step, AcquireStep::GiveUp(Outcome::Busy(None))), "{step:?}");
    let tried_for = contender.now.since(begun);
    assert!(
        tried_for >= ms(300) && tried_for <= ms(600),
        "two time limits and a pause: {tried_for:?}"
    );
}

#[test]
fn a_holder_who_is_seen_late_is_a_holder() {
    let mut contender = Contender::new(WaitLimit::Once);
    assert!(matches!(
        contender.vote(&[Vote::Denied, Vote::Denied, timed_out()]),
        AcquireStep::Wait
    ));
    assert!(matches!(contender.sleep(), AcquireStep::Release(_)), "the others said nothing");
    let step = contender.give_back(Some(("them", 900)));
    assert!(matches!(step, AcquireStep::GiveUp(Outcome::Busy(Some(_)))), "{step:?}");
}

#[test]
fn whoever_learns_of_a_holder_only_afterwards_stands_in_line_all_the_same() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let full = Vote::Unknown(NoVoteReason::Transient("out of memory".into()));
    assert!(matches!(
        contender.vote(&[full.clone(), full.clone(), full]),
        AcquireStep::Release(None)
    ));
    assert!(
        matches!(contender.give_back(Some(("them", 9_000))), AcquireStep::Poll(Poll::All)),
        "it would hammer"
    );
    assert!(matches!(contender.watch(&stranger(9_000)), AcquireStep::Wait));
    assert!(contender.attempts.wake_at() >= contender.now.plus(ms(500)));
    assert_eq!(contender.attempts.place(), Some(0));
}

#[test]
fn whoever_leaves_and_learns_of_a_holder_only_afterwards_asks_about_the_other_slots() {
    for (slots, asks) in [(1, false), (2, true)] {
        let mut contender = Contender::for_slots(WaitLimit::Once, slots);
        let full = Vote::Unknown(NoVoteReason::Transient("out of memory".into()));
        assert!(matches!(
            contender.vote(&[full.clone(), full.clone(), full]),
            AcquireStep::Release(None)
        ));
        let step = contender.give_back(Some(("them", 9_000)));
        assert_eq!(matches!(step, AcquireStep::Poll(Poll::All)), asks, "{slots}: {step:?}");
        assert_eq!(
            matches!(step, AcquireStep::GiveUp(Outcome::Busy(Some(_)))),
            !asks,
            "{slots}: {step:?}"
        );
    }
}

#[test]
fn who_leaves_waits_for_those_who_know_the_holder() {
    let mut contender = Contender::new(WaitLimit::Once);
    let _ = contender.vote(&[timed_out(), Vote::Denied, Vote::Denied]);
    assert!(matches!(contender.sleep(), AcquireStep::Release(_)), "the others said nothing");
    let held = || Release::Done(Some(ObservedHolder { value: "them".into(), left: None }));
    let responses = [Release::Nothing, held(), held(), Release::Written, Release::Written, held()];
    let mut steps = Vec::new();
    for (instance, response) in [0, 1, 2, 3, 4, 3].into_iter().zip(responses) {
        let sent = contender.now;
        steps.push(contender.hear(instance, sent, None, Response::Release(1, response)));
    }
    assert!(steps[..5].iter().all(|step| matches!(step, AcquireStep::Wait)), "{steps:?}");
    assert!(matches!(&steps[5], AcquireStep::GiveUp(Outcome::Busy(Some(_)))), "{steps:?}");
}

#[test]
fn patience_ends_with_one_last_attempt() {
    let end = at(1_000).plus(ms(700));
    let mut contender = Contender::new(WaitLimit::Until(end));
    loop {
        let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        if let AcquireStep::GiveUp(outcome) = contender.give_back(Some(("them", 9_000))) {
            assert!(matches!(outcome, Outcome::Busy(Some(_))));
            break;
        }
        while matches!(contender.sleep(), AcquireStep::Poll(_)) {}
    }
    assert_eq!(contender.now, end);
}

/// What every instance says of a lock that a stranger holds.
fn stranger(left: u64) -> LockStatus {
    LockStatus {
        free: vec![],
        holder: Some(ObservedHolder { value: "them".into(), left: Some(ms(left)) }),
        place: Some(0),
    }
}

fn queuing(left: u64) -> Contender {
    let mut contender = Contender::new(WaitLimit::Forever);
    assert!(matches!(
        contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]),
        AcquireStep::Release(Some(StatusPurpose::Queue))
    ));
    assert!(matches!(contender.give_back(Some(("them", left))), AcquireStep::Wait));
    assert!(matches!(contender.watch(&stranger(left)), AcquireStep::Wait));
    contender
}

#[test]
fn a_holder_about_to_expire_shortens_the_pause() {
    for (left, expected) in [(9_000, 530), (2, 32)] {
        let contender = queuing(left);
        assert_eq!(contender.attempts.wake_at().since(contender.now), ms(expected), "{left}");
    }
}

#[test]
fn a_wake_up_by_a_quorum_is_followed_by_an_attempt_and_a_lesser_one_by_a_look() {
    let mut contender = queuing(9_000);
    let woken = |contender: &mut Contender, instance| {
        contender.hear(instance, Time::default(), None, Response::Woken(0))
    };
    assert!(matches!(woken(&mut contender, 1), AcquireStep::Wait));
    assert!(matches!(contender.sleep(), AcquireStep::Poll(Poll::All)));
    assert!(matches!(contender.watch(&stranger(9_000)), AcquireStep::Wait), "it was a mistake");
    assert!(matches!(woken(&mut contender, 1), AcquireStep::Wait));
    assert!(matches!(woken(&mut contender, 4), AcquireStep::Wait));
    assert!(matches!(woken(&mut contender, 0), AcquireStep::Acquire));
    assert_eq!(contender.attempts.number(), 2);
}

#[test]
fn a_lock_that_became_free_while_the_place_in_line_was_taken_is_tried_at_once() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.give_back(Some(("them", 9_000)));
    let free = LockStatus { free: vec![0], holder: None, place: Some(0) };
    assert!(matches!(contender.watch(&free), AcquireStep::Acquire));
}

#[test]
fn whoever_stands_in_line_after_a_split_looks_and_goes_on_only_as_the_first() {
    let view =
        |free: &[u32], place| LockStatus { free: free.to_vec(), holder: None, place: Some(place) };
    for (place, tries) in [(0, true), (2, false)] {
        let mut contender = Contender::new(WaitLimit::Forever);
        let _ = contender.vote(&[Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied]);
        assert!(matches!(contender.watch(&view(&[], place)), AcquireStep::Wait));
        assert!(matches!(contender.give_back(None), AcquireStep::Wait));
        assert!(
            matches!(contender.sleep(), AcquireStep::Poll(Poll::All)),
            "it takes no votes from whoever has its turn"
        );
        let step = contender.watch(&view(&[0], place));
        assert_eq!(matches!(step, AcquireStep::Acquire), tries, "{place}: {step:?}");
        if !tries {
            let begun = contender.now;
            assert!(
                matches!(contender.sleep(), AcquireStep::Poll(Poll::One(_))),
                "nobody may be there"
            );
            assert_eq!(contender.now.since(begun), ms(2_025), "those two had their time");
            assert!(matches!(contender.watch(&view(&[0], place)), AcquireStep::Poll(Poll::All)));
            assert!(matches!(contender.watch(&view(&[0], place)), AcquireStep::Acquire));
        }
    }
}

#[test]
fn what_is_free_behind_a_split_is_not_tried_again_at_once() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let restarted =
        || Vote::Unknown(NoVoteReason::Restarted { up: ms(1_000), votes_in: ms(9_000) });
    let _ = contender.vote(&[Vote::Granted, Vote::Granted, Vote::Denied, restarted(), restarted()]);
    let free = LockStatus { free: vec![0], holder: None, place: Some(0) };
    assert!(matches!(contender.watch(&free), AcquireStep::Wait));
    assert!(
        matches!(contender.give_back(None), AcquireStep::Wait),
        "what was not enough may be so again, and again"
    );
    assert!(contender.attempts.wake_at() > contender.now);
    assert!(matches!(contender.sleep(), AcquireStep::Poll(Poll::All)));
    assert!(matches!(contender.watch(&free), AcquireStep::Acquire));
}

#[test]
fn where_nobody_says_what_is_in_the_way_another_attempt_follows() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.give_back(Some(("them", 9_000)));
    assert!(matches!(contender.sleep(), AcquireStep::Acquire));
}

#[test]
fn those_who_do_not_wait_any_more_try_every_slot_that_is_free() {
    for wait_limit in [WaitLimit::Once, WaitLimit::Until(at(1_000))] {
        try_every_slot(wait_limit);
    }
}

#[test]
fn a_slot_that_is_free_is_tried_though_the_first_one_is_held_by_no_quorum_that_answered() {
    let mut contender = Contender::for_slots(WaitLimit::Once, 3);
    let (sent, number) = (contender.now, contender.attempts.number());
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    // The request had not reached the others yet, so the release takes it back there.
    let them = ObservedHolder { value: "them".into(), left: Some(ms(9_000)) };
    for instance in 0..N {
        let release =
            if instance == 0 { Release::Done(Some(them.clone())) } else { Release::Nothing };
        let _ = contender.hear(instance, sent, None, Response::Release(number, release));
    }
    let view = LockStatus { free: vec![1], holder: Some(them), place: None };
    assert!(matches!(contender.watch(&view), AcquireStep::Acquire));
    assert_eq!(contender.attempts.slot(), 1);
}

#[test]
fn a_run_that_does_not_wait_hears_each_instance_that_can_tell_busy_from_no_quorum() {
    let dead = || Vote::Unknown(NoVoteReason::Unreachable("connection refused".into()));
    for (wait_limit, waits) in [(WaitLimit::Once, false), (WaitLimit::Forever, true)] {
        let mut contender = Contender::new(wait_limit);
        let step = contender.vote(&[dead(), dead(), Vote::Denied]);
        assert_eq!(matches!(step, AcquireStep::Release(_)), waits, "{wait_limit:?}: {step:?}");
        if !waits {
            assert!(matches!(contender.sleep(), AcquireStep::Release(_)), "the time limit is over");
        }
    }
}

fn try_every_slot(wait_limit: WaitLimit) {
    let mut contender = Contender::for_slots(wait_limit, 3);
    assert_eq!(contender.attempts.slot(), 2, "as the die fell");
    assert!(matches!(
        contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]),
        AcquireStep::Release(Some(StatusPurpose::Poll))
    ));
    assert!(
        matches!(contender.give_back(Some(("them", 9_000))), AcquireStep::Wait),
        "another slot may be free"
    );
    let one_free = LockStatus { free: vec![0], holder: None, place: None };
    assert!(matches!(contender.watch(&one_free), AcquireStep::Acquire));
    assert_eq!(contender.attempts.slot(), 0);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.give_back(Some(("others", 9_000)));
    assert!(matches!(
        contender.watch(&LockStatus::default()),
        AcquireStep::GiveUp(Outcome::Busy(Some(_)))
    ));
}

#[test]
fn slow_instances_widen_the_pause() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    contender.now = contender.now.plus(ms(100));
    for instance in 0..3 {
        let _ = contender.hear(instance, sent, None, Response::Vote(1, Vote::Denied));
    }
    assert!(matches!(contender.give_back(None), AcquireStep::Wait));
    assert_eq!(
        contender.attempts.wake_at().since(contender.now),
        ms(101),
        "half of twice the trip, and the floor"
    );
}

#[test]
fn what_a_person_must_mend_ends_the_wait_at_once() {
    use PermanentError::{Access, Configuration};
    for kind in [Access, Configuration] {
        let mut contender = Contender::new(WaitLimit::Forever);
        assert!(matches!(
            contender.vote(&[refused(kind), refused(kind), refused(kind)]),
            AcquireStep::Release(_)
        ));
        let step = contender.give_back(None);
        assert!(
            matches!(step, AcquireStep::GiveUp(Outcome::Refused(k, _)) if k == kind),
            "{step:?}"
        );
    }
}

#[test]
fn one_run_id_on_two_instances_counts_once_while_the_others_are_a_quorum_with_it() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    let (id, granted) = (|| Some("a"), || Response::Vote(1, Vote::Granted));
    for instance in [0, 1] {
        assert!(matches!(contender.hear(instance, sent, id(), granted()), AcquireStep::Wait));
    }
    assert!(matches!(contender.hear(2, sent, None, granted()), AcquireStep::Wait), "two servers");
    let _ = contender.hear(3, sent, None, granted());
    // The last vote is waited for, briefly.
    let step =
        contender.hear(4, sent, None, Response::Vote(1, Vote::Unknown(NoVoteReason::TimedOut)));
    let AcquireStep::Won(held_lock, _) = step else { panic!("three servers granted: {step:?}") };
    assert_eq!((held_lock.members(), held_lock.duplicates().collect()), (3, vec![(0, 1)]));
}

#[test]
fn servers_that_are_too_few_without_the_duplicates_end_the_wait() {
    let id = || Some("a");
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    for instance in [0, 1, 4] {
        let step = contender.hear(instance, sent, id(), Response::Vote(1, Vote::Granted));
        assert!(matches!(step, AcquireStep::Wait), "{instance}: {step:?}");
    }
    let step = contender.hear(2, sent, id(), Response::Vote(1, Vote::Granted));
    assert!(matches!(step, AcquireStep::Release(_)), "two servers of five: {step:?}");
    let step = contender.give_back(None);
    assert!(matches!(step, AcquireStep::GiveUp(Outcome::SameServer(0, 1))), "{step:?}");
}

#[test]
fn an_answer_to_an_old_attempt_changes_nothing() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.give_back(None);
    assert!(matches!(contender.sleep(), AcquireStep::Acquire));
    assert_eq!(contender.attempts.number(), 2);
    let sent = contender.now;
    for instance in 0..N {
        assert!(matches!(
            contender.hear(instance, sent, None, Response::Vote(1, Vote::Granted)),
            AcquireStep::Wait
        ));
    }
}

#[test]
fn the_blocker_is_what_the_last_attempt_met() {
    let mut contender = Contender::new(WaitLimit::Forever);
    assert_eq!(contender.attempts.blocker(contender.now), None);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let _ = contender.give_back(Some(("them", 900)));
    assert!(matches!(contender.attempts.blocker(contender.now), Some(Blocker::Holder(Some(_)))));
    let _ = contender.sleep();
    let _ = contender.vote(&[timed_out(), timed_out(), timed_out()]);
    let _ = contender.give_back(None);
    assert!(
        matches!(contender.attempts.blocker(contender.now), Some(Blocker::Instances(votes)) if votes[4].is_none())
    );
}

#[test]
fn an_early_wake_up_cuts_no_vote_short() {
    let mut contender = Contender::new(WaitLimit::Once);
    let _ = contender.vote(&[Vote::Granted, Vote::Granted]);
    contender.now = contender.attempts.wake_at().minus(ms(1));
    assert!(matches!(contender.woke(), AcquireStep::Wait));
    let sent = contender.now;
    assert!(matches!(
        contender.hear(2, sent, None, Response::Vote(1, Vote::Granted)),
        AcquireStep::Wait
    ));
    assert!(matches!(contender.sleep(), AcquireStep::Won(..)));
}

#[test]
fn who_leaves_does_not_wait_for_what_nobody_will_say() {
    let mut contender = Contender::new(WaitLimit::Once);
    assert!(matches!(
        contender.vote(&[timed_out(), timed_out(), timed_out()]),
        AcquireStep::Release(_)
    ));
    let step = contender.give_back(None);
    assert!(matches!(step, AcquireStep::GiveUp(Outcome::NoQuorum(_))), "{step:?}");
}

#[test]
fn those_who_leave_a_lock_without_slots_ask_nothing_more() {
    for (slots, watch) in [(1, None), (2, Some(StatusPurpose::Poll))] {
        let mut contender = Contender::for_slots(WaitLimit::Once, slots);
        let step = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        assert!(
            matches!(&step, AcquireStep::Release(asked) if *asked == watch),
            "{slots}: {step:?}"
        );
    }
}

#[test]
fn a_split_is_contested_for_two_time_limits_and_no_longer() {
    for (after, again) in [(299, true), (300, false)] {
        let mut contender = Contender::new(WaitLimit::Once);
        let begun = contender.now;
        let split = [Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied];
        let _ = contender.vote(&split);
        assert!(matches!(contender.give_back(None), AcquireStep::Wait));
        assert!(matches!(contender.sleep(), AcquireStep::Acquire));
        contender.now = begun.plus(ms(after - 1));
        let _ = contender.vote(&split);
        contender.now = begun.plus(ms(after));
        let step = contender.give_back(None);
        assert_eq!(matches!(step, AcquireStep::Wait), again, "{after}: {step:?}");
        assert_eq!(matches!(step, AcquireStep::GiveUp(Outcome::Busy(None))), !again, "{after}");
    }
}

#[test]
fn a_key_about_to_expire_shortens_the_pause_after_a_split() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let sent = contender.now;
    contender.now = contender.now.plus(ms(100));
    for (instance, vote) in
        [Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied].into_iter().enumerate()
    {
        let _ = contender.hear(instance, sent, None, Response::Vote(1, vote));
    }
    for (instance, left) in [(0, None), (1, Some(40)), (2, Some(2)), (3, None), (4, None)] {
        let seen =
            left.map(|left| ObservedHolder { value: format!("them {left}"), left: Some(ms(left)) });
        let step = contender.hear(instance, sent, None, Response::Release(1, Release::Done(seen)));
        assert!(matches!(step, AcquireStep::Wait), "{step:?}");
    }
    assert_eq!(
        contender.attempts.wake_at().since(contender.now),
        ms(2 + 1 + 50),
        "it, the floor and half a trip"
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
fn an_instance_that_may_have_forgotten_has_no_vote_unless_none_has_ever_been_used() {
    for (label, marked, wins) in [
        ("all are known to be old", [99; N], true),
        ("two may have forgotten", [99, 99, 99, 0, 0], true),
        ("three may have forgotten", [99, 99, 0, 0, 0], false),
        ("all but one may have forgotten", [99, 0, 0, 0, 0], false),
        ("none was used before", [0; N], true),
    ] {
        let schedule = Schedule::new(Ttl::new(ms(3_000)).unwrap(), None, None).unwrap();
        let (size, guard) =
            (ClusterSize::redlock(N).unwrap(), RestartGuard::For(Duration::from_secs(30)));
        let attempts = Acquisition::new(
            size,
            schedule,
            WaitLimit::Once,
            1,
            guard,
            agreement(N, 1),
            Time::default(),
        );
        let mut contender = Contender { attempts, now: at(200_000), events: 0 };
        assert!(matches!(contender.woke(), AcquireStep::Acquire));
        let mut last = AcquireStep::Wait;
        for (instance, marked) in marked.into_iter().enumerate().rev() {
            if matches!(last, AcquireStep::Wait) {
                let report = Some(report(&format!("run{instance}"), 99, marked));
                let response = Response::Vote(1, Vote::Granted);
                let heard = InstanceResponse {
                    instance,
                    sent: contender.now,
                    report,
                    clock: None,
                    response,
                };
                last = contender.attempts.heard(contender.now, SAMPLE, heard);
            }
        }
        assert_eq!(matches!(last, AcquireStep::Won(..)), wins, "{label}: {last:?}");
    }
}

#[test]
fn a_place_in_line_that_is_lost_with_its_connection_is_taken_again_once_a_second() {
    let mut contender = Contender::new(WaitLimit::Forever);
    let _ = contender.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let queued = LockStatus { free: vec![], holder: None, place: Some(0) };
    let _ = contender.watch(&queued);
    let _ = contender.give_back(Some(("them", 9_000)));
    contender.now = contender.now.plus(ms(2_000));
    let lost = |contender: &mut Contender| {
        contender.hear(1, Time::default(), None, Response::Disconnected)
    };
    assert!(matches!(lost(&mut contender), AcquireStep::Poll(Poll::All)));
    assert!(matches!(lost(&mut contender), AcquireStep::Wait));
    assert_eq!(contender.attempts.wake_at().since(contender.now), ms(1_000));
}
