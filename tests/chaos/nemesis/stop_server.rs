//! Servers hang: SIGSTOP, and SIGCONT at the end, when the requests that came meanwhile are
//! executed.

use super::Active;
use crate::dice::Dice;
use crate::world::{World, servers, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let (able, at_most) = world.promise.may_fall_ill();
    let wanted = usize::try_from(dice.between(1, 2)).expect("a small number");
    let chosen = dice.several(able, wanted.min(at_most));
    if chosen.is_empty() {
        return None;
    }
    for &i in &chosen {
        world.promise.falls_ill(i);
        world.cluster.stop(i);
    }
    let length = super::length(dice, 3500);
    let what = format!("{} for {}", servers(&chosen), shown(length));
    Some(Active::new(what, length, move |world| {
        for i in chosen {
            world.cluster.cont(i);
            world.promise.recovers(i);
        }
    }))
}
