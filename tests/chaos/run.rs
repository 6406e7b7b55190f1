//! One chaos run from its first server to its verdict.

use crate::checker;
use crate::dice::Dice;
use crate::ending;
use crate::history;
use crate::lag::Lag;
use crate::nemesis::Nemesis;
use crate::report::{self, Verdict};
use crate::support::clock;
use crate::world::World;
use std::time::Duration;

/// Runs for so many seconds; fails if two commands were alive at once in one slot, or if anything is left at the end.
pub(crate) fn chaos(seconds: u64, seed: u64, slots: usize) {
    report::begin(seed, seconds, slots);
    let mut dice = Dice::new(seed);
    let mut world = World::new(&mut dice, slots);
    let mut nemesis = Nemesis::new(dice.split());
    let lag = Lag::watch(world.journal.clone());
    let begun = clock::now();
    let _ = clock::within(Duration::from_secs(seconds), || {
        world.crowd.go_on(&world.cluster);
        nemesis.go_on(&mut world);
        None::<()>
    });
    let left = ending::end(&mut world, &mut nemesis, slots);
    let sections = history::sections(world.cluster.dir());
    let has_slot = |section: &history::Section| (1..=slots).contains(&section.slot);
    assert!(sections.iter().all(has_slot), "there are {slots} slots, and no others: {sections:?}");
    let verdict = Verdict {
        seed,
        seconds,
        slots,
        sections: sections.len(),
        overlaps: checker::overlaps(sections),
        left,
        faults: nemesis.counts().clone(),
        ends: world.crowd.ends().clone(),
        odd: world.crowd.odd().to_vec(),
        longest_lag_ms: lag.longest_ms(),
    };
    report::verdict(&verdict);
    if !verdict.is_good() {
        report::interleaving(&verdict, &world, begun);
    }
    assert!(verdict.is_good(), "the chaos run with seed {seed} and {slots} slots failed");
    assert!(verdict.sections as u64 >= seconds / 4, "so few commands ran that nothing is shown");
}
