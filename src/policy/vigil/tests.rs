//! What a wait does of what it sees.

use super::*;
use crate::lock::{Account, Claim, Difference, Refusal, Report, ServerName, Unknown, View};

fn at(millis: u64) -> Time {
    Time::default().plus(Duration::from_millis(millis))
}

fn held(left: u64) -> Watched {
    let holder = Sighting { value: "x".into(), left: Some(Duration::from_millis(left)) };
    Watched::Seen(View { free: vec![], holder: Some(holder), place: None })
}

fn free() -> Watched {
    Watched::Seen(View { free: vec![0], holder: None, place: None })
}

/// The side of a wait over five servers.
fn agreement(slots: u32) -> Agreement {
    let servers = (0..5).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect();
    Agreement::new("deploy@web1", slots, servers, Guard::Off, Duration::from_millis(100))
}

fn unknown() -> Watched {
    Watched::Unknown(Unknown::TimedOut)
}

fn looking(patience: Patience, answers: &[Watched]) -> (Vigil, Watching) {
    looking_for(1, patience, answers)
}

fn looking_for(slots: u32, patience: Patience, answers: &[Watched]) -> (Vigil, Watching) {
    let (size, limit) = (ClusterSize::redlock(5).unwrap(), Duration::from_millis(100));
    let mut vigil = Vigil::new(size, limit, patience, Guard::Off, agreement(slots), Mention::News, at(0));
    assert_eq!(vigil.woke(at(0), 0), Watching::Look);
    let mut last = Watching::Wait;
    for (instance, watched) in answers.iter().enumerate() {
        last = vigil.seen(at(1), 0, (instance, at(0)), watched.clone());
    }
    (vigil, last)
}

#[test]
fn a_majority_says_that_it_is_free() {
    assert_eq!(looking(Patience::Once, &[held(9), free(), free()]).1, Watching::Wait);
    assert_eq!(looking(Patience::Once, &[held(9), free(), free(), unknown(), free()]).1, Watching::Free);
}

#[test]
fn one_slot_is_free_where_a_majority_says_so_of_the_same_one() {
    let slots = |free: &[u32]| {
        let holder = Sighting { value: "x".into(), left: Some(Duration::from_secs(9)) };
        Watched::Seen(View { free: free.to_vec(), holder: Some(holder), ..View::default() })
    };
    for (label, answers, expected) in [
        ("none", [slots(&[]), slots(&[]), slots(&[]), slots(&[]), slots(&[])], false),
        ("each another", [slots(&[0]), slots(&[1]), slots(&[2]), slots(&[0]), slots(&[1])], false),
        ("the last", [slots(&[]), slots(&[2]), slots(&[]), slots(&[0, 2]), slots(&[2])], true),
    ] {
        let (_, last) = looking_for(3, Patience::Once, &answers);
        let is_free = last == Watching::Free;
        assert!(is_free || matches!(last, Watching::GiveUp(Outcome::Busy(Some(_)))), "{label}: {last:?}");
        assert_eq!(is_free, expected, "{label}");
    }
}

/// The last step of a wait for one of `slots`, where an instance that has just started says so of itself.
fn looking_at(slots: u32, answers: &[(Watched, bool)]) -> Watching {
    let (size, limit) = (ClusterSize::redlock(answers.len()).unwrap(), Duration::from_millis(100));
    let guard = Guard::For(Duration::from_secs(30));
    let mut vigil = Vigil::new(size, limit, Patience::Once, guard, agreement(slots), Mention::News, at(100_000));
    assert_eq!(vigil.woke(at(100_000), 0), Watching::Look);
    let mut last = Watching::Wait;
    for (instance, (watched, has_restarted)) in answers.iter().enumerate() {
        let uptime = Duration::from_secs(if *has_restarted { 3 } else { 60 });
        let account = Account::Told { run_id: format!("run{instance}"), uptime };
        let report = Some(Report { account: Some(account), marking: Some(crate::lock::Marking::Unavailable) });
        let answer = Answer::Watch(watched.clone());
        last = vigil.heard(at(100_000), 0, Heard { instance, sent: at(100_000), report, clock: None, answer });
    }
    last
}

#[test]
fn what_a_restarted_instance_says_is_free_may_be_forgotten() {
    let why = || Unknown::Restarted { up: Duration::from_secs(2), votes_in: Duration::from_secs(28) };
    let (sure, doubtful) = (|watched| (watched, false), || (free(), true));
    let last = looking_at(1, &[sure(held(9)), sure(held(9)), sure(free()), doubtful(), doubtful()]);
    assert!(matches!(last, Watching::GiveUp(Outcome::Busy(Some(_)))), "{last:?}");
    let last = looking_at(1, &[sure(free()), doubtful(), doubtful(), doubtful(), doubtful()]);
    assert!(
        matches!(&last, Watching::GiveUp(Outcome::NoQuorum(votes)) if votes.contains(&Some(Vote::Unknown(why())))),
        "{last:?}"
    );
    assert_eq!(looking_at(1, &[sure(free()), sure(free()), doubtful()]), Watching::Free);
}

