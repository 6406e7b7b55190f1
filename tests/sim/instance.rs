//! One Redis server as far as the lock sees it: one key, its expiry, a memory that may be lost.

use redlock_cli::lock::{Answer, Ask, Extension, Identity, Release, Sighting, Unknown, View, Vote, Watched};
use std::time::Duration;

pub(crate) struct Instance {
    /// The value and the real time at which it expires, by this instance's clock.
    key: Option<(String, u64)>,
    /// How fast its clock runs, in parts of 100,000.
    pub(crate) rate: u64,
    pub(crate) up_since: u64,
    pub(crate) run_id: u64,
    /// Who waits to be woken: when the wait began, which client, on which of its connections.
    queue: Vec<(Duration, usize, u64)>,
    /// Until when it answers nobody.
    pub(crate) hangs_until: u64,
}

impl Instance {
    pub(crate) fn new(rate: u64) -> Self {
        Self { key: None, queue: vec![], rate, up_since: 0, run_id: 0, hangs_until: 0 }
    }

    /// What the key holds at `now`.
    pub(crate) fn value(&mut self, now: u64) -> Option<&str> {
        if self.key.as_ref().is_some_and(|(_, expires)| now >= *expires) {
            self.key = None;
        }
        self.key.as_ref().map(|(value, _)| value.as_str())
    }

    pub(crate) fn delete(&mut self) {
        self.key = None;
    }

    /// Its clock jumps forward: what it keeps expires that much earlier.
    pub(crate) fn step(&mut self, by: Duration) {
        if let Some((_, expires)) = &mut self.key {
            *expires = expires.saturating_sub(nanos(by));
        }
    }

    pub(crate) fn restart(&mut self, now: u64, forgets: bool) {
        if forgets {
            self.key = None;
        }
        // Its connections are gone, and so is whoever listened on them.
        self.queue.clear();
        self.up_since = now;
        self.run_id += 1;
    }

    pub(crate) fn identity(&self, number: usize, forgets: bool) -> Identity {
        Identity { run_id: format!("{number}-{}", self.run_id), forgets }
    }

    /// Executes a request. Votes do not count while the server has been up for less than `guard`.
    pub(crate) fn execute(&mut self, now: u64, ask: &Ask, ttl: Duration, guard: Option<Duration>) -> Answer {
        let expires = now + nanos(ttl) * 100_000 / self.rate;
        let there = self.value(now).map(str::to_owned);
        match ask {
            Ask::Acquire { attempt, value, .. } => {
                if there.is_some() {
                    return Answer::Vote(*attempt, Vote::Denied);
                }
                self.key = Some((value.clone(), expires));
                let up = Duration::from_nanos(now - self.up_since);
                let young = self.run_id > 0 && guard.is_some_and(|guard| up < guard);
                let restarted = Unknown::Restarted { up, votes_in: guard.unwrap_or_default() };
                Answer::Vote(*attempt, if young { Vote::Unknown(restarted) } else { Vote::Granted })
            }
            Ask::Extend { round, value, .. } => {
                let extension = match there {
                    Some(there) if there == *value => Extension::Kept,
                    Some(_) => return Answer::Extension(*round, Extension::Foreign),
                    None => Extension::SetAgain,
                };
                self.key = Some((value.clone(), expires));
                Answer::Extension(*round, extension)
            }
            Ask::Release { attempt, value, .. } => {
                let holder = there.filter(|there| there != value);
                if holder.is_none() {
                    self.key = None;
                }
                let left = self.key.as_ref().map(|(_, expires)| Duration::from_nanos(expires - now));
                Answer::Release(*attempt, Release::Done(holder.map(|value| Sighting { value, left })))
            }
            Ask::Watch(_) => {
                let left = self.key.as_ref().map(|(_, expires)| Duration::from_nanos(expires - now));
                let free = if there.is_none() { vec![0] } else { vec![] };
                let holder = there.map(|value| Sighting { value, left });
                Answer::Watch(Watched::Seen(View { free, holder, place: None, doubt: None }))
            }
        }
    }

    /// A client takes its place in line, and hears how many are before it.
    pub(crate) fn queue(&mut self, client: usize, epoch: u64, since: Duration) -> u32 {
        self.leave(client);
        self.queue.push((since, client, epoch));
        self.queue.sort_unstable();
        u32::try_from(self.queue.iter().position(|(_, other, _)| *other == client).unwrap()).unwrap()
    }

    pub(crate) fn leave(&mut self, client: usize) {
        self.queue.retain(|(_, other, _)| *other != client);
    }

    /// The first in line who still listens. It loses its place until it looks again, and so do the dead before it.
    pub(crate) fn first(&mut self, listens: impl Fn(usize, u64) -> bool) -> Option<usize> {
        while !self.queue.is_empty() {
            let (_, client, epoch) = self.queue.remove(0);
            if listens(client, epoch) {
                return Some(client);
            }
        }
        None
    }
}

pub(crate) fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap()
}
