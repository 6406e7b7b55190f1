//! The starts of the searches: from the beginning, and from within a story, a sequence of steps
//! that leads to a fault under a broken rule.

use super::mutants::Rule;
use super::server::Fault;
use super::state::{Faults, State};
use super::steps::{Bounds, Step, successors};

/// A start of a search.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) label: &'static str,
    /// Attempts of each client.
    pub(super) attempts: [u8; 2],
    /// Rounds of extensions of each client.
    pub(super) rounds: [u8; 2],
    pub(super) faults: Faults,
    /// The steps before the search, in chapters. Instances and clients have the numbers of the
    /// first state.
    story: &'static [&'static [Step]],
}

const NO_FAULTS: Faults = Faults { deletions: 0, flushes: 0, restarts: 0, rollbacks: 0, breaks: 0 };
const ONE_FLUSH: Faults = Faults { flushes: 1, ..NO_FAULTS };
const ONE_BREAK: Faults = Faults { breaks: 1, ..NO_FAULTS };

const A: usize = 0;
const B: usize = 1;

/// The first searches, from instances without a key.
pub(super) const FROM_THE_BEGINNING: [Start; 9] = [
    PLAIN,
    Start { label: "A may try twice", attempts: [2, 1], ..PLAIN },
    Start { label: "A extends once", rounds: [1, 0], ..PLAIN },
    BROKEN,
    BROKEN_AND_TRIED,
    Start { label: "one is flushed", faults: ONE_FLUSH, ..PLAIN },
    Start {
        label: "one restarts, empty or with its keys",
        faults: Faults { restarts: 1, ..NO_FAULTS },
        ..PLAIN
    },
    Start {
        label: "one restarts with an old dump",
        faults: Faults { rollbacks: 1, ..NO_FAULTS },
        ..PLAIN
    },
    Start {
        label: "a key is deleted, and A extends once",
        rounds: [1, 0],
        faults: Faults { deletions: 1, ..NO_FAULTS },
        ..PLAIN
    },
];

/// Two clients without faults.
pub(super) const PLAIN: Start = Start {
    label: "one attempt each",
    attempts: [1, 1],
    rounds: [0, 0],
    faults: NO_FAULTS,
    story: &[],
};

/// A connection may break.
pub(super) const BROKEN: Start = Start { label: "a connection breaks", faults: ONE_BREAK, ..PLAIN };

/// The same, and A may try twice.
pub(super) const BROKEN_AND_TRIED: Start =
    Start { label: "A may try twice, and a connection breaks", attempts: [2, 1], ..BROKEN };

const fn execute(client: usize, instance: usize) -> Step {
    Step::Execute { client, instance }
}

const fn hear(client: usize, instance: usize) -> Step {
    Step::Hear { client, instance }
}

/// A acquires the lock by instances 1 and 2, and its SET to instance 0 is late.
const ACQUIRED_BY_TWO: &[Step] = &[
    Step::Begin { client: A },
    execute(A, 1),
    execute(A, 2),
    hear(A, 1),
    hear(A, 2),
    Step::TimeOut { client: A },
];

/// The same, and A's SET to instance 0 is lost.
const LOST_ON_ONE: &[Step] = &[
    Step::Begin { client: A },
    execute(A, 1),
    execute(A, 2),
    Step::Fault { fault: Fault::Break(A), instance: 0 },
    Step::Fault { fault: Fault::LoseAside(A), instance: 0 },
    hear(A, 1),
    hear(A, 2),
    Step::TimeOut { client: A },
];

/// The command of A starts.
const LAUNCHED: &[Step] = &[Step::Launch { client: A }];

/// Two thirds of a lease pass.
const TWO_THIRDS: &[Step] = &[Step::Tick, Step::Tick];

/// B begins.
const B_BEGINS: &[Step] = &[Step::Begin { client: B }];

/// B begins, and has the vote of instance 0, which is then flushed.
const B_IS_FORGOTTEN: &[Step] = &[
    Step::Begin { client: B },
    execute(B, 0),
    hear(B, 0),
    Step::Fault { fault: Fault::Flush, instance: 0 },
];

/// The command of A runs by two instances, and its lease is nearly over.
pub(super) const HELD_BY_TWO: Start = Start {
    label: "A runs by two instances for two thirds of its lease",
    story: &[ACQUIRED_BY_TWO, LAUNCHED, TWO_THIRDS, B_BEGINS],
    ..PLAIN
};

/// The same, and the key is deleted on one of the two instances. The promise allows none of them to
/// forget.
pub(super) const HELD_AND_DELETED: Start = Start {
    label: "A runs by two instances, and a key is deleted",
    faults: Faults { deletions: 1, ..NO_FAULTS },
    story: &[ACQUIRED_BY_TWO, LAUNCHED, B_BEGINS],
    ..PLAIN
};

/// A runs by two instances and extends, and one instance answers.
pub(super) const EXTENDED: Start = Start {
    label: "A runs by two instances, and extends late",
    rounds: [1, 0],
    story: &[
        ACQUIRED_BY_TWO,
        LAUNCHED,
        TWO_THIRDS,
        B_BEGINS,
        &[Step::Extend { client: A }, execute(A, 1), hear(A, 1)],
    ],
    ..PLAIN
};

/// One of the instances by which A runs has lost its memory.
pub(super) const HELD_AND_FLUSHED: Start = Start {
    label: "A runs by two instances, one of which is flushed",
    faults: ONE_FLUSH,
    story: &[
        ACQUIRED_BY_TWO,
        LAUNCHED,
        &[Step::Fault { fault: Fault::Flush, instance: 1 }],
        TWO_THIRDS,
        B_BEGINS,
    ],
    ..PLAIN
};

