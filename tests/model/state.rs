//! The state of the model: three instances, and up to three attempts.
//!
//! An attempt is a client, or one of the tries of a client. Time does not exist: a key expires and a
//! request is executed at any moment after it is due, so a release is an expiry, and a client that
//! was frozen is one whose requests are late. A reply that is lost is one that the client leaves out
//! when it decides.

/// Number of instances.
pub(super) const INSTANCES: usize = 3;
/// The quorum.
pub(super) const QUORUM: usize = 2;
/// Largest number of attempts.
pub(super) const ATTEMPTS: usize = 3;

/// A counter as it is stored: token, nonce, start of the server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Counter {
    pub(super) token: u8,
    pub(super) nonce: u8,
    pub(super) run: u8,
}

/// What became of the requests of one attempt to one instance.
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
    /// The counter before it was raised: what a server restarts with that saved it late.
    pub(super) saved: Option<Counter>,
    /// Start of the server.
    pub(super) run: u8,
    pub(super) sent: [Sent; ATTEMPTS],
}

/// One attempt.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Attempt {
    /// The proposed token, from 1. 0 before the attempt.
    pub(super) token: u8,
    /// Its place among the attempts for which a quorum of instances had key and fence vote at one
    /// moment, from 1. 0 before that moment.
    pub(super) place: u8,
    /// What its client has decided after the second step.
    pub(super) decision: Decision,
}

/// The decision of a client after the second step.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Decision {
    #[default]
    None,
    /// The lock is acquired for the first time.
    FirstUse,
    /// The lock is acquired, and redlock says that the order rests on the hosts' clocks.
    Warned,
}

/// The whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct State {
    pub(super) instances: [Instance; INSTANCES],
    pub(super) attempts: [Attempt; ATTEMPTS],
    /// Instances that may still lose their memory.
    pub(super) losses: u8,
    /// Instances that may still restart with a saved counter.
    pub(super) restarts: u8,
}

impl State {
    /// Instances with these counters, which nobody raised, and no attempt.
    pub(super) fn new(counters: [u8; INSTANCES], losses: u8, restarts: u8) -> Self {
        let instance = |token: u8| {
            let counter = (token > 0).then_some(Counter { token, nonce: 3, run: 0 });
            let sent = [Sent::Proposed; ATTEMPTS];
            Instance { key: None, counter, saved: counter, run: 0, sent }
        };
        Self {
            instances: counters.map(instance),
            attempts: [Attempt::default(); ATTEMPTS],
            losses,
            restarts,
        }
        .sorted()
    }

    /// The same state with the instances in one order: it makes no difference which is which.
    pub(super) fn sorted(mut self) -> Self {
        if self.restarts == 0 {
            // Nothing will read it.
            self.instances.iter_mut().for_each(|instance| instance.saved = None);
        }
        self.instances.sort_unstable();
        self
    }

    /// Number of instances that gave `attempt` a fence vote.
    pub(super) fn votes(&self, attempt: usize) -> usize {
        self.instances.iter().filter(|instance| instance.has_voted(attempt)).count()
    }

    /// Whether `attempt` may believe that it has the lock: it does if no reply was lost. After the
    /// second step it does once it has decided.
    pub(super) fn believes(&self, attempt: usize) -> bool {
        let has_two_steps = self.raised_late(attempt) > 0;
        let has_decided = self.attempts[attempt].decision != Decision::None;
        self.votes(attempt) >= QUORUM && (!has_two_steps || has_decided)
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
        self.instances.iter().filter(has).count() >= QUORUM
    }

    /// The state as a number, a different one for each state.
    pub(super) fn packed(&self) -> u128 {
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
            instance.sent.iter().for_each(|sent| add(*sent as u8, 6));
        }
        for attempt in &self.attempts {
            add(attempt.token, 6);
            add(attempt.place, 4);
            add(attempt.decision as u8, 3);
        }
        add(self.losses, 4);
        add(self.restarts, 3);
        number
    }
}

impl Instance {
    fn has_voted(&self, attempt: usize) -> bool {
        matches!(self.sent[attempt], Sent::Raised | Sent::Confirmed)
    }
}
