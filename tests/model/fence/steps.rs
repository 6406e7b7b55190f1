//! The steps of the model. An instance answers by `FenceRegister`, a client decides by
//! `FenceTally`. A mutant changes one of the two.

use super::mutants::Rule;
use super::state::{
    ATTEMPTS, Attempt, Counter, Decision, INSTANCES, Instance, QUORUM, Sent, State,
};
use redlock_cli::lock::{
    ClusterSize, FenceCounter, FenceRegister, FenceTally, FenceToken, FenceVerdict, FenceVote,
    LackingCounter, NoVoteReason, Proposal,
};

/// One step. Attempts and instances by their numbers in the state before the step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Start {
        attempt: usize,
        token: u8,
    },
    ExecuteProposal {
        attempt: usize,
        instance: usize,
    },
    /// The client decides on the replies of these instances.
    Bootstrap {
        attempt: usize,
        heard: [bool; INSTANCES],
    },
    ExecuteRaise {
        attempt: usize,
        instance: usize,
    },
    /// The client decides after the second step, on all its replies or on a quorum of them.
    Decide {
        attempt: usize,
        hears_all: bool,
    },
    /// Of a mutant: the holder writes a lost counter back.
    Repair {
        attempt: usize,
        instance: usize,
    },
    Expire {
        instance: usize,
    },
    /// FLUSHALL, or a restart without a disk.
    Lose {
        instance: usize,
    },
    /// The restart guard of an instance that lost its memory ends, and so has every lease from
    /// before the loss.
    Age {
        instance: usize,
    },
    /// A restart with the saved counter, or with the present one.
    Restart {
        instance: usize,
        is_rolled_back: bool,
        keeps_key: bool,
    },
}

/// Limits of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) clients: usize,
    /// Smallest and largest token that a client proposes.
    pub(super) tokens: (u8, u8),
}

/// All steps from `state`, with the states that they lead to.
pub(super) fn successors(state: &State, rule: Rule, bounds: Bounds, out: &mut Vec<(Step, State)>) {
    let mut add = |step, next: Option<State>| out.extend(next.map(|next| (step, next)));
    for attempt in 0..bounds.clients {
        if state.attempts[attempt].token == 0 {
            // Attempts are interchangeable, so they start in their order.
            let tokens = if rule == Rule::Increment { (1, 1) } else { bounds.tokens };
            for token in tokens.0..=tokens.1 {
                let mut next = *state;
                next.attempts[attempt] = Attempt { token, ..Attempt::default() };
                add(Step::Start { attempt, token }, Some(next));
            }
            break;
        }
    }
    for attempt in (0..bounds.clients).filter(|attempt| state.attempts[*attempt].token > 0) {
        for instance in 0..INSTANCES {
            let step = Step::ExecuteProposal { attempt, instance };
            add(step, propose(state, rule, attempt, instance));
            let step = Step::ExecuteRaise { attempt, instance };
            add(step, raise(state, rule, attempt, instance));
            let step = Step::Repair { attempt, instance };
            add(step, repair(state, rule, attempt, instance));
        }
        let lacks = |instance: &Instance| instance.sent[attempt] == Sent::Lacking;
        let masks = if state.instances.iter().any(lacks) { 1 << INSTANCES } else { 0 };
        for mask in 1..masks {
            let heard = std::array::from_fn(|instance| mask & (1 << instance) != 0);
            add(Step::Bootstrap { attempt, heard }, bootstrap(state, rule, attempt, heard));
        }
    }
    for attempt in 0..bounds.clients {
        for hears_all in [true, false] {
            add(Step::Decide { attempt, hears_all }, decide(state, rule, attempt, hears_all));
        }
    }
    for instance in 0..INSTANCES {
        faults(state, instance, &mut add);
    }
}

