//! A table of faults, each with its finding and its exit code.

use super::*;
use crate::lock::{Account, Marking, ObservedHolder, Time};

const EXPECTED: Duration = Duration::from_secs(1);

/// A change that plants a fault.
type Change<'a> = Box<dyn Fn(&mut Examination) + 'a>;

fn expectations() -> Expectations {
    Expectations {
        size: ClusterSize::redlock(3).unwrap(),
        guard: RestartGuard::For(Duration::from_secs(60)),
        op_timeout: EXPECTED,
        servers: ["a", "b", "c"].map(|name| ServerName::tcp(name, 6379, 0)).to_vec(),
        owner: "ops@here".into(),
        prefix: "redlock:".into(),
    }
}

/// A server that has been up for an hour.
fn healthy(run_id: &str) -> Examination {
    let account = Account::Told { run_id: run_id.into(), uptime: Duration::from_secs(3600) };
    let report = ServerReport { account: Some(account), marking: Some(Marking::Unavailable) };
    Examination { report: Some(report), version: Some((7, 0)), ..Examination::default() }
}

fn findings(change: impl Fn(&mut Examination)) -> (Vec<FoundFault>, u8) {
    let at = Time::from_nanos(1 << 50);
    let answers: Vec<Answer<Examination>> = ["a", "b", "c"]
        .iter()
        .map(|run_id| {
            let mut found = healthy(run_id);
            if *run_id == "c" {
                change(&mut found);
            }
            Answer { sent: at, heard: at, result: Ok(found) }
        })
        .collect();
    let found = expectations().findings(&answers);
    let code = checkup_code(&found);
    (found.into_iter().map(|finding| finding.fault).collect(), code)
}

fn listed(value: &str, left: Option<u64>) -> ListedKey {
    let left = left.map(Duration::from_millis);
    ListedKey { key: "k".into(), holder: ObservedHolder { value: value.into(), left }, waiting: 0 }
}

fn value(n: usize, ttl_ms: u64) -> String {
    format!(
        "{{\"v\":1,\"id\":\"i\",\"token\":\"\",\"owner\":\"o\",\"pid\":1,\"cmd\":\"\",\"since\":0,\"ttl_ms\":{ttl_ms},\"n\":{n}}}"
    )
}

/// The value of a holder that names these servers.
fn with_servers(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| ServerName::tcp(name, 6379, 0)).collect();
    let list = crate::lock::server_list(&names).unwrap();
    value(3, 1000).replace('}', &format!(",\"servers\":\"{list}\"}}"))
}

/// The lock of a holder that counts on this number of slots.
fn with_slots(key: &str, slots: u32) -> ListedKey {
    let value = value(3, 1000).replace('}', &format!(",\"slots\":{slots}}}"));
    ListedKey { key: key.into(), ..listed(&value, Some(9)) }
}

#[test]
fn slots_of_one_lock_agree_and_a_number_in_a_name_is_no_slot() {
    let two =
        |found: &mut Examination| found.locks = vec![with_slots("k", 2), with_slots("k#2", 2)];
    assert_eq!(findings(two), (vec![], 0));
    let other =
        |found: &mut Examination| found.locks = vec![with_slots("k", 2), with_slots("k#9", 1)];
    assert_eq!(findings(other), (vec![], 0), "the lock k#9 has one slot");
}

/// The findings where each of the three servers has the locks of its place.
fn findings_of(expectations: &Expectations, locks: [Vec<ListedKey>; 3]) -> Vec<FoundFault> {
    let at = Time::from_nanos(1 << 50);
    let answer = |(run_id, locks)| Answer {
        sent: at,
        heard: at,
        result: Ok(Examination { locks, ..healthy(run_id) }),
    };
    let answers: Vec<_> = ["a", "b", "c"].into_iter().zip(locks).map(answer).collect();
    expectations.findings(&answers).into_iter().map(|finding| finding.fault).collect()
}

