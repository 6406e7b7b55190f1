//! Requests or replies, or both, come later.

use super::Active;
use super::links::{self, Fates};
use crate::dice::Dice;
use crate::support::proxy::Fate;
use crate::world::{World, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let time = dice.millis(5, 300);
    let fates = dice.pick(&[
        Fates { requests: Fate::Delay(time), replies: Fate::Pass },
        Fates { requests: Fate::Pass, replies: Fate::Delay(time) },
        Fates { requests: Fate::Delay(time), replies: Fate::Delay(time) },
    ])?;
    links::disturb(world, dice, &format!("delay by {}, {fates:?}", shown(time)), fates)
}
