//! One chaos run from its first server to its verdict.

use crate::audit::Audit;
use crate::checker;
use crate::contender::{Kind, NAME, Names, Plan, SIDE};
use crate::dice::Dice;
use crate::ending;
use crate::fenced::{self, Stragglers};
use crate::history::{self, Section};
use crate::lag::Lag;
use crate::nemesis::Nemesis;
use crate::report::{self, Verdict};
use crate::support::{clock, key_of};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest extension of a run that has not had every kind of fault and of contender.
const UNTIL_ALL_IS_IN: Duration = Duration::from_secs(60);

/// Runs for so many seconds, and until there was every kind of fault and of run. Fails if two
/// commands were alive at once in one slot, if a loss was not noticed, if a token is not larger
/// than the earlier ones, or if anything is left at the end.
pub(crate) fn chaos(seconds: u64, seed: u64, kind: Kind) {
    let slots = kind.slots;
    report::begin(seed, seconds, kind);
    let mut dice = Dice::new(seed);
    let mut world = World::new(&mut dice, kind);
    let mut nemesis = Nemesis::new(dice.split());
    let mut audit = Audit::of(keys(slots));
    let mut stragglers = Stragglers::default();
    let lag = Lag::watch(world.journal.clone());
    let begun = clock::now();
    let mut go_on = || {
        world.crowd.go_on(&world.cluster);
        nemesis.go_on(&mut world);
        audit.go_on(&world.cluster, &world.promise, &world.crowd);
        stragglers.go_on(world.cluster.dir(), &world.crowd);
        (nemesis.missing().is_empty() && world.crowd.unwanted().is_empty()).then_some(())
    };
    let _ = clock::within(Duration::from_secs(seconds), || go_on().and(None::<()>));
    let _ = clock::within(UNTIL_ALL_IS_IN, go_on);
    let (missing, unwanted) = (nemesis.missing(), world.crowd.unwanted());
    let left = ending::end(&mut world, &mut nemesis, slots);
    let sections = history::sections(world.cluster.dir());
    let has_slot = |section: &Section| (1..=slots).contains(&section.slot);
    assert!(sections.iter().all(has_slot), "there are {slots} slots, and no others: {sections:?}");
    let verdict = Verdict {
        seed,
        seconds,
        kind,
        sections: sections.len(),
        unnoticed: audit.unnoticed(&sections, world.crowd.succeeded()),
        overlaps: checker::overlaps(by_name(&sections, world.crowd.begun())),
        fences: fenced::verdict(world.cluster.dir(), &warned(&world)),
        left,
        faults: nemesis.counts().clone(),
        wanted: world.crowd.wanted(),
        ends: world.crowd.ends().clone(),
        odd: world.crowd.odd().to_vec(),
        longest_lag_ms: lag.longest_ms(),
    };
    report::verdict(&verdict);
    if !verdict.is_good() {
        report::interleaving(&verdict, &world, begun);
    }
    assert!(verdict.is_good(), "the chaos run with seed {seed} and {kind:?} failed");
    assert!(verdict.sections as u64 >= seconds / 4, "so few commands ran that nothing is shown");
    assert!(missing.is_empty(), "these faults were never made: {missing:?}");
    assert!(unwanted.is_empty(), "no command ran that wanted {unwanted:?}");
}

/// The contenders that printed the notice that the counters of the fence begin anew.
fn warned(world: &World) -> BTreeSet<u32> {
    let says = ["the counters begin anew", "the first fencing token"];
    let is_told = |id: &u32| {
        let entries = world.journal.about(*id);
        entries.iter().any(|entry| says.iter().any(|words| entry.text.contains(words)))
    };
    world.crowd.begun().keys().copied().filter(is_told).collect()
}

/// The keys of the locks of a run with so many slots.
fn keys(slots: usize) -> Vec<String> {
    let numbered = (2..=slots).map(|slot| format!("{}#{slot}", key_of(NAME)));
    [key_of(NAME), key_of(SIDE)].into_iter().chain(numbered).collect()
}

/// The sections by slot. The second name counts as a further slot, and a run of both names has a
/// section in each.
fn by_name(sections: &[Section], plans: &BTreeMap<u32, Plan>) -> Vec<Section> {
    const OF_THE_OTHER: usize = 0;
    let places = |section: &Section| match plans.get(&section.id).map(|plan| plan.names) {
        Some(Names::Main) => vec![section.slot],
        Some(Names::Side) => vec![OF_THE_OTHER],
        // A run without a plan counts for both names.
        Some(Names::Both) | None => vec![section.slot, OF_THE_OTHER],
    };
    sections
        .iter()
        .flat_map(|section| places(section).into_iter().map(|slot| Section { slot, ..*section }))
        .collect()
}
