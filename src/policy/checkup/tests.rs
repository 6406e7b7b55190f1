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
            Box::new(|f| {
                let slots = |slots: &str| value(3, 1000).replace('}', slots);
                let numbered = |key: &str, value: String| ListedKey {
                    key: key.into(),
                    ..listed(&value, Some(9))
                };
                f.locks = vec![
                    numbered("k", slots(",\"slots\":2}")),
                    numbered("k#2", slots(",\"slots\":3}")),
                ];
            }),
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
    let server = |run_id: &str, theirs: u64| {
        let clocks = Some((ms(theirs), ms(100_000)));
        let round_trip = ms(10);
        let found = Examination { clocks, round_trip, ..healthy(run_id) };
        Answer { sent: at, heard: at, result: Ok(found) }
    };
    for (first, second, third, expected) in [
        (100_000, 100_900, 100_000, vec![]),
        (99_300, 100_800, 100_000, vec![(Some(1), FoundFault::ClocksApart(0, ms(1_480)))]),
        (100_000, 103_000, 100_000, vec![(Some(1), FoundFault::Clock(ms(2_990)))]),
    ] {
        let answers = [server("a", first), server("b", second), server("c", third)];
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
        found.clocks = Some((s(100), s(100) + ms(900)));
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
