//! A redlock process hangs, for longer or shorter than its TTL: SIGSTOP, and SIGCONT at the end.

use super::Active;
use crate::contender::{Contender, Treatment};
use crate::dice::Dice;
use crate::support::clock;
use crate::world::{World, shown};
use nix::sys::signal::Signal;
use std::time::Duration;

/// Largest number of stopped contenders, so that the others go on.
const AT_ONCE: usize = 4;
/// Longest wait for the worst moment. The nemesis does nothing else in this time.
const A_WHILE: Duration = Duration::from_millis(150);

/// Stops a holder. Often its command has run for a while and still has long to run.
pub(super) fn holder(world: &mut World, dice: &mut Dice) -> Option<Active> {
    let at_least = if dice.chance(70) { Duration::from_millis(80) } else { Duration::ZERO };
    let runs = |member: &Contender| {
        member.has_begun && member.has_run_for() >= at_least && member.treatment == Treatment::None
    };
    let _ = clock::within(A_WHILE, || {
        world.crowd.look(&world.cluster);
        world.crowd.has(runs).then_some(())
    });
    stop(world, dice, runs)
}

/// Stops a contender that waits, often just when the lock has become free.
pub(super) fn waiter(world: &mut World, dice: &mut Dice) -> Option<Active> {
    if dice.chance(70) {
        let _ = clock::within(A_WHILE, || world.held().is_empty().then_some(()));
    }
    stop(world, dice, |member| {
        !member.has_begun && clock::since(member.started) > Duration::from_millis(100)
    })
}

/// Stops a contender that was just started: between its first steps, the first requests, the votes
/// and the start of the command.
pub(super) fn newcomer(world: &mut World, dice: &mut Dice) -> Option<Active> {
    world.intrude();
    let _ = clock::within(dice.millis(0, 12), || None::<()>);
    stop(world, dice, |member| clock::since(member.started) < Duration::from_millis(30))
}

fn stop(world: &mut World, dice: &mut Dice, which: impl Fn(&Contender) -> bool) -> Option<Active> {
    if world.crowd.stopped() >= AT_ONCE {
        return None;
    }
    let victim = world.crowd.one(dice, which)?;
    let ttl = u64::try_from(victim.plan.ttl.as_millis()).expect("a short time");
    let length =
        if dice.chance(50) { dice.millis(20, ttl) } else { dice.millis(ttl + 1, 2 * ttl + 500) };
    victim.treatment = Treatment::Stopped;
    victim.excuse(length);
    victim.signal(Signal::SIGSTOP);
    let id = victim.id;
    let what = format!("contender {id} (its TTL is {ttl} ms) for {}", shown(length));
    Some(Active::new(what, length, move |world| {
        // A stopped process cannot have ended, unless it was ending already.
        if let Some(member) = world.crowd.member(id) {
            member.signal(Signal::SIGCONT);
            member.treatment = Treatment::None;
        }
    }))
}
