//! The steps of the model: of the clients, of the instances, of time, and the faults.

use super::client::{Attempt, Leases};
use super::knowledge::Heard;
use super::mutants::Rule;
use super::server::{self, Fault};
use super::state::{Ballot, CLIENTS, Extension, INSTANCES, LEASE, Lease, Phase, Stamp, State};

/// One step. Clients and instances by their numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// A client begins an attempt: SET to all instances.
    Begin {
        client: usize,
    },
    /// An instance executes the next request of a connection.
    Execute {
        client: usize,
        instance: usize,
    },
    /// Of a mutant: the release before the acquisition.
    Overtake {
        client: usize,
        instance: usize,
    },
    /// An instance executes the next request of a broken connection.
    ExecuteAside {
        client: usize,
        instance: usize,
    },
    /// A client receives the answer of an instance.
    Hear {
        client: usize,
        instance: usize,
    },
    /// The time limits of an attempt pass.
    TimeOut {
        client: usize,
    },
    /// The command starts, or is not started because the start line has passed.
    Launch {
        client: usize,
    },
    /// A round of extensions is sent.
    Extend {
        client: usize,
    },
    /// The command has ended, and the lock is being released.
    End {
        client: usize,
    },
    /// A key expires.
    Expire {
        instance: usize,
    },
    /// Time passes.
    Tick,
    Fault {
        fault: Fault,
        instance: usize,
    },
}

/// Limits of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Attempts of each client.
    pub(super) attempts: [u8; CLIENTS],
    /// Rounds of extensions of each client.
    pub(super) rounds: [u8; CLIENTS],
    /// Whether a state in which too many members of a holder have forgotten counts as beyond the
    /// promise.
    pub(super) may_forget: bool,
}

impl Bounds {
    pub(super) fn are_clients_alike(self) -> bool {
        self.attempts[0] == self.attempts[1] && self.rounds[0] == self.rounds[1]
    }
}

/// All steps from `state`, with the states that they lead to.
pub(super) fn successors(state: &State, rule: Rule, bounds: Bounds, out: &mut Vec<(Step, State)>) {
    let mut add = |step, next: Option<State>| out.extend(next.map(|next| (step, next)));
    for client in 0..CLIENTS {
        add(Step::Begin { client }, begin(state, bounds, client));
        for instance in 0..INSTANCES {
            let execute = server::execute(state, rule, client, instance);
            add(Step::Execute { client, instance }, execute);
            if rule == Rule::ReleaseOvertakes {
                let overtake = server::overtake(state, client, instance);
                add(Step::Overtake { client, instance }, overtake);
            }
            let aside = server::execute_aside(state, rule, client, instance);
            add(Step::ExecuteAside { client, instance }, aside);
            add(Step::Hear { client, instance }, hear(state, rule, client, instance));
        }
        add(Step::TimeOut { client }, time_out(state, rule, client));
        add(Step::Launch { client }, launch(state, rule, client));
        add(Step::Extend { client }, extend(state, rule, bounds, client));
        add(Step::End { client }, end(state, rule, client));
    }
    for instance in 0..INSTANCES {
        add(Step::Expire { instance }, expire(state, instance));
        server::faults(state, instance, |fault, next| {
            add(Step::Fault { fault, instance }, Some(next));
        });
    }
    add(Step::Tick, Some(tick(state, rule)));
    for (_, next) in out.iter_mut() {
        next.forget_what_is_over(bounds);
    }
}

fn begin(state: &State, bounds: Bounds, client: usize) -> Option<State> {
    let mut next = *state;
    let owner = &mut next.clients[client];
    let may_begin = matches!(owner.phase, Phase::Idle | Phase::Released);
    if !may_begin || owner.attempt() >= bounds.attempts[client] {
        return None;
    }
    (owner.phase, owner.age, owner.rounds) = (Phase::Voting, 0, 0);
    owner.issued += 1;
    for instance in 0..INSTANCES {
        next.connection(client, instance).is_forgotten = false;
    }
    Some(next)
}

