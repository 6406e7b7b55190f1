//! A held lock: who its members are, and until when it is certainly ours.

use super::{ClusterSize, Extension, Guard, Membership, Seat, Time, Ttl};
use std::time::Duration;

/// A lock that a quorum granted.
#[derive(Clone, Debug)]
pub struct Holding {
    size: ClusterSize,
    ttl: Ttl,
    guard: Guard,
    seats: Vec<Seat>,
}

/// What an answer changed in the standing of the instance that gave it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Change {
    /// Nothing that anybody would want to hear of.
    Same,
    /// It does not count any more.
    Left,
    /// It counts again, or for the first time.
    Joined,
    /// It turned out to be the same server as this instance, and does not count.
    Twin(usize),
}

impl Holding {
    /// A lock that no instance has granted yet.
    #[must_use]
    pub fn new(size: ClusterSize, ttl: Ttl, guard: Guard) -> Self {
        Self { size, ttl, guard, seats: vec![Seat::default(); size.count()] }
    }

    /// Until when the lock is certainly ours: the quorum-th largest lease of its members.
    /// `None` when there are fewer members than that: the lock is lost.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.quorum_th_largest(&self.seats.iter().filter_map(|seat| seat.lease(self.ttl)))
    }

    /// The latest moment such that a quorum of members confirmed requests sent then or later.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Time> {
        self.quorum_th_largest(&self.seats.iter().filter_map(Seat::confirmed))
    }

    /// How many instances count.
    #[must_use]
    pub fn members(&self) -> usize {
        self.seats.iter().filter_map(Seat::confirmed).count()
    }

    /// Whether `instance` counts.
    #[must_use]
    pub fn membership(&self, instance: usize) -> Membership {
        self.seats.get(instance).map(Seat::membership).unwrap_or_default()
    }

    /// Forgets what was granted, for a new attempt; who the instances are stays known.
    pub fn vacate(&mut self) {
        self.seats.iter_mut().for_each(Seat::vacate);
    }

    /// `instance` granted the acquisition sent at `sent`: in time, or in an answer that came at `told`, after the lock was
    /// acquired without it.
    pub fn grant(&mut self, instance: usize, sent: Time, told: Option<Time>) -> Change {
        self.change(instance, |seat| {
            if seat.membership() == Membership::NotHeld {
                seat.grant(sent, told);
            }
        })
    }

    /// The connection to `instance` has ended.
    pub fn disconnected(&mut self, instance: usize) {
        if let Some(seat) = self.seats.get_mut(instance) {
            seat.disconnected();
        }
    }

    /// Who answers at `instance`, as a new connection told.
    pub fn identify(&mut self, instance: usize, run_id: &str) -> Change {
        let is_same = |(other, seat): &(usize, &Seat)| {
            *other != instance && !seat.has_twin() && seat.connected_to() == Some(run_id)
        };
        let twin = self.seats.iter().enumerate().find(is_same).map(|(other, _)| other);
        let forgets = self.guard != Guard::Off;
        let change = self.change(instance, |seat| seat.identify(run_id, forgets, twin));
        twin.map_or(change, Change::Twin)
    }

    /// The clock of `instance` showed `clock` between `sent` and `heard`; how far it has stepped forward, if it has.
    /// Its membership then ends until a round confirms it again.
    pub fn look_at(&mut self, instance: usize, clock: Duration, sent: Time, heard: Time) -> Option<Duration> {
        self.seats.get_mut(instance)?.look_at(clock, sent, heard, self.ttl)
    }

    /// What `instance` said to an extension that was sent at `sent`, in an answer that came at `heard`.
    pub fn extend(&mut self, instance: usize, sent: Time, heard: Time, answer: &Extension) -> Change {
        let ttl = self.ttl;
        self.change(instance, |seat| seat.extend(sent, heard, answer, ttl))
    }

    fn change(&mut self, instance: usize, apply: impl FnOnce(&mut Seat)) -> Change {
        let before = self.membership(instance) == Membership::Held;
        if let Some(seat) = self.seats.get_mut(instance) {
            apply(seat);
            if seat.has_twin() {
                seat.vacate();
            }
        }
        if let Some(confirmed) = self.confirmed_at() {
            self.seats.iter_mut().for_each(|seat| seat.promote(confirmed));
        }
        match (before, self.membership(instance) == Membership::Held) {
            (true, false) => Change::Left,
            (false, true) => Change::Joined,
            _ => Change::Same,
        }
    }

    /// The largest value that a quorum of them reaches. They are too few to be worth sorting.
    fn quorum_th_largest<T: Copy + Ord>(&self, values: &(impl Iterator<Item = T> + Clone)) -> Option<T> {
        let reached = |value: &T| values.clone().filter(|other| other >= value).count() >= self.size.quorum();
        values.clone().filter(reached).max()
    }
}

#[cfg(test)]
mod tests;
