//! A redlock process dies of SIGKILL: its guardian ends the command, and its key expires.

use super::Active;
use crate::contender::Treatment;
use crate::dice::Dice;
use crate::world::World;
use nix::sys::signal::Signal;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let victim = world.crowd.victim(dice)?;
    victim.treatment = Treatment::Killed;
    victim.signal(Signal::SIGKILL);
    Some(Active::momentary(format!("contender {}", victim.id)))
}
