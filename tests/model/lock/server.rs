//! The execution of requests by an instance, and its faults: only the semantics of the scripts, and
//! no rule of the lock.

use super::mutants::Rule;
use super::state::{
    Answer, Aside, Ballot, Client, Connection, Extension, INSTANCES, Instance, Key, LEASE, OLD,
    Reply, State, Value,
};

/// A request as the instance reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Request {
    /// SET NX PX for this attempt.
    Acquire(u8),
    /// DEL of the value of this attempt.
    Release(u8),
    /// PEXPIRE if the value is ours, or SET if the key is missing.
    Extend { sets: bool },
}

/// The request with this number among those that a client issues.
const fn issued(place: u8) -> Request {
    let attempt = place / 2 + 1;
    if place.is_multiple_of(2) { Request::Acquire(attempt) } else { Request::Release(attempt) }
}

/// The next request on the connection of `client`. Strictly first in, first out.
pub(super) fn next(state: &State, client: usize, instance: usize) -> Option<Request> {
    let connection = &state.instances[instance].connections[client];
    match connection.extension {
        Extension::Sent { sets, .. } => Some(Request::Extend { sets }),
        _ => (connection.done < state.clients[client].issued).then(|| issued(connection.done)),
    }
}

/// `instance` executes the next request of `client`.
pub(super) fn execute(state: &State, rule: Rule, client: usize, at: usize) -> Option<State> {
    let request = next(state, client, at)?;
    let mut next = *state;
    let owner = next.clients[client];
    let instance = &mut next.instances[at];
    let value = |attempt| value(rule, client, attempt);
    let mut connection = instance.connections[client];
    let is_restarted = connection.is_stale && connection.is_new;
    if std::mem::take(&mut connection.is_new) {
        let is_owed = |key: &Key| {
            usize::from(key.value.client) == client && key.value != value(owner.attempt())
        };
        if instance.key.as_ref().is_some_and(is_owed) && rule != Rule::BreakForgetsValue {
            instance.key = None;
        }
        connection.was_broken &= connection.aside.is_some();
    }
    match request {
        Request::Acquire(attempt) => {
            connection.done += 1;
            let is_granted = instance.set(value(attempt));
            let is_current = owner.is_active() && owner.attempt() == attempt;
            // If the server restarted before the acquisition, it had no key to forget.
            connection.is_forgotten &= !is_granted;
            let ages = (instance.memory, host_age(instance.memory, owner));
            let reply = Reply { is_granted, ages, is_restarted };
            connection.ballot = if is_current { Ballot::Replied(reply) } else { Ballot::None };
        }
        Request::Release(attempt) => {
            connection.done += 1;
            let keeps = rule == Rule::SilentKeepsKey && connection.is_unasked;
            if !keeps {
                instance.delete(value(attempt), rule, next.faults.rollbacks > 0);
            }
        }
        Request::Extend { sets } => {
            let answer = instance.extend(value(owner.attempt()), sets);
            connection.is_forgotten &= !matches!(answer, Answer::SetAgain);
            connection.extension = match connection.extension {
                Extension::Sent { sent, .. } if owner.is_active() => {
                    Extension::Replied { answer, sent, is_restarted }
                }
                _ => Extension::None,
            };
        }
    }
    instance.connections[client] = connection;
    Some(next)
}

/// Of a mutant: the release takes the place of the acquisition, and is executed first.
pub(super) fn overtake(state: &State, client: usize, at: usize) -> Option<State> {
    let connection = &state.instances[at].connections[client];
    let is_next = matches!(next(state, client, at), Some(Request::Acquire(_)));
    let is_followed = connection.done + 1 < state.clients[client].issued;
    if !is_next || !is_followed {
        return None;
    }
    let mut overtaken = *state;
    let attempt = connection.done / 2 + 1;
    let instance = &mut overtaken.instances[at];
    instance.delete(value(Rule::Own, client, attempt), Rule::Own, false);
    instance.set(value(Rule::Own, client, attempt));
    instance.connections[client].done += 2;
    Some(overtaken)
}

/// `instance` executes the next request of a broken connection of `client`.
pub(super) fn execute_aside(state: &State, rule: Rule, client: usize, at: usize) -> Option<State> {
    let mut next = *state;
    let instance = &mut next.instances[at];
    let aside = instance.connections[client].aside?;
    let mut rest = aside;
    if let Some(sets) = aside.extension {
        rest.extension = None;
        let attempt = aside.done.div_ceil(2);
        instance.extend(value(rule, client, attempt), sets);
    } else {
        rest.done += 1;
        match issued(aside.done) {
            Request::Acquire(attempt) => drop(instance.set(value(rule, client, attempt))),
            Request::Release(attempt) => {
                instance.delete(value(rule, client, attempt), rule, false);
            }
            Request::Extend { .. } => {}
        }
    }
    let is_over = rest.done >= rest.issued && rest.extension.is_none();
    instance.connections[client].aside = (!is_over).then_some(rest);
    Some(next)
}

/// The value of an attempt.
fn value(rule: Rule, client: usize, attempt: u8) -> Value {
    let attempt = if rule == Rule::SameNonce { 1 } else { attempt };
    Value { client: u8::from(client == 1), attempt }
}

