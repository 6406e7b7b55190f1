//! Beyond the promise: here two can run at once, and the checker must find it. Beside each stands what holds again once
//! the promise does.

use super::checker::overlap;
use super::faults::Fault;
use super::world::{Happening, MS, World};
use std::time::Duration;

/// A holder for three seconds, and another who waits; then `faults`, at milliseconds after the start.
fn overlaps(guard: bool, faults: &[(u64, Fault)]) -> bool {
    let mut world = World::new(7, 5, 1_000, guard);
    world.client(3_000 * MS, None, None);
    let begun = world.now;
    world.run(begun + 20 * MS);
    world.client(100 * MS, None, None);
    for (after, fault) in faults {
        world.at(begun + after * MS, Happening::Fault(*fault));
    }
    world.run(begun + 20_000 * MS);
    assert!(world.figures.sections >= 2, "both got their turn");
    overlap(&world.sections).is_some()
}

fn restarts(count: usize, after: u64, apart: u64) -> Vec<(u64, Fault)> {
    let restart = |instance| Fault::Restart { instance, forgets: true };
    (0..count).map(|instance| (after + apart * instance as u64, restart(instance))).collect()
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
        let step = |instance| (400, Fault::Step { instance, by: Duration::from_secs(2) });
        (0..count).map(step).collect::<Vec<_>>()
    };
    assert!(overlaps(true, &jumps(3)));
    assert!(!overlaps(true, &jumps(2)));
}

#[test]
fn a_majority_whose_keys_are_deleted_lets_two_in() {
    let deletes: Vec<_> = (0..3).map(|instance| (400, Fault::Delete { instance })).collect();
    assert!(overlaps(true, &deletes));
}