fn faults(state: &State, at: usize, add: &mut impl FnMut(Step, Option<State>)) {
    let change = |change: &dyn Fn(&mut State, &mut Instance)| {
        let mut next = *state;
        let mut instance = next.instances[at];
        change(&mut next, &mut instance);
        next.instances[at] = instance;
        Some(next)
    };
    if state.instances[at].key.is_some() {
        add(Step::Expire { instance: at }, change(&|_, instance| instance.key = None));
    }
    if state.losses > 0 {
        let lose = |next: &mut State, instance: &mut Instance| {
            next.losses -= 1;
            (instance.key, instance.counter, instance.saved) = (None, None, None);
            instance.is_young = true;
        };
        add(Step::Lose { instance: at }, change(&lose));
    }
    if state.instances[at].is_young {
        let age = |next: &mut State, instance: &mut Instance| {
            instance.is_young = false;
            for number in 0..ATTEMPTS {
                let is_over = instance.has_voted(number) && !state.believes(number);
                next.attempts[number].is_over |= is_over;
            }
        };
        add(Step::Age { instance: at }, change(&age));
    }
    if state.restarts > 0 {
        for (is_rolled_back, keeps_key) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let restart = |next: &mut State, instance: &mut Instance| {
                next.restarts -= 1;
                instance.run += 1;
                if is_rolled_back {
                    instance.counter = instance.saved;
                }
                instance.key = instance.key.filter(|_| keeps_key);
            };
            let step = Step::Restart { instance: at, is_rolled_back, keeps_key };
            add(step, change(&restart));
        }
    }
}

/// `instance` executes the proposal of `attempt`.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime")]
fn propose(state: &State, rule: Rule, attempt: usize, instance: usize) -> Option<State> {
    let mut next = *state;
    let place = &mut next.instances[instance];
    if place.sent[attempt] != Sent::Proposed {
        return None;
    }
    let token = state.attempts[attempt].token;
    place.sent[attempt] = match rule.propose(place, attempt, token) {
        Some(_) if place.is_young => Sent::Young,
        Some(vote) => vote,
        None => match on_register(place, attempt, token, |register, own| register.propose(own)) {
            FenceVote::Raised | FenceVote::Lacking(_) if place.is_young => Sent::Young,
            FenceVote::Raised => Sent::Raised,
            FenceVote::Lacking(_) => Sent::Lacking,
            FenceVote::Stale(_) | FenceVote::NotOurs | FenceVote::Unknown(_) => Sent::Nothing,
        },
    };
    if rule == Rule::Increment && !state.believes(attempt) && place.sent[attempt] == Sent::Raised {
        let own = place.counter.map_or(0, |counter| counter.token);
        next.attempts[attempt].token = token.max(own);
    }
    Some(next)
}

/// `instance` executes the second step of `attempt`.
fn raise(state: &State, rule: Rule, attempt: usize, instance: usize) -> Option<State> {
    let mut next = *state;
    let place = &mut next.instances[instance];
    let is_young = place.sent[attempt] == Sent::YoungRaising;
    if place.sent[attempt] != Sent::Raising && !is_young {
        return None;
    }
    let token = state.attempts[attempt].token;
    place.sent[attempt] = match rule.raise(place, attempt, token) {
        Some(vote) => vote,
        None => match on_register(place, attempt, token, |register, own| register.raise(own, &[0]))
        {
            FenceVote::Raised if !is_young => Sent::Confirmed,
            _ => Sent::Nothing,
        },
    };
    Some(next)
}

/// The client of `attempt` begins the second step, if the replies of the `heard` instances require
/// it.
fn bootstrap(state: &State, rule: Rule, attempt: usize, heard: [bool; INSTANCES]) -> Option<State> {
    let sent = |instance: usize| state.instances[instance].sent[attempt];
    let has_begun =
        (0..INSTANCES).any(|other| matches!(sent(other), Sent::Raising | Sent::Confirmed));
    let is_answered =
        |instance: usize| matches!(sent(instance), Sent::Raised | Sent::Lacking | Sent::Young);
    if has_begun || (0..INSTANCES).any(|other| heard[other] && !is_answered(other)) {
        return None;
    }
    let mut tally = FenceTally::new(ClusterSize::redlock(INSTANCES).unwrap());
    for instance in (0..INSTANCES).filter(|instance| heard[*instance]) {
        tally.record(instance, heard_vote(state, attempt, instance));
    }
    let mut next = *state;
    let asked = match tally.verdict() {
        FenceVerdict::Bootstrap => {
            let asked = tally.begin_raise();
            if !tally.may_be_first_use() && !rule.is_silent() {
                next.attempts[attempt].decision = Decision::Warned;
            }
            asked.into_iter().map(|(asked, _)| asked).collect()
        }
        _ => rule.bootstrap(&tally)?,
    };
    for instance in asked {
        next.instances[instance].sent[attempt] = Sent::Raising;
    }
    for instance in (0..INSTANCES).filter(|other| heard[*other] && sent(*other) == Sent::Young) {
        next.instances[instance].sent[attempt] = Sent::YoungRaising;
    }
    Some(next)
}

