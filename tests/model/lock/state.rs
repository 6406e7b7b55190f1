//! The state of the model: three instances, two clients, and a clock that ticks.
//!
//! A tick is a third of the validity of a lease: the deadline of a lease is three ticks after its
//! request was sent. A key may expire three ticks after it was set, and is gone one tick later. So
//! the clock of an instance may be slow, or as fast as the drift allows. All moments are ages
//! before now. An age stops growing where it has no effect any more, so the number of states is
//! finite although time goes on. Between two ticks, requests and replies come in any order.
//!
//! A frozen client does nothing, a late request is not executed, and a lost reply is not received.
//! None of them needs a step of its own.

/// Number of instances.
pub(super) const INSTANCES: usize = 3;
/// Number of clients.
pub(super) const CLIENTS: usize = 2;
/// Length of a lease in ticks, and of the shortest life of a key.
pub(super) const LEASE: u8 = 3;
/// Age of a memory at which the restart guard has ended by every clock, even for a request that was
/// sent a lease before its execution.
pub(super) const OLD: u8 = 7;

/// The value of a key: a client, and the number of its attempt, which stands for the nonce.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Value {
    pub(super) client: u8,
    pub(super) attempt: u8,
}

/// A key that is set.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    pub(super) value: Value,
    /// Ticks before the key may expire. At 0, it may expire at any moment of the present tick.
    pub(super) left: u8,
}

/// A moment of the past on the clock of a client.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Stamp {
    /// Ticks before now, at most [`LEASE`]: after that, the lease has ended.
    pub(super) age: u8,
    /// Order within a tick: 2k for the k-th round of extensions (0 for the acquisition), 2k + 1 for
    /// what follows it.
    pub(super) order: u8,
}

/// The lease of one instance in the held lock of a client: the private fields of `InstanceLease`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Lease {
    #[default]
    NotHeld,
    Rejoining {
        since: Stamp,
        confirmed: Stamp,
    },
    Held {
        confirmed: Stamp,
    },
}

/// The reply to an acquisition.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Reply {
    pub(super) is_granted: bool,
    /// Age of the server's memory by the clock of the server, and by that of the client.
    pub(super) ages: (u8, u8),
    /// Whether the report is of another start of the server than the last one.
    pub(super) is_restarted: bool,
}

/// The vote of one instance for the current attempt.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Ballot {
    #[default]
    None,
    /// Executed, and the reply is under way.
    Replied(Reply),
    /// The client has counted it, and has not decided the attempt.
    Heard(Reply),
}

/// The answer to an extension, as `Extension`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Answer {
    Kept,
    SetAgain,
    Missing,
    Foreign,
}

/// The extension on one connection. The next one waits until this one is answered.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Extension {
    #[default]
    None,
    Sent {
        /// Whether the extension sets a missing key.
        sets: bool,
        sent: Stamp,
    },
    Replied {
        answer: Answer,
        sent: Stamp,
        /// Whether the report is of another start of the server than the last one.
        is_restarted: bool,
    },
}

/// Requests that were not executed when their connection broke. They may be executed later in their
/// order, at the same time as those of the new connection, or never.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Aside {
    /// An extension before the others, and whether it sets a missing key.
    pub(super) extension: Option<bool>,
    pub(super) done: u8,
    pub(super) issued: u8,
}

/// The connection of one client to one instance.
///
/// The requests of a client to each instance are an acquisition, its release, the acquisition of
/// the next attempt, and its release. They are executed in this order. The first `done` of them
/// were executed or lost.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Connection {
    pub(super) done: u8,
    pub(super) ballot: Ballot,
    pub(super) extension: Extension,
    pub(super) lease: Lease,
    /// Requests of a broken connection.
    pub(super) aside: Option<Aside>,
    /// Whether no request was executed since the connection was made anew. The first request then
    /// follows releases of all values that may be set.
    pub(super) is_new: bool,
    /// Whether the connection broke once, so that a key may be left until it expires.
    pub(super) was_broken: bool,
    /// Whether the server has restarted since the client last learned its `run_id`.
    pub(super) is_stale: bool,
    /// Whether the server has forgotten the key of this client.
    pub(super) is_forgotten: bool,
    /// Of a mutant: whether the release of this attempt is not sent here.
    pub(super) is_unasked: bool,
}

/// One instance, with the connections of all clients.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Instance {
    pub(super) key: Option<Key>,
    /// A released key that is still in an old dump.
    pub(super) dumped: Option<Key>,
    /// Ticks since the loss of the memory, at most [`OLD`].
    pub(super) memory: u8,
    pub(super) connections: [Connection; CLIENTS],
}

