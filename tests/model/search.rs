//! The search: breadth first, so that the first fault found is a shortest one.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};

/// What is searched: the steps from each state, and the judgement of it.
pub(super) trait Model {
    /// A state. States that differ in names alone are to be one.
    type State: Copy + Debug;
    /// A step from one state to another, shown by a trace.
    type Step: Copy + Debug;
    /// The fault of a state.
    type Wrong: Debug;

    /// All steps from `state`, with the states that they lead to.
    fn successors(&self, state: &Self::State, out: &mut Vec<(Self::Step, Self::State)>);

    /// Judges `state`. May note in it what the judgement of later states needs.
    fn judge(&self, state: &mut Self::State) -> Judgement<Self::Wrong>;

    /// The state as a number, a different one for each state.
    fn packed(&self, state: &Self::State) -> u128;
}

/// The verdict on a state.
#[derive(Debug)]
pub(super) enum Judgement<Wrong> {
    Fine,
    /// The promise ends here, and redlock has said so: the search does not go on from here.
    Warned,
    Wrong(Wrong),
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct Found<Wrong> {
    /// Number of states.
    pub(super) states: usize,
    /// States in which redlock has said that the promise ends.
    pub(super) warned: usize,
    /// Length of the longest way, or of the way to the fault.
    pub(super) depth: usize,
    /// The fault.
    pub(super) wrong: Option<Wrong>,
    /// Whether the search has seen all.
    pub(super) is_complete: bool,
}

/// Searches from `start` until `most` states are seen. `TRACE=1` prints the way to a fault.
pub(super) fn search<M: Model>(model: &M, start: M::State, most: usize) -> Found<M::Wrong> {
    let is_traced = std::env::var_os("TRACE").is_some();
    let mut seen = Seen::default();
    let mut ways: HashMap<u128, (M::State, M::Step)> = HashMap::new();
    let mut found = Found { states: 1, warned: 0, depth: 0, wrong: None, is_complete: false };
    let mut level = vec![start];
    seen.insert(fingerprint(model.packed(&start)));
    let mut out = vec![];
    while !level.is_empty() {
        found.depth += 1;
        let mut next_level = vec![];
        for state in &level {
            model.successors(state, &mut out);
            for (step, mut next) in out.drain(..) {
                let judgement = model.judge(&mut next);
                let packed = model.packed(&next);
                if !seen.insert(fingerprint(packed)) {
                    continue;
                }
                found.states += 1;
                if is_traced {
                    ways.insert(packed, (*state, step));
                }
                match judgement {
                    Judgement::Fine => next_level.push(next),
                    Judgement::Warned => found.warned += 1,
                    Judgement::Wrong(wrong) => {
                        trace(model, &ways, next);
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

/// Prints the way to a state, if it was noted.
fn trace<M: Model>(model: &M, ways: &HashMap<u128, (M::State, M::Step)>, state: M::State) {
    let mut steps = vec![];
    let mut at = state;
    while let Some((before, step)) = ways.get(&model.packed(&at)) {
        steps.push(format!("{step:?} in {before:?}"));
        at = *before;
    }
    steps.iter().rev().for_each(|step| eprintln!("  {step}"));
}

/// 64 bits of a state, which take half the memory of the whole. Two of 100 million states have the
/// same ones once in 3,700 searches; the search then misses what only the second one leads to.
#[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
fn fingerprint(packed: u128) -> u64 {
    let low = mix(packed as u64);
    mix(low ^ (packed >> 64) as u64)
}

/// The last step of `MurmurHash3`: each bit of the number changes half of the bits of the result.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

/// A fingerprint is spread already; the standard hash would take most of the time.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type Seen = HashSet<u64, BuildHasherDefault<Spread>>;