#[test]
fn a_wait_is_mentioned_after_a_second_and_its_end_only_then() {
    let (mut vigil, _) = looking(Patience::Forever, &[held(9_000), held(9_000), held(9_000)]);
    assert_eq!((vigil.mention(at(999)), vigil.end()), (None, None));
    let (mut vigil, _) = looking(Patience::Forever, &[held(9_000), held(9_000), held(9_000)]);
    assert!(vigil.wake_at() < at(1_000));
    assert_eq!(vigil.woke(at(900), 0), Watching::Glance(0));
    assert_eq!(vigil.wake_at(), at(1_000));
    assert!(matches!(
        vigil.mention(at(1_000)),
        Some(Notice::Waiting { blocker: Blocker::Holder(Some(_)), place: None })
    ));
    assert_eq!(vigil.end(), Some(Notice::Waited));
}

#[test]
fn whoever_does_not_wait_leaves_with_what_is_known() {
    let refused = || Watched::Unknown(Unknown::Refused(Refusal::Access, "no".into()));
    for (label, answers, is_right) in [
        ("busy", vec![held(9), held(9), held(9)], (|o| matches!(o, Outcome::Busy(Some(_)))) as fn(&Outcome) -> bool),
        ("no quorum", vec![free(), free(), unknown(), unknown(), unknown()], |o| matches!(o, Outcome::NoQuorum(_))),
        ("refused", vec![refused(), refused(), refused()], |o| matches!(o, Outcome::Refused(Refusal::Access, _))),
    ] {
        let Watching::GiveUp(outcome) = looking(Patience::Once, &answers).1 else { panic!("{label}") };
        assert!(is_right(&outcome), "{label}: {outcome:?}");
    }
}

#[test]
fn it_looks_again_when_the_lease_is_over_or_half_a_second_later_and_leaves_when_its_time_is_over() {
    for (left, pause) in [(40, 50), (20_000, 510)] {
        let (vigil, last) = looking(Patience::Forever, &[held(left), held(left), held(left)]);
        assert_eq!((last, vigil.wake_at()), (Watching::Wait, at(1 + pause)), "{left}");
    }
    let (mut vigil, _) = looking(Patience::Until(at(200)), &[held(9_000), held(9_000), held(9_000)]);
    assert_eq!(vigil.wake_at(), at(200));
    assert_eq!(vigil.woke(at(200), 0), Watching::Look, "once more at the end");
    assert_eq!(vigil.wake_at(), at(300));
    assert!(matches!(vigil.woke(at(300), 0), Watching::GiveUp(Outcome::NoQuorum(_))), "nobody answered");
}

#[test]
fn an_early_wake_up_neither_looks_nor_gives_up() {
    let (mut hasty, _) = looking(Patience::Once, &[held(40), held(40)]);
    assert_eq!(hasty.woke(at(99), 0), Watching::Wait, "the others may answer yet");
    let (mut vigil, _) = looking(Patience::Forever, &[held(40), held(40)]);
    assert_eq!(vigil.seen(at(99), 0, (2, at(0)), held(40)), Watching::Wait);
    assert_eq!(vigil.wake_at(), at(99 + 50));
    assert_eq!(vigil.woke(at(148), 0), Watching::Wait, "nothing has changed yet");
    assert_eq!(vigil.woke(at(149), 0), Watching::Glance(0));
}

#[test]
fn one_instance_after_the_other_is_looked_at_and_all_when_one_has_news() {
    let (mut vigil, _) = looking(Patience::Forever, &[held(9_000), held(9_000), held(9_000)]);
    for (second, instance) in (1..).zip(0..7) {
        let now = at(second * 1_000);
        assert_eq!(vigil.woke(now, 0), Watching::Glance(instance % 5));
        assert_eq!(vigil.seen(now, 0, ((instance + 1) % 5, at(0)), free()), Watching::Wait, "nobody asked it");
        assert_eq!(vigil.seen(now, 0, (instance % 5, at(0)), held(9_000)), Watching::Wait);
    }
    for (label, news) in [("free", Some(free())), ("unknown", Some(unknown())), ("silent", None)] {
        let (mut vigil, _) = looking(Patience::Forever, &[held(9_000), held(9_000), held(9_000)]);
        let now = vigil.wake_at();
        assert_eq!(vigil.woke(now, 0), Watching::Glance(0), "{label}");
        let next = match news {
            Some(news) => vigil.seen(now, 0, (0, at(0)), news),
            None => vigil.woke(now.plus(Duration::from_millis(100)), 0),
        };
        assert_eq!(next, Watching::Look, "{label}");
        for instance in 0..2 {
            assert_eq!(vigil.seen(now, 0, (instance, at(0)), free()), Watching::Wait, "{label}");
        }
        assert_eq!(vigil.seen(now, 0, (2, at(0)), free()), Watching::Wait, "{label}: the others are waited for");
        assert_eq!(vigil.woke(now.plus(Duration::from_millis(10)), 0), Watching::Free, "{label}");
    }
}

