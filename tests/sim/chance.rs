//! From a seed to a world: the runs, the servers, and the faults.

use super::client::{Before, Run};
use super::faults::Fault;
use super::server::Manner;
use super::world::{MS, World};

/// The plan of a world.
struct Plan {
    size: u64,
    begun: u64,
    /// The longest lease, and the guard, in milliseconds.
    guard: Option<u64>,
    /// Servers that may be flushed, replaced, or restarted with another clock: a minority.
    young: Vec<usize>,
    /// Whether the only faults are keys that vanish.
    is_quiet: bool,
}

/// A world with every kind of fault, run to its end.
pub(crate) fn world(seed: u64) -> World {
    world_with(seed, |_, _| {})
}

/// The same with the additions of `more`, which gets the beginning of the world.
pub(crate) fn world_with(seed: u64, more: impl FnOnce(&mut World, u64)) -> World {
    let size = [3, 4, 5][usize::try_from(seed % 3).unwrap()];
    let mut world = World::new(seed, size);
    world.is_fenced = seed.is_multiple_of(2);
    let (runs, longest) = runs(&mut world, size);
    let dice = &mut world.dice;
    let plan = Plan {
        size: size as u64,
        begun: world.now,
        guard: (!dice.chance(120)).then_some(longest),
        young: minority(dice.between(0, size as u64 - 1), size),
        is_quiet: dice.chance(100),
    };
    let is_first_use = plan.guard.is_some() && dice.chance(120);
    world.slow = if plan.is_quiet { 0 } else { dice.between(0, 40) };
    for server in 0..size {
        if is_first_use {
            world.servers[server].unmark();
        } else if world.dice.chance(40) && !plan.young.contains(&server) {
            world.servers[server].manner =
                if world.dice.chance(500) { Manner::NotPermitted } else { Manner::Unmarkable };
        }
    }
    for run in runs {
        world.client(Run { guard: plan.guard, ..run });
    }
    let count = if plan.is_quiet { 3 } else { world.dice.between(0, 8) };
    for number in 0..count {
        if plan.is_quiet {
            vanish(&mut world, &plan, number);
        } else {
            strike(&mut world, &plan, is_first_use);
        }
    }
    more(&mut world, plan.begun);
    // Enough time for five runs that wait for each other, with losses and guards.
    world.run(plan.begun + 240_000 * MS);
    world
}

fn minority(first: u64, size: usize) -> Vec<usize> {
    let first = usize::try_from(first).unwrap();
    (0..size - (size / 2 + 1)).map(|number| (first + number) % size).collect()
}

/// The runs of a world, and the longest lease of any.
fn runs(world: &mut World, size: usize) -> (Vec<Run>, u64) {
    let dice = &mut world.dice;
    let ttls: &[u64] = [&[1_000][..], &[1_000], &[400, 1_500], &[1_000, 3_000]][dice.below(4)];
    let (slots, names) = [(1, 1), (1, 1), (1, 1), (1, 3), (2, 1), (3, 1)][dice.below(6)];
    let pauses = dice.chance(150);
    let mut runs = vec![];
    for _ in 0..dice.between(1, 5) {
        let mut own: Vec<u32> = (0..names).filter(|_| dice.chance(600)).collect();
        if own.is_empty() {
            own.push(0);
        }
        // Runs with several locks name them in a random order.
        if dice.chance(500) {
            own.reverse();
        }
        runs.push(Run {
            ttl: ttls[dice.below(ttls.len())],
            names: own,
            slots,
            hosts: (0..size).collect(),
            runtime: dice.between(MS, 3_000 * MS),
            obeys_after: dice.chance(700).then(|| dice.between(MS, 300 * MS)),
            wait_limit: dice.chance(300).then(|| dice.between(0, 3_000)),
            min_hold: if pauses { dice.between(0, 2_000) } else { 0 },
            cooldown: if pauses { dice.between(0, 1_000) } else { 0 },
            max_runtime: dice.chance(100).then(|| dice.between(1, 2_000)),
            guard: None,
        });
    }
    let longest = runs.iter().map(|run| run.ttl.max(run.min_hold).max(run.cooldown)).max().unwrap();
    (runs, longest)
}

/// The faults of a quiet world: keys vanish from one server after the other, more than a TTL apart.
fn vanish(world: &mut World, plan: &Plan, number: u64) {
    let when = plan.begun + (number * 4_000 + world.dice.between(0, 500)) * MS;
    let server = world.dice.below(usize::try_from(plan.size).unwrap());
    let by = i64::try_from(world.dice.between(MS, 4_000 * MS)).unwrap();
    let step = world.dice.chance(500).then_some(by);
    world.fault(when, Fault::Vanish { server, step });
}

