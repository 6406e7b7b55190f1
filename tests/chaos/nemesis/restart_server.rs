//! Servers die of SIGKILL, and come back with nothing in memory: often those that a holder can least spare.

use super::Active;
use crate::dice::Dice;
use crate::world::{World, servers, shown};
use std::time::Duration;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let down = if dice.chance(50) { Duration::ZERO } else { dice.millis(0, 700) };
    let needed = if dice.chance(70) { needed(world) } else { vec![] };
    let wanted = dice.between(1, 2);
    let mut chosen = Vec::new();
    for _ in 0..wanted {
        // Each changes what is allowed to the next.
        let able = world.promise.may_restart();
        let dear: Vec<usize> = able.iter().copied().filter(|i| needed.contains(i)).collect();
        let Some(i) = dice.pick(if dear.is_empty() { &able } else { &dear }) else { break };
        world.promise.falls_ill(i);
        world.promise.forgets(i);
        world.cluster.kill(i);
        chosen.push(i);
    }
    let what = format!("{} down for {}", servers(&chosen), shown(down));
    (!chosen.is_empty()).then(|| {
        Active::new(what, down, move |world| {
            for i in chosen {
                world.cluster.restart(i);
                world.promise.forgets(i);
                world.promise.recovers(i);
            }
        })
    })
}

/// The servers without which somebody would not hold the lock.
fn needed(world: &World) -> Vec<usize> {
    let quorum = world.held().into_values().find(|places| places.len() == super::QUORUM);
    quorum.into_iter().flatten().map(|(_, i)| i).collect()
}
