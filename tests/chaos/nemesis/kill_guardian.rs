//! A guardian dies of SIGKILL: the command dies too, and redlock ends the command's descendants.

use super::Active;
use crate::contender::Treatment;
use crate::dice::Dice;
use crate::support::processes;
use crate::world::World;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let (tag, value) = world.cluster.tag();
    let setting = format!("{tag}={value}");
    let victim = world.crowd.victim(dice)?;
    let guardian = victim.guardian()?;
    if !processes::carrying(&setting).contains(&guardian) {
        return None;
    }
    victim.treatment = Treatment::Unguarded;
    // The guardian may have exited at this moment.
    let _ = kill(Pid::from_raw(guardian), Signal::SIGKILL);
    Some(Active::momentary(format!("process {guardian} of contender {}", victim.id)))
}
