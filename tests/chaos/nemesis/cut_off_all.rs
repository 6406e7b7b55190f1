//! All or most servers are unreachable for longer than a TTL: a holder loses its lock by silence.
//! Its requests are executed or lost at the end.

use super::Active;
use super::links::{self, Fates};
use crate::dice::Dice;
use crate::promise::QUORUM;
use crate::support::proxy::Fate;
use crate::world::World;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let chosen = world.promise.may_be_disturbed();
    if chosen.len() < QUORUM {
        return None;
    }
    let fates = dice.pick(&[
        Fates { requests: Fate::Hold, replies: Fate::Hold },
        Fates { requests: Fate::Hold, replies: Fate::Pass },
        Fates { requests: Fate::Pass, replies: Fate::Swallow },
    ])?;
    let length = dice.millis(600, 2200);
    Some(links::start(world, &format!("{fates:?}"), fates, chosen, length, true))
}
