//! The servers of a run, and the cluster that they are for one lock.

use crate::instance::{Cluster, ClusterSettings, Endpoint};
use crate::lock::{Agreement, ClusterSize, Holder, RestartGuard, Schedule, ServerName, Target};
use crate::supervisor;

/// The servers of a run, and how each is asked.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    pub(super) size: ClusterSize,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) schedule: Schedule,
    pub(super) guard: RestartGuard,
}

impl Servers {
    /// The cluster in which `target` is locked. `id` is the public id of the run, empty if the run
    /// takes no place in a queue. `kind` is [`Agreement::kind`], empty for a look at one key.
    pub(super) fn cluster(&self, target: Target, id: String, kind: String) -> Cluster {
        let settings = ClusterSettings {
            target,
            id,
            kind,
            ttl: self.schedule.ttl(),
            op_timeout: self.schedule.op_timeout(),
            guard: self.guard,
            wall_clock: supervisor::since_1970,
        };
        Cluster::new(&self.endpoints, settings)
    }

    /// The cluster for the run `holder`, and the configuration to compare with that of other hosts.
    pub(super) fn for_run(&self, target: &Target, holder: &Holder) -> (Cluster, Agreement) {
        let agreement = self.agreement(&holder.owner, target.slot_count());
        (self.cluster(target.clone(), holder.id.clone(), agreement.kind()), agreement)
    }

    /// The configuration of `owner` for a lock of `slots`, to compare with that of other hosts.
    pub(super) fn agreement(&self, owner: &str, slots: u32) -> Agreement {
        Agreement::new(owner, slots, self.names(), self.guard, self.schedule.op_timeout())
    }

    /// The names of the servers, in their order.
    pub(super) fn names(&self) -> Vec<ServerName> {
        self.endpoints.iter().map(Endpoint::server_name).collect()
    }
}
