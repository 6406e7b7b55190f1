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
    /// The instance did not end its membership.
    Same,
    /// The instance is no longer a member.
    Left,
    /// The instance is the same server as this earlier one: the two count once.
    Duplicate(usize),
}

impl HeldLock {
    /// A lock that no instance has granted yet.
    #[must_use]
    pub fn new(size: ClusterSize, ttl: Ttl, guard: RestartGuard) -> Self {
        Self { size, ttl, guard, leases: vec![InstanceLease::default(); size.count()] }
    }

    /// The lock with these leases, which an earlier process of this host left in a
    /// [`super::Handle`]. `None` for another number of instances than `size`.
    #[must_use]
    pub fn resumed(
        size: ClusterSize,
        ttl: Ttl,
        guard: RestartGuard,
        leases: Vec<InstanceLease>,
    ) -> Option<Self> {
        (leases.len() == size.count()).then_some(Self { size, ttl, guard, leases })
    }

    /// The lease of each instance.
    #[must_use]
    pub fn leases(&self) -> &[InstanceLease] {
        &self.leases
    }

    /// The expiry of the lock: the quorum-th largest lease of its members. `None` if there are fewer
    /// members than a quorum: the lock is lost.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.quorum_th_largest(&self.of_servers(|lease| lease.lease(self.ttl)))
    }

    /// The latest moment such that a quorum of members confirmed requests sent then or later.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Time> {
        self.quorum_th_largest(&self.of_servers(InstanceLease::confirmed))
    }

    /// The number of servers with a member.
    #[must_use]
    pub fn members(&self) -> usize {
        self.of_servers(InstanceLease::confirmed).count()
    }

    /// Pairs of an earlier instance and a later one that are the same server.
    pub fn duplicates(&self) -> impl Iterator<Item = (usize, usize)> + Clone {
        let pair =
            |(instance, lease): (usize, &InstanceLease)| Some((lease.duplicate_of()?, instance));
        self.leases.iter().enumerate().filter_map(pair)
    }

    /// The largest value of each server. Instances with one `run_id` are one server, unless a server
    /// has copied the `run_id` of another. One of these instances suffices, since any two quorums of
    /// servers share another server.
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
        }
        if let Some(confirmed) = self.confirmed_at() {
            self.leases.iter_mut().for_each(|lease| lease.promote(confirmed));
        }
        if before && self.membership(instance) != Membership::Held {
            LeaseChange::Left
        } else {
            LeaseChange::Same
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
