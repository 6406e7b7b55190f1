//! Pairs of hosts that agree or disagree, by hand and by generated lists.

use super::*;
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_millis(150);

fn at(millis: u64) -> Time {
    Time::default().plus(Duration::from_millis(millis))
}

fn remote(names: &[&str]) -> Vec<ServerName> {
    names.iter().map(|name| ServerName::tcp(name, 6379, 0)).collect()
}

fn agreement(host: &str, servers: &[ServerName]) -> Agreement {
    let guard = RestartGuard::For(Duration::from_secs(60));
    Agreement::new(&format!("deploy@{host}"), 1, servers.to_vec(), guard, LIMIT)
}

fn observed(lock_value: &LockValue) -> ObservedHolder {
    ObservedHolder { value: lock_value.to_line(), left: Some(Duration::from_secs(2)) }
}

/// The difference that a run of host `web1` finds in `theirs` on instance `on`. The instances `free`
/// have granted the run the lock.
fn opinion(
    ours: &[ServerName],
    theirs: &LockValue,
    on: usize,
    free: &[usize],
) -> Option<Difference> {
    let mut agreement = agreement("web1", ours);
    for instance in free {
        let _ = agreement.compare(at(0), *instance, None);
    }
    match agreement.compare(at(0), on, Some(&observed(theirs))) {
        Opinion::Agrees => return None,
        Opinion::Suspect(again) => assert_eq!(again, at(300), "two op-timeouts"),
        Opinion::Disagrees => panic!("at the first poll"),
    }
    assert!(matches!(agreement.compare(at(299), on, Some(&observed(theirs))), Opinion::Suspect(_)));
    assert_eq!(agreement.compare(at(300), on, Some(&observed(theirs))), Opinion::Disagrees);
    agreement.refusal().map(|(_, difference)| difference)
}

#[test]
fn another_number_of_servers_or_slots_or_other_names_disagree() {
    use Difference::{Count, Servers, Slots};
    let [abc, cde] = [["a", "b", "c"], ["c", "d", "e"]].map(|names| remote(&names));
    let five = remote(&["a", "b", "c", "d", "e"]);
    let slots = LockValue { slots: 2, ..LockValue::example("web2", &abc) };
    for (label, ours, theirs, on, free, expected) in [
        ("the same", &abc, LockValue::example("web2", &abc), 2, vec![0, 1], None),
        (
            "the same in another order",
            &abc,
            LockValue::example("web2", &remote(&["c", "a", "b"])),
            2,
            vec![0, 1],
            None,
        ),
        (
            "three here and five there",
            &five,
            LockValue::example("web2", &abc),
            0,
            vec![2, 3, 4],
            Some(Count(3)),
        ),
        (
            "five here and three there",
            &abc,
            LockValue::example("web2", &five),
            0,
            vec![1, 2],
            Some(Count(5)),
        ),
        ("slots here and none there", &abc, slots, 0, vec![], Some(Slots(2))),
        (
            "two of three are others",
            &cde,
            LockValue::example("web2", &abc),
            0,
            vec![1, 2],
            Some(Servers(vec![1, 2])),
        ),
        (
            "one of three is another",
            &remote(&["a", "b", "d"]),
            LockValue::example("web2", &abc),
            0,
            vec![2],
            Some(Servers(vec![2])),
        ),
        ("nothing is known of the others", &cde, LockValue::example("web2", &abc), 0, vec![], None),
        (
            "an older redlock",
            &cde,
            LockValue { servers: None, ..LockValue::example("web2", &abc) },
            0,
            vec![1, 2],
            None,
        ),
        (
            "a list that is none",
            &cde,
            LockValue { servers: Some("x".into()), ..LockValue::example("web2", &abc) },
            0,
            vec![1, 2],
            None,
        ),
    ] {
        assert_eq!(opinion(ours, &theirs, on, &free), expected, "{label}");
    }
}

