//! Whether the hosts that use a lock mean the same lock: the same number of servers, the same servers, the same number of slots.
//! Two hosts that do not can both have a quorum, each of its own servers.
//!
//! A claim that is in the way on any instance is compared with this run. One that disagrees is looked at again two time limits
//! later, since an attempt that fails is given back sooner than that; one that still disagrees then is a refusal.
//!
//! What disagrees is sure in two cases, another number of servers or of slots. Names of servers are weaker: one server can have
//! two names. They are compared only where both hosts call the instance that holds the claim by the same name, so that a host
//! with addresses and one with DNS names never refuse each other. A name of ours that the claim does not list counts only when
//! that instance is free of such claims: where one stands, that server is the holder's too, whatever it is called. Names of one
//! host alone (loopback, sockets) say nothing to another host. Lists that share no server meet nowhere, and are not noticed.

use super::servers::{parse_server_list, server_list};
use super::{Claim, Guard, ServerName, Sighting, Time};
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

/// What one instance showed.
#[derive(Clone, Debug, Default)]
struct Shown {
    /// No claim was there when it answered last.
    is_free: bool,
    /// The servers that the last claim there listed.
    list: Option<String>,
    suspect: Option<Suspect>,
}

/// Something on an instance that disagrees.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    since: Time,
    /// When it is over, if the instance does not answer any more: what is there has expired by then, and there was time for a
    /// second look.
    until: Time,
}

/// How this run uses a lock, beside how others do.
#[derive(Clone, Debug)]
pub struct Agreement {
    n: usize,
    slots: u32,
    host: Option<String>,
    list: Option<String>,
    servers: Vec<ServerName>,
    guard: Guard,
    /// How long what disagrees is let be.
    patience: Duration,
    shown: Vec<Shown>,
    refusal: Option<(Sighting, Difference)>,
    /// A lease that is longer than the restart guard, until it is told; and whether it was.
    long_lease: Option<Sighting>,
    has_told: bool,
}

impl Agreement {
    /// For how many time limits a claim that disagrees is let be.
    const LIMITS: u32 = 2;

