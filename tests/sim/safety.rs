//! Worlds within the promise: a majority keeps what it was told, and clocks drift by less than is allowed for.

use super::checker::overlap;
use super::faults::Fault;
use super::instance::nanos;
use super::world::{Figures, Happening, MS, World};

/// How many worlds, unless `SEEDS` says so.
const SEEDS: u64 = 10_000;

/// A world with everything that may go wrong, and what came of it.
pub(crate) fn world(seed: u64) -> World {
    let sizes = [3, 4, 5];
    let size = sizes[usize::try_from(seed % 3).unwrap()];
    let mut world = World::new(seed, size, 1_000, true);
    world.slow = world.dice.between(0, 40);
    for _ in 0..world.dice.between(1, 5) {
        let runtime = world.dice.between(MS, 3_000 * MS);
        let obeys = world.dice.chance(700).then(|| world.dice.between(MS, 300 * MS));
        let patience = world.dice.chance(300).then(|| world.dice.between(0, 3_000));
        world.client(runtime, obeys, patience);
    }
    let begun = world.now;
    // One instance at a time forgets, and none for a TTL and a half after that: a minority within any TTL.
    let mut next_loss = begun;
    for _ in 0..world.dice.between(0, 8) {
        let when = begun + world.dice.between(0, 4_000 * MS);
        let instance = usize::try_from(world.dice.between(0, size as u64 - 1)).unwrap();
        let client = usize::try_from(world.dice.between(0, world.clients.len() as u64 - 1)).unwrap();
        let length = world.dice.between(MS, 2_500 * MS);
        let fault = match world.dice.between(0, 5) {
            0 => Fault::Hang { instance, until: when + length },
            1 => Fault::Restart { instance, forgets: false },
            2 => {
                next_loss += 1_500 * MS;
                world.at(next_loss, Happening::Fault(Fault::Restart { instance, forgets: true }));
                continue;
            }
            3 => Fault::Cut { client, instance },
            4 => {
                world.at(when + length, Happening::Fault(Fault::Thaw { client }));
                Fault::Freeze { client }
            }
            _ if world.dice.chance(300) => Fault::Kill { client },
            _ => Fault::Cut { client, instance },
        };
        world.at(when, Happening::Fault(fault));
    }
    // Five clients that each wait for the others, losses and guards: nobody should need longer than this.
    world.run(begun + 60_000 * MS);
    world
}

/// What is wrong with a world that has ended.
pub(crate) fn verdict(world: &mut World) -> Option<String> {
    if let Some((one, other)) = overlap(&world.sections) {
        return Some(format!("two at once: {one:?} and {other:?}"));
    }
    if let Some(client) = world.clients.iter().position(|client| !client.is_over()) {
        return Some(format!("client {client} is stuck: {:?}", world.clients[client].session));
    }
    let now = world.now + nanos(world.ttl.length()) * 2;
    let left = (0..world.instances.len()).find(|instance| world.instances[*instance].value(now).is_some());
    left.map(|instance| format!("a key is left on instance {instance}"))
}

fn add(sum: &mut Figures, figures: Figures) {
    sum.sections += figures.sections;
    sum.extensions += figures.extensions;
    sum.attempts += figures.attempts;
    sum.losses += figures.losses;
    sum.restarts += figures.restarts;
    sum.wakes += figures.wakes;
}

fn seeds(part: u64, parts: u64) -> Figures {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let all = number("SEED").map_or(0..number("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let mut sum = Figures::default();
    for seed in all.filter(|seed| seed % parts == part) {
        let mut world = world(seed);
        if let Some(wrong) = verdict(&mut world) {
            panic!("SEED={seed}: {wrong}");
        }
        add(&mut sum, world.figures);
    }
    sum
}

/// The worlds were not empty ones.
fn check(figures: Figures) {
    if std::env::var_os("SEED").is_none() && std::env::var_os("SEEDS").is_none() {
        let Figures { sections, extensions, attempts, losses, restarts, wakes } = figures;
        assert!(sections > 5_000 && extensions > 5_000 && attempts > 25_000, "{figures:?}");
        assert!(losses > 200 && restarts > 5_000 && wakes > 5_000, "{figures:?}");
    }
}

#[test]
fn no_overlap_no_key_left_nobody_stuck_in_one_half_of_the_worlds() {
    check(seeds(0, 2));
}

#[test]
fn no_overlap_no_key_left_nobody_stuck_in_the_other_half() {
    check(seeds(1, 2));
}
