//! The search: breadth first, so that the first fault found is a shortest one.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A model: the steps from each state, and the judgement of a state.
pub(super) trait Model {
    /// A state.
    type State: Copy + Eq + Hash;
    /// A step from one state to another.
    type Step: Copy;
    /// The fault of a state.
    type Wrong: Debug;

    /// All steps from `state`, with the states that they lead to.
    fn successors(&self, state: &Self::State, out: &mut Vec<(Self::Step, Self::State)>);

    /// The state that stands for all states that differ from `state` only in names.
    fn sorted(&self, state: &Self::State) -> Self::State;

    /// Judges `state`. May note in it what later judgements need.
    fn judge(&self, state: &mut Self::State) -> Judgement<Self::Wrong>;

    /// The fault of a state from which only `steps` are possible, if any.
    fn stuck(
        &self,
        _state: &Self::State,
        _steps: &[(Self::Step, Self::State)],
    ) -> Option<Self::Wrong> {
        None
    }

    /// The steps before the search, in words.
    fn story(&self) -> Vec<String> {
        vec![]
    }

    /// A step in words.
    fn told(&self, before: &Self::State, step: Self::Step, after: &Self::State) -> String;
}

/// The verdict on a state.
#[derive(Debug)]
pub(super) enum Judgement<Wrong> {
    Fine,
    /// The promise ends in this state, and so does the search from it.
    Ended,
    Wrong(Wrong),
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct Found<Wrong> {
    /// Number of states.
    pub(super) states: usize,
    /// States in which the promise ends.
    pub(super) ended: usize,
    /// Length of the longest path, or of the path to the fault.
    pub(super) depth: usize,
    /// The fault.
    pub(super) wrong: Option<Wrong>,
    /// Whether the search has seen all states.
    pub(super) is_complete: bool,
}

/// Searches from `start` until `most` states are seen. `TRACE=1` prints the path to a fault.
pub(super) fn search<M: Model>(model: &M, start: M::State, most: usize) -> Found<M::Wrong> {
    let is_traced = std::env::var_os("TRACE").is_some();
    let mut seen = Seen::default();
    let mut ways = HashMap::new();
    let mut found = Found { states: 1, ended: 0, depth: 0, wrong: None, is_complete: false };
    let first = model.sorted(&start);
    let mut level = vec![first];
    seen.insert(fingerprint(&first));
    let mut out = vec![];
    while !level.is_empty() {
        found.depth += 1;
        let mut next_level = vec![];
        for state in &level {
            model.successors(state, &mut out);
            if let Some(wrong) = model.stuck(state, &out) {
                trace(model, &ways, start, *state);
                return Found { wrong: Some(wrong), ..found };
            }
            for (_, next) in out.drain(..) {
                let mut next = model.sorted(&next);
                let judgement = model.judge(&mut next);
                let print = fingerprint(&next);
                if !seen.insert(print) {
                    continue;
                }
                found.states += 1;
                if is_traced {
                    ways.insert(print, *state);
                }
                match judgement {
                    Judgement::Fine => next_level.push(next),
                    Judgement::Ended => found.ended += 1,
                    Judgement::Wrong(wrong) => {
                        trace(model, &ways, start, next);
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

/// Prints the path from `start` to `last`, if it was noted. The noted states have sorted names, so
/// the steps are taken again with constant names.
fn trace<M: Model>(model: &M, ways: &HashMap<u64, M::State>, start: M::State, last: M::State) {
    let mut way = vec![last];
    while let Some(before) = way.last().and_then(|state| ways.get(&fingerprint(state))) {
        way.push(*before);
    }
    if way.len() == 1 {
        return;
    }
    model.story().iter().for_each(|line| eprintln!("  {line}"));
    let mut at = start;
    let mut out = vec![];
    for target in way.iter().rev().skip(1) {
        out.clear();
        model.successors(&at, &mut out);
        let is_target = |(_, next): &&(M::Step, M::State)| {
            let mut sorted = model.sorted(next);
            model.judge(&mut sorted);
            sorted == *target
        };
        let (step, mut next) = *out.iter().find(is_target).unwrap();
        model.judge(&mut next);
        eprintln!("  {}", model.told(&at, step, &next));
        at = next;
    }
}

/// A hash of 64 bits, which takes less memory than the state. In one of 3,700 searches with 100
/// million states, two states have the same hash, and the search misses the states after the second
/// one.
fn fingerprint(state: &impl Hash) -> u64 {
    let mut mix = Mix::default();
    state.hash(&mut mix);
    mix.finish()
}

/// The last step of `MurmurHash3`: each added number changes half of the bits. The standard hash
/// would take most of the time of a search.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = self.0.rotate_left(5) ^ number;
        let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        self.0 = mixed ^ (mixed >> 33);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are added")]
    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
        self.write_u64((number >> 64) as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.unsigned_abs() as u64);
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

type Seen = HashSet<u64, BuildHasherDefault<Same>>;
