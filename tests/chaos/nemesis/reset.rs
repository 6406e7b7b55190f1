//! Connections break. Bytes on their way are lost.

use super::Active;
use crate::dice::Dice;
use crate::world::{World, servers};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let at_most = usize::try_from(dice.between(1, 5)).expect("a small number");
    let chosen = dice.several((0..world.proxies.len()).collect(), at_most);
    let count: usize = chosen.iter().map(|i| world.proxies[*i].open()).sum();
    for &i in &chosen {
        world.proxies[i].reset();
    }
    (count > 0).then(|| Active::momentary(format!("{count} connections to {}", servers(&chosen))))
}
