//! An operator revokes locks in worlds of all kinds of faults. A forced release never has two
//! commands at once, except for one that deletes at once.

use super::chance::world_with;
use super::checker::overlap;
use super::client::Run;
use super::faults::Fault;
use super::safety::verdict;
use super::world::{MS, World, plain};
use redlock_cli::policy::{End, LossCause, Outcome};

/// Number of worlds, unless `SEEDS` is set.
const SEEDS: u64 = 400;

const DONE: Option<Outcome> = Some(Outcome::Ended(End::Exited(0)));

/// Some operators. Each reaches most servers, some of them late.
fn operators(world: &mut World, begun: u64) {
    for _ in 0..world.dice.between(1, 4) {
        let client = world.dice.below(world.clients.len());
        let when = begun + world.dice.between(0, 4_000 * MS);
        for server in 0..world.servers.len() {
            if world.dice.chance(150) {
                continue;
            }
            let late = if world.dice.chance(100) { 2_000 * MS } else { 5 * MS };
            let when = when + world.dice.between(0, late);
            world.fault(when, Fault::Revoke { server, client });
        }
    }
    // Some hosts have a redlock that does not know revocations.
    for client in 0..world.clients.len() {
        world.clients[client].target.is_older = world.dice.chance(200);
    }
}

#[test]
fn locks_that_are_taken_away_are_never_held_by_two() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let (mut revoked, mut lost) = (0, 0);
    for seed in seeds.clone() {
        let mut world = world_with(seed, operators);
        if let Some(wrong) = verdict(&mut world) {
            panic!("SEED={seed}: {wrong}");
        }
        revoked += world.figures.revoked;
        let is_lost = |outcome: &Option<Outcome>| {
            matches!(outcome, Some(Outcome::Lost(LossCause::Revoked(_))))
        };
        lost += world.clients.iter().filter(|client| is_lost(&client.outcome)).count();
    }
    if seeds.end - seeds.start >= SEEDS {
        assert!(revoked > 400 && lost > 40, "{revoked} values were revoked, {lost} runs lost");
    }
}

/// A holder with a TTL of one second that works for 5 s, and another run. `faults` happen at their
/// milliseconds.
fn held(holder: Run, faults: &[(u64, Fault)]) -> (World, u64) {
    let mut world = World::exact(3);
    let begun = world.now;
    world.client(holder);
    world.run(begun + 20 * MS);
    for (at, fault) in faults {
        world.fault(begun + at * MS, *fault);
    }
    world.client(plain(3, 100));
    (world, begun)
}

fn revoke(at: u64, servers: &[usize]) -> Vec<(u64, Fault)> {
    servers.iter().map(|server| (at, Fault::Revoke { server: *server, client: 0 })).collect()
}

fn holder() -> Run {
    Run { obeys_after: Some(20 * MS), ..plain(3, 5_000) }
}

#[test]
fn a_holder_that_is_revoked_stops_and_sets_the_name_free_as_soon_as_its_command_is_dead() {
    for servers in [&[0, 1, 2][..], &[0, 2]] {
        let (mut world, begun) = held(holder(), &revoke(400, servers));
        world.run(begun + 60_000 * MS);
        let outcome = world.clients[0].outcome.clone();
        let Some(Outcome::Lost(LossCause::Revoked(by))) = outcome else { panic!("{outcome:?}") };
        assert_eq!((by.by.as_str(), by.reason.as_deref()), ("ops@sim", Some("it hangs")));
        // The extension after 667 ms shows the revocation; the lease would have lasted until 1,334.
        assert!(world.sections[1].from < begun + 800 * MS, "{:?}", world.sections);
        assert_eq!((verdict(&mut world), world.clients[1].outcome.clone()), (None, DONE));
    }
}

#[test]
fn a_minority_that_is_revoked_ends_no_run_and_is_a_member_again_later() {
    let (mut world, begun) = held(holder(), &revoke(400, &[1]));
    // The revoked server counts again when another one is lost.
    world.fault(begun + 3_000 * MS, Fault::Down { server: 2, until: u64::MAX });
    world.run(begun + 60_000 * MS);
    assert_eq!((verdict(&mut world), world.clients[0].outcome.clone()), (None, DONE));
    assert!(world.figures.set_agains > 0);
}

#[test]
fn a_holder_that_hears_nothing_is_outlived_by_its_revocation() {
    let mut silent: Vec<Vec<(u64, Fault)>> = vec![vec![(399, Fault::Freeze { client: 0 })]];
    let until = 100_000_000 * MS;
    silent.push(
        (0..3)
            .map(|instance| (399, Fault::Part { client: 0, instance, until, only_back: false }))
            .collect(),
    );
    silent.push(vec![(399, Fault::Kill { client: 0 })]);
    for faults in silent {
        let is_frozen = matches!(faults[0].1, Fault::Freeze { .. });
        let (mut world, begun) = held(holder(), &[faults, revoke(400, &[0, 1, 2])].concat());
        if is_frozen {
            world.fault(begun + 20_000 * MS, Fault::Thaw { client: 0 });
        }
        world.run(begun + 60_000 * MS);
        // The last extension before that was at 334 ms.
        assert!(world.sections[1].from >= begun + 1_330 * MS, "{:?}", world.sections);
        assert!(world.sections[1].from < begun + 2_500 * MS, "{:?}", world.sections);
        assert_eq!(verdict(&mut world), None);
    }
}

#[test]
fn an_older_redlock_stops_too_and_its_name_is_free_when_its_lease_is_over() {
    let (mut world, begun) = held(holder(), &revoke(400, &[0, 1, 2]));
    world.clients[0].target.is_older = true;
    world.run(begun + 60_000 * MS);
    assert_eq!(world.clients[0].outcome, Some(Outcome::Lost(LossCause::KeysGone)));
    assert!(world.sections[1].from >= begun + 1_330 * MS, "{:?}", world.sections);
    assert_eq!(verdict(&mut world), None);
}

/// The extension of 334 ms is under way to all servers until 900.
#[test]
fn an_extension_that_arrives_after_the_revocation_changes_nothing() {
    let (mut world, begun) = held(holder(), &revoke(400, &[0, 1, 2]));
    let until = begun + 900 * MS;
    (0..3).for_each(|server| world.fault(begun + 330 * MS, Fault::Hang { server, until }));
    world.run(begun + 60_000 * MS);
    assert_eq!(verdict(&mut world), None);
    assert!(matches!(world.clients[0].outcome, Some(Outcome::Lost(_))));
}

#[test]
fn a_lock_that_is_deleted_at_once_lets_two_in() {
    let delete = |server| (400, Fault::ForceDelete { server, client: 0 });
    let (mut world, begun) = held(Run { obeys_after: None, ..holder() }, &[0, 1, 2].map(delete));
    world.run(begun + 410 * MS);
    world.client(plain(3, 100));
    world.run(begun + 60_000 * MS);
    assert!(overlap(&world.sections).is_some(), "{:?}", world.sections);
}
