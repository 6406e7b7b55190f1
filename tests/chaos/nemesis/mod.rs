//! The nemesis: one file for each kind of fault, each with a start and a heal.

mod account_late;
mod busy_script;
mod client_pause;
mod cut_off_all;
mod debug_sleep;
mod delay;
mod delete_key;
mod drop_replies;
mod flush;
mod forget_flows;
mod hold;
mod kill_connections;
mod kill_guardian;
mod kill_redlock;
mod late_requests;
mod links;
mod move_name;
mod other_servers;
mod out_of_memory;
mod refuse;
mod reset;
mod restart_server;
mod step_clock;
mod stop_redlock;
mod stop_server;
mod victims;

use crate::dice::Dice;
use crate::support::clock;
use crate::world::World;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether now is the worst moment to end a fault.
type Moment = fn(&World) -> bool;

/// A fault that goes on.
pub(crate) struct Active {
    what: String,
    ends: Duration,
    /// The fault goes on until this holds, for at most this much longer.
    moment: Option<(Duration, Moment)>,
    heal: Box<dyn FnOnce(&mut World)>,
}

impl Active {
    /// A fault of this length, and its end.
    fn new(what: String, length: Duration, heal: impl FnOnce(&mut World) + 'static) -> Self {
        Self { what, ends: clock::now() + length, moment: None, heal: Box::new(heal) }
    }

    /// The same fault, whose end waits for its worst moment, for at most this long.
    fn until(self, moment: Moment, at_most: Duration) -> Self {
        Self { moment: Some((at_most, moment)), ..self }
    }

    /// Whether the fault is to end now. `looks` allows a poll for its moment.
    fn is_over(&self, world: &World, looks: bool) -> bool {
        let is_moment =
            |by| self.moment.is_none_or(|(at_most, is)| by >= at_most || (looks && is(world)));
        clock::now().checked_sub(self.ends).is_some_and(is_moment)
    }

    /// A fault that has ended already.
    fn momentary(what: String) -> Self {
        Self::new(what, Duration::ZERO, |_| {})
    }
}

/// Length of a fault: often a moment, otherwise longer than a TTL, and at most `longest` ms.
fn length(dice: &mut Dice, longest: u64) -> Duration {
    if dice.chance(50) { dice.millis(30, 400) } else { dice.millis(400, longest) }
}

/// Starts a fault, if the promise allows one now.
type Start = fn(&mut World, &mut Dice) -> Option<Active>;

/// Name, weight, and start of each kind.
const KINDS: [(&str, u64, Start); 26] = [
    ("stop-server", 6, stop_server::start),
    ("restart-server", 10, restart_server::start),
    ("account-late", 5, account_late::start),
    ("step-clock", 4, step_clock::start),
    ("move-name", 5, move_name::start),
    ("flush", 5, flush::start),
    ("delete-key", 6, delete_key::start),
    ("delay", 5, delay::start),
    ("hold", 6, hold::start),
    ("drop-replies", 6, drop_replies::start),
    ("cut-off-all", 2, cut_off_all::start),
    ("refuse", 10, refuse::start),
    ("reset", 4, reset::start),
    ("forget-flows", 6, forget_flows::start),
    ("late-requests", 8, late_requests::start),
    ("kill-connections", 3, kill_connections::start),
    ("stop-holder", 3, stop_redlock::holder),
    ("stop-waiter", 3, stop_redlock::waiter),
    ("stop-newcomer", 4, stop_redlock::newcomer),
    ("kill-redlock", 2, kill_redlock::start),
    ("kill-guardian", 2, kill_guardian::start),
    ("debug-sleep", 3, debug_sleep::start),
    ("busy-script", 3, busy_script::start),
    ("client-pause", 3, client_pause::start),
    ("out-of-memory", 4, out_of_memory::start),
    ("other-servers", 4, other_servers::start),
];

pub(crate) struct Nemesis {
    dice: Dice,
    active: Vec<Active>,
    next: Duration,
    next_look: Duration,
    counts: BTreeMap<&'static str, usize>,
}

impl Nemesis {
    /// Interval of the polls, each of which asks all servers.
    const A_LOOK_EVERY: Duration = Duration::from_millis(20);

    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            dice,
            active: Vec::new(),
            next: Duration::ZERO,
            next_look: Duration::ZERO,
            counts: BTreeMap::new(),
        }
    }

    /// Heals the faults that have lasted long enough, and starts those that are due.
    pub(crate) fn go_on(&mut self, world: &mut World) {
        let now = clock::now();
        let looks = now >= self.next_look;
        if looks {
            self.next_look = now + Self::A_LOOK_EVERY;
        }
        for fault in
            self.active.extract_if(.., |fault| fault.is_over(world, looks)).collect::<Vec<_>>()
        {
            heal(fault, world);
        }
        if now >= self.next && self.strike(world) {
            // Now and then a longer pause, so that runs can succeed.
            let pause = if self.dice.chance(4) {
                self.dice.millis(500, 2500)
            } else {
                self.dice.millis(10, 300)
            };
            self.next = clock::now() + pause;
        }
    }

    /// Heals everything.
    pub(crate) fn leave(&mut self, world: &mut World) {
        for fault in self.active.drain(..) {
            heal(fault, world);
        }
    }

    /// Number of faults by their kind.
    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    /// The kinds of fault that were not made yet.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        KINDS
            .iter()
            .map(|(name, ..)| *name)
            .filter(|name| !self.counts.contains_key(name))
            .collect()
    }

    fn strike(&mut self, world: &mut World) -> bool {
        let (name, start) = self.kind();
        let Some(fault) = start(world, &mut self.dice) else { return false };
        world.journal.note(format!("nemesis: {name}: {}", fault.what));
        *self.counts.entry(name).or_default() += 1;
        self.active.push(fault);
        true
    }

    /// The kind of the next fault. Every second one has not occurred yet, so that a short run has
    /// all kinds.
    fn kind(&mut self) -> (&'static str, Start) {
        if self.dice.chance(50)
            && let Some(missing) = self.dice.pick(&self.missing())
            && let Some((name, _, start)) = KINDS.iter().find(|(name, ..)| *name == missing)
        {
            return (name, *start);
        }
        let mut throw = self.dice.between(1, KINDS.iter().map(|(_, weight, _)| weight).sum());
        let is_here = |(_, weight, _): &&(&str, u64, Start)| {
            let here = throw <= *weight;
            throw = throw.saturating_sub(*weight);
            here
        };
        let (name, _, start) = KINDS.iter().find(is_here).expect("the throw is within the sum");
        (name, *start)
    }
}

fn heal(fault: Active, world: &mut World) {
    (fault.heal)(world);
    world.journal.note(format!("nemesis: over: {}", fault.what));
}
