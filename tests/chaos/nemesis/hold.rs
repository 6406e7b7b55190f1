//! Requests or replies, or both, are held, and all arrive at the end.

use super::Active;
use super::links::{self, Fates};
use crate::dice::Dice;
use crate::support::proxy::Fate;
use crate::world::World;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let fates = dice.pick(&[
        Fates { requests: Fate::Hold, replies: Fate::Pass },
        Fates { requests: Fate::Pass, replies: Fate::Hold },
        Fates { requests: Fate::Hold, replies: Fate::Hold },
    ])?;
    links::disturb(world, dice, &format!("hold, {fates:?}"), fates)
}
