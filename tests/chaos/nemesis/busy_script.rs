//! A server is busy with a script of another client: first silent, then answering every request
//! with BUSY.

use super::Active;
use crate::dice::Dice;
use crate::support::until;
use crate::world::{World, servers, shown};
use std::net::TcpStream;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let (able, at_most) = world.promise.may_fall_ill();
    let i = *dice.several(able, at_most.min(1)).first()?;
    let length = super::length(dice, 2500);
    world.promise.falls_ill(i);
    let client = begin(world, i);
    Some(Active::new(format!("{} for {}", servers(&[i]), shown(length)), length, move |world| {
        end(world, i, client);
        world.promise.recovers(i);
    }))
}

/// Keeps this server busy as long as the returned connection exists.
pub(super) fn begin(world: &World, i: usize) -> TcpStream {
    world.cluster.cli(i, &["CONFIG", "SET", "lua-time-limit", "20"]);
    world.tell(i, "EVAL \"while true do end\" 0")
}

/// Kills the script, and waits until the server has stopped it.
pub(super) fn end(world: &World, i: usize, client: TcpStream) {
    world.until_busy(i);
    world.cluster.cli(i, &["SCRIPT", "KILL"]);
    until("its script has ended", || world.cluster.try_ask(i, &["PING"]).is_ok());
    drop(client);
}