/// A runs, and B may try twice.
pub(super) const HELD_AND_TRIED: Start = Start {
    label: "A runs by two instances, and B tries twice",
    attempts: [1, 2],
    story: &[
        ACQUIRED_BY_TWO,
        LAUNCHED,
        B_BEGINS,
        &[execute(B, 1), execute(B, 2), hear(B, 1), hear(B, 2)],
    ],
    ..PLAIN
};

/// The replies to A are late.
pub(super) const SLOW_REPLIES: Start = Start {
    label: "A acquires the lock by replies that are a third of a lease late",
    story: &[
        &[Step::Begin { client: A }, execute(A, 1), execute(A, 2), Step::Tick],
        &[hear(A, 1), hear(A, 2)],
        LAUNCHED,
        B_BEGINS,
    ],
    ..PLAIN
};

/// A has the lock, and is frozen before its command starts.
pub(super) const FROZEN: Start = Start {
    label: "A is frozen between the votes and the start",
    story: &[ACQUIRED_BY_TWO, TWO_THIRDS, B_BEGINS],
    ..PLAIN
};

/// Instance 0 granted B a vote and was flushed. Then it executes A's late SET.
pub(super) const LATE_MEMBER: Start = Start {
    label: "A's SET comes to an instance that was B's and was flushed",
    rounds: [1, 0],
    faults: ONE_FLUSH,
    story: &[
        ACQUIRED_BY_TWO,
        LAUNCHED,
        TWO_THIRDS,
        B_IS_FORGOTTEN,
        &[execute(A, 0), hear(A, 0), Step::Extend { client: A }, execute(A, 0)],
    ],
    ..PLAIN
};

/// The same, but A's SET to instance 0 was lost, and an extension finds the key missing.
pub(super) const LONE_KEY: Start = Start {
    label: "A extends, and sets a key on an instance that was B's and was flushed",
    rounds: [1, 0],
    faults: Faults { breaks: 1, ..ONE_FLUSH },
    story: &[
        LOST_ON_ONE,
        LAUNCHED,
        TWO_THIRDS,
        B_IS_FORGOTTEN,
        &[Step::Extend { client: A }, execute(A, 0), hear(A, 0), execute(A, 0)],
    ],
    ..PLAIN
};

/// The same, and confirmations of an earlier round are late.
pub(super) const LATE_CONFIRMATIONS: Start = Start {
    label: "the same, and late confirmations of an earlier round",
    rounds: [2, 0],
    story: &[
        LOST_ON_ONE,
        LAUNCHED,
        &[Step::Extend { client: A }, execute(A, 1), execute(A, 2)],
        TWO_THIRDS,
        B_IS_FORGOTTEN,
        &[execute(A, 0), hear(A, 0), execute(A, 0), hear(A, 0), hear(A, 1), hear(A, 2)],
    ],
    ..LONE_KEY
};

/// A's first attempt has failed. Its requests to instance 1 are on a broken connection.
pub(super) const OLD_CONNECTION: Start = Start {
    label: "A runs at its second attempt while an old connection still delivers the first",
    attempts: [2, 1],
    faults: ONE_BREAK,
    story: &[
        &[Step::Begin { client: A }, Step::TimeOut { client: A }],
        &[Step::Fault { fault: Fault::Break(A), instance: 1 }, execute(A, 2), execute(A, 2)],
        ACQUIRED_BY_TWO,
        LAUNCHED,
        B_BEGINS,
    ],
    ..PLAIN
};

/// The command of A runs by all instances.
const HELD_BY_ALL: Start = Start {
    label: "A runs by all instances, and extends once",
    rounds: [1, 0],
    story: &[
        &[Step::Begin { client: A }, execute(A, 0), execute(A, 1), execute(A, 2)],
        &[hear(A, 0), hear(A, 1), hear(A, 2)],
        LAUNCHED,
        B_BEGINS,
    ],
    ..PLAIN
};

/// Starts within a story.
pub(super) const WITHIN_A_STORY: [Start; 15] = [
    HELD_BY_TWO,
    HELD_AND_DELETED,
    HELD_AND_FLUSHED,
    HELD_AND_TRIED,
    EXTENDED,
    SLOW_REPLIES,
    FROZEN,
    LATE_MEMBER,
    LONE_KEY,
    LATE_CONFIRMATIONS,
    OLD_CONNECTION,
    HELD_BY_ALL,
    Start {
        label: "A runs by all instances, extends once, and two restart",
        faults: Faults { restarts: 2, ..NO_FAULTS },
        ..HELD_BY_ALL
    },
    Start {
        label: "A runs by all instances, extends twice, one is flushed, a connection breaks",
        rounds: [2, 0],
        faults: Faults { breaks: 1, ..ONE_FLUSH },
        ..HELD_BY_ALL
    },
    Start {
        label: "A runs by all instances, extends twice, and two keys are deleted",
        rounds: [2, 0],
        faults: Faults { deletions: 2, ..NO_FAULTS },
        ..HELD_BY_ALL
    },
];

impl Start {
    pub(super) fn bounds(&self) -> Bounds {
        let may_forget = self.faults.deletions > 0;
        Bounds { attempts: self.attempts, rounds: self.rounds, may_forget }
    }

    /// The steps of the story.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> {
        self.story.iter().copied().flatten().copied()
    }

    /// The states of the story under `rule`, from the beginning to the state from which the search
    /// begins.
    pub(super) fn states(&self, rule: Rule) -> Vec<State> {
        let mut out = vec![];
        let mut states = vec![State::new(self.faults)];
        for step in self.steps() {
            out.clear();
            successors(states.last().unwrap(), rule, self.bounds(), &mut out);
            let next = out.iter().find(|(other, _)| *other == step);
            states.push(next.unwrap_or_else(|| panic!("{}: no {step:?}", self.label)).1);
        }
        states
    }
}
