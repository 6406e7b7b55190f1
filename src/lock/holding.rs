//! A held lock: who its members are, and until when it is certainly ours.

use super::{ClusterSize, Extension, Identity, Round, Seat, Standing, Time, Ttl};
use std::time::Duration;

/// A lock that a quorum granted.
#[derive(Clone, Debug)]
pub struct Holding {
    size: ClusterSize,
    ttl: Ttl,
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
    /// A lock that nobody granted yet.
    #[must_use]
    pub fn new(size: ClusterSize, ttl: Ttl) -> Self {
        Self { size, ttl, seats: vec![Seat::default(); size.count()] }
    }

    /// Until when the lock is certainly ours: the quorum-th largest lease of its members.
    /// `None` when there are fewer members than that: the lock is lost.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.quorum_th_largest(&self.seats.iter().filter(|seat| seat.confirmed().is_some()).map(Seat::lease))
    }

    /// The newest round that a quorum of members confirmed.
    #[must_use]
    pub fn confirmed_round(&self) -> Option<Round> {
        self.quorum_th_largest(&self.seats.iter().filter_map(Seat::confirmed))
    }

    /// How many instances count.
    #[must_use]
    pub fn members(&self) -> usize {
        self.seats.iter().filter(|seat| seat.confirmed().is_some()).count()
    }

    /// Forgets what was granted, for a new attempt; who the instances are stays known.
    pub fn vacate(&mut self) {
        self.seats.iter_mut().for_each(Seat::vacate);
    }

    /// `instance` granted the acquisition sent at `sent`; also when the quorum was already there.
    pub fn grant(&mut self, instance: usize, sent: Time) -> Change {
        let ttl = self.ttl;
        self.change(instance, |seat| {
            if seat.standing() == Standing::Outside {
                seat.grant(sent, ttl);
            }
        })
    }

    /// Who answers at `instance`, as a new connection told.
    pub fn identify(&mut self, instance: usize, identity: &Identity) -> Change {
        let is_same = |(other, seat): &(usize, &Seat)| {
            *other != instance && !seat.has_twin() && seat.run_id() == Some(identity.run_id.as_str())
        };
        let twin = self.seats.iter().enumerate().find(is_same).map(|(other, _)| other);
        let change = self.change(instance, |seat| seat.identify(identity, twin));
        twin.map_or(change, Change::Twin)
    }

    /// The clock of `instance` showed `clock` between `sent` and `heard`; how far it has stepped forward, if it has.
    /// Its membership then ends until a round confirms it again.
    pub fn look_at(&mut self, instance: usize, clock: Duration, sent: Time, heard: Time) -> Option<Duration> {
        self.seats.get_mut(instance)?.look_at(clock, sent, heard, self.ttl)
    }

    /// What `instance` said to the extension of `round`, sent at `sent`.
    pub fn extend(&mut self, instance: usize, round: Round, sent: Time, answer: &Extension) -> Change {
        let ttl = self.ttl;
        self.change(instance, |seat| seat.extend(round, sent, answer, ttl))
    }

    fn change(&mut self, instance: usize, apply: impl FnOnce(&mut Seat)) -> Change {
        let counts = |seats: &[Seat]| seats.get(instance).is_some_and(|seat| seat.confirmed().is_some());
        let before = counts(&self.seats);
        if let Some(seat) = self.seats.get_mut(instance) {
            apply(seat);
            if seat.has_twin() {
                seat.vacate();
            }
        }
        if let Some(confirmed) = self.confirmed_round() {
            self.seats.iter_mut().for_each(|seat| seat.promote(confirmed));
        }
        match (before, counts(&self.seats)) {
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
