//! The servers whose loss is the worst for a holder.

use crate::contender::Contender;
use crate::dice::Dice;
use crate::promise::QUORUM;
use crate::world::World;
use std::time::Duration;

/// After this time most commands have ended, and the others still have some time to run.
const A_WHILE: Duration = Duration::from_millis(80);

/// One of the `able` servers. Often it is one of a bare quorum.
pub(super) fn dearest(world: &World, dice: &mut Dice, able: &[usize]) -> Option<usize> {
    let needed = if dice.chance(70) { needed(world) } else { vec![] };
    let dear: Vec<usize> = able.iter().copied().filter(|i| needed.contains(i)).collect();
    dice.pick(if dear.is_empty() { able } else { &dear })
}

/// Whether the lock is held by a bare quorum, and its command began a while ago, so that it is a
/// long one.
pub(super) fn is_bare(world: &World) -> bool {
    let runs_on = |member: &Contender| member.has_run_for() >= A_WHILE;
    world.crowd.has(runs_on) && !needed(world).is_empty()
}

/// The servers of the holder's quorum, if that is a bare one.
fn needed(world: &World) -> Vec<usize> {
    let quorum = world.held().into_values().find(|places| places.len() == QUORUM);
    quorum.into_iter().flatten().map(|(_, i)| i).collect()
}
