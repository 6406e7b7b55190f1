//! The server does what it is asked and its replies are lost; at the end the connections break.

use super::{Active, links};
use crate::dice::Dice;
use crate::proxy::{Fate, Fates};
use crate::world::World;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    links::disturb(world, dice, "lose replies", Fates { requests: Fate::Pass, replies: Fate::Drop })
}
