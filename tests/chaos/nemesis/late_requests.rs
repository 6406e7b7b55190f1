//! Requests on the open connections are held, often for longer than any TTL, and then executed. New
//! connections work, so a living redlock has replaced the old ones. The requests of a killed
//! redlock are executed after its death.

use super::forget_flows::some_or_all;
use super::{Active, links};
use crate::contender::Treatment;
use crate::dice::Dice;
use crate::support::proxy::Fate;
use crate::world::{World, servers, shown};
use nix::sys::signal::Signal;

pub(super) fn start(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let chosen = some_or_all(world, dice);
    if chosen.is_empty() {
        return None;
    }
    for &i in &chosen {
        world.promise.is_forgotten(i, true);
        world.proxies[i].set_open(Fate::Hold);
    }
    let length = super::length(dice, links::LONG);
    let victim = if dice.chance(40) { world.crowd.victim(dice) } else { None };
    let victim = victim.map(|victim| {
        // No other fault touches the contender until then.
        victim.treatment = Treatment::Condemned;
        victim.id
    });
    let dead = victim.map_or(String::new(), |id| format!(", and contender {id} is dead by then"));
    let what = format!("to {} for {}{dead}", servers(&chosen), shown(length));
    Some(Active::new(what, length, move |world| {
        if let Some(member) = victim.and_then(|id| world.crowd.member(id)) {
            member.treatment = Treatment::Killed;
            member.signal(Signal::SIGKILL);
        }
        for i in chosen {
            world.proxies[i].set_open(Fate::Pass);
            world.promise.is_forgotten(i, false);
        }
    }))
}
