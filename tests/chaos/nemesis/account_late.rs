//! A server restarts empty. The first INFO of each client either comes while the server hangs, so
//! that its reply is late, or while a script runs, so that its reply is BUSY.

use super::{Active, busy_script, victims};
use crate::dice::Dice;
use crate::world::{World, servers, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let able = world.promise.may_restart();
    let i = victims::dearest(world, dice, &able)?;
    let is_busy = dice.chance(50);
    let length = super::length(dice, 2500);
    world.promise.falls_ill(i);
    world.promise.forgets(i);
    world.shut(i);
    world.cluster.kill(i);
    world.cluster.restart(i);
    let client = is_busy.then(|| busy_script::begin(world, i));
    if is_busy {
        world.until_busy(i);
    } else {
        world.cluster.stop(i);
    }
    world.open(i);
    let does = if is_busy { "is busy" } else { "hangs" };
    let what = format!("{} restarts and {does} for {}", servers(&[i]), shown(length));
    Some(Active::new(what, length, move |world| {
        match client {
            Some(client) => busy_script::end(world, i, client),
            None => world.cluster.cont(i),
        }
        world.promise.recovers(i);
        world.intrude();
    }))
}
