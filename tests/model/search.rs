//! The search: breadth first, so that the first fault found is a shortest one.

use super::checks::{Judgement, Wrong, judge};
use super::mutants::Rule;
use super::state::State;
use super::steps::{Bounds, Step, successors};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// The result of a search.
#[derive(Debug)]
pub(super) struct Found {
    /// Number of states.
    pub(super) states: usize,
    /// States in which redlock says that the order begins anew.
    pub(super) warned: usize,
    /// Length of the longest way, or of the way to the fault.
    pub(super) depth: usize,
    /// The fault.
    pub(super) wrong: Option<Wrong>,
    /// Whether the search has seen all.
    pub(super) is_complete: bool,
}

/// Searches from `start` until `most` states are seen.
pub(super) fn search(start: State, rule: Rule, bounds: Bounds, most: usize) -> Found {
    let is_traced = std::env::var_os("TRACE").is_some();
    let mut seen = Seen::default();
    let mut ways: HashMap<u128, (State, Step)> = HashMap::new();
    let mut found = Found { states: 1, warned: 0, depth: 0, wrong: None, is_complete: false };
    let mut level = vec![start];
    seen.insert(start.packed());
    let mut out = vec![];
    while !level.is_empty() {
        found.depth += 1;
        let mut next_level = vec![];
        for state in &level {
            successors(state, rule, bounds, &mut out);
            for (step, mut next) in out.drain(..) {
                let judgement = judge(&mut next);
                if !seen.insert(next.packed()) {
                    continue;
                }
                found.states += 1;
                if is_traced {
                    ways.insert(next.packed(), (*state, step));
                }
                match judgement {
                    Judgement::Fine => next_level.push(next),
                    Judgement::Warned => found.warned += 1,
                    Judgement::Wrong(wrong) => {
                        trace(&ways, next);
                        return Found { wrong: Some(wrong), ..found };
                    }
                }
            }
            if found.states >= most {
                return found;
            }
        }
        level = next_level;
    }
    Found { is_complete: true, ..found }
}

/// Prints the way to a state, if asked to.
fn trace(ways: &HashMap<u128, (State, Step)>, state: State) {
    let mut steps = vec![];
    let mut at = state;
    while let Some((before, step)) = ways.get(&at.packed()) {
        steps.push(format!("{step:?} in {:?}", before.instances));
        at = *before;
    }
    steps.iter().rev().for_each(|step| eprintln!("  {step}"));
}

/// Numbers of states are spread by a multiplication; the standard hash takes most of the time.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    fn write_u128(&mut self, number: u128) {
        let mixed = (number as u64 ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let high = ((number >> 64) as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
        let mixed = mixed ^ high.rotate_left(29);
        self.0 = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

type Seen = HashSet<u128, BuildHasherDefault<Spread>>;
