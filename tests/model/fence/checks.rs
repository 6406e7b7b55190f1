//! The properties of every state.

use super::state::{ATTEMPTS, Decision, State};
use crate::search::Judgement;

/// The fault of a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrong {
    /// Two attempts that believe that they have the lock have the same token.
    SameToken(usize, usize),
    /// The second attempt acquired the lock after the first one, and its token is not larger.
    OutOfOrder(usize, usize),
    /// The first attempt has the lock, and the second one, without the lock, has a larger token.
    Overtaken(usize, usize),
}

/// Judges `state`, and notes which attempts acquire the lock in it.
pub(super) fn judge(state: &mut State) -> Judgement<Wrong> {
    note_holders(state);
    if state.attempts.iter().any(|one| one.decision == Decision::Warned) {
        return Judgement::Ended;
    }
    let believers = (0..ATTEMPTS).filter(|one| state.believes(*one));
    for one in believers.clone() {
        for other in believers.clone().filter(|other| *other != one) {
            let (own, their) = (state.attempts[one], state.attempts[other]);
            if own.token == their.token {
                return Judgement::Wrong(Wrong::SameToken(one, other));
            }
            if their.token > own.token && state.holds(one) {
                return Judgement::Wrong(Wrong::Overtaken(one, other));
            }
            let (before, after) = (own.place, their.place);
            if 0 < before && before < after && own.token >= their.token {
                return Judgement::Wrong(Wrong::OutOfOrder(one, other));
            }
        }
    }
    Judgement::Fine
}

fn note_holders(state: &mut State) {
    for one in 0..ATTEMPTS {
        if state.attempts[one].place == 0 && state.holds(one) {
            let last = state.attempts.iter().map(|attempt| attempt.place).max();
            state.attempts[one].place = last.unwrap_or(0) + 1;
        }
    }
}