/// The age of a memory by the clock of the client, which is read before the request is written.
const fn host_age(memory: u8, client: Client) -> u8 {
    if memory == OLD { OLD } else { memory.saturating_sub(client.age) }
}

impl Instance {
    fn set(&mut self, value: Value) -> bool {
        let is_free = self.key.is_none();
        if is_free {
            self.key = Some(Key { value, left: LEASE });
        }
        is_free
    }

    fn delete(&mut self, value: Value, rule: Rule, is_dumped: bool) {
        let is_ours = |key: &Key| key.value == value || rule == Rule::ReleaseWithoutCompare;
        if let Some(key) = self.key.take_if(|key| is_ours(key)) {
            self.dumped = is_dumped.then_some(key);
        }
    }

    fn extend(&mut self, value: Value, sets: bool) -> Answer {
        match &mut self.key {
            Some(key) if key.value == value => {
                key.left = LEASE;
                Answer::Kept
            }
            Some(_) => Answer::Foreign,
            None if sets => {
                self.key = Some(Key { value, left: LEASE });
                Answer::SetAgain
            }
            None => Answer::Missing,
        }
    }

    /// Deletes the key. Its holder counts it as forgotten.
    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            self.connections[usize::from(key.value.client)].is_forgotten = true;
        }
    }
}

impl Connection {
    /// Ends the connection. The next one is a new one. `issued` is the client's.
    fn end(&mut self, issued: u8) {
        if issued == 0 {
            return;
        }
        self.done = issued;
        if matches!(self.extension, Extension::Sent { .. }) {
            self.extension = Extension::None;
        }
        (self.is_new, self.was_broken) = (true, true);
    }
}

/// The faults of `at`, with the states that they lead to.
pub(super) fn faults(state: &State, at: usize, mut add: impl FnMut(Fault, State)) {
    let faults = state.faults;
    let mut change = |fault: Fault, is_left: bool, change: &dyn Fn(&mut State, &mut Instance)| {
        if is_left {
            let mut next = *state;
            let mut instance = next.instances[at];
            change(&mut next, &mut instance);
            next.instances[at] = instance;
            add(fault, next);
        }
    };
    let key = state.instances[at].key;
    change(Fault::Delete, faults.deletions > 0 && key.is_some(), &|next, instance| {
        next.faults.deletions -= 1;
        instance.forget();
    });
    change(Fault::Flush, faults.flushes > 0, &|next, instance| {
        next.faults.flushes -= 1;
        instance.forget();
        instance.memory = 0;
    });
    change(Fault::RestartEmpty, faults.restarts > 0, &|next, instance| {
        next.faults.restarts -= 1;
        instance.forget();
        restart(next, instance);
    });
    change(Fault::RestartWithKeys, faults.restarts > 0, &|next, instance| {
        next.faults.restarts -= 1;
        restart(next, instance);
    });
    let dumped = state.instances[at].dumped;
    change(Fault::RestartFromDump, faults.rollbacks > 0 && dumped.is_some(), &|next, instance| {
        next.faults.rollbacks -= 1;
        instance.forget();
        instance.key = instance.dumped.take();
        restart(next, instance);
    });
    for client in 0..2 {
        let issued = state.clients[client].issued;
        change(Fault::Break(client), faults.breaks > 0 && issued > 0, &|next, instance| {
            next.faults.breaks -= 1;
            let connection = &mut instance.connections[client];
            let extension = match connection.extension {
                Extension::Sent { sets, .. } => Some(sets),
                _ => None,
            };
            let aside = Aside { extension, done: connection.done, issued };
            let is_empty = extension.is_none() && aside.done == issued;
            connection.aside = (!is_empty).then_some(aside);
            connection.end(issued);
            connection.extension = Extension::None;
            if matches!(connection.ballot, Ballot::Replied(_)) {
                connection.ballot = Ballot::None;
            }
        });
        let is_aside = state.instances[at].connections[client].aside.is_some();
        change(Fault::LoseAside(client), is_aside, &|_, instance| {
            instance.connections[client].aside = None;
        });
    }
}

/// Restarts the server. Requests that were not executed are lost, and the mark is that of another
/// start.
fn restart(state: &State, instance: &mut Instance) {
    instance.memory = 0;
    for (connection, client) in instance.connections.iter_mut().zip(&state.clients) {
        connection.end(client.issued);
        connection.aside = None;
        connection.is_stale = client.issued > 0;
    }
}

/// A fault of one instance, or of the connection of a client to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Delete,
    Flush,
    RestartEmpty,
    RestartWithKeys,
    RestartFromDump,
    Break(usize),
    LoseAside(usize),
}

/// A tick: all ages grow by one, and keys that may have expired a tick ago are deleted.
pub(super) fn tick(state: &mut State) {
    for instance in &mut state.instances {
        instance.memory = OLD.min(instance.memory + 1);
        for key in [&mut instance.key, &mut instance.dumped] {
            *key = key.filter(|key| key.left > 0);
            if let Some(key) = key {
                key.left -= 1;
            }
        }
    }
}

const _: () = assert!(INSTANCES == 3, "the words of a trace name three");