#[test]
fn one_that_hangs_is_waited_for_no_longer_than_there_is_time_or_between_two_looks() {
    let (size, limit) = (ClusterSize::redlock(3).unwrap(), Duration::from_secs(5));
    for (patience, glance, until) in [(Patience::Forever, 2_000, 2_500), (Patience::Until(at(2_200)), 2_000, 2_200)] {
        let mut vigil = Vigil::new(size, limit, patience, Guard::Off, agreement(1), Mention::Live, at(1_000));
        assert_eq!(vigil.woke(at(1_000), 0), Watching::Look);
        (0..2)
            .for_each(|instance| assert_eq!(vigil.seen(at(1_000), 0, (instance, at(0)), held(9_000)), Watching::Wait));
        assert_eq!(vigil.woke(at(glance), 0), Watching::Glance(0));
        assert!(vigil.mention(at(glance)).is_some());
        assert_eq!(vigil.wake_at(), at(until), "{patience:?}");
        assert_eq!(vigil.woke(at(until), 0), Watching::Look, "{patience:?}");
    }
}

#[test]
fn it_is_busy_where_all_slots_are_held_and_unknown_where_one_is() {
    for held in [0, 1] {
        let view = View { free: vec![1 - held], ..View::default() };
        let last = looking_at(2, &[(); 5].map(|()| (Watched::Seen(view.clone()), true)));
        assert!(matches!(last, Watching::GiveUp(Outcome::NoQuorum(_))), "slot {held} is held: {last:?}");
    }
}

#[test]
fn those_who_can_answer_are_spared_while_too_few_do() {
    let (mut vigil, _) = looking(Patience::Forever, &[free(), unknown(), unknown(), unknown(), unknown()]);
    let mut looks = 0;
    while vigil.wake_at() < at(20_000) && looks < 100 {
        let now = vigil.wake_at();
        let _ = vigil.mention(now);
        if vigil.woke(now, Sample::MAX) == Watching::Look {
            looks += 1;
            for instance in 0..5 {
                let _ =
                    vigil.seen(now, Sample::MAX, (instance, at(0)), if instance == 0 { held(1) } else { unknown() });
            }
        }
    }
    assert!((10..20).contains(&looks), "{looks} looks in 20 s");
}

#[test]
fn those_who_wait_for_the_same_lock_do_not_all_look_at_once() {
    let pauses = [0, Sample::MAX].map(|sample| {
        let (mut vigil, _) = looking(Patience::Forever, &[held(40), held(40)]);
        assert_eq!(vigil.seen(at(1), sample, (2, at(0)), held(40)), Watching::Wait);
        vigil.wake_at()
    });
    let apart = pauses[1].since(pauses[0]);
    assert!(apart > Duration::from_millis(9) && apart < Duration::from_millis(11), "{apart:?}");
}

#[test]
fn a_claim_that_disagrees_twice_is_a_refusal_and_a_lock_is_not_free_before() {
    let servers: Vec<_> = (0..3).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect();
    let value = Claim::example("web2", &servers).to_line();
    let holder = Sighting { value, left: Some(Duration::from_secs(9)) };
    let other = || Watched::Seen(View { free: vec![], holder: Some(holder.clone()), place: None });
    for (label, patience, answers) in [
        ("beside a majority", Patience::Once, [free(), free(), free(), free(), other()]),
        ("on a majority", Patience::Once, [other(), other(), other(), free(), free()]),
        ("and waits", Patience::Forever, [other(), other(), other(), free(), free()]),
    ] {
        let (mut vigil, last) = looking(patience, &answers);
        assert_eq!(last, Watching::Wait, "{label}");
        let again = vigil.wake_at();
        let step = vigil.woke(again, 0);
        assert_ne!(step, Watching::Free, "{label}");
        let step = vigil.seen(again.max(at(201)), 0, (4, again), other());
        let expected = Difference::Count(3);
        assert!(matches!(&step, Watching::GiveUp(Outcome::Disagreed(_, of)) if *of == expected), "{label}: {step:?}");
    }
    let (mut vigil, last) = looking(Patience::Once, &[free(), free(), free(), free(), other()]);
    assert_eq!((last, vigil.woke(at(201), 0)), (Watching::Wait, Watching::Look));
    for instance in 0..4 {
        assert_eq!(vigil.seen(at(202), 0, (instance, at(201)), free()), Watching::Wait);
    }
    assert_eq!(vigil.seen(at(202), 0, (4, at(201)), free()), Watching::Free, "it is gone");
}