/// Phase of a client.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Phase {
    #[default]
    Idle,
    /// The votes are counted.
    Voting,
    /// A quorum granted, and the command has not started.
    Acquired,
    /// The command runs.
    Running,
    /// The command is asked to end, and may run on for so many ticks.
    Stopping(u8),
    /// The attempt has failed, and is being released. Another one may follow.
    Released,
    /// The lock is released for good.
    Over,
}

/// One client.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Client {
    pub(super) phase: Phase,
    /// Number of acquisitions and releases issued so far.
    pub(super) issued: u8,
    /// Ticks since the acquisition was sent, at most [`LEASE`].
    pub(super) age: u8,
    /// Rounds of extensions sent.
    pub(super) rounds: u8,
}

/// Number of faults of each kind that may still happen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Faults {
    /// A key is deleted. The mark beside it stays.
    pub(super) deletions: u8,
    /// FLUSHALL: keys and mark are lost, and the connections stay open.
    pub(super) flushes: u8,
    /// A restart, empty or with the keys of its log.
    pub(super) restarts: u8,
    /// A restart from a dump with a key that was released after the dump.
    pub(super) rollbacks: u8,
    /// A connection breaks, or is replaced.
    pub(super) breaks: u8,
}

/// A state of the model.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct State {
    pub(super) instances: [Instance; INSTANCES],
    pub(super) clients: [Client; CLIENTS],
    pub(super) faults: Faults,
}

impl State {
    /// Instances that have no keys and have kept their memory for long, and clients that have not
    /// begun.
    pub(super) fn new(faults: Faults) -> Self {
        let connections = [Connection::default(); CLIENTS];
        let instance = Instance { key: None, dumped: None, memory: OLD, connections };
        Self { instances: [instance; INSTANCES], clients: Default::default(), faults }
    }

    /// The state that stands for all states that differ from this one only in the numbers of
    /// instances and, if `clients_are_alike`, of clients.
    pub(super) fn sorted(mut self, clients_are_alike: bool) -> Self {
        self.instances.sort_unstable();
        if !clients_are_alike {
            return self;
        }
        let mut swapped = self;
        swapped.clients.swap(0, 1);
        for instance in &mut swapped.instances {
            instance.connections.swap(0, 1);
            for key in [&mut instance.key, &mut instance.dumped].into_iter().flatten() {
                key.value.client = 1 - key.value.client;
            }
        }
        swapped.instances.sort_unstable();
        self.min(swapped)
    }

    pub(super) fn connection(&mut self, client: usize, instance: usize) -> &mut Connection {
        &mut self.instances[instance].connections[client]
    }
}

impl Client {
    /// The number of the current attempt, from 1. 0 before the first one.
    pub(super) const fn attempt(self) -> u8 {
        self.issued.div_ceil(2)
    }

    /// Whether the current attempt has begun and is not released.
    pub(super) const fn is_active(self) -> bool {
        matches!(self.phase, Phase::Voting | Phase::Acquired | Phase::Running | Phase::Stopping(_))
    }

    /// The moment at which the acquisition was sent.
    pub(super) const fn acquisition(self) -> Stamp {
        Stamp { age: self.age, order: 0 }
    }

    /// The present moment, after all that was sent.
    pub(super) const fn now(self) -> Stamp {
        Stamp { age: 0, order: 2 * self.rounds + 1 }
    }
}

impl Connection {
    /// Whether a request of the current attempt is not executed, or its answer is not received.
    /// `issued` is the client's.
    pub(super) fn is_busy(&self, issued: u8) -> bool {
        self.done < issued
            || self.extension != Extension::None
            || matches!(self.ballot, Ballot::Replied(_))
    }
}

impl Connection {
    /// All moments of the past that the connection refers to.
    pub(super) fn stamps(&mut self) -> impl Iterator<Item = &mut Stamp> {
        let extension = match &mut self.extension {
            Extension::None => None,
            Extension::Sent { sent, .. } | Extension::Replied { sent, .. } => Some(sent),
        };
        let (since, confirmed) = match &mut self.lease {
            Lease::NotHeld => (None, None),
            Lease::Rejoining { since, confirmed } => (Some(since), Some(confirmed)),
            Lease::Held { confirmed } => (None, Some(confirmed)),
        };
        [extension, since, confirmed].into_iter().flatten()
    }
}
