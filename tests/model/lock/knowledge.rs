//! The knowledge of a client, on which alone its decisions depend. Each decision is computed once.

use super::client::{self, Attempt, Leases};
use super::mutants::Rule;
use super::state::{Answer, Ballot, Extension, INSTANCES, Lease, Reply, Stamp, State};
use crate::search::Mix;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// The knowledge of a client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Knowledge {
    /// Ticks since the acquisition was sent.
    age: u8,
    /// Rounds of extensions sent.
    rounds: u8,
    pub(super) instances: [Known; INSTANCES],
    /// Of a mutant: the moment of the newest round.
    pub(super) round: Stamp,
}

/// The knowledge of a client about one instance.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Known {
    pub(super) ballot: Ballot,
    pub(super) lease: Lease,
    /// Whether the server has restarted since.
    pub(super) is_stale: bool,
}

/// What a holder receives from an instance.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Heard {
    /// A vote that comes after the acquisition.
    Vote(Reply),
    Answer {
        answer: Answer,
        sent: Stamp,
        is_restarted: bool,
    },
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Question {
    Count(Option<usize>),
    Take(usize, Heard),
    Round(Stamp),
    TicksLeft,
    MayStart,
}

#[derive(Clone, Copy, Debug)]
enum Decision {
    Count(Attempt),
    Take((Leases, bool)),
    Round([bool; INSTANCES]),
    TicksLeft(Option<u8>),
    MayStart(bool),
}

type Decisions = HashMap<(Rule, Knowledge, Question), Decision, BuildHasherDefault<Mix>>;

thread_local! {
    static DECISIONS: RefCell<Decisions> = RefCell::default();
}

impl Knowledge {
    /// The knowledge of a client whose attempt is not decided.
    fn of_voter(state: &State, client: usize) -> Self {
        let owner = state.clients[client];
        let instances = state.instances.map(|instance| {
            let connection = &instance.connections[client];
            let (ballot, is_stale) = (connection.ballot, connection.is_stale);
            Known { ballot, is_stale, ..Known::default() }
        });
        Self { age: owner.age, rounds: 0, instances, round: owner.acquisition() }
    }

    /// The knowledge of a client that has acquired the lock.
    fn of_holder(state: &State, client: usize) -> Self {
        let owner = state.clients[client];
        let instances = state.instances.map(|instance| {
            let connection = &instance.connections[client];
            let (lease, is_stale) = (connection.lease, connection.is_stale);
            Known { lease, is_stale, ..Known::default() }
        });
        Self { age: owner.age, rounds: owner.rounds, instances, round: Stamp::default() }
    }

    /// The moment at which the acquisition was sent.
    pub(super) const fn acquisition(&self) -> Stamp {
        Stamp { age: self.age, order: 0 }
    }

    /// The present moment, after all that was sent.
    pub(super) const fn now(&self) -> Stamp {
        Stamp { age: 0, order: 2 * self.rounds + 1 }
    }

    fn decide(self, rule: Rule, question: Question) -> Decision {
        let key = (rule, self, question);
        if let Some(decision) = DECISIONS.with_borrow(|known| known.get(&key).copied()) {
            return decision;
        }
        let decision = match question {
            Question::Count(instance) => Decision::Count(client::count(&self, rule, instance)),
            Question::Take(instance, heard) => {
                Decision::Take(client::take(&self, rule, instance, heard))
            }
            Question::Round(sent) => Decision::Round(client::round(&self, sent)),
            Question::TicksLeft => Decision::TicksLeft(client::ticks_left(&self, rule)),
            Question::MayStart => Decision::MayStart(client::may_start(&self, rule)),
        };
        DECISIONS.with_borrow_mut(|known| known.insert(key, decision));
        decision
    }
}

impl State {
    /// `client` counts the vote of `instance`, or lets its time limits pass.
    pub(super) fn count(&self, rule: Rule, client: usize, instance: Option<usize>) -> Attempt {
        let mut knowledge = Knowledge::of_voter(self, client);
        for (number, known) in knowledge.instances.iter_mut().enumerate() {
            if matches!(known.ballot, Ballot::Replied(_)) && instance != Some(number) {
                known.ballot = Ballot::None;
            }
        }
        match knowledge.decide(rule, Question::Count(instance)) {
            Decision::Count(attempt) => attempt,
            other => panic!("{other:?}"),
        }
    }

    /// Passes an answer of `instance` to the holder. Returns its leases, and whether it sets the
    /// key again.
    pub(super) fn hear(
        &self,
        rule: Rule,
        client: usize,
        instance: usize,
        heard: Heard,
    ) -> (Leases, bool) {
        let mut knowledge = Knowledge::of_holder(self, client);
        if rule == Rule::EarlierConfirmations {
            knowledge.round = self.round_sent(client);
        }
        match knowledge.decide(rule, Question::Take(instance, heard)) {
            Decision::Take(taken) => taken,
            other => panic!("{other:?}"),
        }
    }

    /// The instances to which a round of extensions goes.
    pub(super) fn round(&self, rule: Rule, client: usize, sent: Stamp) -> [bool; INSTANCES] {
        match Knowledge::of_holder(self, client).decide(rule, Question::Round(sent)) {
            Decision::Round(instances) => instances,
            other => panic!("{other:?}"),
        }
    }

    /// The deadline of the lock in ticks from now, rounded up: 0 if it has passed. `None` if the lock
    /// is lost.
    pub(super) fn ticks_left(&self, rule: Rule, client: usize) -> Option<u8> {
        match Knowledge::of_holder(self, client).decide(rule, Question::TicksLeft) {
            Decision::TicksLeft(left) => left,
            other => panic!("{other:?}"),
        }
    }

    /// Whether the command of `client` may start now.
    pub(super) fn may_start(&self, rule: Rule, client: usize) -> bool {
        match Knowledge::of_holder(self, client).decide(rule, Question::MayStart) {
            Decision::MayStart(may_start) => may_start,
            other => panic!("{other:?}"),
        }
    }

    /// The moment of the newest round that is not answered everywhere.
    fn round_sent(&self, client: usize) -> Stamp {
        let connections = self.instances.iter().map(|instance| &instance.connections[client]);
        let asked = connections.filter_map(|connection| match connection.extension {
            Extension::Sent { sent, sets: false }
            | Extension::Replied { sent, answer: Answer::Kept, .. } => Some(sent),
            _ => None,
        });
        asked.min_by_key(|sent| sent.age).unwrap_or(self.clients[client].now())
    }
}
