//! Asks the servers of this run whether the redlock around it still holds its lock there.

use super::outer::OuterLock;
use super::runtime::block_on;
use super::servers::Servers;
use crate::lock::{Key, RestartGuard, Target};
use crate::policy::Ownership;
use crate::supervisor;

/// Whether the redlock of `outer` holds `key` on a quorum of these servers.
pub(super) fn is_held(outer: &OuterLock, key: &Key, slots: u32, servers: &Servers) -> bool {
    let Some(id) = outer.id() else { return false };
    // Without the number of the slot, there is no key to look at.
    let key = if slots <= 1 { Some(key.clone()) } else { outer.slot_key(key) };
    let Some(target) = key.map(|key| Target::all([key])) else { return true };
    // A restart guard would leave a mark, where this run locks nothing.
    let servers = Servers { guard: RestartGuard::Off, ..servers.clone() };
    let cluster = servers.cluster(target, String::new(), String::new());
    let ownership = Ownership::new(servers.size, id.to_owned());
    let limit = servers.schedule.op_timeout();
    let held = block_on(supervisor::owns(cluster, ownership, limit));
    matches!(held, Ok(Ok(true)))
}
