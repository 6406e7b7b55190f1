//! A server sleeps and cannot be woken, as during a long command of another client or a fork that
//! copies much.

use super::Active;
use crate::dice::Dice;
use crate::world::{World, servers, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let (able, at_most) = world.promise.may_fall_ill();
    let i = *dice.several(able, at_most.min(1)).first()?;
    let length = super::length(dice, 2000);
    world.promise.falls_ill(i);
    let asleep =
        world.tell(i, &format!("DEBUG SLEEP {}.{:03}", length.as_secs(), length.subsec_millis()));
    let what = format!("{} for {}", servers(&[i]), shown(length));
    Some(Active::new(what, length, move |world| {
        drop(asleep);
        world.promise.recovers(i);
    }))
}
