//! The faults of the locks that the servers list.

use super::{Examination, Expectations, FoundFault};
use crate::lock::{Answer, ListedKey, LockValue, RestartGuard, are_on_one_host, unnamed_servers};
use std::time::Duration;

impl Expectations {
    /// The faults of the listed locks, each once.
    pub(super) fn locks(&self, answers: &[Answer<Examination>]) -> Vec<FoundFault> {
        let mut faults: Vec<FoundFault> = vec![];
        let listed = answers.iter().filter_map(|answer| answer.result.as_ref().ok());
        for lock in listed.flat_map(|found| &found.locks) {
            let key = || lock.key.clone();
            let mut found = vec![];
            found.extend(lock.holder.left.is_none().then(|| FoundFault::NoExpiry(key())));
            if let Some(value) = LockValue::parse(&lock.holder.value) {
                let ttl = Duration::from_millis(value.ttl_ms);
                let is_long = matches!(self.guard, RestartGuard::For(guard) if ttl > guard);
                found.extend(is_long.then(|| FoundFault::LongTtl(key(), value.owner.clone(), ttl)));
                found.extend(
                    (value.n != self.size.count())
                        .then(|| FoundFault::OtherCount(key(), value.owner.clone(), value.n)),
                );
            }
            found.retain(|fault| !faults.contains(fault));
            faults.extend(found);
        }
        faults.extend(self.other_servers(answers));
        faults.extend(other_slots(answers));
        faults
    }

    /// Holders that do not name a server which this host names. A server by another name has the
    /// holder's key.
    fn other_servers(&self, answers: &[Answer<Examination>]) -> Vec<FoundFault> {
        let mut faults = vec![];
        for (lock, value) in values(answers) {
            let is_same_host = are_on_one_host(&self.owner, &value.owner);
            let Some(theirs) = value.servers.as_ref().filter(|_| value.n == self.size.count())
            else {
                continue;
            };
            let lacks_key = |number: &usize| {
                let found = answers.get(*number).and_then(|answer| answer.result.as_ref().ok());
                found.is_some_and(|found| {
                    !found.locks.iter().any(|other| other.holder.value == lock.holder.value)
                })
            };
            let unnamed = unnamed_servers(&self.servers, theirs, is_same_host);
            if let Some(server) = unnamed.into_iter().find(lacks_key) {
                let fault = FoundFault::OtherServers(lock.key.clone(), value.owner, server);
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
        faults
    }
}

/// The locks of redlock, each with its value, on each server.
fn values(answers: &[Answer<Examination>]) -> impl Iterator<Item = (&ListedKey, LockValue)> {
    let listed = answers.iter().filter_map(|answer| answer.result.as_ref().ok());
    listed
        .flat_map(|found| &found.locks)
        .filter_map(|lock| Some((lock, LockValue::parse(&lock.holder.value)?)))
}

/// Locks whose holders count on different numbers of slots.
fn other_slots(answers: &[Answer<Examination>]) -> Vec<FoundFault> {
    let mut known: Vec<(String, u32)> = vec![];
    let mut faults = vec![];
    for (lock, value) in values(answers) {
        let slot = lock.key.rsplit_once('#').filter(|(_, number)| number.parse::<u32>().is_ok());
        let name = slot.filter(|_| value.slots > 1).map_or(lock.key.as_str(), |(name, _)| name);
        match known.iter().find(|(other, _)| other == name) {
            None => known.push((name.to_owned(), value.slots)),
            Some((_, slots)) if *slots != value.slots => {
                let (few, many) = (value.slots.min(*slots), value.slots.max(*slots));
                let fault = FoundFault::OtherSlots(name.to_owned(), few, many);
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
            Some(_) => {}
        }
    }
    faults
}