/// The client of `attempt` acquires the lock after the second step.
fn decide(state: &State, rule: Rule, attempt: usize, hears_all: bool) -> Option<State> {
    let confirmed = state.raised_late(attempt);
    let is_due = confirmed > 0
        && state.votes(attempt) >= QUORUM
        && state.attempts[attempt].decision == Decision::None
        && (!hears_all || confirmed == INSTANCES);
    if !is_due {
        return None;
    }
    // A client that asked all instances knows that each lacks the counter.
    let mut tally = FenceTally::new(ClusterSize::redlock(INSTANCES).unwrap());
    let lacking = || FenceVote::Lacking(vec![LackingCounter { key: 0, earlier: None }]);
    (0..INSTANCES).for_each(|instance| tally.record(instance, lacking()));
    tally.begin_raise();
    let heard = if hears_all { INSTANCES } else { QUORUM };
    (0..heard).for_each(|instance| tally.record(instance, FenceVote::Raised));
    assert_eq!(tally.verdict(), FenceVerdict::Raised);
    let mut next = *state;
    let says_nothing = rule.is_silent() && rule != Rule::LateWarning;
    next.attempts[attempt].decision =
        if tally.is_first_use() || says_nothing { Decision::FirstUse } else { Decision::Warned };
    Some(next)
}

/// The vote that the client received from `instance`. A lacking counter may be one of an earlier
/// start of the server. The client forgets that here, which is the weaker knowledge, unless there
/// never was a counter.
fn heard_vote(state: &State, attempt: usize, instance: usize) -> FenceVote {
    match state.instances[instance].sent[attempt] {
        Sent::Raised => FenceVote::Raised,
        Sent::Young => FenceVote::Unknown(NoVoteReason::TimedOut),
        _ => FenceVote::Lacking(vec![LackingCounter { key: 0, earlier: None }]),
    }
}

/// Of a mutant: the holder writes its token to an instance that lacked a counter.
fn repair(state: &State, rule: Rule, attempt: usize, instance: usize) -> Option<State> {
    let is_due = state.instances[instance].sent[attempt] == Sent::Lacking
        && state.believes(attempt)
        && rule == Rule::Repair;
    let mut next = *state;
    next.instances[instance].sent[attempt] = Sent::Raising;
    is_due.then_some(next)
}

/// Runs a step of redlock's own rule on one instance.
fn on_register(
    place: &mut Instance,
    attempt: usize,
    token: u8,
    step: fn(&mut FenceRegister<'_, u8>, &Proposal<u8>) -> FenceVote,
) -> FenceVote {
    let before = place.counter;
    let mut keys = [place.key];
    let mut counters = [place.counter.map(|counter| FenceCounter {
        token: FenceToken::new(counter.token.into()).unwrap(),
        nonce: counter.nonce,
        run_id: Some(counter.run),
    })];
    let mut register =
        FenceRegister { keys: &mut keys, counters: &mut counters, run_id: Some(place.run) };
    let proposal = Proposal {
        token: FenceToken::new(token.into()).unwrap(),
        nonce: u8::try_from(attempt).unwrap(),
    };
    let vote = step(&mut register, &proposal);
    place.key = keys[0];
    place.counter = counters[0].as_ref().map(|counter| Counter {
        token: u8::try_from(counter.token.get()).unwrap(),
        nonce: counter.nonce,
        run: counter.run_id.unwrap(),
    });
    if place.counter != before {
        place.saved = before;
    }
    vote
}

const _: () = assert!(ATTEMPTS == INSTANCES, "a nonce of 3 is that of no attempt");
