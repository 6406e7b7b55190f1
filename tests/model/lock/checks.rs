//! The properties of every state.

use super::clock::size;
use super::mutants::Rule;
use super::state::{CLIENTS, INSTANCES, LEASE, Lease, Phase, State};
use super::steps::{Bounds, Step, tick};
use crate::search::Judgement;

/// The fault of a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrong {
    /// The commands of both clients may run.
    TwoHolders,
    /// The release of this client was executed on this instance, and the key is still there.
    KeyLeft { client: usize, instance: usize },
    /// Without further faults, a key is there although a TTL has passed since the last request.
    Stuck,
}

pub(super) fn judge(state: &State, rule: Rule, bounds: Bounds) -> Judgement<Wrong> {
    let is_limited = bounds.may_forget && rule != Rule::TooManyForget;
    if is_limited && (0..CLIENTS).any(|client| is_beyond_promise(state, client)) {
        return Judgement::Ended;
    }
    if (0..CLIENTS).all(|client| believes(state, client)) {
        return Judgement::Wrong(Wrong::TwoHolders);
    }
    let is_told_apart = rule != Rule::SameNonce;
    for client in (0..CLIENTS).filter(|_| is_told_apart) {
        for instance in 0..INSTANCES {
            if is_left(state, client, instance) {
                return Judgement::Wrong(Wrong::KeyLeft { client, instance });
            }
        }
    }
    Judgement::Fine
}

/// Whether the command of `client` may run. A command ends with its deadline: see `Step::Tick`.
fn believes(state: &State, client: usize) -> bool {
    match state.clients[client].phase {
        Phase::Running => true,
        Phase::Stopping(left) => left > 0,
        _ => false,
    }
}

/// A holder with m members is safe while fewer than m - (N - q) of them forget.
fn is_beyond_promise(state: &State, client: usize) -> bool {
    let is_member = |lease: Lease| matches!(lease, Lease::Held { .. });
    let connections = state.instances.iter().map(|instance| instance.connections[client]);
    let members = connections.filter(|connection| is_member(connection.lease));
    let kept = members.filter(|connection| !connection.is_forgotten).count();
    believes(state, client) && kept < size().blocking()
}

/// A connection that never broke must leave no key after the release.
fn is_left(state: &State, client: usize, instance: usize) -> bool {
    let connection = &state.instances[instance].connections[client];
    state.instances[instance].key.is_some_and(|key| {
        usize::from(key.value.client) == client
            && connection.done >= 2 * key.value.attempt
            && !connection.was_broken
    })
}

/// Whether a step must happen at some time, without any fault: a request is executed, a reply is
/// received, a time limit passes, a command ends.
const fn is_due(step: Step) -> bool {
    !matches!(
        step,
        Step::Begin { .. }
            | Step::Extend { .. }
            | Step::Expire { .. }
            | Step::Tick
            | Step::Fault { .. }
            | Step::Overtake { .. }
    )
}

/// Whether nothing is stuck in `state`, from which these `steps` are possible. Due steps are
/// bounded, so each comes nearer to a state without a due step. In such a state, every attempt must
/// have ended, and every key must be gone once its time has passed.
pub(super) fn ends(state: &State, steps: &[(Step, State)], rule: Rule) -> bool {
    if steps.iter().any(|(step, _)| is_due(*step)) {
        return true;
    }
    let is_over = |phase| matches!(phase, Phase::Idle | Phase::Released | Phase::Over);
    let later = (0..=LEASE).fold(*state, |state, _| tick(&state, rule));
    later.instances.iter().all(|instance| instance.key.is_none())
        && state.clients.iter().all(|client| is_over(client.phase))
}
