//! A run of a host that names two servers more than the others. It or another run may be refused,
//! and both never run at once. One such run at a time, so that the others get the lock, too.

use super::Active;
use crate::dice::Dice;
use crate::world::World;

pub(super) fn start(world: &mut World, _: &mut Dice) -> Option<Active> {
    if world.crowd.has(|member| member.plan.is_stranger) {
        return None;
    }
    world.crowd.let_in_stranger(&world.cluster);
    Some(Active::momentary("a host that names seven servers".into()))
}
