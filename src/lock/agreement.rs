//! Agreement of hosts on one lock: the same number of servers, the same servers, the same number of
//! slots. Two hosts that disagree can both have a quorum, each of its own servers.
//!
//! The value of each holder, on any instance, is compared with the configuration of this host. A
//! value that disagrees is a suspect. An attempt that fails is released within two op-timeouts, so
//! the suspect is polled again after that time. A second disagreement refuses the run.
//!
//! Another number of servers or slots is a certain disagreement. Names are weaker, since one server
//! may have two names:
//! - Names are compared only if both hosts have the same name for the instance that holds the value.
//!   So a host with addresses and a host with DNS names never refuse each other.
//! - A name of ours that is missing in the value counts only if that instance is free of such
//!   values. An instance with such a value is a server of the holder, by whatever name.
//! - A holder with a majority of our servers blocks us anyway, so a difference in names alone has to
//!   last for the TTL of the holder.
//! - Names of one host alone (loopback addresses, sockets) are not compared with another host's.
//!
//! Hosts without a common server are not noticed.

use super::servers::{are_on_one_host, parse_server_list, server_list};
use super::{LockValue, ObservedHolder, RestartGuard, ServerName, Time};
use std::time::Duration;

/// A difference between the configurations of two hosts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// Number of servers of the other host.
    Count(usize),
    /// Number of slots of the other host.
    Slots(u32),
    /// Our instances that the other host does not use.
    Servers(Vec<usize>),
}

/// Result of a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Opinion {
    /// No known disagreement.
    Agrees,
    /// A disagreement. The second poll is due at this moment.
    Suspect(Time),
    /// A disagreement that has lasted: see [`Agreement::refusal`].
    Disagrees,
}

/// Last status of one instance.
#[derive(Clone, Debug, Default)]
struct LastStatus {
    /// Whether no other run holds the key.
    is_free: bool,
    /// Value of the holder, as parsed and as observed, and the moment of the response.
    lock_value: Option<(LockValue, ObservedHolder, Time)>,
    /// Server list of the last holder, past or present.
    list: Option<String>,
    suspect: Option<Suspect>,
}

/// A holder that disagrees.
#[derive(Clone, Debug)]
struct Suspect {
    difference: Difference,
    since: Time,
    /// Moment of the refusal, if the holder is still there.
    again: Time,
    /// End of the suspicion if the instance does not answer any more: the key has expired, and a
    /// second poll was possible.
    until: Time,
    /// Whether the holder could let us acquire the lock.
    is_urgent: bool,
}

/// The configuration of this host, compared with that of every holder.
#[derive(Clone, Debug)]
pub struct Agreement {
    n: usize,
    slots: u32,
    /// `user@host`.
    owner: String,
    list: Option<String>,
    servers: Vec<ServerName>,
    guard: RestartGuard,
    /// Time from the first poll of a suspect to the second.
    patience: Duration,
    shown: Vec<LastStatus>,
    refusal: Option<(ObservedHolder, Difference)>,
    /// Holder with a lease longer than the restart guard, until it is reported.
    long_lease: Option<ObservedHolder>,
    has_reported: bool,
}

impl Agreement {
    /// Time from the first poll of a suspect to the second, in op-timeouts.
    const LIMITS: u32 = 2;

    /// The configuration of a run of `owner` (`user@host`). `servers` are in the order of the
    /// instances.
    #[must_use]
    pub fn new(
        owner: &str,
        slots: u32,
        servers: Vec<ServerName>,
        guard: RestartGuard,
        op_timeout: Duration,
    ) -> Self {
        Self {
            n: servers.len(),
            slots,
            owner: owner.to_owned(),
            list: server_list(&servers),
            shown: vec![LastStatus::default(); servers.len()],
            servers,
            guard,
            patience: op_timeout.saturating_mul(Self::LIMITS),
            refusal: None,
            long_lease: None,
            has_reported: false,
        }
    }

    /// The number of slots of this run.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// The common end of the values of all hosts with this configuration: the number of servers and
    /// slots, and the server list.
    #[must_use]
    pub fn kind(&self) -> String {
        let slots =
            if self.slots == 1 { String::new() } else { format!(",\"slots\":{}", self.slots) };
        let servers =
            self.list.as_ref().map(|list| format!(",\"servers\":\"{list}\"")).unwrap_or_default();
        format!("\"n\":{}{slots}{servers}}}", self.n)
    }

    /// Compares the holder of `instance`, if any, as received at `now`.
    pub fn compare(
        &mut self,
        now: Time,
        instance: usize,
        holder: Option<&ObservedHolder>,
    ) -> Opinion {
        let Some(shown) = self.shown.get_mut(instance) else { return Opinion::Agrees };
        shown.is_free = holder.is_none();
        // A value of another client lists no servers.
        shown.lock_value =
            holder.and_then(|holder| Some((LockValue::parse(&holder.value)?, holder.clone(), now)));
        if let Some((lock_value, holder, _)) = &shown.lock_value {
            shown.list.clone_from(&lock_value.servers);
            if is_longer(lock_value, self.guard) && !std::mem::replace(&mut self.has_reported, true)
            {
                self.long_lease = Some(holder.clone());
            }
        }
        self.judge(now);
        let Some(shown) = self.shown.get(instance) else { return Opinion::Agrees };
        if let (Some(suspect), Some((_, holder, _))) = (&shown.suspect, &shown.lock_value)
            && now >= suspect.again
        {
            self.refusal = Some((holder.clone(), suspect.difference.clone()));
            return Opinion::Disagrees;
        }
        let again = self.standing(now).map(|(_, suspect)| suspect.again).min();
        // A suspect that is due has not answered. Responses of other instances must not repeat its
        // poll.
        again.map_or(Opinion::Agrees, |again| {
            Opinion::Suspect(again.max(now.plus(self.patience / Self::LIMITS)))
        })
    }