#[test]
fn a_server_with_the_holders_key_is_one_of_the_holders_servers() {
    let theirs = || vec![listed(&with_servers(&["c", "d", "e"]), Some(9))];
    let other = FoundFault::OtherServers("k".into(), "o".into(), 1);
    for (first, second, expected) in [(theirs(), vec![], vec![other]), (theirs(), theirs(), vec![])]
    {
        assert_eq!(findings_of(&expectations(), [first, second, theirs()]), expected);
    }
}

#[test]
fn local_names_of_a_holder_are_compared_on_its_host_alone() {
    let local = |ports: [u16; 3]| ports.map(|port| ServerName::tcp("127.0.0.1", port, 0)).to_vec();
    let list = crate::lock::server_list(&local([3, 4, 5])).unwrap();
    for (ours, owner, is_other) in [
        ("ops@here", "x@here", true),
        ("ops@here", "x@there", false),
        ("ops@localhost", "x@localhost", false),
        ("ops", "x", false),
    ] {
        let servers = local([1, 2, 3]);
        let here = Expectations { servers, owner: ours.into(), ..expectations() };
        let value = value(3, 1000).replace("\"o\"", &format!("\"{owner}\""));
        let value = value.replace('}', &format!(",\"servers\":\"{list}\"}}"));
        let found = findings_of(&here, [vec![], vec![], vec![listed(&value, Some(9))]]);
        let fault = FoundFault::OtherServers("k".into(), owner.into(), 0);
        assert_eq!(found, is_other.then_some(fault).into_iter().collect::<Vec<_>>(), "{owner}");
    }
}

#[test]
fn each_danger_to_the_next_lock_has_its_finding_and_its_code() {
    let s = Duration::from_secs;
    let table: Vec<(Change<'_>, FoundFault, u8)> = vec![
        (Box::new(|f| f.addresses = 2), FoundFault::Addresses(2), 0),
        (Box::new(|f| f.certificate = Some(s(9))), FoundFault::Certificate(s(9)), 0),
        (
            Box::new(|f| f.locks = vec![listed(&with_servers(&["c", "d", "e"]), Some(9))]),
            FoundFault::OtherServers("k".into(), "o".into(), 0),
            78,
        ),
        (
            Box::new(|f| f.locks = vec![with_slots("k", 2), with_slots("k#2", 3)]),
            FoundFault::OtherSlots("k".into(), 2, 3),
            78,
        ),
    ];
    for (change, fault, code) in table {
        assert_eq!(findings(change), (vec![fault.clone()], code), "{fault:?}");
    }
}

