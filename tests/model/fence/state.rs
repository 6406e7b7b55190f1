//! The state of the model: three instances, and up to three attempts.
//!
//! An attempt is a client, or one of the attempts of a client. There is no time: a key expires, and
//! a request is executed, at any moment after it is due. So a release is an expiry, and a frozen
//! client is one whose requests are late. A lost reply is one that the client leaves out of its
//! decision.

use std::hash::{Hash, Hasher};

/// Number of instances.
pub(super) const INSTANCES: usize = 3;
/// The quorum.
pub(super) const QUORUM: usize = 2;
/// Largest number of attempts.
pub(super) const ATTEMPTS: usize = 3;
/// The nonce of a counter that no attempt has raised.
const NO_ATTEMPT: u8 = 3;
/// All orders of the attempts.
const ORDERS: [[usize; ATTEMPTS]; 6] =
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// A counter as it is stored: token, nonce, start of the server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Counter {
    pub(super) token: u8,
    pub(super) nonce: u8,
    pub(super) run: u8,
}

/// The progress of the requests of one attempt to one instance.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Sent {
    /// The proposal is not executed yet, or not sent.
    Proposed,
    /// Neither a lock vote nor a fence vote.
    Nothing,
    /// The proposal raised the counter.
    Raised,
    /// The proposal set the key and found no counter.
    Lacking,
    /// The proposal set the key on an instance that has lost its memory: no vote.
    Young,
    /// The same, and the second step is not executed yet.
    YoungRaising,
    /// The second step is not executed yet.
    Raising,
    /// The second step raised the counter.
    Confirmed,
}

/// One instance.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Instance {
    /// Attempt that holds the key.
    pub(super) key: Option<u8>,
    pub(super) counter: Option<Counter>,
    /// The counter before the last raise. A server that saved late restarts with this one.
    pub(super) saved: Option<Counter>,
    /// Start of the server.
    pub(super) run: u8,
    /// Whether it has lost its memory, so that the restart guard denies it a vote.
    pub(super) is_young: bool,
    pub(super) sent: [Sent; ATTEMPTS],
}

/// One attempt.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Attempt {
    /// The proposed token, from 1. 0 before the attempt.
    pub(super) token: u8,
    /// Its place among the attempts that a quorum of instances has given key and fence vote at one
    /// moment, from 1. 0 before that moment.
    pub(super) place: u8,
    /// The decision of its client about the second step.
    pub(super) decision: Decision,
    /// Whether its TTL has passed before it acquired the lock.
    pub(super) is_over: bool,
}

/// The decision of a client about the second step.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Decision {
    #[default]
    None,
    /// The second step is a first use of the lock.
    FirstUse,
    /// redlock warns that the order rests on the hosts' clocks: before the second step, or at the
    /// acquisition if the step turns out to be no first use.
    Warned,
}

/// A state of the model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct State {
    pub(super) instances: [Instance; INSTANCES],
    pub(super) attempts: [Attempt; ATTEMPTS],
    /// Instances that may still lose their memory.
    pub(super) losses: u8,
    /// Instances that may still restart with a saved counter.
    pub(super) restarts: u8,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u128(self.packed());
    }
}

impl State {
    /// Instances with these counters, which no attempt raised, and no attempt.
    pub(super) fn new(counters: [u8; INSTANCES], losses: u8, restarts: u8) -> Self {
        let instance = |token: u8| {
            let counter = (token > 0).then_some(Counter { token, nonce: NO_ATTEMPT, run: 0 });
            let sent = [Sent::Proposed; ATTEMPTS];
            Instance { key: None, counter, saved: counter, run: 0, is_young: false, sent }
        };
        Self {
            instances: counters.map(instance),
            attempts: [Attempt::default(); ATTEMPTS],
            losses,
            restarts,
        }
    }

