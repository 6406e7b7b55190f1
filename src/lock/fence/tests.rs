//! The tally of the fence votes, and the text of a counter.

use super::*;
use FenceVote::{NotOurs, Raised, Stale};

fn token(number: u64) -> FenceToken {
    FenceToken::new(number).unwrap()
}

fn lacking() -> FenceVote {
    FenceVote::Lacking(vec![LackingCounter { key: 0, earlier: None }])
}

fn rolled_back(number: u64) -> FenceVote {
    FenceVote::Lacking(vec![LackingCounter { key: 0, earlier: Some(token(number)) }])
}

fn dead() -> FenceVote {
    FenceVote::Unknown(NoVoteReason::TimedOut)
}

fn tally(votes: &[Option<FenceVote>]) -> FenceTally {
    let mut tally = FenceTally::new(ClusterSize::redlock(votes.len()).unwrap());
    for (instance, vote) in votes.iter().enumerate() {
        if let Some(vote) = vote {
            tally.record(instance, vote.clone());
        }
    }
    tally
}

#[test]
fn a_proposal_is_the_clock_or_more_than_was_seen() {
    let at = Duration::from_millis;
    for (wall, seen, expected) in [
        (at(1_000), None, 1_000),
        (at(1_000), Some(999), 1_000),
        (at(1_000), Some(1_000), 1_001),
        (at(1_000), Some(3_600_000), 3_600_001),
        (at(0), None, 1),
        (Duration::MAX, None, FenceToken::MAX),
        (at(1), Some(FenceToken::MAX), FenceToken::MAX),
    ] {
        let proposal = FenceToken::proposal(wall, seen.map(token));
        assert_eq!(proposal.get(), expected, "{wall:?} {seen:?}");
    }
    assert_eq!((FenceToken::new(0), FenceToken::new(FenceToken::MAX + 1)), (None, None));
}

#[test]
fn a_quorum_of_counters_decides_and_a_larger_one_is_named() {
    use FenceVerdict::{Bootstrap, NoQuorum, Pending};
    let (yes, no, higher) = (|| Some(Raised), || Some(NotOurs), || Some(Stale(token(7))));
    let (lost, dead) = (|| Some(lacking()), || Some(dead()));
    for (label, votes, verdict) in [
        ("nothing yet", vec![None, None, None], Pending),
        ("a quorum", vec![yes(), None, yes()], FenceVerdict::Raised),
        ("a quorum beside a larger counter", vec![yes(), higher(), yes()], FenceVerdict::Raised),
        ("a larger counter on a quorum", vec![higher(), higher(), None], FenceVerdict::Stale),
        ("a larger counter on one", vec![higher(), yes(), no()], FenceVerdict::Stale),
        ("a larger counter, another may come", vec![higher(), yes(), None], Pending),
        ("one lacks it", vec![lost(), yes(), None], Pending),
        ("one lacks it, one is dead", vec![lost(), yes(), dead()], NoQuorum),
        ("one lacks it, one is larger", vec![lost(), higher(), dead()], NoQuorum),
        ("and one has it", vec![lost(), higher(), yes()], FenceVerdict::Stale),
        ("two lack it", vec![lost(), lost(), None], Bootstrap),
        ("two lack it, the third has it", vec![lost(), lost(), yes()], Bootstrap),
        ("two lack it, the third is larger", vec![lost(), lost(), higher()], FenceVerdict::Stale),
        ("two of five lack it", vec![lost(), lost(), yes(), yes(), dead()], NoQuorum),
        ("three of five lack it", vec![lost(), lost(), lost(), dead(), dead()], Bootstrap),
        ("two of four lack it", vec![lost(), lost(), yes(), dead()], Bootstrap),
    ] {
        assert_eq!(tally(&votes).verdict(), verdict, "{label}");
    }
    assert_eq!(tally(&[higher(), Some(rolled_back(9)), None]).seen(), Some(token(9)));
}

/// Every combination of these votes.
fn all_tallies(count: u32) -> impl Iterator<Item = FenceTally> {
    let lacks = |keys: &[usize]| {
        let one = |key: &usize| LackingCounter { key: *key, earlier: None };
        Some(FenceVote::Lacking(keys.iter().map(one).collect()))
    };
    let kinds = [
        None,
        Some(Raised),
        Some(NotOurs),
        Some(Stale(token(7))),
        lacks(&[0]),
        lacks(&[1]),
        lacks(&[0, 1]),
    ];
    (0..kinds.len().pow(count)).map(move |number| {
        let kind = |place| kinds[number / kinds.len().pow(place) % kinds.len()].clone();
        tally(&(0..count).map(kind).collect::<Vec<_>>())
    })
}