    /// The side of a run of `owner` (`user@host`), which counts on so many slots on `servers`, in the order of the instances.
    #[must_use]
    pub fn new(owner: &str, slots: u32, servers: Vec<ServerName>, guard: Guard, op_timeout: Duration) -> Self {
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

    /// The end of every claim of a host that names as many servers and slots, and the same servers by the same names.
    #[must_use]
    pub fn kind(&self) -> String {
        let slots = if self.slots == 1 { String::new() } else { format!(",\"slots\":{}", self.slots) };
        let servers = self.list.as_ref().map(|list| format!(",\"servers\":\"{list}\"")).unwrap_or_default();
        format!("\"n\":{}{slots}{servers}}}", self.n)
    }

    /// `instance` showed at `now` what is in the way there, if anything.
    pub fn compare(&mut self, now: Time, instance: usize, holder: Option<&Sighting>) -> Opinion {
        if let Some(holder) = holder {
            return self.look(now, instance, holder);
        }
        self.is_free(instance);
        Opinion::Agrees
    }

    /// `instance` holds nothing of another run, as it answered.
    pub fn is_free(&mut self, instance: usize) {
        if let Some(shown) = self.shown.get_mut(instance) {
            (shown.is_free, shown.suspect) = (true, None);
        }
    }

    /// `instance` showed at `now` what is in the way there.
    fn look(&mut self, now: Time, instance: usize, sighting: &Sighting) -> Opinion {
        let claim = Claim::parse(&sighting.value);
        let Some(shown) = self.shown.get_mut(instance) else { return Opinion::Agrees };
        shown.is_free = false;
        // What redlock did not write says nothing of servers.
        let Some(claim) = claim else {
            shown.suspect = None;
            return Opinion::Agrees;
        };
        shown.list.clone_from(&claim.servers);
        self.look_at_lease(&claim, sighting);
        let difference = self.difference(instance, &claim);
        let since = self.standing(now).map(|(_, since)| since).min().unwrap_or(now);
        let Some(shown) = self.shown.get_mut(instance) else { return Opinion::Agrees };
        let Some(difference) = difference else {
            shown.suspect = None;
            return Opinion::Agrees;
        };
        let again = since.plus(self.patience);
        let expires = sighting.left.map_or(Time::NEVER, |left| now.plus(left));
        shown.suspect = Some(Suspect { since, until: expires.max(again.plus(self.patience)) });
        if now < again {
            return Opinion::Suspect(again);
        }
        self.refusal = Some((sighting.clone(), difference));
        Opinion::Disagrees
    }

    /// When to look again at the instances that [`Agreement::suspects`] names; `None` where there are none.
    #[must_use]
    pub fn look_at(&self, now: Time) -> Option<Time> {
        self.standing(now).map(|(_, since)| since.plus(self.patience)).min()
    }

    /// The instances on which something disagreed when they answered last, and is there still for all that is known.
    #[must_use]
    pub fn suspects(&self, now: Time) -> Vec<usize> {
        self.standing(now).map(|(instance, _)| instance).collect()
    }

    fn standing(&self, now: Time) -> impl Iterator<Item = (usize, Time)> {
        let suspect = move |(instance, shown): (usize, &Shown)| {
            shown.suspect.filter(|suspect| now < suspect.until).map(|suspect| (instance, suspect.since))
        };
        self.shown.iter().enumerate().filter_map(suspect)
    }

    /// What disagreed for two time limits, and in what.
    #[must_use]
    pub fn refusal(&self) -> Option<(Sighting, Difference)> {
        self.refusal.clone()
    }

    /// A holder whose lease is longer than our restart guard; once.
    pub fn take_long_lease(&mut self) -> Option<Sighting> {
        self.long_lease.take()
    }

    fn look_at_lease(&mut self, claim: &Claim, sighting: &Sighting) {
        if let Guard::For(guard) = self.guard
            && Duration::from_millis(claim.ttl_ms) > guard
            && !std::mem::replace(&mut self.has_told, true)
        {
            self.long_lease = Some(sighting.clone());
        }
    }

    /// In what `claim`, which is on `instance`, disagrees with this run, as far as that is sure.
    fn difference(&self, instance: usize, claim: &Claim) -> Option<Difference> {
        if claim.n != self.n {
            return Some(Difference::Count(claim.n));
        }
        if claim.slots != self.slots {
            return Some(Difference::Slots(claim.slots));
        }
        let is_same_host = self.host.is_some() && host(&claim.owner) == self.host.as_deref();
        let is_equal = claim.servers == self.list;
        if is_equal && (is_same_host || !self.servers.iter().any(ServerName::is_local)) {
            return None;
        }
        let theirs = parse_server_list(claim.servers.as_ref()?)?;
        let is_comparable = |name: &ServerName| is_same_host || !name.is_local();
        let is_theirs = |name: &ServerName| is_comparable(name) && theirs.contains(name);
        if !self.servers.get(instance).is_some_and(is_theirs) {
            return None;
        }
        let is_other = |(number, name): &(usize, &ServerName)| {
            let is_clear = self.shown.get(*number).is_some_and(|shown| shown.is_free && shown.list != claim.servers);
            is_comparable(name) && !is_theirs(name) && is_clear
        };
        let others: Vec<usize> = self.servers.iter().enumerate().filter(is_other).map(|(number, _)| number).collect();
        // Any of these can be one of ours by another name.
        let nameless = theirs.iter().filter(|name| !is_comparable(name)).count();
        (others.len() > nameless).then_some(Difference::Servers(others))
    }
}

/// The host of an owner (`user@host`); `None` where that is not known.
fn host(owner: &str) -> Option<&str> {
    let (_, host) = owner.rsplit_once('@')?;
    // Many hosts are called so that never got a name.
    Some(host).filter(|host| !host.is_empty() && !host.contains(' ') && !host.starts_with("localhost"))
}

#[cfg(test)]
mod tests;
