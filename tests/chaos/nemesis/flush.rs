//! FLUSHALL: servers lose their memory, without a restart and with all connections open.

use super::{Active, victims};
use crate::dice::Dice;
use crate::world::{World, servers};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let mut chosen = Vec::new();
    for _ in 0..dice.between(1, 2) {
        let able = world.may_forget();
        let Some(i) = victims::dearest(world, dice, &able).filter(|i| !chosen.contains(i)) else {
            break;
        };
        world.promise.forgets(i);
        world.cluster.cli(i, &["FLUSHALL"]);
        chosen.push(i);
    }
    world.intrude();
    (!chosen.is_empty()).then(|| Active::momentary(servers(&chosen)))
}
