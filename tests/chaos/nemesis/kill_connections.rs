//! A server closes the connections of all clients.

use super::Active;
use crate::dice::Dice;
use crate::world::{World, servers};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let at_most = usize::try_from(dice.between(1, 5)).expect("a small number");
    let chosen = dice.several(world.promise.well(), at_most);
    for &i in &chosen {
        world.cluster.cli(i, &["CLIENT", "KILL", "TYPE", "normal"]);
    }
    (!chosen.is_empty()).then(|| Active::momentary(servers(&chosen)))
}
