//! A name moves to an empty server that has long been up and never had a lock. The connections to
//! the old server break, and it restarts as a spare one: under two names, it would count as one
//! server named twice.

use super::{Active, victims};
use crate::dice::Dice;
use crate::world::{World, servers};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let able = world.may_forget();
    let i = victims::dearest(world, dice, &able)?;
    let spare = dice.pick(&world.spares())?;
    world.promise.forgets(i);
    world.shut(i);
    world.cluster.swap(i, spare);
    world.open(i);
    world.intrude();
    world.cluster.restart(spare);
    Some(Active::momentary(format!("{} is another from now on", servers(&[i]))))
}
