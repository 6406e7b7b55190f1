//! Hosts that disagree about the servers or the slots: never two commands at once, and the later
//! host is refused.

use super::checker::overlap;
use super::client::{Before, Run};
use super::faults::Fault;
use super::world::{MS, World, plain};
use redlock_cli::lock::Difference;
use redlock_cli::policy::{End, Outcome};

/// A run over these hosts.
fn over(hosts: &[usize], runtime: u64) -> Run {
    Run { hosts: hosts.to_vec(), ..plain(3, runtime) }
}

/// Starts the runs one after the other, each when the one before has the lock, in a hundred worlds.
/// Returns the number of worlds with two commands at once, and the ends of the last run. `prepare`
/// gets the world before each run.
fn worlds(runs: &[Run], prepare: impl Fn(&mut World, usize)) -> (usize, Vec<Outcome>) {
    let mut overlaps = 0;
    let mut ends = vec![];
    for seed in 0..100 {
        let mut world = World::new(seed, 6);
        for (number, run) in runs.iter().enumerate() {
            prepare(&mut world, number);
            world.client(run.clone());
            world.run(world.now + 150 * MS);
        }
        world.run(world.now + 60_000 * MS);
        overlaps += usize::from(overlap(&world.sections).is_some());
        ends.push(world.clients[runs.len() - 1].outcome.clone().unwrap());
        assert_eq!(world.wrong, Vec::<String>::new());
    }
    (overlaps, ends)
}

fn difference(end: &Outcome) -> Option<&Difference> {
    if let Outcome::Disagreed(_, difference) = end { Some(difference) } else { None }
}

#[test]
fn a_run_that_names_other_servers_or_counts_on_other_slots_is_refused_beside_a_holder() {
    let slots = |count, run| Run { slots: count, ..run };
    for (label, holder, contender, expected) in [
        (
            "two of three are others",
            over(&[0, 1, 2], 4_000),
            over(&[2, 3, 4], 200),
            Difference::Servers(vec![1, 2]),
        ),
        (
            "one of three is another",
            over(&[0, 1, 2], 4_000),
            over(&[0, 1, 5], 200),
            Difference::Servers(vec![2]),
        ),
        ("five and three", plain(5, 4_000), over(&[2, 3, 4], 200), Difference::Count(5)),
        ("three and five", over(&[0, 1, 2], 4_000), plain(5, 200), Difference::Count(3)),
        (
            "slots and none",
            slots(1, plain(3, 4_000)),
            slots(2, plain(3, 200)),
            Difference::Slots(1),
        ),
        (
            "three slots and two",
            slots(3, plain(3, 4_000)),
            slots(2, plain(3, 200)),
            Difference::Slots(3),
        ),
    ] {
        for wait_limit in [Some(0), Some(10_000), None] {
            let contender = Run { wait_limit, ..contender.clone() };
            // Two cases are not always refused: a holder with other slots may have a slot that does
            // not exist here, and beside a holder with a majority of these servers, a run that does
            // not wait may be busy.
            let is_clear = expected != Difference::Slots(3)
                && (expected != Difference::Servers(vec![2]) || wait_limit != Some(0));
            let (overlaps, ends) = worlds(&[holder.clone(), contender], |_, _| {});
            assert_eq!(overlaps, 0, "{label}");
            let refused = ends.iter().filter(|end| difference(end) == Some(&expected)).count();
            assert!(
                refused == 100 || !is_clear,
                "{label}, {wait_limit:?}: {refused} of 100 were refused: {:?}",
                ends[0]
            );
        }
    }
}

/// A roll-out: the holder's majority is two of its three servers. The host of the second run names
/// two others as well.
#[test]
fn hosts_that_name_three_servers_here_and_five_there_never_run_at_once() {
    for (hosts, is_refused) in [(3, true), (5, false)] {
        let mut world = World::exact(5);
        let begun = world.now;
        world.freezes_next = Some(Before::Vote);
        world.client(plain(hosts, 2_000));
        let until = begun + 600 * MS;
        world.fault(begun, Fault::Part { client: 0, instance: 2, until, only_back: false });
        world.fault(begun + MS, Fault::Thaw { client: 0 });
        world.run(begun + 100 * MS);
        world.client(plain(5, 200));
        world.run(begun + 30_000 * MS);
        assert_eq!(overlap(&world.sections), None);
        assert_eq!(
            world.clients[1].outcome.as_ref().and_then(difference).is_some(),
            is_refused,
            "{hosts}"
        );
    }
}

/// Two runs that begin at the same moment: at most one has the common server.
#[test]
fn hosts_that_name_other_servers_and_begin_at_once_never_run_at_once() {
    for seed in 0..300 {
        let mut world = World::new(seed, 5);
        // A short delay, since a vote that comes long after a quorum is not awaited.
        world.delays.1 = 2 * MS;
        world.client(over(&[0, 1, 2], 2_000));
        world.client(over(&[2, 3, 4], 2_000));
        world.run(world.now + 60_000 * MS);
        assert_eq!(overlap(&world.sections), None, "{seed}");
        assert!(!world.sections.is_empty(), "{seed}: one of them gets in");
    }
}

/// A holder dies, and its key stays on one server of three. Runs with the same servers ignore the
/// key, runs with other servers wait for its TTL.
#[test]
fn the_key_of_a_dead_holder_on_a_minority_delays_no_run_beyond_its_ttl() {
    for (label, hosts, at_once) in
        [("of the same servers", [0, 1, 2], true), ("of other servers", [0, 3, 4], false)]
    {
        let mut world = World::exact(5);
        let begun = world.now;
        world.client(plain(3, 10_000));
        world.fault(begun + 100 * MS, Fault::Kill { client: 0 });
        (1..3).for_each(|server| world.fault(begun + 101 * MS, Fault::Delete { server }));
        world.run(begun + 150 * MS);
        let client = world.client(over(&hosts, 10));
        world.run(begun + 190 * MS);
        assert_eq!(
            world.clients[client].outcome == Some(Outcome::Ended(End::Exited(0))),
            at_once,
            "{label}"
        );
        world.run(begun + 1_100 * MS);
        let last = world.client(over(&hosts, 10));
        world.run(begun + 1_200 * MS);
        assert_eq!(
            world.clients[last].outcome,
            Some(Outcome::Ended(End::Exited(0))),
            "{label}: its ttl is over"
        );
    }
}

/// Short runs of a host that names five servers, one after the other: each poll finds another one
/// of them.
#[test]
fn a_host_that_disagrees_is_noticed_whatever_run_of_it_is_there() {
    let mut world = World::exact(5);
    let begun = world.now;
    for _ in 0..40 {
        world.client(plain(5, 20));
    }
    world.run(begun + 20 * MS);
    let client = world.client(over(&[2, 3, 4], 10));
    world.run(begun + 60_000 * MS);
    assert_eq!(overlap(&world.sections), None);
    let end = world.clients[client].outcome.as_ref().unwrap();
    assert!(
        matches!(end, Outcome::Disagreed(_, Difference::Count(5)) | Outcome::Ended(_)),
        "{end:?}"
    );
}