/// `client` receives the answer of `instance`.
fn hear(state: &State, rule: Rule, client: usize, instance: usize) -> Option<State> {
    let connection = state.instances[instance].connections[client];
    let mut next = *state;
    match (connection.ballot, connection.extension) {
        (Ballot::Replied(reply), _) => {
            let place = next.connection(client, instance);
            place.is_stale &= !reply.is_restarted;
            if state.clients[client].phase == Phase::Voting {
                place.ballot = Ballot::Heard(reply);
                let attempt = state.count(rule, client, Some(instance));
                next.decide(rule, client, attempt);
            } else {
                place.ballot = Ballot::None;
                let (leases, _) = state.hear(rule, client, instance, Heard::Vote(reply));
                next.take(rule, client, state, leases);
            }
        }
        (_, Extension::Replied { answer, sent, is_restarted }) => {
            let place = next.connection(client, instance);
            place.is_stale &= !is_restarted;
            place.extension = Extension::None;
            let heard = Heard::Answer { answer, sent, is_restarted };
            let (leases, sets) = state.hear(rule, client, instance, heard);
            if sets {
                let sent = state.clients[client].now();
                let extension = Extension::Sent { sets: true, sent };
                next.connection(client, instance).extension = extension;
            }
            next.take(rule, client, state, leases);
        }
        _ => return None,
    }
    Some(next)
}

fn time_out(state: &State, rule: Rule, client: usize) -> Option<State> {
    let mut next = *state;
    if state.clients[client].phase != Phase::Voting || rule == Rule::NoTimeLimit {
        return None;
    }
    let attempt = state.count(rule, client, None);
    assert_ne!(attempt, Attempt::Pending, "an attempt ends with its time limits: {state:?}");
    next.decide(rule, client, attempt);
    Some(next)
}

fn launch(state: &State, rule: Rule, client: usize) -> Option<State> {
    if state.clients[client].phase != Phase::Acquired {
        return None;
    }
    let mut next = *state;
    if state.may_start(rule, client) {
        // A command that starts after its deadline runs for a moment before the guardian kills it.
        let is_over = state.ticks_left(rule, client).unwrap_or(0) == 0;
        next.clients[client].phase = if is_over { Phase::Stopping(1) } else { Phase::Running };
    } else {
        next.release(rule, client, Phase::Released);
    }
    Some(next)
}

/// `client` sends a round of extensions, except on a connection with a missing answer: the request
/// waits there until that is replaced.
fn extend(state: &State, rule: Rule, bounds: Bounds, client: usize) -> Option<State> {
    let owner = state.clients[client];
    if owner.phase != Phase::Running || owner.rounds >= bounds.rounds[client] {
        return None;
    }
    let mut next = *state;
    let rounds = owner.rounds + 1;
    next.clients[client].rounds = rounds;
    let sent = Stamp { age: 0, order: 2 * rounds };
    let is_asked = state.round(rule, client, sent);
    for instance in (0..INSTANCES).filter(|instance| is_asked[*instance]) {
        let connection = next.connection(client, instance);
        if !connection.is_busy(owner.issued) {
            connection.extension = Extension::Sent { sets: false, sent };
        }
    }
    Some(next)
}

/// The command of `client` has ended, and the lock is released.
fn end(state: &State, rule: Rule, client: usize) -> Option<State> {
    let mut next = *state;
    if !matches!(state.clients[client].phase, Phase::Running | Phase::Stopping(_)) {
        return None;
    }
    next.release(rule, client, Phase::Over);
    Some(next)
}

fn expire(state: &State, instance: usize) -> Option<State> {
    let mut next = *state;
    next.instances[instance].key.take_if(|key| key.left == 0)?;
    Some(next)
}

