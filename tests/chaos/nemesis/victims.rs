//! Servers that a holder can least spare.

use crate::dice::Dice;
use crate::promise::QUORUM;
use crate::world::World;

/// One of the `able` servers, often one of a bare quorum.
pub(super) fn dearest(world: &World, dice: &mut Dice, able: &[usize]) -> Option<usize> {
    let needed = if dice.chance(70) { needed(world) } else { vec![] };
    let dear: Vec<usize> = able.iter().copied().filter(|i| needed.contains(i)).collect();
    dice.pick(if dear.is_empty() { able } else { &dear })
}

/// The servers of a bare quorum, if the lock is held by one.
fn needed(world: &World) -> Vec<usize> {
    let quorum = world.held().into_values().find(|places| places.len() == QUORUM);
    quorum.into_iter().flatten().map(|(_, i)| i).collect()
}