#[test]
fn a_verdict_is_stale_only_if_an_instance_has_a_larger_counter() {
    for mut tally in (3..6).flat_map(all_tallies) {
        for _ in 0..2 {
            let is_stale = tally.verdict() == FenceVerdict::Stale;
            let has_larger = tally.votes.iter().flatten().any(|vote| matches!(vote, Stale(_)));
            assert!(has_larger || !is_stale, "{tally:?}");
            tally.begin_raise();
        }
    }
}

#[test]
fn counters_that_are_written_anew_count_once_a_quorum_confirms() {
    let mut tally = tally(&[Some(lacking()), Some(lacking()), None]);
    assert_eq!(tally.begin_raise(), [(0, vec![0]), (1, vec![0])]);
    assert_eq!(tally.verdict(), FenceVerdict::Pending);
    tally.record(2, Raised);
    tally.record(0, Raised);
    assert_eq!(tally.verdict(), FenceVerdict::Pending, "a late first vote does not count");
    tally.time_out();
    assert_eq!(tally.verdict(), FenceVerdict::NoQuorum);
}

#[test]
fn only_the_confirmation_of_every_instance_shows_a_first_use() {
    for (label, votes, confirms, is_first) in [
        ("all confirm", [lacking(), lacking(), lacking()], 3, true),
        ("one may have been used meanwhile", [lacking(), lacking(), lacking()], 2, false),
        ("one was rolled back", [lacking(), lacking(), rolled_back(5)], 3, false),
        ("one has a counter", [lacking(), lacking(), Raised], 2, false),
        ("one is silent", [lacking(), lacking(), dead()], 2, false),
    ] {
        let mut tally = tally(&votes.map(Some));
        tally.begin_raise();
        (0..confirms).for_each(|instance| tally.record(instance, Raised));
        assert_eq!(tally.verdict(), FenceVerdict::Raised, "{label}");
        assert_eq!(tally.is_first_use(), is_first, "{label}");
    }
}

#[test]
fn of_several_names_each_needs_a_quorum_of_its_own() {
    let lacks = |keys: &[usize]| {
        let one = |key: &usize| LackingCounter { key: *key, earlier: None };
        Some(FenceVote::Lacking(keys.iter().map(one).collect()))
    };
    let new_name = tally(&[lacks(&[1]), lacks(&[1]), lacks(&[1])]);
    assert_eq!(new_name.verdict(), FenceVerdict::Bootstrap);
    let one_each = tally(&[lacks(&[0]), lacks(&[1]), Some(dead())]);
    assert_eq!(one_each.verdict(), FenceVerdict::NoQuorum, "each is raised on one alone");
    let one_each = tally(&[lacks(&[0]), lacks(&[1]), Some(Raised)]);
    assert_eq!(one_each.verdict(), FenceVerdict::Raised, "each is raised on two");
    let mut mixed = tally(&[lacks(&[0, 1]), lacks(&[1]), lacks(&[1])]);
    assert_eq!(mixed.begin_raise(), [(0, vec![1]), (1, vec![1]), (2, vec![1])]);
    (0..3).for_each(|instance| mixed.record(instance, Raised));
    assert_eq!(mixed.verdict(), FenceVerdict::Raised, "the first has a vote on one name alone");
    assert!(mixed.is_first_use(), "of the second name");
}

#[test]
fn a_counter_is_text_and_another_text_is_none() {
    let counter = FenceCounter { token: token(17), nonce: "ab".into(), run_id: Some("c0".into()) };
    assert_eq!(counter.to_text(), "17 ab c0");
    assert_eq!(FenceCounter::parse("17 ab c0"), Some(counter));
    assert_eq!(FenceCounter::parse("17 ab -").unwrap().run_id, None);
    for text in [
        "",
        "17",
        "17 ab",
        "0 ab c",
        "x ab c",
        "-1 ab c",
        "17 ab c d",
        "17 a-b c",
        "17  c",
        "9007199254740992 ab c",
        "99999999999999999999999 ab c",
        "17 ab --",
    ] {
        assert_eq!(FenceCounter::parse(text), None, "{text}");
    }
}

/// A counter: token, nonce, start of the server.
type Stored = Option<(u64, u8, u8)>;

