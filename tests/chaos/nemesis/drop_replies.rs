//! A server executes the requests and its replies are lost. At the end the connections break.

use super::Active;
use super::links::{self, Fates};
use crate::dice::Dice;
use crate::support::proxy::Fate;
use crate::world::World;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    links::disturb(
        world,
        dice,
        "lose replies",
        Fates { requests: Fate::Pass, replies: Fate::Swallow },
    )
}
