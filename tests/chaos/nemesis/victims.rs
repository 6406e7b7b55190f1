//! Servers that a holder can least spare.

use crate::contender::Contender;
use crate::dice::Dice;
use crate::promise::QUORUM;
use crate::world::World;
use std::time::Duration;

/// Most commands are over by then; the others have some time left.
const A_WHILE: Duration = Duration::from_millis(80);

/// One of the `able` servers, often one of a bare quorum.
pub(super) fn dearest(world: &World, dice: &mut Dice, able: &[usize]) -> Option<usize> {
    let needed = if dice.chance(70) { needed(world) } else { vec![] };
    let dear: Vec<usize> = able.iter().copied().filter(|i| needed.contains(i)).collect();
    dice.pick(if dear.is_empty() { able } else { &dear })
}

/// Whether the lock is held by a bare quorum, and its command has begun a while ago and so is no
/// short one.
pub(super) fn is_bare(world: &World) -> bool {
    let runs_on = |member: &Contender| member.has_run_for() >= A_WHILE;
    world.crowd.has(runs_on) && !needed(world).is_empty()
}

/// The servers of a bare quorum, if the lock is held by one.
fn needed(world: &World) -> Vec<usize> {
    let quorum = world.held().into_values().find(|places| places.len() == QUORUM);
    quorum.into_iter().flatten().map(|(_, i)| i).collect()
}
