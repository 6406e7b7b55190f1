//! A firewall forgets the open connections: bytes either way are lost in silence, the end of the
//! connection included. New connections work at once. At the end the old ones are reset, as by a
//! keepalive.

use super::{Active, links};
use crate::dice::Dice;
use crate::support::proxy::Fate;
use crate::world::{World, servers, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let chosen = some_or_all(world, dice);
    for &i in &chosen {
        world.promise.is_forgotten(i, true);
        world.proxies[i].set_open(Fate::Swallow);
    }
    let length = super::length(dice, links::LONG);
    let what = format!("to {} for {}", servers(&chosen), shown(length));
    (!chosen.is_empty()).then(|| {
        Active::new(what, length, move |world| {
            for i in chosen {
                world.proxies[i].set_open(Fate::Pass);
                world.proxies[i].reset_lost();
                world.promise.is_forgotten(i, false);
            }
        })
    })
}

/// One server, or all, of those whose open connections are sound.
pub(super) fn some_or_all(world: &World, dice: &mut Dice) -> Vec<usize> {
    let able = world.promise.may_be_forgotten();
    let at_most = if dice.chance(50) { 1 } else { able.len() };
    dice.several(able, at_most)
}
