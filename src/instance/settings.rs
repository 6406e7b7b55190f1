//! The settings of a run that are the same for each instance.

use crate::lock::{RestartGuard, Target, Ttl};
use std::time::Duration;

/// Settings of all requests of one run.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The keys of the lock.
    pub target: Target,
    /// The public id of the run, used in the queue and for the wake-up.
    pub id: String,
    /// Common part of the lock values of all hosts that agree with this host
    /// ([`crate::lock::Agreement::kind`]).
    pub kind: String,
    /// TTL of the lock.
    pub ttl: Ttl,
    /// Time limit of one operation, from the look-up of the name to the reply.
    pub op_timeout: Duration,
    /// Time for which a server must have kept its memory to vote. Without a guard no mark is set.
    pub guard: RestartGuard,
    /// Function that reads the wall clock, since 1970.
    pub wall_clock: fn() -> Duration,
}
