//! Worlds within the promise: a server that forgets is guarded, and clocks drift by less than the
//! algorithm allows for.

use super::chance::world;
use super::checker::{out_of_order, overlap};
use super::world::{Figures, World};
use redlock_cli::policy::Outcome;

/// Number of worlds, unless `SEEDS` is set.
const SEEDS: u64 = 10_000;

/// The fault of a world that has ended.
pub(crate) fn verdict(world: &mut World) -> Option<String> {
    if let Some((one, other)) = overlap(&world.sections) {
        return Some(format!("two at once: {one:?} and {other:?}"));
    }
    if let Some((one, other)) = out_of_order(&world.fences) {
        return Some(format!("a token that is not larger: {one:?} and then {other:?}"));
    }
    if let Some(client) = world.clients.iter().position(|client| !client.is_over()) {
        return Some(format!("client {client} is stuck: {:?}", world.clients[client].session));
    }
    if let Some(client) =
        world.clients.iter().position(|it| matches!(it.outcome, Some(Outcome::Disagreed(..))))
    {
        return Some(format!("client {client} is refused, and all hosts agree"));
    }
    world.wrong.first().cloned()
}

fn add(sum: &mut Figures, figures: Figures) {
    sum.sections += figures.sections;
    sum.extensions += figures.extensions;
    sum.set_agains += figures.set_agains;
    sum.attempts += figures.attempts;
    sum.losses += figures.losses;
    sum.restarts += figures.restarts;
    sum.wakes += figures.wakes;
    sum.asides += figures.asides;
    sum.late += figures.late;
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

/// Checks that things happened in the worlds.
fn check(figures: Figures) {
    if std::env::var_os("SEED").is_none() && std::env::var_os("SEEDS").is_none() {
        let Figures {
            sections,
            extensions,
            set_agains,
            attempts,
            losses,
            restarts,
            wakes,
            asides,
            late,
            ..
        } = figures;
        assert!(sections > 5_000 && extensions > 5_000 && attempts > 25_000, "{figures:?}");
        assert!(losses > 200 && restarts > 5_000 && wakes > 2_000, "{figures:?}");
        assert!(set_agains > 500 && asides > 500 && late > 100, "{figures:?}");
    }
}

#[test]
fn no_overlap_no_key_left_no_run_stuck_in_one_half_of_the_worlds() {
    check(seeds(0, 2));
}

#[test]
fn no_overlap_no_key_left_no_run_stuck_in_the_other_half() {
    check(seeds(1, 2));
}
