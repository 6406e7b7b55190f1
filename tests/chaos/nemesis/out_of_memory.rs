//! A server accepts no new keys. Its old keys can be extended and deleted.

use super::Active;
use crate::dice::Dice;
use crate::world::{World, servers, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let (able, at_most) = world.promise.may_fall_ill();
    let i = *dice.several(able, at_most.min(1)).first()?;
    let length = super::length(dice, 3000);
    world.promise.falls_ill(i);
    world.cluster.cli(i, &["CONFIG", "SET", "maxmemory", "1"]);
    let what = format!("{} for {}", servers(&[i]), shown(length));
    Some(Active::new(what, length, move |world| {
        world.cluster.cli(i, &["CONFIG", "SET", "maxmemory", "0"]);
        world.promise.recovers(i);
    }))
}
