//! Beyond the promise: here two can run at once, and the checker must find it. Beside each stands what holds again once
//! the promise does.

use super::checker::overlap;
use super::client::Run;
use super::faults::Fault;
use super::world::{MS, World, plain};

/// A holder for three seconds, and another run that waits; then `faults`, at milliseconds after the start, and a newcomer.
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

/// So many servers restart empty while the holder is stopped, which would else hear of it at once.
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
fn a_minority_that_forgets_lets_nobody_in_even_with_the_guard_off() {
    assert!(!overlaps(false, &restarts(2, 400, 0)));
}

#[test]
fn a_majority_whose_clocks_jump_lets_two_in_and_a_minority_does_not() {
    let jumps = |count| {
        let step = |server| (400, Fault::Step { server, by: 2_000_000_000 });
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