fn strike(world: &mut World, plan: &Plan, is_first_use: bool) {
    let when = plan.begun + world.dice.between(0, 4_000 * MS);
    let server = world.dice.below(usize::try_from(plan.size).unwrap());
    let instance = server;
    let client = world.dice.below(world.clients.len());
    let length = world.dice.between(MS, 2_500 * MS);
    let until = when + length;
    match world.dice.below(17) {
        0 | 1 => world.fault(when, Fault::Hang { server, until }),
        2 => {
            let step = back(world);
            world.fault(when, Fault::Restart { server, forgets: false, step });
        }
        3 => {
            world.fault(when, Fault::Down { server, until });
            world.fault(
                until,
                Fault::Restart { server, forgets: may_forget(world, plan, server), step: 0 },
            );
        }
        4..=6 => attack(world, plan, when),
        7 if !is_first_use && plan.guard.is_some() => renew(world, plan, when),
        8 => world.fault(when, Fault::Cut { client, instance }),
        9 | 16 => world.fault(when, Fault::CutNext { client, instance }),
        10 => {
            world.fault(when, Fault::Freeze { client });
            world.fault(until, Fault::Thaw { client });
        }
        11 => {
            let before = if world.dice.chance(500) { Before::Vote } else { Before::Start };
            world.fault(when, Fault::FreezeBefore { client, before });
            world.fault(until, Fault::Thaw { client });
        }
        12 => world.fault(when, Fault::Forget { client, instance }),
        13 => {
            let only_back = world.dice.chance(500);
            world.fault(when, Fault::Part { client, instance, until, only_back });
        }
        14 if world.dice.chance(400) => world.fault(when, Fault::Kill { client }),
        14 if world.dice.chance(500) => world.fault(when, Fault::Interrupt { client }),
        _ => world.fault(when, Fault::Busy { server, until }),
    }
}

/// Whether this server may lose its memory. Its clients would notice that.
fn may_forget(world: &World, plan: &Plan, server: usize) -> bool {
    plan.guard.is_some() && world.servers[server].manner != Manner::NotPermitted
}

/// A step of a clock by a little backwards, or none.
fn back(world: &mut World) -> i64 {
    let by = if world.dice.chance(700) { 0 } else { world.dice.between(0, 3_000 * MS) };
    -i64::try_from(by).unwrap()
}

/// A redlock is stopped or cut off while some or all servers restart empty: with another clock,
/// hanging, or busy.
fn attack(world: &mut World, plan: &Plan, when: u64) {
    let client = world.dice.below(world.clients.len());
    let until = when + world.dice.between(MS, 4_000 * MS);
    if world.dice.chance(500) {
        world.fault(when, Fault::Freeze { client });
        world.fault(until, Fault::Thaw { client });
    } else {
        for instance in 0..usize::try_from(plan.size).unwrap() {
            world.fault(when, Fault::Part { client, instance, until, only_back: false });
        }
    }
    let first = world.dice.below(usize::try_from(plan.size).unwrap());
    for number in 0..world.dice.between(1, plan.size) {
        let server =
            (first + usize::try_from(number).unwrap()) % usize::try_from(plan.size).unwrap();
        if !may_forget(world, plan, server) {
            continue;
        }
        let when = when + world.dice.between(0, 300 * MS);
        let hour = 3_600_000_000_000;
        let step = match world.dice.below(3) {
            0 if plan.young.contains(&server) => hour,
            1 => -hour,
            _ => 0,
        };
        world.fault(when, Fault::Restart { server, forgets: true, step });
        let until = when + world.dice.between(0, 2_500 * MS);
        match world.dice.below(3) {
            0 => world.fault(when, Fault::Hang { server, until }),
            1 => world.fault(when, Fault::Busy { server, until }),
            _ => {}
        }
    }
}

/// A minority is flushed, or its names move to fresh servers while the old ones end. If an old
/// server went on, it would still serve the connected runs, as if the fresh one had forgotten their
/// keys. That case is in `limits`.
fn renew(world: &mut World, plan: &Plan, when: u64) {
    for host in plan.young.clone() {
        let when = when + world.dice.between(0, 500 * MS);
        let fault = if world.dice.chance(500) {
            Fault::Flush { server: host }
        } else {
            Fault::MoveName { host, ends: true }
        };
        world.fault(when, fault);
    }
}
