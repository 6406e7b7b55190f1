//! Votes by mark and by uptime, by hand and by generated histories.

use super::*;
use proptest::prelude::*;

const GUARD: RestartGuard = RestartGuard::For(secs(30));
/// Wall clock of every server and host at the moment `at(0)`.
const WALL: Duration = secs(1_700_000_000);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}

fn account(run_id: &str, uptime: u64) -> Account {
    Account::Told { run_id: run_id.into(), uptime: secs(uptime) }
}

/// A mark of `run_id` that is `by_server` and `by_host` seconds old by the two clocks.
fn mark(run_id: &str, by_server: u64, by_host: u64) -> Marking {
    let before = |seconds: u64| WALL.saturating_sub(secs(seconds)).as_micros();
    let text = format!("{run_id} {} {}", before(by_server), before(by_host));
    Marking::Seen(MarkSeen { text, server_clock: WALL, host_clock: WALL })
}

fn memory(account: Account, marking: Option<Marking>, received: Time) -> Memory {
    let mut memory = Memory::default();
    memory.learn(&ServerReport { account: Some(account), marking }, received);
    memory
}

fn restarted(up: u64, votes_in: u64) -> Standing {
    Standing::Abstains(NoVoteReason::Restarted { up: secs(up), votes_in: secs(votes_in) })
}

fn unproven(votes_in: u64) -> Standing {
    Standing::Abstains(NoVoteReason::Unproven { votes_in: secs(votes_in) })
}

#[test]
fn an_instance_votes_once_its_mark_is_older_than_the_guard_by_both_clocks() {
    for (label, account, marking, expected) in [
        ("old by both clocks", account("a", 99), mark("a", 31, 31), Standing::Votes),
        ("a second is taken off", account("a", 99), mark("a", 30, 31), unproven(1)),
        (
            "the server's clock was set forward",
            account("a", 3_600),
            mark("a", 3_600, 5),
            unproven(26),
        ),
        (
            "the marking host's clock was behind",
            account("a", 3_600),
            mark("a", 5, 3_600),
            unproven(26),
        ),
        (
            "the uptime of a server whose clock was set back",
            account("a", 0),
            mark("a", 31, 31),
            Standing::Votes,
        ),
        (
            "mark of an earlier start, short uptime",
            account("b", 5),
            mark("a", 99, 99),
            restarted(4, 26),
        ),
        (
            "mark of an earlier start, long uptime",
            account("b", 99),
            mark("a", 99, 99),
            unproven(30),
        ),
        (
            "a text of another program",
            account("a", 99),
            Marking::Seen(MarkSeen { text: "a b c".into(), server_clock: WALL, host_clock: WALL }),
            unproven(30),
        ),
        ("no mark possible, long uptime", account("a", 31), Marking::Unavailable, Standing::Votes),
        (
            "no mark possible, short uptime",
            account("a", 11),
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
fn an_uptime_counts_from_the_moment_of_the_response() {
    // Request at 100 s, response after a hang of 10 s: the server may have started 20 - 1 s before
    // the response.
    let memory = memory(account("a", 20), Some(Marking::Unavailable), at(110));
    assert_eq!(memory.standing(GUARD, at(100)), restarted(9, 21));
    assert_eq!(memory.standing(GUARD, at(120)), restarted(29, 1));
    assert_eq!(memory.standing(GUARD, at(121)), Standing::Votes);
}

#[test]
fn a_mark_that_was_read_before_ages_by_our_own_clock() {
    let mut memory = memory(account("a", 0), Some(mark("a", 0, 0)), at(100));
    assert_eq!(
        memory.standing(GUARD, at(100)),
        restarted(0, 30),
        "the uptime sets the time until the vote"
    );
    let Some(Marking::Seen(seen)) = Some(mark("a", 0, 0)) else { unreachable!() };
    let again = ServerReport {
        account: None,
        marking: Some(Marking::Seen(MarkSeen { server_clock: WALL / 2, ..seen })),
    };
    memory.learn(&again, at(131));
    assert_eq!(memory.standing(GUARD, at(129)), restarted(29, 1));
    assert_eq!(memory.standing(GUARD, at(130)), Standing::Votes, "by our own clock");
    memory.learn(&ServerReport { account: None, marking: Some(mark("a", 1, 1)) }, at(140));
    assert_eq!(memory.standing(GUARD, at(140)), unproven(30), "another mark: the memory was lost");
}

#[test]
fn a_connection_without_an_account_has_no_vote_unless_the_user_may_not_ask() {
    let busy = NoVoteReason::Transient("BUSY".into());
    let old = || Some(mark("a", 99, 99));
    assert_eq!(memory(Account::NotPermitted, None, at(1)).standing(GUARD, at(1)), Standing::Votes);
    let untold = memory(Account::Untold(busy.clone()), None, at(1));
    assert_eq!(untold.standing(GUARD, at(1)), Standing::Abstains(busy));
    assert!(matches!(
        Memory::default().standing(GUARD, at(1)),
        Standing::Abstains(NoVoteReason::Transient(_))
    ));
    let mut memory = memory(account("a", 99), old(), at(1));
    memory.learn(&ServerReport { account: None, marking: None }, at(2));
    assert_eq!(memory.standing(GUARD, at(200)), unproven(30), "no mark came with this vote");
    memory.learn(&ServerReport { account: None, marking: old() }, at(2));
    assert_eq!(memory.standing(GUARD, at(2)), Standing::Votes);
    memory.disconnected();
    assert!(matches!(
        memory.standing(GUARD, at(2)),
        Standing::Abstains(NoVoteReason::Transient(_))
    ));
}

#[test]
fn a_denied_vote_counts_at_any_age_of_the_memory() {
    let memory = Memory::default();
    assert_eq!(memory.vote(GUARD, at(1), Vote::Denied), Vote::Denied);
    assert!(matches!(memory.vote(GUARD, at(1), Vote::Granted), Vote::Unknown(_)));
}

proptest! {
    /// With at most one wrong clock, a memory that began at `began` never counts as older.
    #[test]
    fn no_instance_votes_before_its_memory_is_as_old_as_the_guard(
        began in 0_u64..200,
        reports in prop::collection::vec(0_u64..300, 1..8),
        stepped in 0_u64..10_000,
        server_steps in any::<bool>(),
    ) {
        let mut reports = reports;
        reports.sort_unstable();
        let mut memory = Memory::default();
        let mut made = None;
        for (number, report) in reports.into_iter().map(|report| report + began).enumerate() {
            // One of the clocks jumps forward after the first report.
            let jump = |steps: bool| if steps && number > 0 { stepped } else { 0 };
            let (server, host) = (WALL + secs(report + jump(server_steps)), WALL + secs(report + jump(!server_steps)));
            let text = made.get_or_insert_with(|| format!("a {} {}", server.as_micros(), host.as_micros())).clone();
            let account = (number == 0).then(|| account("a", report - began));
            let seen = MarkSeen { text, server_clock: server, host_clock: host };
            memory.learn(&ServerReport { account, marking: Some(Marking::Seen(seen)) }, at(report));
            if memory.standing(GUARD, at(report)) == Standing::Votes {
                prop_assert!(report - began >= 30, "{report} {began}");
            }
        }
    }
}