/// The vote of an instance with these two keys and counters, and the tokens that it has then.
fn vote(
    keys: [Option<u8>; 2],
    counters: [Stored; 2],
    run_id: Option<u8>,
    step: fn(&mut FenceRegister<'_, u8>, &Proposal<u8>) -> FenceVote,
) -> (FenceVote, [Option<u8>; 2], [Option<u64>; 2]) {
    let (mut keys, mut counters) = (keys, counters.map(stored));
    let mut register = FenceRegister { keys: &mut keys, counters: &mut counters, run_id };
    let vote = step(&mut register, &Proposal { token: token(5), nonce: 1 });
    (vote, keys, counters.map(|counter| counter.map(|counter| counter.token.get())))
}

fn stored(counter: Stored) -> Option<FenceCounter<u8>> {
    counter.map(|(number, nonce, run)| FenceCounter {
        token: token(number),
        nonce,
        run_id: Some(run),
    })
}

fn lacking_first(earlier: Option<u64>) -> FenceVote {
    FenceVote::Lacking(vec![LackingCounter { key: 0, earlier: earlier.map(token) }])
}

/// Ours is token 5 of nonce 1, and the server is in its start 7.
#[test]
fn a_proposal_sets_free_keys_and_raises_each_counter_that_is_believed_and_below() {
    let (free, ours) = ([None, None], [Some(1), Some(1)]);
    let below: Stored = Some((3, 9, 7));
    for (label, keys, first, run_id, expected) in [
        ("all below", free, Some((4, 9, 7)), Some(7), (Raised, ours, [Some(5), Some(5)])),
        (
            "a key is taken",
            [None, Some(9)],
            below,
            Some(7),
            (NotOurs, [None, Some(9)], [Some(3), Some(3)]),
        ),
        ("as large", free, Some((5, 9, 7)), Some(7), (Stale(token(5)), free, [Some(5), Some(3)])),
        ("larger", free, Some((8, 9, 7)), Some(7), (Stale(token(8)), free, [Some(8), Some(3)])),
        ("our own", free, Some((5, 1, 7)), Some(7), (Raised, ours, [Some(5), Some(5)])),
        (
            "our nonce, larger",
            free,
            Some((6, 1, 7)),
            Some(7),
            (Stale(token(6)), free, [Some(6), Some(3)]),
        ),
        (
            "another start",
            free,
            Some((4, 9, 6)),
            Some(7),
            (lacking_first(Some(4)), ours, [Some(4), Some(5)]),
        ),
        (
            "another start, no guard",
            free,
            Some((4, 9, 6)),
            None,
            (Raised, ours, [Some(5), Some(5)]),
        ),
        (
            "another start, larger",
            free,
            Some((8, 9, 6)),
            Some(7),
            (Stale(token(8)), free, [Some(8), Some(3)]),
        ),
        ("missing", free, None, Some(7), (lacking_first(None), ours, [None, Some(5)])),
    ] {
        let propose =
            |register: &mut FenceRegister<'_, u8>, own: &Proposal<u8>| register.propose(own);
        let voted = vote(keys, [first, below], run_id, propose);
        assert_eq!(voted, expected, "{label}");
    }
}

#[test]
fn the_second_step_writes_the_counters_it_names_where_all_keys_are_ours() {
    let (ours, below) = ([Some(1), Some(1)], Some((3, 9, 7)));
    for (label, keys, first, expected) in [
        ("missing", ours, None, (Raised, ours, [Some(5), Some(3)])),
        ("another's key", [Some(1), Some(9)], None, (NotOurs, [Some(1), Some(9)], [None, Some(3)])),
        ("a key is gone", [Some(1), None], None, (NotOurs, [Some(1), None], [None, Some(3)])),
        ("larger", ours, Some((8, 9, 6)), (Stale(token(8)), ours, [Some(8), Some(3)])),
    ] {
        let raise =
            |register: &mut FenceRegister<'_, u8>, own: &Proposal<u8>| register.raise(own, &[0]);
        assert_eq!(vote(keys, [first, below], Some(7), raise), expected, "{label}");
    }
}

#[test]
fn a_second_vote_counts_as_the_response_to_the_second_step_alone() {
    let mut tally = tally(&[Some(lacking()), Some(lacking()), Some(lacking())]);
    tally.record(0, NotOurs);
    assert_eq!(tally.vote(0), Some(&lacking()), "nothing was asked yet");
    assert!(!tally.is_raising() && !tally.may_be_first_use() && !tally.is_first_use());
    tally.begin_raise();
    assert!(tally.is_raising() && tally.may_be_first_use() && !tally.is_first_use());
    tally.record(0, NotOurs);
    assert_eq!(tally.vote(0), Some(&NotOurs));
    assert!(!tally.may_be_first_use(), "the instance has lost our keys since");
    tally.record(0, Raised);
    assert_eq!(tally.vote(0), Some(&NotOurs), "it was asked once");
}

#[test]
fn counters_whose_confirmation_is_missing_are_no_first_use() {
    let mut silent = tally(&[Some(lacking()), Some(lacking()), Some(lacking())]);
    silent.begin_raise();
    silent.time_out();
    assert!(!silent.is_first_use() && !silent.may_be_first_use());
    let mut known = tally(&[Some(rolled_back(5)), Some(lacking()), Some(lacking())]);
    known.begin_raise();
    assert!(!known.may_be_first_use(), "one had a counter");
}

#[test]
fn the_largest_token_is_seen_in_refusals_too() {
    assert_eq!(tally(&[Some(Stale(token(7))), Some(Stale(token(4))), None]).seen(), Some(token(7)));
    assert_eq!(tally(&[Some(Raised), Some(lacking()), None]).seen(), None);
}
