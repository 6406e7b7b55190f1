//! Servers die of SIGKILL, and restart empty.

use super::{Active, victims};
use crate::dice::Dice;
use crate::world::{World, servers, shown};
use std::time::Duration;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let down = if dice.chance(50) { Duration::ZERO } else { dice.millis(0, 700) };
    let wanted = dice.between(1, 2);
    let mut chosen = Vec::new();
    for _ in 0..wanted {
        // Each restart changes the set of servers that may restart next.
        let able = world.promise.may_restart();
        let Some(i) = victims::dearest(world, dice, &able) else { break };
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
            world.intrude();
        })
    })
}