    /// Compares every value again: the status of one instance affects the comparison of the others.
    fn judge(&mut self, now: Time) {
        for instance in 0..self.shown.len() {
            let suspect = self.suspect(now, instance);
            if let Some(shown) = self.shown.get_mut(instance) {
                shown.suspect = suspect;
            }
        }
    }

    fn suspect(&self, now: Time, instance: usize) -> Option<Suspect> {
        let shown = self.shown.get(instance)?;
        let (lock_value, holder, seen) = shown.lock_value.as_ref()?;
        let difference = self.difference(instance, lock_value)?;
        // A holder with a majority of our servers blocks us, so there is time: a server that has
        // restarted has its key again within a TTL.
        let is_urgent =
            !matches!(difference, Difference::Servers(_)) || !self.has_majority(lock_value);
        let own = shown
            .suspect
            .as_ref()
            .filter(|suspect| now < suspect.until)
            .map(|suspect| suspect.since);
        let others = self
            .standing(now)
            .filter(|(_, other)| other.is_urgent && is_urgent)
            .map(|(_, other)| other.since);
        let since = own.into_iter().chain(others).min().unwrap_or(now);
        let ttl = Duration::from_millis(lock_value.ttl_ms);
        let again = since.plus(if is_urgent { self.patience } else { self.patience.max(ttl) });
        // A key that lost its expiry stands for one TTL, the longest lease that its holder could have
        // got: its instance may be silent from now on.
        let expires = seen.plus(holder.left.unwrap_or(ttl));
        let until = expires.max(again.plus(self.patience));
        Some(Suspect { difference, since, again, until, is_urgent })
    }

    /// Whether a majority of our instances hold values with the same server list as `lock_value`.
    fn has_majority(&self, lock_value: &LockValue) -> bool {
        let is_theirs = |shown: &&LastStatus| {
            shown.lock_value.as_ref().is_some_and(|(other, ..)| other.servers == lock_value.servers)
        };
        self.shown.iter().filter(is_theirs).count() > self.n / 2
    }

    /// The moment of the next poll of an urgent suspect. `None` without an urgent suspect.
    #[must_use]
    pub fn next_look(&self, now: Time) -> Option<Time> {
        self.standing(now)
            .filter(|(_, suspect)| suspect.is_urgent)
            .map(|(_, suspect)| suspect.again)
            .min()
    }

    /// The instances whose last status disagreed, and whose key may still be set.
    #[must_use]
    pub fn suspects(&self, now: Time) -> Vec<usize> {
        self.standing(now).map(|(instance, _)| instance).collect()
    }

    fn standing(&self, now: Time) -> impl Iterator<Item = (usize, &Suspect)> {
        let all = self.shown.iter().enumerate();
        all.filter_map(move |(instance, shown)| {
            Some((instance, shown.suspect.as_ref().filter(|it| now < it.until)?))
        })
    }

    /// The holder that disagreed twice, and the difference.
    #[must_use]
    pub fn refusal(&self) -> Option<(ObservedHolder, Difference)> {
        self.refusal.clone()
    }

    /// The suspect on `instance`, and the difference.
    #[must_use]
    pub fn suspicion(&self, instance: usize) -> Option<(ObservedHolder, Difference)> {
        let shown = self.shown.get(instance)?;
        let (_, holder, _) = shown.lock_value.as_ref()?;
        Some((holder.clone(), shown.suspect.as_ref()?.difference.clone()))
    }

    /// The first holder whose lease is longer than our restart guard. Returned once.
    pub fn take_long_lease(&mut self) -> Option<ObservedHolder> {
        self.long_lease.take()
    }

    /// The certain difference between `lock_value`, held on `instance`, and this run, if any.
    fn difference(&self, instance: usize, lock_value: &LockValue) -> Option<Difference> {
        if lock_value.n != self.n {
            return Some(Difference::Count(lock_value.n));
        }
        if lock_value.slots != self.slots {
            return Some(Difference::Slots(lock_value.slots));
        }
        let is_same_host = are_on_one_host(&self.owner, &lock_value.owner);
        let theirs = parse_server_list(lock_value.servers.as_ref()?)?;
        let is_comparable = |name: &ServerName| is_same_host || !name.is_local();
        let is_theirs = |name: &ServerName| is_comparable(name) && theirs.contains(name);
        if !self.servers.get(instance).is_some_and(is_theirs) {
            return None;
        }
        let is_other = |(number, name): &(usize, &ServerName)| {
            let is_clear = self
                .shown
                .get(*number)
                .is_some_and(|shown| shown.is_free && shown.list != lock_value.servers);
            is_comparable(name) && !is_theirs(name) && is_clear
        };
        let others: Vec<usize> =
            self.servers.iter().enumerate().filter(is_other).map(|(number, _)| number).collect();
        // Each of these may be one of our servers by another name.
        let nameless = theirs.iter().filter(|name| !is_comparable(name)).count();
        (others.len() > nameless).then_some(Difference::Servers(others))
    }
}

/// Whether the lease of `lock_value` is longer than `guard`.
fn is_longer(lock_value: &LockValue, guard: RestartGuard) -> bool {
    matches!(guard, RestartGuard::For(guard) if Duration::from_millis(lock_value.ttl_ms) > guard)
}

#[cfg(test)]
mod tests;
