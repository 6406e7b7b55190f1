//! Tables of views, and the rules that hold for all of them.

use super::*;
use crate::lock::{Account, Marking};
use proptest::prelude::*;

fn size(count: usize) -> ClusterSize {
    ClusterSize::redlock(count).unwrap()
}

fn held(value: &str, millis: u64) -> KeyView {
    let left = Some(Duration::from_millis(millis));
    KeyView::Held(ObservedHolder { value: value.into(), left })
}

fn forever(value: &str) -> KeyView {
    KeyView::Held(ObservedHolder { value: value.into(), left: None })
}

fn restarted() -> KeyView {
    KeyView::Abstains(NoVoteReason::Restarted {
        up: Duration::from_secs(1),
        votes_in: Duration::from_secs(9),
    })
}

fn unproven() -> KeyView {
    KeyView::Abstains(NoVoteReason::Unproven { votes_in: Duration::from_secs(9) })
}

fn dead() -> KeyView {
    KeyView::Unknown(NoVoteReason::TimedOut)
}

fn held_by(value: &str, left: Option<u64>) -> LockState {
    let left = left.map(Duration::from_millis);
    LockState::Held(HeldBy { value: value.into(), left })
}

#[test]
fn a_lock_that_is_partly_revoked_has_one_holder() {
    let plain = LockValue::example("web1", &[]).to_line();
    let by = |name: &str| Revocation::new(name, None, 1).header() + &plain[1..];
    let (one, two) = (by("ops@a"), by("ops@b"));
    for (label, views, shown) in [
        ("a minority", vec![held(&one, 5), held(&plain, 5), held(&plain, 5)], &plain),
        ("a majority", vec![held(&plain, 5), held(&one, 5), held(&one, 5)], &one),
        ("twice", vec![held(&one, 5), held(&two, 5), held(&plain, 5)], &one),
        ("two of four", vec![held(&plain, 5), held(&one, 5), held(&plain, 5), held(&one, 5)], &one),
    ] {
        assert_eq!(LockState::of(size(views.len()), &views), held_by(shown, Some(5)), "{label}");
    }
}

#[test]
fn a_quorum_holds_or_frees_a_lock_and_everything_else_is_undetermined() {
    use Doubt::{MayHaveForgotten, Minority, SplitVote, TooFewAnswers};
    use KeyView::Free;
    let doubt = LockState::Undetermined;
    for (label, views, expected) in [
        ("all free", vec![Free, Free, Free], LockState::Free),
        ("free on a quorum", vec![Free, dead(), Free], LockState::Free),
        ("a remnant", vec![Free, held("a", 5), Free], LockState::Free),
        ("held by all", vec![held("a", 5), held("a", 9), held("a", 7)], held_by("a", Some(7))),
        ("held by a quorum", vec![held("a", 5), dead(), held("a", 7)], held_by("a", Some(5))),
        ("beside a loser", vec![held("a", 5), held("b", 9), held("a", 7)], held_by("a", Some(5))),
        ("without expiry", vec![forever("a"), forever("a"), Free], held_by("a", None)),
        ("partly without", vec![forever("a"), held("a", 3), Free], held_by("a", Some(3))),
        ("split", vec![held("a", 5), held("b", 5), Free], doubt(SplitVote)),
        ("split in three", vec![held("a", 5), held("b", 5), held("c", 5)], doubt(SplitVote)),
        ("a dead majority", vec![Free, dead(), dead()], doubt(TooFewAnswers)),
        ("a dead majority beside a key", vec![held("a", 5), dead(), dead()], doubt(TooFewAnswers)),
        ("one dead, one held", vec![held("a", 5), dead(), Free], doubt(Minority)),
        ("a restarted one decides", vec![Free, restarted(), dead()], doubt(MayHaveForgotten)),
        ("a restarted minority", vec![Free, restarted(), Free], LockState::Free),
        ("restarted beside a holder", vec![held("a", 5), restarted(), Free], doubt(Minority)),
        ("all restarted", vec![restarted(), restarted(), restarted()], doubt(MayHaveForgotten)),
        ("all are new", vec![unproven(), unproven(), unproven()], LockState::Free),
        (
            "all but a dead one are new",
            vec![unproven(), unproven(), dead()],
            doubt(MayHaveForgotten),
        ),
    ] {
        assert_eq!(LockState::of(size(3), &views), expected, "{label}");
    }
}

