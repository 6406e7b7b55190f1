//! A held lock: who its members are, and until when it is certainly ours.

use super::{ClusterSize, Extension, InstanceLease, Membership, RestartGuard, Time, Ttl};
use std::time::Duration;

/// A lock that a quorum granted.
#[derive(Clone, Debug)]
pub struct HeldLock {
    size: ClusterSize,
    ttl: Ttl,
    guard: RestartGuard,
    leases: Vec<InstanceLease>,
}

/// What an answer changed in the standing of the instance that gave it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LeaseChange {
    /// Nothing that anybody would want to hear of.
    Same,
    /// It does not count any more.
    Left,
    /// It counts again, or for the first time.
    Joined,
    /// It turned out to be the same server as this instance: the two count once.
    Twin(usize),
}

impl HeldLock {
    /// A lock that no instance has granted yet.
    #[must_use]
    pub fn new(size: ClusterSize, ttl: Ttl, guard: RestartGuard) -> Self {
        Self { size, ttl, guard, leases: vec![InstanceLease::default(); size.count()] }
    }

    /// Until when the lock is certainly ours: the quorum-th largest lease of its members.
    /// `None` when there are fewer members than that: the lock is lost.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.quorum_th_largest(&self.of_servers(|lease| lease.lease(self.ttl)))
    }

    /// The latest moment such that a quorum of members confirmed requests sent then or later.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Time> {
        self.quorum_th_largest(&self.of_servers(InstanceLease::confirmed))
    }

    /// How many servers count.
    #[must_use]
    pub fn members(&self) -> usize {
        self.of_servers(InstanceLease::confirmed).count()
    }

    /// Each instance that is the same server as an earlier one, behind that one.
    pub fn duplicates(&self) -> impl Iterator<Item = (usize, usize)> + Clone {
        let pair =
            |(instance, lease): (usize, &InstanceLease)| Some((lease.duplicate_of()?, instance));
        self.leases.iter().enumerate().filter_map(pair)
    }

    /// The largest value of each server. Instances with one `run_id` are one server, or one of them
    /// has copied it: either is enough, since any two quorums of servers have another server in
    /// common.
    fn of_servers<T: Copy + Ord>(
        &self,
        value: impl Fn(&InstanceLease) -> Option<T> + Clone,
    ) -> impl Iterator<Item = T> + Clone {
        let leases = self.leases.iter().enumerate();
        leases.filter(|(_, lease)| !lease.is_duplicate()).filter_map(move |(instance, lease)| {
            let others =
                self.duplicates().filter(move |(of, _)| *of == instance).map(|(_, other)| other);
            let others = others.filter_map(|other| value(self.leases.get(other)?));
            value(lease).into_iter().chain(others).max()
        })
    }

    /// Whether `instance` counts.
    #[must_use]
    pub fn membership(&self, instance: usize) -> Membership {
        self.leases.get(instance).map(InstanceLease::membership).unwrap_or_default()
    }

    /// Forgets what was granted, for a new attempt; who the instances are stays known.
    pub fn reset(&mut self) {
        self.leases.iter_mut().for_each(InstanceLease::reset);
    }

    /// `instance` granted the acquisition sent at `sent`: in time, or in an answer that came at
    /// `told`, after the lock was acquired without it.
    pub fn grant(&mut self, instance: usize, sent: Time, told: Option<Time>) -> LeaseChange {
        self.change(instance, |lease| {
            if lease.membership() == Membership::NotHeld {
                lease.grant(sent, told);
            }
        })
    }

    /// The connection to `instance` has ended.
    pub fn disconnected(&mut self, instance: usize) {
        if let Some(lease) = self.leases.get_mut(instance) {
            lease.disconnected();
        }
    }

    /// Who answers at `instance`, as a new connection told.
    pub fn identify(&mut self, instance: usize, run_id: &str) -> LeaseChange {
        let is_same = |(other, lease): &(usize, &InstanceLease)| {
            *other != instance && !lease.is_duplicate() && lease.connected_to() == Some(run_id)
        };
        let duplicate_of = self.leases.iter().enumerate().find(is_same).map(|(other, _)| other);
        let forgets = self.guard != RestartGuard::Off;
        let change = self.change(instance, |lease| lease.identify(run_id, forgets, duplicate_of));
        duplicate_of.map_or(change, LeaseChange::Twin)
    }

    /// The clock of `instance` showed `clock` between `sent` and `heard`; how far it has stepped
    /// forward, if it has. Its membership then ends until a round confirms it again.
    pub fn observe_clock(
        &mut self,
        instance: usize,
        clock: Duration,
        sent: Time,
        heard: Time,
    ) -> Option<Duration> {
        self.leases.get_mut(instance)?.observe_clock(clock, sent, heard, self.ttl)
    }

    /// What `instance` said to an extension that was sent at `sent`, in an answer that came at
    /// `heard`.
    pub fn extend(
        &mut self,
        instance: usize,
        sent: Time,
        heard: Time,
        response: &Extension,
    ) -> LeaseChange {
        let ttl = self.ttl;
        self.change(instance, |lease| lease.extend(sent, heard, response, ttl))
    }

    fn change(&mut self, instance: usize, apply: impl FnOnce(&mut InstanceLease)) -> LeaseChange {
        let before = self.membership(instance) == Membership::Held;
        if let Some(lease) = self.leases.get_mut(instance) {
            apply(lease);
        }
        if let Some(confirmed) = self.confirmed_at() {
            self.leases.iter_mut().for_each(|lease| lease.promote(confirmed));
        }
        match (before, self.membership(instance) == Membership::Held) {
            (true, false) => LeaseChange::Left,
            (false, true) => LeaseChange::Joined,
            _ => LeaseChange::Same,
        }
    }

    /// The largest value that a quorum of them reaches. They are too few to be worth sorting.
    fn quorum_th_largest<T: Copy + Ord>(
        &self,
        values: &(impl Iterator<Item = T> + Clone),
    ) -> Option<T> {
        let reached =
            |value: &T| values.clone().filter(|other| other >= value).count() >= self.size.quorum();
        values.clone().filter(reached).max()
    }
}

#[cfg(test)]
mod tests;