/// Time passes. The guardian ends a command at its deadline, whatever redlock does.
pub(super) fn tick(state: &State, rule: Rule) -> State {
    let mut next = *state;
    server::tick(&mut next);
    let older = |age: &mut u8| *age = LEASE.min(*age + 1);
    for client in &mut next.clients {
        if client.is_active() {
            older(&mut client.age);
        }
        if let Phase::Stopping(left) = &mut client.phase {
            *left = left.saturating_sub(1);
        }
    }
    for connection in next.instances.iter_mut().flat_map(|instance| &mut instance.connections) {
        connection.stamps().for_each(|stamp| older(&mut stamp.age));
    }
    for client in 0..CLIENTS {
        let is_running = next.clients[client].phase == Phase::Running;
        let is_over = || next.ticks_left(rule, client) == Some(0);
        if is_running && is_over() {
            let left = u8::from(rule == Rule::NoGuardian);
            next.clients[client].phase = Phase::Stopping(left);
        }
    }
    next
}

impl State {
    /// Applies the result of a vote or of a time limit to the attempt of `client`.
    fn decide(&mut self, rule: Rule, client: usize, attempt: Attempt) {
        match attempt {
            Attempt::Pending => {}
            Attempt::Failed => self.release(rule, client, Phase::Released),
            Attempt::Acquired(leases) => {
                self.clients[client].phase = Phase::Acquired;
                for (instance, lease) in leases.into_iter().enumerate() {
                    let connection = self.connection(client, instance);
                    connection.lease = lease;
                    if matches!(connection.ballot, Ballot::Heard(_)) {
                        connection.ballot = Ballot::None;
                    }
                }
            }
        }
    }

    /// Gives the holder these leases. If the lock is lost, the command is asked to end, and may run
    /// on until the deadline that the lock had in `before`.
    fn take(&mut self, rule: Rule, client: usize, before: &Self, leases: Leases) {
        for (instance, lease) in leases.into_iter().enumerate() {
            self.connection(client, instance).lease = lease;
        }
        if self.ticks_left(rule, client).is_some() {
            return;
        }
        match self.clients[client].phase {
            Phase::Acquired => self.release(rule, client, Phase::Released),
            Phase::Running => {
                let left = before.ticks_left(rule, client).unwrap_or(0);
                self.clients[client].phase = Phase::Stopping(left);
            }
            _ => {}
        }
    }

    /// Releases the attempt of `client` on all instances, also on those that have not answered.
    fn release(&mut self, rule: Rule, client: usize, phase: Phase) {
        let owner = &mut self.clients[client];
        let has_failed = phase == Phase::Released;
        (owner.phase, owner.age, owner.rounds) = (phase, 0, 0);
        owner.issued += 1;
        for instance in 0..INSTANCES {
            let connection = self.connection(client, instance);
            connection.is_unasked = rule == Rule::SilentKeepsKey
                && has_failed
                && !matches!(connection.ballot, Ballot::Heard(_));
            connection.ballot = Ballot::None;
            connection.lease = Lease::NotHeld;
            if matches!(connection.extension, Extension::Replied { .. }) {
                connection.extension = Extension::None;
            }
        }
    }

    /// Makes states equal that differ only in what has no effect any more.
    fn forget_what_is_over(&mut self, bounds: Bounds) {
        for client in 0..CLIENTS {
            let owner = &mut self.clients[client];
            if owner.phase == Phase::Released && owner.attempt() >= bounds.attempts[client] {
                owner.phase = Phase::Over;
            }
            let is_over = owner.phase == Phase::Over;
            let (issued, may_forget) = (owner.issued, bounds.may_forget);
            for instance in &mut self.instances {
                let connection = &mut instance.connections[client];
                connection.is_forgotten &= may_forget && !is_over;
                if is_over && connection.done >= issued {
                    connection.is_new = false;
                }
                connection.is_stale &= !is_over;
            }
        }
    }
}
