//! Marks set by wrong clocks. Such a mark makes a server abstain for longer, but must not do so for
//! ever.

use super::client::{Before, Run};
use super::faults::Fault;
use super::server::Server;
use super::world::{MS, World, plain};
use redlock_cli::policy::Outcome;

const HOUR: i64 = 3_600_000_000_000;

/// Whether a run that does not wait gets in at `at` ms.
fn gets_in(world: &mut World, at: u64) -> bool {
    world.run(at * MS);
    let client = world.client(Run { wait_limit: Some(0), ..plain(3, 10) });
    world.run((at + 1_000) * MS);
    matches!(world.clients[client].outcome, Some(Outcome::Ended(_)))
}

/// Three servers are first used by a host whose clock is `ahead`. One of them has restarted since.
fn marked_by_a_clock_that_is(ahead: i64) -> World {
    let mut world = World::exact(3);
    world.servers.iter_mut().for_each(Server::unmark);
    let begun = world.now;
    world.freezes_next = Some(Before::Vote);
    world.client(plain(3, 10));
    world.clients[0].ahead = ahead;
    world.fault(begun + MS, Fault::Thaw { client: 0 });
    world.fault(begun + 5_000 * MS, Fault::Restart { server: 0, forgets: true, step: 0 });
    let _ = gets_in(&mut world, 20_000);
    world
}

#[test]
fn a_server_that_restarts_votes_again_after_the_guard() {
    assert!(gets_in(&mut marked_by_a_clock_that_is(0), 70_000));
}

#[test]
fn a_host_whose_clock_was_ahead_keeps_no_other_out() {
    assert!(gets_in(&mut marked_by_a_clock_that_is(HOUR), 70_000));
}

#[test]
fn clocks_of_servers_that_are_set_back_keep_no_run_out_for_longer_than_the_guard() {
    let mut world = World::exact(3);
    let begun = world.now;
    (0..2).for_each(|server| {
        world.fault(begun + 100 * MS, Fault::StepClock { server, by: -2 * HOUR });
    });
    let _ = gets_in(&mut world, 20_000);
    assert!(gets_in(&mut world, 70_000));
}