#[test]
fn clocks_that_are_right_and_apart_are_told_once() {
    let ms = Duration::from_millis;
    let at = Time::from_nanos(1 << 50);
    // The servers are examined one after the other.
    let server = |run_id: &str, ours: u64, ahead: i64| {
        let clocks = Some((ms(ours.saturating_add_signed(ahead)), ms(ours)));
        let round_trip = ms(10);
        let found = Examination { clocks, round_trip, ..healthy(run_id) };
        Answer { sent: at, heard: at, result: Ok(found) }
    };
    for (first, second, third, expected) in [
        (0, 900, 0, vec![]),
        (-100, 920, 0, vec![]),
        (-700, 800, 0, vec![(Some(1), FoundFault::ClocksApart(0, ms(1_480)))]),
        (0, 3_000, 0, vec![(Some(1), FoundFault::Clock(ms(2_990)))]),
    ] {
        let answers = [
            server("a", 100_000, first),
            server("b", 103_000, second),
            server("c", 106_000, third),
        ];
        let found = expectations().findings(&answers);
        let found: Vec<_> =
            found.into_iter().map(|finding| (finding.instance, finding.fault)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn each_fault_has_its_finding_and_its_code() {
    let no = || NoVoteReason::Refused(PermanentError::Access, "NOPERM".into());
    let refused = |command: &str, why: NoVoteReason| RefusedTry {
        pattern: String::new(),
        command: command.into(),
        why,
    };
    let full = NoVoteReason::Transient("OOM".into());
    let (s, ms) = (Duration::from_secs, Duration::from_millis);
    let table: Vec<(Change<'_>, FoundFault, u8)> = vec![
        (Box::new(|f| f.version = Some((6, 0))), FoundFault::Old(6, 0), 78),
        (Box::new(|f| f.evicts = true), FoundFault::Evicts, 78),
        (Box::new(|f| f.memory_percent = Some(95)), FoundFault::MemoryFull(95), 0),
        (Box::new(|f| f.clients_percent = Some(91)), FoundFault::ClientsFull(91), 0),
        (Box::new(|f| f.replicas = 2), FoundFault::Replicas(2), 0),
        (Box::new(|f| f.save_failed = true), FoundFault::SaveFailed, 0),
        (Box::new(|f| f.is_open = true), FoundFault::Open, 0),
        (
            Box::new(|f| f.refused = vec![refused("DEL", no())]),
            FoundFault::Missing("+del".into(), Purpose::Run),
            77,
        ),
        (
            Box::new(|f| f.refused = vec![refused("SCAN", no())]),
            FoundFault::Missing("+scan".into(), Purpose::Operator),
            0,
        ),
        (
            Box::new(|f| {
                f.refused = vec![refused("SET", full.clone()), refused("ZADD", full.clone())];
            }),
            FoundFault::TakesNoKeys(full.clone()),
            69,
        ),
        (Box::new(|f| f.clocks = Some((s(100), s(103)))), FoundFault::Clock(s(3)), 0),
        (Box::new(|f| f.round_trip = ms(300)), FoundFault::Slow(ms(300), ms(2400)), 0),
        (Box::new(|f| f.locks = vec![listed("x", None)]), FoundFault::NoExpiry("k".into()), 78),
        (
            Box::new(|f| f.locks = vec![listed(&value(5, 1000), Some(9))]),
            FoundFault::OtherCount("k".into(), "o".into(), 5),
            78,
        ),
        (
            Box::new(|f| f.locks = vec![listed(&value(3, 90_000), Some(9))]),
            FoundFault::LongTtl("k".into(), "o".into(), s(90)),
            78,
        ),
        (Box::new(|f| f.report = healthy("a").report), FoundFault::SameServer(0), 78),
    ];
    for (change, fault, code) in table {
        assert_eq!(findings(change), (vec![fault.clone()], code), "{fault:?}");
    }
    assert_eq!(findings(|_| {}), (vec![], 0), "healthy");
    let fine = |found: &mut Examination| {
        found.version = Some((6, 2));
        found.addresses = 1;
        found.round_trip = ms(250);
        found.clocks = Some((s(100), s(100) + ms(1_250)));
        found.locks = vec![listed(&value(3, 60_000), Some(9)), listed("foreign", Some(9))];
        found.memory_percent = Some(50);
    };
    assert_eq!(findings(fine), (vec![], 0), "within bounds");
}

#[test]
fn servers_without_a_vote_matter_where_the_others_are_no_quorum() {
    let at = Time::from_nanos(1 << 50);
    let answers = |young: usize| -> Vec<Answer<Examination>> {
        let server = |number: usize| {
            let mut found = healthy(&number.to_string());
            if number < young
                && let Some(Account::Told { uptime, .. }) =
                    found.report.as_mut().and_then(|report| report.account.as_mut())
            {
                *uptime = Duration::from_secs(5);
            }
            Answer { sent: at, heard: at, result: Ok(found) }
        };
        (0..3).map(server).collect()
    };
    for (young, expected) in [(0, 0), (1, 0), (2, 2), (3, 3)] {
        let found = expectations().findings(&answers(young));
        assert_eq!(found.len(), expected, "{young} have restarted: {found:?}");
        assert_eq!(checkup_code(&found), if expected > 0 { 69 } else { 0 });
    }
    let mut one_dead = answers(0);
    one_dead[2].result = Err(NoVoteReason::TimedOut);
    let found = expectations().findings(&one_dead);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(checkup_code(&found), 69);
}
