//! What a mark and an uptime are worth, by hand and by generated histories.

use super::*;
use proptest::prelude::*;

const GUARD: RestartGuard = RestartGuard::For(secs(30));
/// The wall clocks of servers and hosts, at the moment `at(0)`.
const WALL: Duration = secs(1_700_000_000);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}

fn told(run_id: &str, uptime: u64) -> Account {
    Account::Told { run_id: run_id.into(), uptime: secs(uptime) }
}

/// A mark of `run_id`, made `by_server` and `by_host` seconds before now by the two clocks.
fn mark(run_id: &str, by_server: u64, by_host: u64) -> Marking {
    let before = |seconds: u64| WALL.saturating_sub(secs(seconds)).as_micros();
    let text = format!("{run_id} {} {}", before(by_server), before(by_host));
    Marking::Seen(MarkSeen { text, server_clock: WALL, host_clock: WALL })
}

fn memory(account: Account, marking: Option<Marking>, heard: Time) -> Memory {
    let mut memory = Memory::default();
    memory.learn(&ServerReport { account: Some(account), marking }, heard);
    memory
}

fn restarted(up: u64, votes_in: u64) -> Standing {
    Standing::Abstains(NoVoteReason::Restarted { up: secs(up), votes_in: secs(votes_in) })
}

fn unproven(votes_in: u64) -> Standing {
    Standing::Abstains(NoVoteReason::Unproven { votes_in: secs(votes_in) })
}

#[test]
fn an_instance_votes_once_its_mark_is_older_than_every_lease_by_both_clocks() {
    for (label, account, marking, expected) in [
        ("old by both", told("a", 99), mark("a", 31, 31), Standing::Votes),
        ("a second is taken off", told("a", 99), mark("a", 30, 31), unproven(1)),
        ("the server's clock was set forward", told("a", 3_600), mark("a", 3_600, 5), unproven(26)),
        (
            "the marking host's clock was behind",
            told("a", 3_600),
            mark("a", 5, 3_600),
            unproven(26),
        ),
        (
            "the uptime of a server whose clock was set back",
            told("a", 0),
            mark("a", 31, 31),
            Standing::Votes,
        ),
        ("of an earlier start of the server", told("b", 5), mark("a", 99, 99), restarted(4, 26)),
        ("of an earlier start, and up for long", told("b", 99), mark("a", 99, 99), unproven(30)),
        (
            "nothing that redlock wrote",
            told("a", 99),
            Marking::Seen(MarkSeen { text: "a b c".into(), server_clock: WALL, host_clock: WALL }),
            unproven(30),
        ),
        (
            "there can be none: its uptime stands for it",
            told("a", 31),
            Marking::Unavailable,
            Standing::Votes,
        ),
        (
            "there can be none, up for too short",
            told("a", 11),
            Marking::Unavailable,
            restarted(10, 20),
        ),
    ] {
        let memory = memory(account, Some(marking), at(100));
        assert_eq!(memory.standing(GUARD, at(100)), expected, "{label}");
        assert_eq!(
            memory.standing(RestartGuard::Off, at(100)),
            Standing::Votes,
            "{label}: no guard"
        );
    }
}

#[test]
fn an_uptime_counts_from_the_last_moment_at_which_it_can_have_been_read() {
    // Asked at 100, and answered after a hang of 10 s: the server may have started just 20 - 1 s
    // before that.
    let memory = memory(told("a", 20), Some(Marking::Unavailable), at(110));
    assert_eq!(memory.standing(GUARD, at(100)), restarted(9, 21));
    assert_eq!(memory.standing(GUARD, at(120)), restarted(29, 1));
    assert_eq!(memory.standing(GUARD, at(121)), Standing::Votes);
}

#[test]
fn a_mark_that_was_seen_before_proves_as_much_as_our_own_clock_does() {
    let mut memory = memory(told("a", 0), Some(mark("a", 0, 0)), at(100));
    assert_eq!(
        memory.standing(GUARD, at(100)),
        restarted(0, 30),
        "the uptime says how long to wait"
    );
    let Some(Marking::Seen(seen)) = Some(mark("a", 0, 0)) else { unreachable!() };
    let again = ServerReport {
        account: None,
        marking: Some(Marking::Seen(MarkSeen { server_clock: WALL / 2, ..seen })),
    };
    memory.learn(&again, at(131));
    assert_eq!(memory.standing(GUARD, at(129)), restarted(29, 1));
    assert_eq!(memory.standing(GUARD, at(130)), Standing::Votes, "whatever the other clocks show");
    memory.learn(&ServerReport { account: None, marking: Some(mark("a", 1, 1)) }, at(140));
    assert_eq!(
        memory.standing(GUARD, at(140)),
        unproven(30),
        "another mark: the memory was lost in between"
    );
}

#[test]
fn no_account_of_this_connection_is_no_vote_and_only_a_missing_right_is_no_guard() {
    let busy = NoVoteReason::Transient("BUSY".into());
    let old = || Some(mark("a", 99, 99));
    assert_eq!(memory(Account::NotPermitted, None, at(1)).standing(GUARD, at(1)), Standing::Votes);
    let untold = memory(Account::Untold(busy.clone()), None, at(1));
    assert_eq!(untold.standing(GUARD, at(1)), Standing::Abstains(busy));
    assert!(matches!(
        Memory::default().standing(GUARD, at(1)),
        Standing::Abstains(NoVoteReason::Transient(_))
    ));
    let mut memory = memory(told("a", 99), old(), at(1));
    memory.learn(&ServerReport { account: None, marking: None }, at(2));
    assert_eq!(
        memory.standing(GUARD, at(200)),
        unproven(30),
        "the mark was not heard with this vote"
    );
    memory.learn(&ServerReport { account: None, marking: old() }, at(2));
    assert_eq!(memory.standing(GUARD, at(2)), Standing::Votes);
    memory.disconnected();
    assert!(matches!(
        memory.standing(GUARD, at(2)),
        Standing::Abstains(NoVoteReason::Transient(_))
    ));
}

#[test]
fn a_refusal_is_true_whatever_was_forgotten() {
    let memory = Memory::default();
    assert_eq!(memory.vote(GUARD, at(1), Vote::Denied), Vote::Denied);
    assert!(matches!(memory.vote(GUARD, at(1), Vote::Granted), Vote::Unknown(_)));
}

proptest! {
    /// A memory that began at `began` is never believed to be older than it is, while not both
    /// clocks are wrong.
    #[test]
    fn no_instance_votes_before_its_memory_is_as_old_as_the_guard(
        began in 0_u64..200,
        looks in prop::collection::vec(0_u64..300, 1..8),
        stepped in 0_u64..10_000,
        server_steps in any::<bool>(),
    ) {
        let mut looks = looks;
        looks.sort_unstable();
        let mut memory = Memory::default();
        let mut made = None;
        for (number, look) in looks.into_iter().map(|look| look + began).enumerate() {
            // One of the clocks jumps forward after the first look.
            let jump = |steps: bool| if steps && number > 0 { stepped } else { 0 };
            let (server, host) = (WALL + secs(look + jump(server_steps)), WALL + secs(look + jump(!server_steps)));
            let text = made.get_or_insert_with(|| format!("a {} {}", server.as_micros(), host.as_micros())).clone();
            let account = (number == 0).then(|| told("a", look - began));
            let seen = MarkSeen { text, server_clock: server, host_clock: host };
            memory.learn(&ServerReport { account, marking: Some(Marking::Seen(seen)) }, at(look));
            if memory.standing(GUARD, at(look)) == Standing::Votes {
                prop_assert!(look - began >= 30, "{look} {began}");
            }
        }
    }
}
