//! Whether the hosts that use a lock mean the same lock: the same number of servers, the same
//! servers, the same number of slots. Two hosts that do not can both have a quorum, each of its own
//! servers.
//!
//! A lock value that is in the way on any instance is compared with this run. One that disagrees is
//! looked at again two time limits later, since an attempt that fails is released sooner than that;
//! one that still disagrees then is a refusal.
//!
//! What disagrees is sure in two cases, another number of servers or of slots. Names of servers are
//! weaker: one server can have two names. They are compared only where both hosts call the instance
//! that holds the lock value by the same name, so that a host with addresses and one with DNS names
//! never refuse each other. A name of ours that the lock value does not list counts only when that
//! instance is free of such lock values: where one stands, that server is the holder's too,
//! whatever it is called. And a holder that has a majority of our servers keeps us out, so that a
//! difference of names alone has to last for its ttl. Names of one host alone (loopback, sockets)
//! say nothing to another host. Lists that share no server meet nowhere, and are not noticed.

use super::servers::{parse_server_list, server_list};
use super::{LockValue, ObservedHolder, RestartGuard, ServerName, Time};
use std::time::Duration;

/// In what another host disagrees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// It names so many servers.
    Count(usize),
    /// It counts on so many slots.
    Slots(u32),
    /// It does not name these of our instances.
    Servers(Vec<usize>),
}

/// What follows from a look at one instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Opinion {
    /// Nothing there disagrees, as far as can be known.
    Agrees,
    /// What is there disagrees; look again at this moment.
    Suspect(Time),
    /// There has been disagreement for two time limits: [`Agreement::refusal`] has it.
    Disagrees,
}

/// What one instance showed when it answered last.
#[derive(Clone, Debug, Default)]
struct Shown {
    /// No lock value of another run was there.
    is_free: bool,
    /// The lock value that was there, as it was seen, and when.
    lock_value: Option<(LockValue, ObservedHolder, Time)>,
    /// The servers that the last lock value there listed, whether it is there still or not.
    list: Option<String>,
    suspect: Option<Suspect>,
}

/// Something on an instance that disagrees.
#[derive(Clone, Debug)]
struct Suspect {
    difference: Difference,
    since: Time,
    /// When to refuse, if it is there still.
    again: Time,
    /// When it is over, if the instance does not answer any more: what is there has expired by
    /// then, and there was time for a second look.
    until: Time,
    /// It does not keep us out by itself.
    is_urgent: bool,
}

/// How this run uses a lock, beside how others do.
#[derive(Clone, Debug)]
pub struct Agreement {
    n: usize,
    slots: u32,
    host: Option<String>,
    list: Option<String>,
    servers: Vec<ServerName>,
    guard: RestartGuard,
    /// How long what disagrees is let be.
    patience: Duration,
    shown: Vec<Shown>,
    refusal: Option<(ObservedHolder, Difference)>,
    /// A lease that is longer than the restart guard, until it is told; and whether it was.
    long_lease: Option<ObservedHolder>,
    has_told: bool,
}

impl Agreement {
    /// For how many time limits a lock value that disagrees is let be.
    const LIMITS: u32 = 2;

