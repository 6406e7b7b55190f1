//! A held lock: its members, and its expiry.

use super::{ClusterSize, Extension, InstanceLease, Membership, RestartGuard, Time, Ttl};
use std::time::Duration;

/// The leases of one lock, one for each instance.
#[derive(Clone, Debug)]
pub struct HeldLock {
    size: ClusterSize,
    ttl: Ttl,
    guard: RestartGuard,
    leases: Vec<InstanceLease>,
}

/// Effect of a response on the membership of its instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum LeaseChange {
    /// No change of membership.
    Same,
    /// The instance is no longer a member.
    Left,
    /// The instance became a member.
    Joined,
    /// The server is counted as this other instance, so the instance is no member.
    Duplicate(usize),
}

impl HeldLock {
    /// A lock that no instance has granted yet.
    #[must_use]
    pub fn new(size: ClusterSize, ttl: Ttl, guard: RestartGuard) -> Self {
        Self { size, ttl, guard, leases: vec![InstanceLease::default(); size.count()] }
    }

    /// The expiry of the lock: the quorum-th largest lease of its members. `None` if there are fewer
    /// members than a quorum: the lock is lost.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.quorum_th_largest(&self.leases.iter().filter_map(|lease| lease.lease(self.ttl)))
    }

    /// The latest moment such that a quorum of members confirmed requests sent then or later.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Time> {
        self.quorum_th_largest(&self.leases.iter().filter_map(InstanceLease::confirmed))
    }

    /// The number of members.
    #[must_use]
    pub fn members(&self) -> usize {
        self.leases.iter().filter_map(InstanceLease::confirmed).count()
    }

    /// The membership of `instance`.
    #[must_use]
    pub fn membership(&self, instance: usize) -> Membership {
        self.leases.get(instance).map(InstanceLease::membership).unwrap_or_default()
    }

    /// Forgets the votes, for a new attempt. Every `run_id` stays known.
    pub fn reset(&mut self) {
        self.leases.iter_mut().for_each(InstanceLease::reset);
    }

    /// `instance` granted the acquisition that was sent at `sent`. `late` is the moment of a vote
    /// that came after the lock was acquired by the others; `None` is a vote in time.
    pub fn grant(&mut self, instance: usize, sent: Time, late: Option<Time>) -> LeaseChange {
        self.change(instance, |lease| {
            if lease.membership() == Membership::NotHeld {
                lease.grant(sent, late);
            }
        })
    }

    /// The connection to `instance` has ended.
    pub fn disconnected(&mut self, instance: usize) {
        if let Some(lease) = self.leases.get_mut(instance) {
            lease.disconnected();
        }
    }

    /// The server behind a new connection to `instance` reported `run_id`.
    pub fn identify(&mut self, instance: usize, run_id: &str) -> LeaseChange {
        let is_same = |(other, lease): &(usize, &InstanceLease)| {
            *other != instance && !lease.is_duplicate() && lease.connected_to() == Some(run_id)
        };
        let duplicate_of = self.leases.iter().enumerate().find(is_same).map(|(other, _)| other);
        let forgets = self.guard != RestartGuard::Off;
        let change = self.change(instance, |lease| lease.identify(run_id, forgets, duplicate_of));
        duplicate_of.map_or(change, LeaseChange::Duplicate)
    }

    /// The clock of `instance` showed `clock` at some moment between `sent` and `received`. Returns
    /// the length of a step forward, if any. A step ends the membership until a later round.
    pub fn observe_clock(
        &mut self,
        instance: usize,
        clock: Duration,
        sent: Time,
        received: Time,
    ) -> Option<Duration> {
        self.leases.get_mut(instance)?.observe_clock(clock, sent, received, self.ttl)
    }

    /// Takes the response of `instance` to an extension that was sent at `sent`. The response was
    /// received at `received`.
    pub fn extend(
        &mut self,
        instance: usize,
        sent: Time,
        received: Time,
        response: &Extension,
    ) -> LeaseChange {
        let ttl = self.ttl;
        self.change(instance, |lease| lease.extend(sent, received, response, ttl))
    }

    fn change(&mut self, instance: usize, apply: impl FnOnce(&mut InstanceLease)) -> LeaseChange {
        let before = self.membership(instance) == Membership::Held;
        if let Some(lease) = self.leases.get_mut(instance) {
            apply(lease);
            if lease.is_duplicate() {
                lease.reset();
            }
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

    /// The largest value that a quorum of `values` reaches. The search is quadratic, since there are
    /// few instances.
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
