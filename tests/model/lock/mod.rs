//! The lock, searched exhaustively in a small world: three instances, two clients, and every order
//! in which requests are executed, replies are heard, keys expire, and instances forget.
//!
//! What decides is redlock's own: `Acquisition` (with `Tally`, `Memory`, `RestartGuard`, `HeldLock`)
//! counts votes and gives back, `Extender` (with `HeldLock`, `InstanceLease`) sends rounds and takes
//! answers, `Schedule` has the start line. The model has the servers, the connections, the clocks,
//! and the command, which ends with the deadline of `HeldLock`.
//!
//! | left out | why no fault is lost |
//! |---|---|
//! | exact moments | a tick is a third of a lease; within a tick every order is tried; a key may expire as early as the drift allows |
//! | when an extension, a retry or a release is due | a client may send them at any moment, or never |
//! | freezes, delays, lost replies | a step that is possible need not happen before any other |
//! | the queue, back-off, slots, names | they choose moments, and every moment is tried |
//! | the mark of a server that lost its memory | it is made at once, which is the earliest: the vote counts again as early as possible |
//! | what a client learned of a memory in an earlier attempt | each attempt believes the mark alone |
//! | revocations, clock steps, other hosts' settings | the simulator has them |
//!
//! `TRACE=1` prints the shortest way to the fault of each broken rule. `make model` searches until
//! all states are seen, or millions of them.

mod checks;
mod client;
mod clock;
mod knowledge;
mod mutants;
mod server;
mod starts;
mod state;
mod steps;
mod words;

use crate::search::{Found, Judgement, Model, search};
use checks::Wrong;
use mutants::Rule;
use starts::{FROM_THE_BEGINNING, Start, WITHIN_A_STORY};
use state::State;
use steps::Step;

/// A search by `make model` ends here if it has not seen all states.
const ENOUGH: usize = 10_000_000;

/// The lock under a rule, from a start.
struct Lock<'a> {
    start: &'a Start,
    rule: Rule,
}

impl Model for Lock<'_> {
    type State = State;
    type Step = Step;
    type Wrong = Wrong;

    fn successors(&self, state: &State, out: &mut Vec<(Step, State)>) {
        steps::successors(state, self.rule, self.start.bounds(), out);
    }

    fn sorted(&self, state: &State) -> State {
        state.sorted(self.start.bounds().are_clients_alike())
    }

    fn judge(&self, state: &mut State) -> Judgement<Wrong> {
        checks::judge(state, self.rule, self.start.bounds())
    }

    fn stuck(&self, state: &State, steps: &[(Step, State)]) -> Option<Wrong> {
        (!checks::ends(state, steps, self.rule)).then_some(Wrong::Stuck)
    }

    fn story(&self) -> Vec<String> {
        let states = self.start.states(self.rule);
        let steps = self.start.steps().zip(states.windows(2));
        steps.map(|(step, pair)| self.told(&pair[0], step, &pair[1])).collect()
    }

    fn told(&self, before: &State, step: Step, after: &State) -> String {
        words::told(before, step, after, self.rule)
    }
}

/// Searches from each of `starts`, until `most` states are seen.
fn holds(starts: &[Start], most: usize) {
    for start in starts {
        assert_eq!(searched(start, Rule::Own, most).wrong, None, "{}", start.label);
    }
}

fn searched(start: &Start, rule: Rule, most: usize) -> Found<Wrong> {
    let begin = *start.states(rule).last().unwrap();
    let found = search(&Lock { start, rule }, begin, most);
    let Found { states, ended, depth, wrong, is_complete } = found;
    let whole = if is_complete { "all" } else { "the first" };
    let fault = wrong.map_or("no fault".into(), |wrong| format!("{wrong:?}"));
    eprintln!(
        "{rule:?}, {}: {fault} in {whole} {states} states, {depth} steps deep, {ended} beyond the promise",
        start.label
    );
    found
}

#[test]
fn no_two_clients_hold_the_lock_and_no_key_is_left() {
    holds(&FROM_THE_BEGINNING, 20_000);
}

#[test]
fn no_two_clients_hold_the_lock_in_the_stories_that_end_badly_under_a_broken_rule() {
    holds(&WITHIN_A_STORY, 10_000);
}

#[test]
#[ignore = "millions of states: make model"]
fn no_two_clients_hold_the_lock_in_all_states() {
    holds(&FROM_THE_BEGINNING, ENOUGH);
}

#[test]
#[ignore = "millions of states: make model"]
fn no_two_clients_hold_the_lock_in_all_states_of_the_stories() {
    holds(&WITHIN_A_STORY, ENOUGH);
}

/// Broken rules, and the start from which each lets two clients in.
const LETS_TWO_IN: [(Rule, Start); 13] = [
    (Rule::TooManyForget, starts::HELD_AND_DELETED),
    (Rule::LeaseFromReceipt, starts::SLOW_REPLIES),
    (Rule::LargestLease, starts::EXTENDED),
    (Rule::HalfQuorum, starts::PLAIN),
    (Rule::BlindStart, starts::FROZEN),
    (Rule::NoGuardian, starts::HELD_BY_TWO),
    (Rule::NoGuard, starts::HELD_AND_FLUSHED),
    (Rule::ShortGuard, starts::HELD_AND_FLUSHED),
    (Rule::ReleaseWithoutCompare, starts::HELD_AND_TRIED),
    (Rule::SameNonce, starts::OLD_CONNECTION),
    (Rule::LateVoteCounts, starts::LATE_MEMBER),
    (Rule::LoneKeyCounts, starts::LONE_KEY),
    (Rule::EarlierConfirmations, starts::LATE_CONFIRMATIONS),
];

#[test]
fn every_broken_rule_that_lets_two_clients_in_is_found() {
    for (rule, start) in LETS_TWO_IN {
        let found = searched(&start, rule, 100_000);
        assert_eq!(found.wrong, Some(Wrong::TwoHolders), "{rule:?}: {found:?}");
    }
}

/// Broken rules that leave a key behind, and the start from which each does.
const LEAVES_A_KEY: [(Rule, Start); 3] = [
    (Rule::SilentKeepsKey, starts::PLAIN),
    (Rule::ReleaseOvertakes, starts::PLAIN),
    (Rule::BreakForgetsValue, starts::BROKEN_AND_TRIED),
];

#[test]
fn every_broken_rule_that_leaves_a_key_or_a_client_behind_is_found() {
    for (rule, start) in LEAVES_A_KEY {
        let found = searched(&start, rule, 100_000);
        assert!(matches!(found.wrong, Some(Wrong::KeyLeft { .. })), "{rule:?}: {found:?}");
    }
    let found = searched(&starts::BROKEN, Rule::NoTimeLimit, 100_000);
    assert_eq!(found.wrong, Some(Wrong::Stuck), "{found:?}");
}
