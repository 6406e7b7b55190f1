//! The search: breadth first, so that the first fault found is a shortest one.

use super::checks::{Judgement, Wrong, ends, judge};
use super::mutants::Rule;
use super::starts::Start;
use super::state::State;
use super::steps::{Step, successors};
use super::words;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The result of a search.
#[derive(Debug)]
pub(super) struct Found {
    /// Number of states.
    pub(super) states: usize,
    /// States in which too many members have forgotten.
    pub(super) beyond: usize,
    /// Length of the longest way, or of the way to the fault.
    pub(super) depth: usize,
    pub(super) wrong: Option<Wrong>,
    /// Whether the search has seen all.
    pub(super) is_complete: bool,
}

/// Searches from `start` until `most` states are seen.
pub(super) fn search(start: &Start, rule: Rule, most: usize) -> Found {
    let bounds = start.bounds();
    let is_traced = std::env::var_os("TRACE").is_some();
    let mut seen: HashSet<u64, BuildHasherDefault<Same>> = HashSet::default();
    let mut ways: HashMap<u64, State> = HashMap::new();
    let mut found = Found { states: 1, beyond: 0, depth: 0, wrong: None, is_complete: false };
    let begin = start.states(rule).last().unwrap().sorted(bounds.are_clients_alike());
    let mut level = vec![begin];
    seen.insert(fingerprint(&begin));
    let mut out = vec![];
    while !level.is_empty() {
        found.depth += 1;
        let mut next_level = vec![];
        for state in &level {
            successors(state, rule, bounds, &mut out);
            if !ends(state, &out, rule) {
                trace(&ways, start, *state, rule);
                return Found { wrong: Some(Wrong::Stuck), ..found };
            }
            for (_, next) in out.drain(..) {
                let next = next.sorted(bounds.are_clients_alike());
                if !seen.insert(fingerprint(&next)) {
                    continue;
                }
                found.states += 1;
                if is_traced {
                    ways.insert(fingerprint(&next), *state);
                }
                match judge(&next, rule, bounds) {
                    Judgement::BeyondPromise => found.beyond += 1,
                    Judgement::Fine => next_level.push(next),
                    Judgement::Wrong(wrong) => {
                        trace(&ways, start, next, rule);
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

/// Prints the story and the way to a state, if asked to. The states of the way have their instances
/// in any order, so its steps are taken once more, with instances that keep their names.
fn trace(ways: &HashMap<u64, State>, start: &Start, last: State, rule: Rule) {
    let bounds = start.bounds();
    let mut way = vec![last];
    while let Some(before) = way.last().and_then(|state| ways.get(&fingerprint(state))) {
        way.push(*before);
    }
    if way.len() == 1 {
        return;
    }
    let states = start.states(rule);
    for (step, pair) in start.steps().zip(states.windows(2)) {
        eprintln!("  {}", words::told(&pair[0], step, &pair[1], rule));
    }
    let mut at = *states.last().unwrap();
    let mut out: Vec<(Step, State)> = vec![];
    for target in way.iter().rev().skip(1) {
        out.clear();
        successors(&at, rule, bounds, &mut out);
        let is_target = |next: &State| next.sorted(bounds.are_clients_alike()) == *target;
        let (step, next) = out.iter().find(|(_, next)| is_target(next)).unwrap();
        eprintln!("  {}", words::told(&at, *step, next, rule));
        at = *next;
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut mix = Mix(0);
    state.hash(&mut mix);
    mix.finish()
}

/// Two multiplications for each 8 bytes.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Mix {
    fn add(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 ^= self.0 >> 29;
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.add(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(u64::from(number));
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number.unsigned_abs() as u64);
    }
}

/// A fingerprint is its own hash.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
