//! Single schedules with one kind of fault.

use super::checker::overlap;
use super::client::Run;
use super::faults::Fault;
use super::world::{MS, World, plain};
use redlock_cli::policy::{End, LossCause, Outcome};

fn holder(runtime: u64) -> (World, u64) {
    let mut world = World::new(11, 5);
    world.client(plain(5, runtime));
    let begun = world.now;
    world.run(begun + 20 * MS);
    assert_eq!(world.figures.sections, 1);
    (world, begun)
}

#[test]
fn a_deleted_key_is_back_after_a_round_and_then_another_may_go() {
    let (mut world, begun) = holder(4_000);
    for round in 0_u64..5 {
        let server = usize::try_from(round).unwrap();
        // Two rounds, each a third of a second, between any two faults.
        world.fault(begun + (100 + 700 * round) * MS, Fault::Delete { server });
    }
    world.run(begun + 10_000 * MS);
    assert_eq!(world.clients[0].outcome, Some(Outcome::Ended(End::Exited(0))));
}

#[test]
fn keys_deleted_on_three_of_five_stop_the_command() {
    let (mut world, begun) = holder(4_000);
    (0..3).for_each(|server| world.fault(begun + 100 * MS, Fault::Delete { server }));
    world.run(begun + 10_000 * MS);
    assert_eq!(world.clients[0].outcome, Some(Outcome::Lost(LossCause::KeysGone)));
}

#[test]
fn a_frozen_holder_is_dead_before_the_next_one_starts() {
    let (mut world, begun) = holder(10_000);
    world.client(plain(5, 10));
    world.fault(begun + 50 * MS, Fault::Freeze { client: 0 });
    world.fault(begun + 3_050 * MS, Fault::Thaw { client: 0 });
    world.run(begun + 10_000 * MS);
    assert_eq!(overlap(&world.sections), None);
    assert_eq!(world.sections.len(), 2, "both ran, one after the other: {:?}", world.sections);
    assert_eq!(world.clients[0].outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn a_redlock_frozen_before_its_votes_come_starts_nothing() {
    let mut world = World::new(13, 5);
    world.client(Run { wait_limit: Some(500), ..plain(5, 10) });
    let begun = world.now;
    world.fault(begun, Fault::Freeze { client: 0 });
    world.fault(begun + 3_000 * MS, Fault::Thaw { client: 0 });
    world.run(begun + 10_000 * MS);
    assert_eq!(world.figures.sections, 0);
    assert!(
        matches!(world.clients[0].outcome, Some(Outcome::NoQuorum(_))),
        "{:?}",
        world.clients[0].outcome
    );
}

#[test]
fn replies_that_take_longer_than_half_the_ttl_are_no_lock() {
    let mut world = World::new(17, 5);
    world.delays = (300 * MS, 310 * MS);
    world.client(Run { wait_limit: Some(3_000), ..plain(5, 10) });
    world.run(world.now + 20_000 * MS);
    assert_eq!(world.figures.sections, 0);
}