#[test]
fn an_instance_that_just_restarted_abstains_and_shows_a_key_all_the_same() {
    let holder = ObservedHolder { value: "a".into(), left: None };
    let account = Account::Told { run_id: "r".into(), uptime: Duration::from_secs(2) };
    let observation = Observation {
        keys: vec![Some(holder.clone()), None],
        queues: vec![],
        report: ServerReport { account: Some(account), marking: Some(Marking::Unavailable) },
    };
    let at = Time::from_nanos(1 << 40);
    let answer = Answer { sent: at, heard: at, result: Ok(observation) };
    let guard = |seconds| RestartGuard::For(Duration::from_secs(seconds));
    assert_eq!(
        Observation::views(&answer, guard(1), 2),
        [KeyView::Held(holder.clone()), KeyView::Free]
    );
    let views = Observation::views(&answer, guard(60), 2);
    assert_eq!(views[0], KeyView::Held(holder));
    assert!(matches!(&views[1], KeyView::Abstains(NoVoteReason::Restarted { .. })), "{views:?}");
    let silent = Answer { result: Err(NoVoteReason::TimedOut), ..answer };
    assert_eq!(Observation::views(&silent, guard(1), 2), [dead(), dead()]);
}

#[test]
fn an_observation_has_the_run_id_that_the_server_told() {
    let told = Account::Told { run_id: "r".into(), uptime: Duration::ZERO };
    let silent = Account::Untold(NoVoteReason::TimedOut);
    for (account, expected) in [
        (Some(told), Some("r")),
        (Some(Account::NotPermitted), None),
        (Some(silent), None),
        (None, None),
    ] {
        let report = ServerReport { account, marking: None };
        let observation = Observation { keys: vec![], queues: vec![], report };
        assert_eq!(observation.run_id(), expected);
    }
}

#[test]
fn a_holder_has_a_lock_value_unless_another_client_wrote_it() {
    let ours = LockValue::example("web1", &[]);
    let held_by = |value: &str| HeldBy { value: value.into(), left: None };
    assert_eq!(held_by(&ours.to_line()).lock_value(), Some(ours));
    assert_eq!(held_by("secret").lock_value(), None);
}

#[test]
fn a_queue_is_as_long_as_a_quorum_says() {
    let view = |waiting, id: &str| QueueView {
        waiting,
        first: (waiting > 0).then(|| FirstInQueue { id: id.into(), since: Duration::from_secs(7) }),
    };
    let merged = |views: &[QueueView]| {
        let merged = merged_queue(size(3), views);
        (merged.waiting, merged.first.map(|first| first.id))
    };
    let (a, b) = (Some("a".to_owned()), Some("b".to_owned()));
    assert_eq!(merged(&[]), (0, None));
    assert_eq!(merged(&[view(2, "a"), view(3, "a"), view(2, "a")]), (2, a.clone()));
    assert_eq!(merged(&[view(1, "a"), view(2, "b"), view(2, "b")]), (2, b));
    assert_eq!(merged(&[view(0, ""), view(0, ""), view(9, "a")]), (0, None), "a minority's");
    assert_eq!(merged(&[view(4, "a")]), (4, a), "a single answer");
}

fn any_view() -> impl Strategy<Value = KeyView> {
    prop_oneof![
        (0_u8..3, 1_u64..9).prop_map(|(who, left)| held(&who.to_string(), left)),
        Just(KeyView::Free),
        Just(restarted()),
        Just(unproven()),
        Just(dead()),
    ]
}

proptest! {
    #[test]
    fn a_free_lock_has_no_holder_on_a_quorum_even_with_the_silent(
        views in prop::collection::vec(any_view(), 3..8),
    ) {
        let size = size(views.len());
        let could_hold = |value: &str| views.iter().filter(|view| match view {
            KeyView::Held(holder) => holder.value == value,
            KeyView::Unknown(_) => true,
            KeyView::Free | KeyView::Abstains(_) => false,
        }).count() >= size.quorum();
        if LockState::of(size, &views) == LockState::Free {
            prop_assert!(["0", "1", "2"].iter().all(|value| !could_hold(value)));
        }
    }

    #[test]
    fn a_holder_has_a_quorum_and_its_lease_is_that_of_a_quorum(
        views in prop::collection::vec(any_view(), 3..8),
    ) {
        let size = size(views.len());
        if let LockState::Held(by) = LockState::of(size, &views) {
            let outlive = views.iter().filter(|view| matches!(
                view,
                KeyView::Held(holder) if holder.value == by.value && holder.left >= by.left
            ));
            prop_assert!(outlive.count() >= size.quorum());
        }
    }

    #[test]
    fn the_order_of_the_instances_does_not_matter(
        views in prop::collection::vec(any_view(), 3..8),
    ) {
        let size = size(views.len());
        let reversed: Vec<KeyView> = views.iter().rev().cloned().collect();
        prop_assert_eq!(LockState::of(size, &views), LockState::of(size, &reversed));
    }
}