#[test]
fn the_same_servers_by_other_names_agree() {
    let local = |name: &str| ServerName::tcp(name, 6379, 0);
    let dns = remote(&["lock-1", "lock-2", "lock-3"]);
    let addresses = remote(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    let on_1 = vec![local("localhost"), local("lock-2"), local("lock-3")];
    let on_2 = vec![local("lock-1"), local("127.0.0.1"), local("lock-3")];
    let socket = vec![ServerName::socket("/run/redis", 0), local("lock-2"), local("lock-3")];
    for (label, ours, theirs, on, free) in [
        ("names and addresses", &dns, LockValue::example("web2", &addresses), 0, vec![1, 2]),
        (
            "each host calls its own server localhost",
            &on_1,
            LockValue::example("web2", &on_2),
            2,
            vec![0, 1],
        ),
        (
            "one host uses its own server's socket",
            &dns,
            LockValue::example("web2", &socket),
            2,
            vec![0, 1],
        ),
        ("and the other way round", &socket, LockValue::example("web2", &dns), 2, vec![0, 1]),
    ] {
        assert_eq!(opinion(ours, &theirs, on, &free), None, "{label}");
    }
}

#[test]
fn local_names_are_compared_on_the_same_host() {
    let local = |ports: [u16; 3]| ports.map(|port| ServerName::tcp("127.0.0.1", port, 0)).to_vec();
    let (abc, cde) = (local([1, 2, 3]), local([3, 4, 5]));
    let expected = Some(Difference::Servers(vec![1, 2]));
    assert_eq!(opinion(&cde, &LockValue::example("web1", &abc), 0, &[1, 2]), expected);
    assert_eq!(opinion(&cde, &LockValue::example("web2", &abc), 0, &[1, 2]), None);
    assert_eq!(opinion(&abc, &LockValue::example("web1", &abc), 0, &[1, 2]), None);
}

/// A host that mixes names and addresses waits for a host that does not.
#[test]
fn a_server_with_the_holders_value_is_a_server_of_the_holder_by_any_name() {
    let (ours, theirs) = (
        remote(&["lock-1", "lock-2", "10.0.0.3"]),
        LockValue::example("web2", &remote(&["lock-1", "lock-2", "lock-3"])),
    );
    let mut agreement = agreement("web1", &ours);
    for (now, restarts) in [(0, false), (1_000, true), (2_000, false)] {
        for instance in [2, 0, 1] {
            if restarts && instance == 2 {
                assert_eq!(agreement.compare(at(now), 2, None), Opinion::Agrees);
            } else {
                assert_eq!(
                    agreement.compare(at(now), instance, Some(&observed(&theirs))),
                    Opinion::Agrees,
                    "{now} {instance}"
                );
            }
        }
    }
}

/// A server is replaced on one host after the other: each host has a majority of the other's servers.
#[test]
fn a_difference_in_names_with_a_common_majority_has_to_last_for_a_ttl() {
    let (ours, theirs) =
        (remote(&["a", "b", "d"]), LockValue::example("web2", &remote(&["a", "b", "c"])));
    let theirs = observed(&LockValue { ttl_ms: 3_000, ..theirs });
    let mut agreement = agreement("web1", &ours);
    assert_eq!(agreement.compare(at(0), 0, Some(&theirs)), Opinion::Agrees);
    assert_eq!(agreement.compare(at(0), 1, Some(&theirs)), Opinion::Agrees);
    assert_eq!(agreement.compare(at(0), 2, None), Opinion::Suspect(at(3_000)));
    assert_eq!(agreement.next_look(at(0)), None, "a run without a wait ends before that");
    assert_eq!(agreement.compare(at(2_999), 0, Some(&theirs)), Opinion::Suspect(at(3_149)));
    assert_eq!(agreement.compare(at(3_000), 0, Some(&theirs)), Opinion::Disagrees);
}

#[test]
fn the_status_of_one_instance_affects_the_comparison_of_another() {
    let (ours, theirs) = (
        remote(&["c", "d", "e"]),
        observed(&LockValue::example("web2", &remote(&["a", "b", "c"]))),
    );
    let mut agreement = agreement("web1", &ours);
    assert_eq!(
        agreement.compare(at(0), 0, Some(&theirs)),
        Opinion::Agrees,
        "d may be a, and e may be b"
    );
    assert_eq!(agreement.compare(at(10), 1, None), Opinion::Suspect(at(310)));
    assert_eq!((agreement.next_look(at(10)), agreement.suspects(at(10))), (Some(at(310)), vec![0]));
    assert_eq!(agreement.compare(at(310), 0, Some(&theirs)), Opinion::Disagrees);
}

#[test]
fn a_holder_that_is_gone_or_agrees_by_the_second_poll_is_not_refused() {
    let (ours, other) =
        (remote(&["a", "b", "c", "d", "e"]), LockValue::example("web2", &remote(&["a", "b", "c"])));
    let mut agreement = agreement("web1", &ours);
    assert_eq!(agreement.compare(at(0), 0, Some(&observed(&other))), Opinion::Suspect(at(300)));
    assert_eq!((agreement.next_look(at(1)), agreement.suspects(at(1))), (Some(at(300)), vec![0]));
    assert_eq!(agreement.compare(at(2), 0, None), Opinion::Agrees);
    assert_eq!(agreement.next_look(at(2)), None);
    assert_eq!(
        agreement.compare(at(500), 0, Some(&observed(&other))),
        Opinion::Suspect(at(800)),
        "from the start"
    );
    assert_eq!(
        agreement.compare(at(800), 0, Some(&observed(&LockValue::example("web2", &ours)))),
        Opinion::Agrees
    );
    assert_eq!(agreement.compare(at(900), 0, Some(&observed(&other))), Opinion::Suspect(at(1_200)));
    assert_eq!(agreement.next_look(at(2_900)), None, "the key of a dead holder has expired");
}

#[test]
fn a_suspicion_ends_with_the_lease_of_its_holder() {
    let other = LockValue::example("web2", &remote(&["a", "b", "c"]));
    for (label, again, expected) in [
        ("before", 1_999, Opinion::Disagrees),
        ("a key of a later acquisition", 2_000, Opinion::Suspect(at(2_300))),
    ] {
        let mut agreement = agreement("web1", &remote(&["a", "b", "c", "d", "e"]));
        assert_eq!(agreement.compare(at(0), 0, Some(&observed(&other))), Opinion::Suspect(at(300)));
        assert_eq!(agreement.compare(at(again), 0, Some(&observed(&other))), expected, "{label}");
    }
}

/// Servers of which the holder names all but the last one, which is free.
#[test]
fn a_difference_in_names_is_urgent_unless_the_holder_has_a_majority_of_our_servers() {
    let names = ["a", "b", "c", "d", "e"];
    for (count, held, is_urgent) in [(5, 2, true), (5, 3, false), (4, 2, true), (4, 3, false)] {
        let (ours, mut theirs) = (remote(&names[..count]), remote(&names[..count]));
        theirs[count - 1] = ServerName::tcp("x", 6379, 0);
        let theirs = observed(&LockValue::example("web2", &theirs));
        let mut agreement = agreement("web1", &ours);
        for instance in 0..held {
            let _ = agreement.compare(at(0), instance, Some(&theirs));
        }
        let _ = agreement.compare(at(0), count - 1, None);
        assert_eq!(agreement.suspects(at(0)).len(), held, "{held} of {count}");
        assert_eq!(agreement.next_look(at(0)).is_some(), is_urgent, "{held} of {count}");
    }
}

#[test]
fn an_old_difference_in_names_refuses_no_other_holder_at_its_first_poll() {
    let mut agreement = agreement("web1", &remote(&["a", "b", "c", "d", "e"]));
    let blocking = observed(&LockValue::example("web2", &remote(&["a", "b", "c", "d", "x"])));
    for instance in 0..3 {
        assert_eq!(agreement.compare(at(0), instance, Some(&blocking)), Opinion::Agrees);
    }
    assert_eq!(agreement.compare(at(0), 4, None), Opinion::Suspect(at(30_000)));
    let urgent = observed(&LockValue::example("web3", &remote(&["a", "b", "d"])));
    assert_eq!(agreement.compare(at(1_000), 3, Some(&urgent)), Opinion::Suspect(at(1_300)));
    assert_eq!(agreement.compare(at(1_300), 3, Some(&urgent)), Opinion::Disagrees);
}

#[test]
fn a_suspect_on_a_silent_instance_stands_until_its_lease_is_over() {
    let abc = remote(&["a", "b", "c"]);
    let theirs = LockValue { slots: 2, ttl_ms: 5_000, ..LockValue::example("web2", &abc) };
    for (label, left, until) in
        [("with an expiry", Some(Duration::from_secs(2)), 3_000), ("without one", None, 6_000)]
    {
        let mut agreement = agreement("web1", &abc);
        let observed = ObservedHolder { left, ..observed(&theirs) };
        assert!(matches!(agreement.compare(at(1_000), 1, Some(&observed)), Opinion::Suspect(_)));
        assert_eq!(agreement.suspects(at(until - 1)), [1], "{label}");
        assert_eq!(agreement.suspects(at(until)), [] as [usize; 0], "{label}");
    }
}

#[test]
fn a_lease_within_the_guard_is_not_returned() {
    let abc = remote(&["a", "b", "c"]);
    let off = Agreement::new("deploy@web1", 1, abc.clone(), RestartGuard::Off, LIMIT);
    for (label, mut agreement, ttl_ms) in
        [("as long", agreement("web1", &abc), 60_000), ("without a guard", off, 60_001)]
    {
        let theirs = LockValue { ttl_ms, ..LockValue::example("web2", &abc) };
        let _ = agreement.compare(at(0), 0, Some(&observed(&theirs)));
        assert_eq!(agreement.take_long_lease(), None, "{label}");
    }
}

#[test]
fn a_lease_longer_than_the_guard_is_returned_once_and_a_foreign_value_is_not_compared() {
    let abc = remote(&["a", "b", "c"]);
    let mut agreement = agreement("web1", &abc);
    let foreign = ObservedHolder { value: "9d3c".into(), left: None };
    assert_eq!(agreement.compare(at(0), 0, Some(&foreign)), Opinion::Agrees);
    assert_eq!(agreement.take_long_lease(), None);
    let long = LockValue { ttl_ms: 60_001, ..LockValue::example("web2", &abc) };
    for told in [true, false] {
        let _ = agreement.compare(at(0), 0, Some(&observed(&long)));
        assert_eq!(agreement.take_long_lease().is_some(), told);
    }
}

#[test]
fn values_of_one_configuration_have_the_same_end() {
    let servers = remote(&["a", "b", "c"]);
    let ours = LockValue::example("web1", &servers);
    let odd = Some("\"n\":3,\"servers\":\"x\"}".to_owned());
    for (label, theirs, is_of_kind) in [
        (
            "the same",
            LockValue { reason: odd, pid: 7, ..LockValue::example("web2", &servers) },
            true,
        ),
        ("slots", LockValue { slots: 2, ..ours.clone() }, false),
        ("fewer servers", LockValue::example("web1", &servers[..2]), false),
        ("an older redlock", LockValue { servers: None, ..ours.clone() }, false),
    ] {
        assert_eq!(
            theirs.to_line().ends_with(&agreement("web1", &servers).kind()),
            is_of_kind,
            "{label}"
        );
    }
    let slots = Agreement::new("deploy@web1", 2, servers, RestartGuard::Off, LIMIT);
    assert!(LockValue { slots: 2, ..ours }.to_line().ends_with(&slots.kind()));
    let many: Vec<_> = (0..99).map(|port| ServerName::tcp("a", port, 0)).collect();
    assert!(
        LockValue::example("web1", &many).to_line().ends_with(&agreement("web1", &many).kind())
    );
}

proptest! {
    /// Hosts with the same server list agree, for any instance of the value and any status of the
    /// others.
    #[test]
    fn hosts_with_the_same_list_agree(
        count in 3_usize..9, on in 0_usize..9, free in prop::collection::vec(0_usize..9, 0..9), turn in 0_usize..9,
        is_local in any::<bool>(),
    ) {
        let host = if is_local { "127.0.0.1" } else { "lock" };
        let ours: Vec<_> = (0..count).map(|port| ServerName::tcp(host, u16::try_from(port).unwrap(), 0)).collect();
        let mut theirs = ours.clone();
        theirs.rotate_left(turn % count);
        prop_assert_eq!(opinion(&ours, &LockValue::example("web1", &theirs), on % count, &free), None);
        prop_assert_eq!(opinion(&ours, &LockValue::example("web2", &theirs), on % count, &free), None);
    }

    /// Two lists that allow two quorums disagree, if the value is on a common server.
    #[test]
    fn lists_that_differ_disagree_on_a_common_server(ours in prop::collection::btree_set(0_u16..8, 3), theirs in prop::collection::btree_set(0_u16..8, 3)) {
        let names = |ports: &std::collections::BTreeSet<u16>| -> Vec<_> {
            ports.iter().map(|port| ServerName::tcp("lock", *port, 0)).collect()
        };
        let (mine, its) = (names(&ours), LockValue::example("web2", &names(&theirs)));
        for (on, port) in ours.iter().enumerate() {
            if theirs.contains(port) {
                let free: Vec<_> = (0..3).filter(|instance| *instance != on).collect();
                prop_assert_eq!(opinion(&mine, &its, on, &free).is_some(), ours != theirs);
            }
        }
    }
}
