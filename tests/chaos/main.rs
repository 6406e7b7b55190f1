//! The chaos run: many redlock processes contend for one name on five real servers, while a nemesis
//! causes every fault that the promise allows. No two commands may have been alive at once in one
//! slot, and nothing may be left at the end.
//!
//! `make chaos SECONDS=60 SEED=… SLOTS=… FENCE=1 STEPS=…` runs the long one. The short ones are
//! among the other tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod audit;
mod checker;
mod command;
mod contender;
mod crowd;
mod dice;
mod ending;
mod fenced;
mod history;
mod journal;
mod lag;
mod nemesis;
mod promise;
mod report;
mod run;
mod steps;
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the integration tests, which use all of it"
)]
#[path = "../integration/support/mod.rs"]
mod support;
mod world;

use contender::Kind;

/// Not a test: redlock's command in the chaos run is this program with this test alone. Without
/// orders in the environment, it does nothing.
#[test]
fn command_mode() {
    command::obey();
}

#[test]
fn a_short_chaos_run_finds_no_overlap() {
    run::chaos(8, 20_260_101, Kind::with_slots(1));
}

#[test]
fn a_short_chaos_run_with_two_slots_finds_no_overlap() {
    run::chaos(8, 20_260_102, Kind::with_slots(2));
}

#[test]
fn a_short_chaos_run_with_tokens_finds_no_overlap_and_only_tokens_that_rise() {
    run::chaos(8, 20_260_103, Kind::with_tokens());
}

#[test]
#[ignore = "takes as long as it is told: make chaos SECONDS=60"]
fn chaos_finds_no_overlap() {
    let told = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let number = |name| {
        told(name)
            .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let seconds = number("REDLOCK_CHAOS_SECONDS").unwrap_or(60);
    let seed = number("REDLOCK_CHAOS_SEED").unwrap_or_else(dice::fresh_seed);
    let slots = number("REDLOCK_CHAOS_SLOTS").unwrap_or(1);
    let is_fenced = number("REDLOCK_CHAOS_FENCE").unwrap_or(0) > 0;
    assert!(slots == 1 || !is_fenced, "the holders of slots have no order, and so no tokens");
    let slots = usize::try_from(slots).expect("a small number");
    let kind = if is_fenced { Kind::with_tokens() } else { Kind::with_slots(slots) };
    let steps = number("REDLOCK_CHAOS_STEPS").filter(|_| !is_fenced).unwrap_or(kind.steps);
    run::chaos(seconds, seed, Kind { steps, ..kind });
}
