//! A server restarts empty, and its wall clock is set before any client connects, as by NTP after a
//! boot: its uptime is wrong.

use super::{Active, victims};
use crate::dice::Dice;
use crate::world::{World, servers, shown};

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let able = world.promise.may_restart();
    let i = victims::dearest(world, dice, &able)?;
    let seconds: i64 = dice.pick(&[-3600, -5, 5, 3600])?;
    let down = dice.millis(0, 300);
    world.promise.falls_ill(i);
    world.promise.forgets(i);
    world.shut(i);
    world.cluster.kill(i);
    world.cluster.restart_with_clock(i);
    world.cluster.set_clock(i, seconds);
    let what =
        format!("{} restarts, and is set by {seconds} s, after {}", servers(&[i]), shown(down));
    Some(Active::new(what, down, move |world| {
        world.promise.forgets(i);
        world.open(i);
        world.promise.recovers(i);
        world.intrude();
    }))
}
