//! A redlock process hangs, for longer or shorter than its TTL: SIGSTOP, and SIGCONT at the end.

use super::Active;
use crate::contender::Treatment;
use crate::dice::Dice;
use crate::world::{World, shown};
use nix::sys::signal::Signal;

/// Others have to go on meanwhile.
const AT_ONCE: usize = 4;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    if world.crowd.stopped() >= AT_ONCE {
        return None;
    }
    let victim = world.crowd.victim(dice)?;
    let ttl = u64::try_from(victim.plan.ttl.as_millis()).expect("a short time");
    let length = if dice.chance(50) { dice.millis(20, ttl) } else { dice.millis(ttl + 1, 2 * ttl + 500) };
    victim.treatment = Treatment::Stopped;
    victim.excuse(length);
    victim.signal(Signal::SIGSTOP);
    let id = victim.id;
    let what = format!("contender {id} (its TTL is {ttl} ms) for {}", shown(length));
    Some(Active::new(what, length, move |world| {
        // A process that was stopped cannot have ended, unless it was about to when it was stopped.
        if let Some(member) = world.crowd.member(id) {
            member.signal(Signal::SIGCONT);
            member.treatment = Treatment::None;
        }
    }))
}