    /// The side of a run of `owner` (`user@host`), which counts on so many slots on `servers`, in
    /// the order of the instances.
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
            host: host(owner).map(str::to_owned),
            list: server_list(&servers),
            shown: vec![Shown::default(); servers.len()],
            servers,
            guard,
            patience: op_timeout.saturating_mul(Self::LIMITS),
            refusal: None,
            long_lease: None,
            has_told: false,
        }
    }

    /// How many slots this run counts on.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// The end of every lock value of a host that names as many servers and slots, and the same
    /// servers by the same names.
    #[must_use]
    pub fn kind(&self) -> String {
        let slots =
            if self.slots == 1 { String::new() } else { format!(",\"slots\":{}", self.slots) };
        let servers =
            self.list.as_ref().map(|list| format!(",\"servers\":\"{list}\"")).unwrap_or_default();
        format!("\"n\":{}{slots}{servers}}}", self.n)
    }

    /// `instance` showed at `now` what is in the way there, if anything.
    pub fn compare(
        &mut self,
        now: Time,
        instance: usize,
        holder: Option<&ObservedHolder>,
    ) -> Opinion {
        let Some(shown) = self.shown.get_mut(instance) else { return Opinion::Agrees };
        shown.is_free = holder.is_none();
        // What redlock did not write says nothing of servers.
        shown.lock_value =
            holder.and_then(|holder| Some((LockValue::parse(&holder.value)?, holder.clone(), now)));
        if let Some((lock_value, holder, _)) = &shown.lock_value {
            shown.list.clone_from(&lock_value.servers);
            if is_longer(lock_value, self.guard) && !std::mem::replace(&mut self.has_told, true) {
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
        // One that is due has not answered: it is not to be asked with every answer of another.
        again.map_or(Opinion::Agrees, |again| {
            Opinion::Suspect(again.max(now.plus(self.patience / Self::LIMITS)))
        })
    }

    /// Compares every lock value anew: what one instance shows tells something of the others.
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
        // A holder that has a majority of our servers too keeps us out by that, so there is time: a
        // server that has restarted has its key again before a ttl is over.
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
        let expires = holder.left.map_or(Time::NEVER, |left| seen.plus(left));
        let until = expires.max(again.plus(self.patience));
        Some(Suspect { difference, since, again, until, is_urgent })
    }

    /// Whether lock values of hosts with the servers of `lock value` are on a majority of our
    /// instances.
    fn has_majority(&self, lock_value: &LockValue) -> bool {
        let is_theirs = |shown: &&Shown| {
            shown.lock_value.as_ref().is_some_and(|(other, ..)| other.servers == lock_value.servers)
        };
        self.shown.iter().filter(is_theirs).count() > self.n / 2
    }

    /// When to look again at the instances that [`Agreement::suspects`] names; `None` where there
    /// are none.
    #[must_use]
    pub fn next_look(&self, now: Time) -> Option<Time> {
        self.standing(now)
            .filter(|(_, suspect)| suspect.is_urgent)
            .map(|(_, suspect)| suspect.again)
            .min()
    }

    /// The instances on which something disagreed when they answered last, and is there still for
    /// all that is known.
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

    /// What disagreed for two time limits, and in what.
    #[must_use]
    pub fn refusal(&self) -> Option<(ObservedHolder, Difference)> {
        self.refusal.clone()
    }

    /// What is on `instance` and disagrees, and in what.
    #[must_use]
    pub fn suspicion(&self, instance: usize) -> Option<(ObservedHolder, Difference)> {
        let shown = self.shown.get(instance)?;
        let (_, holder, _) = shown.lock_value.as_ref()?;
        Some((holder.clone(), shown.suspect.as_ref()?.difference.clone()))
    }

    /// A holder whose lease is longer than our restart guard; once.
    pub fn take_long_lease(&mut self) -> Option<ObservedHolder> {
        self.long_lease.take()
    }

    /// In what `lock value`, which is on `instance`, disagrees with this run, as far as that is
    /// sure.
    fn difference(&self, instance: usize, lock_value: &LockValue) -> Option<Difference> {
        if lock_value.n != self.n {
            return Some(Difference::Count(lock_value.n));
        }
        if lock_value.slots != self.slots {
            return Some(Difference::Slots(lock_value.slots));
        }
        let is_same_host = self.host.is_some() && host(&lock_value.owner) == self.host.as_deref();
        let is_equal = lock_value.servers == self.list;
        if is_equal && (is_same_host || !self.servers.iter().any(ServerName::is_local)) {
            return None;
        }
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
        // Any of these can be one of ours by another name.
        let nameless = theirs.iter().filter(|name| !is_comparable(name)).count();
        (others.len() > nameless).then_some(Difference::Servers(others))
    }
}

/// Whether the lease of `lock value` is longer than `guard`.
fn is_longer(lock_value: &LockValue, guard: RestartGuard) -> bool {
    matches!(guard, RestartGuard::For(guard) if Duration::from_millis(lock_value.ttl_ms) > guard)
}

/// The host of an owner (`user@host`); `None` where that is not known.
fn host(owner: &str) -> Option<&str> {
    let (_, host) = owner.rsplit_once('@')?;
    // Many hosts are called so that never got a name.
    Some(host)
        .filter(|host| !host.is_empty() && !host.contains(' ') && !host.starts_with("localhost"))
}

#[cfg(test)]
mod tests;
