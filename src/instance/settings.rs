//! The settings of a run that are the same for each instance.

use crate::lock::{RestartGuard, Target, Ttl};
use std::time::Duration;

/// How every instance is treated during one run.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// The keys of the lock.
    pub target: Target,
    /// The public name of the run, by which it waits and is woken.
    pub id: String,
    /// What the lock values of all hosts contain that use the lock as this run does
    /// ([`crate::lock::Agreement::kind`]).
    pub kind: String,
    /// Its TTL.
    pub ttl: Ttl,
    /// How long one operation may take, from the look-up of the name to the reply.
    pub op_timeout: Duration,
    /// How long a server must have kept its memory; without it no mark is left there.
    pub guard: RestartGuard,
    /// The wall clock, since 1970.
    pub wall_clock: fn() -> Duration,
}