    /// The state that stands for all states that differ from this one only in the names of
    /// instances, attempts, and starts of a server.
    pub(super) fn sorted(mut self) -> Self {
        for instance in &mut self.instances {
            if self.restarts == 0 {
                // Only a restart reads `saved`.
                instance.saved = None;
            }
            instance.forget_names();
        }
        // Attempts that have not begun stay last.
        let is_begun = |attempt: &usize| self.attempts[*attempt].token > 0;
        let orders =
            ORDERS.iter().filter(|order| order.is_sorted_by_key(|attempt| !is_begun(attempt)));
        orders.map(|order| self.with_attempts(order)).min_by_key(State::packed).unwrap_or(self)
    }

    /// The same state where attempt `order[0]` is the first, and so on.
    fn with_attempts(&self, order: &[usize; ATTEMPTS]) -> Self {
        let mut renamed = *self;
        renamed.attempts = order.map(|attempt| self.attempts[attempt]);
        for (instance, old) in renamed.instances.iter_mut().zip(&self.instances) {
            instance.sent = order.map(|attempt| old.sent[attempt]);
            let is_holder = |attempt: &usize| old.key == u8::try_from(*attempt).ok();
            let place = order.iter().position(is_holder);
            instance.key = place.and_then(|place| u8::try_from(place).ok());
        }
        renamed.instances.sort_unstable();
        renamed
    }

    /// Number of instances that gave `attempt` a fence vote.
    pub(super) fn votes(&self, attempt: usize) -> usize {
        self.instances.iter().filter(|instance| instance.has_voted(attempt)).count()
    }

    /// Whether `attempt` believes that it has the lock, if no reply is lost. After the second step,
    /// it believes so once its client has decided.
    pub(super) fn believes(&self, attempt: usize) -> bool {
        let has_two_steps = self.raised_late(attempt) > 0;
        let has_decided = self.attempts[attempt].decision != Decision::None;
        let is_over = self.attempts[attempt].is_over;
        self.votes(attempt) >= QUORUM && (!has_two_steps || has_decided) && !is_over
    }

    /// Number of instances that confirmed the second step of `attempt`.
    pub(super) fn raised_late(&self, attempt: usize) -> usize {
        let has = |instance: &&Instance| instance.sent[attempt] == Sent::Confirmed;
        self.instances.iter().filter(has).count()
    }

    /// Whether a quorum of instances has the key and the fence vote of `attempt`.
    pub(super) fn holds(&self, attempt: usize) -> bool {
        let has = |instance: &&Instance| {
            instance.has_voted(attempt) && instance.key == u8::try_from(attempt).ok()
        };
        self.instances.iter().filter(has).count() >= QUORUM && !self.attempts[attempt].is_over
    }

    /// The state as a number. Different states have different numbers.
    fn packed(&self) -> u128 {
        let mut number = 0_u128;
        let mut add = |value: u8, below: u8| {
            debug_assert!(value < below, "{value} of {below}");
            number = number * u128::from(below) + u128::from(value);
        };
        for instance in &self.instances {
            add(instance.key.map_or(0, |key| key + 1), 4);
            for counter in [instance.counter, instance.saved] {
                let Counter { token, nonce, run } =
                    counter.unwrap_or(Counter { token: 0, nonce: 0, run: 0 });
                add(token, 6);
                add(nonce, 4);
                add(run, 3);
            }
            add(instance.run, 3);
            add(instance.is_young.into(), 2);
            instance.sent.iter().for_each(|sent| add(*sent as u8, 8));
        }
        for attempt in &self.attempts {
            add(attempt.token, 6);
            add(attempt.place, 4);
            add(attempt.decision as u8, 3);
            add(attempt.is_over.into(), 2);
        }
        add(self.losses, 4);
        add(self.restarts, 3);
        number
    }
}

impl Instance {
    /// Of a start of a server, only whether it is the present one matters. A nonce does not matter:
    /// it serves a later step of the attempt that wrote the counter, and on that instance there is
    /// none.
    fn forget_names(&mut self) {
        let run = std::mem::replace(&mut self.run, 1);
        for counter in [&mut self.counter, &mut self.saved].into_iter().flatten() {
            counter.run = u8::from(counter.run == run);
            counter.nonce = NO_ATTEMPT;
        }
    }

    pub(super) fn has_voted(&self, attempt: usize) -> bool {
        matches!(self.sent[attempt], Sent::Raised | Sent::Confirmed)
    }
}
