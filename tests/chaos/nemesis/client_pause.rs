//! A server pauses all clients, or only their writes: then reads succeed while a lock hangs.

use super::Active;
use crate::dice::Dice;
use crate::world::{World, servers, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let (able, at_most) = world.promise.may_fall_ill();
    let i = *dice.several(able, at_most.min(1)).first()?;
    let length = super::length(dice, 2000);
    let whom = dice.pick(&["ALL", "WRITE"])?;
    world.promise.falls_ill(i);
    world.cluster.cli(i, &["CLIENT", "PAUSE", &length.as_millis().to_string(), whom]);
    let what = format!("{} pauses {whom} for {}", servers(&[i]), shown(length));
    // The pause ends by itself.
    Some(Active::new(what, length, move |world| world.promise.recovers(i)))
}
