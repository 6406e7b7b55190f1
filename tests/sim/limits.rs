//! Beyond the promise, two commands can run at once, and the checker must find the overlap. Each
//! case has a similar one within the promise, without an overlap.

use super::checker::overlap;
use super::client::Run;
use super::faults::Fault;
use super::world::{MS, World, plain};
use std::time::Duration;

/// A holder for three seconds, another run that waits, `faults` at milliseconds after the start,
/// and a newcomer.
fn overlaps(guard: bool, faults: &[(u64, Fault)]) -> bool {
    let mut world = World::new(7, 5);
    let guard = guard.then_some(1_000);
    world.client(Run { guard, ..plain(5, 3_000) });
    let begun = world.now;
    world.run(begun + 20 * MS);
    world.client(Run { guard, ..plain(5, 100) });
    for (after, fault) in faults {
        world.fault(begun + after * MS, *fault);
    }
    world.run(begun + 410 * MS);
    world.client(Run { guard, ..plain(5, 100) });
    world.run(begun + 20_000 * MS);
    assert!(world.figures.sections >= 2, "both got their turn");
    overlap(&world.sections).is_some()
}

/// So many servers restart empty while the holder is stopped: otherwise it would notice at once.
fn restarts(count: usize, after: u64, apart: u64) -> Vec<(u64, Fault)> {
    let restart = |server| Fault::Restart { server, forgets: true, step: 0 };
    let restarts = (0..count).map(|server| (after + apart * server as u64, restart(server)));
    [(after - 1, Fault::Freeze { client: 0 }), (after + 2_000, Fault::Thaw { client: 0 })]
        .into_iter()
        .chain(restarts)
        .collect()
}

#[test]
fn a_majority_that_forgets_lets_two_in_with_the_guard_off_and_none_with_it_on() {
    assert!(overlaps(false, &restarts(3, 400, 0)));
    assert!(!overlaps(true, &restarts(3, 400, 0)));
}

#[test]
fn servers_that_forget_one_after_the_other_within_a_round_are_no_less() {
    assert!(overlaps(false, &restarts(3, 360, 10)));
    assert!(!overlaps(true, &restarts(3, 360, 10)));
}

#[test]
fn a_minority_that_forgets_lets_no_run_in_even_with_the_guard_off() {
    assert!(!overlaps(false, &restarts(2, 400, 0)));
}

#[test]
fn a_majority_whose_clocks_jump_lets_two_in_and_a_minority_does_not() {
    let jumps = |count| {
        let step = |server| (400, Fault::StepClock { server, by: 2_000_000_000 });
        (0..count).map(step).collect::<Vec<_>>()
    };
    assert!(overlaps(true, &jumps(3)));
    assert!(!overlaps(true, &jumps(2)));
}

#[test]
fn a_majority_whose_keys_are_deleted_lets_two_in() {
    let deletes: Vec<_> = (0..3).map(|server| (400, Fault::Delete { server })).collect();
    assert!(overlaps(true, &deletes));
}

#[test]
fn a_majority_of_names_that_move_while_the_old_servers_live_on_lets_two_in() {
    for (ends, apart, expected) in [(false, 2_500, true), (true, 2_500, false)] {
        let mut world = World::exact(3);
        let begun = world.now;
        world.client(plain(3, 10_000));
        // Another client uses the fresh servers, so that they have marks.
        for (number, host) in [0, 1].into_iter().enumerate() {
            let at = begun + (100 + apart * number as u64) * MS;
            world.fault(at, Fault::MoveName { host, ends });
            world.run(at + MS);
            world.client(Run { wait_limit: Some(0), ..plain(3, 10) });
        }
        world.run(begun + 6_000 * MS);
        world.client(Run { wait_limit: Some(0), ..plain(3, 10) });
        world.run(begun + 60_000 * MS);
        assert_eq!(overlap(&world.sections).is_some(), expected, "{ends}");
    }
}

/// A run waits, connected to three servers, when the name of the first moves. A newcomer gets in by
/// the new server, and then loses its connection to the third for good.
fn moves_beside_a_run_that_waits(ends: bool) -> bool {
    let mut world = World::exact(3);
    let (begun, half) = (world.now, Duration::from_millis(600));
    (0..3).for_each(|server| world.servers[server].set(begun, (0, 0), "another", half));
    world.client(plain(3, 10));
    world.fault(begun + 100 * MS, Fault::MoveName { host: 0, ends });
    world.run(begun + 601 * MS);
    world.client(plain(3, 4_000));
    let until = begun + 60_000 * MS;
    world.fault(begun + 620 * MS, Fault::Part { client: 1, instance: 2, until, only_back: false });
    world.run(until);
    assert_eq!(world.sections.len(), 2);
    overlap(&world.sections).is_some()
}

#[test]
fn an_old_server_that_lives_on_votes_for_runs_that_are_connected_to_it() {
    // Each run has the lock on two of three servers: a bare quorum. From the other's view, it is
    // one less.
    assert!(moves_beside_a_run_that_waits(false));
    assert!(!moves_beside_a_run_that_waits(true));
}

#[test]
fn all_servers_that_are_flushed_at_once_let_two_in_and_all_but_one_do_not() {
    let flush = |count| {
        let stop = [(399, Fault::Freeze { client: 0 }), (2_400, Fault::Thaw { client: 0 })];
        stop.into_iter()
            .chain((0..count).map(|server| (400, Fault::Flush { server })))
            .collect::<Vec<_>>()
    };
    assert!(overlaps(true, &flush(5)));
    assert!(!overlaps(true, &flush(4)));
}

#[test]
fn a_clock_that_is_set_back_keeps_a_dead_holders_key_for_as_much_longer() {
    for (back, expected) in [(0, 2_000), (3_000, 5_000)] {
        let mut world = World::exact(3);
        let begun = world.now;
        world.client(plain(3, 10_000));
        world.fault(begun + 100 * MS, Fault::Kill { client: 0 });
        (0..3).for_each(|server| {
            world.fault(begun + 200 * MS, Fault::StepClock { server, by: -back * 1_000_000 });
        });
        world.run(begun + 300 * MS);
        world.client(plain(3, 10));
        world.run(begun + 60_000 * MS);
        let from = world.sections[1].from - begun;
        assert!(from <= expected * MS && from + 1_500 * MS >= expected * MS, "{from}");
    }
}

#[test]
fn hosts_that_name_no_server_in_common_let_two_in() {
    for (hosts, expected) in [([3, 4, 5], true), ([2, 3, 4], false)] {
        let mut world = World::exact(6);
        world.client(plain(3, 2_000));
        world.run(world.now + 100 * MS);
        world.client(Run { hosts: hosts.to_vec(), ..plain(3, 200) });
        world.run(world.now + 30_000 * MS);
        assert_eq!(overlap(&world.sections).is_some(), expected, "{hosts:?}");
    }
}
