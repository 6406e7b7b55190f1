//! A look at the servers of this run: whether the redlock around it still holds its lock there.

use super::outer::OuterLock;
use super::runtime::block_on;
use super::servers::Servers;
use crate::instance::ClusterSettings;
use crate::lock::{Key, RestartGuard, Target};
use crate::policy::Ownership;
use crate::supervisor;

/// Whether the redlock of `outer` holds `key` on a quorum of these servers.
pub(super) fn is_held(outer: &OuterLock, key: &Key, slots: u32, servers: &Servers) -> bool {
    let Some(id) = outer.id() else { return false };
    let Some(target) = target(key, slots, id) else { return true };
    // No mark is left where nothing is locked.
    let settings = ClusterSettings { guard: RestartGuard::Off, ..servers.settings(target) };
    let ownership = Ownership::new(servers.size, id.to_owned());
    let held = block_on(supervisor::owns(&servers.endpoints, settings, ownership));
    matches!(held, Ok(Ok(true)))
}

/// The key that the holder has set. With slots, only the innermost holder tells its slot
/// (`REDLOCK_SLOT`): for others there is no key to look at.
fn target(key: &Key, slots: u32, id: &str) -> Option<Target> {
    if slots <= 1 {
        return Some(Target::all([key.clone()]));
    }
    let slot: u32 = std::env::var("REDLOCK_SLOT").ok()?.parse().ok()?;
    std::env::var("REDLOCK_ID").ok().filter(|innermost| innermost == id)?;
    let slots = Target::slots(key, slot);
    let key = slots.keys_of(slot.checked_sub(1)?).first()?;
    Some(Target::all([Key::literal(key).ok()?]))
}
