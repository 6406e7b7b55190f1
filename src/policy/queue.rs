//! Wait in the queue of a lock that another run holds: when to poll, and when to attempt.
//!
//! A wake-up is a hint. A contender that gets none polls when the lock may have become free, so
//! lost messages, dead contenders and clients that send no wake-up only cost time.

mod budget;

use super::poller::Poller;
use crate::lock::{
    ClusterSize, LockStatus, LockValue, ObservedHolder, Sample, StatusResponse, Time, part,
};
use budget::AttemptBudget;
use std::time::Duration;

/// State of the queue as one contender knows it.
#[derive(Clone, Debug)]
pub struct QueueWaiter {
    size: ClusterSize,
    poller: Poller,
    /// Slots that are free on each instance, by its last response.
    free: Vec<Vec<u32>>,
    has_answered: Vec<bool>,
    /// Whether each instance is known to be unable to answer.
    has_failed: Vec<bool>,
    place: Option<u32>,
    /// Holder, and the moment of the response that named it.
    holder: Option<(ObservedHolder, Time)>,
    /// Next poll of a single instance.
    poll_single_at: Time,
    /// Next poll of all instances, after a hint that no quorum has confirmed.
    poll_all_at: Time,
    /// Last poll of all instances.
    polled_all_at: Time,
    /// Longest time between two polls.
    poll_every: Duration,
    /// Whether free slots are left to the contenders ahead, because neither a wake-up nor a single
    /// poll has given this contender its turn yet.
    yields: bool,
    wake_ups: Vec<WakeUps>,
    attempts: AttemptBudget,
}

/// Wake-ups of one instance that no quorum has confirmed.
#[derive(Clone, Copy, Debug, Default)]
struct WakeUps {
    unconfirmed: u32,
    /// A wake-up before this moment is ignored.
    ignored_until: Time,
}

impl WakeUps {
    /// Number of unconfirmed wake-ups that are followed at once: another run may have been faster
    /// each time.
    const FREE: u32 = 8;
    /// Half the time for which the next wake-up is then ignored. Doubles with each one, up to
    /// 64 times.
    const IGNORED_FOR: Duration = Duration::from_millis(50);
}

/// Next step of a contender in the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Poll {
    /// No poll is due.
    NotDue,
    /// Send a status request to these instances.
    Ask(Vec<usize>),
    /// Fewer than a quorum answer status requests: attempt to acquire the lock.
    Attempt,
}

impl QueueWaiter {
    /// Longest time between two polls, for any lease.
    const POLL_EVERY: Duration = Duration::from_secs(30);
    /// The same if the progress of the wait is shown live: a new holder is news.
    const POLL_EVERY_LIVE: Duration = Duration::from_secs(10);
    /// Time from a request to the next one if no response comes.
    const RETRY: Duration = Duration::from_secs(1);
    /// Longest time between two polls if no wake-up will come: no place in the queue, or a holder
    /// that sends none. A release is noticed within twice that.
    const POLL_EVERY_BLIND: Duration = Duration::from_millis(500);
    /// Delay per place behind an expired lease. The contender ahead has attempted by then.
    const TURN: Duration = Duration::from_millis(100);
    /// Delay per place if the lock is free, since the contender ahead has been woken, or if the
    /// holder sends no wake-ups, since every contender polls. Also the least time between two polls
    /// per place, for any lease.
    const LONG_TURN: Duration = Duration::from_secs(1);
    /// Largest number of such delays.
    const TURNS_MAX: u32 = 10;
    /// Delay behind the expiry of a key.
    const LATE: Duration = Duration::from_millis(5);
    /// Range of the random delay that keeps contenders from polling at the same moment.
    const JITTER: Duration = Duration::from_millis(50);

    /// A queue of which nothing is known. `is_live` shortens the time between two polls.
    #[must_use]
    pub fn new(size: ClusterSize, is_live: bool) -> Self {
        Self {
            size,
            poller: Poller::new(size),
            free: vec![vec![]; size.count()],
            has_answered: vec![false; size.count()],
            has_failed: vec![false; size.count()],
            place: None,
            holder: None,
            poll_single_at: Time::NEVER,
            poll_all_at: Time::NEVER,
            polled_all_at: Time::default(),
            poll_every: if is_live { Self::POLL_EVERY_LIVE } else { Self::POLL_EVERY },
            yields: false,
            wake_ups: vec![WakeUps::default(); size.count()],
            attempts: AttemptBudget::default(),
        }
    }

    /// Forgets the responses so far. Those to requests sent at `now` or later count.
    pub fn restart(&mut self, now: Time) {
        self.free.iter_mut().for_each(Vec::clear);
        self.has_answered.fill(false);
        self.has_failed.fill(false);
        let _ = self.poller.take_single();
        self.poll_all_at = Time::NEVER;
        self.polled_all_at = now;
        self.poll_single_at = now.plus(Self::RETRY);
    }

    /// Starts a poll at `now`. Returns the instances to ask: all.
    pub fn poll_all(&mut self, now: Time) -> Vec<usize> {
        self.restart(now);
        self.poller.all()
    }

    /// Joins the queue at `now`, after a failed attempt. Returns the instances to ask: all.
    pub fn join(&mut self, now: Time) -> Vec<usize> {
        self.yields = true;
        self.poll_all(now)
    }

    /// A connection has ended, and with it the place in the queue of that instance. A poll of all
    /// instances takes the place again: now, but at most once a second.
    pub fn handle_disconnect(&mut self, now: Time) {
        self.poll_all_by(now.max(self.polled_all_at.plus(Self::RETRY)));
    }

    /// Whether a request that was sent at `sent` is older than the last poll of all instances.
    #[must_use]
    pub fn is_older(&self, sent: Time) -> bool {
        sent < self.polled_all_at
    }

    /// Polls all instances at `at` at the latest.
    pub fn poll_all_by(&mut self, at: Time) {
        self.poll_all_at = self.poll_all_at.min(at);
    }

    /// Takes the response of `instance` to a status request.
    pub fn handle_status(
        &mut self,
        now: Time,
        sample: Sample,
        instance: usize,
        response: StatusResponse,
    ) {
        // Without a status, keep the state as it is. The next instance is polled soon.
        let StatusResponse::Seen(mut status) = response else {
            if let Some(has_failed) = self.has_failed.get_mut(instance) {
                *has_failed = true;
            }
            return;
        };
        let is_single = self.poller.is_single(instance);
        let is_first = !self.has_answered.contains(&true);
        if let Some(has_answered) = self.has_answered.get_mut(instance) {
            *has_answered = true;
        }
        // A contender ahead is being woken for a free lock. If the lock is still free at a later
        // single poll, that contender has not taken its turn.
        self.yields &= !is_single || status.free.is_empty();
        let is_ahead = |place| status.free.len() <= usize::try_from(place).unwrap_or(usize::MAX);
        let left = status.holder.as_ref().and_then(|holder| holder.left);
        let mut left = left.unwrap_or(self.poll_every).min(self.poll_every);
        let mut turn = Self::TURN;
        if self.yields && !status.free.is_empty() && status.place.is_some_and(is_ahead) {
            status.free.clear();
            (left, turn) = (Duration::ZERO, Self::LONG_TURN);
        } else if !status.free.is_empty() {
            // Fewer than a quorum may be free, after an election, a crash, or while too few
            // answer. No wake-up follows then.
            left = Self::POLL_EVERY_BLIND;
        }
        let poll_at = now.plus(Self::poll_delay(&status, left, turn, sample));
        if is_single {
            let _ = self.poller.take_single();
            self.poll_single_at = poll_at;
            if !status.free.is_empty() {
                self.poll_all_at = now;
            }
        } else if is_first {
            self.poll_single_at = poll_at;
        } else {
            self.poll_single_at = self.poll_single_at.min(poll_at);
        }
        self.place = status.place;
        if let Some(holder) = status.holder {
            self.holder = Some((holder, now));
        }
        if let Some(free) = self.free.get_mut(instance) {
            *free = status.free;
        }
    }

    /// The time from a response with this `status` to the next poll. The lease has `left`; each
    /// contender ahead has one `turn` behind its end.
    fn poll_delay(status: &LockStatus, left: Duration, turn: Duration, sample: Sample) -> Duration {
        let is_foreign =
            status.holder.as_ref().is_some_and(|holder| LockValue::parse(&holder.value).is_none());
        let jitter = part(Self::JITTER, sample);
        let turns = |place: u32| place.min(Self::TURNS_MAX);
        match status.place {
            Some(0) if !is_foreign => left + Self::LATE + jitter,
            None | Some(0) => left.min(Self::POLL_EVERY_BLIND) + Self::LATE + jitter,
            // Without wake-ups, a contender that moves up learns of it by a poll.
            Some(place) if is_foreign => {
                left.min(Self::POLL_EVERY_BLIND) + Self::LONG_TURN * turns(place) + jitter
            }
            Some(place) => {
                (left + turn * turns(place)).max(Self::LONG_TURN * turns(place)) + jitter
            }
        }
    }

    /// Takes a wake-up: `slot` was released on `instance`, and this contender is the next. The
    /// wake-ups of the other instances may follow within `grace`.
    pub fn handle_wake_up(&mut self, now: Time, instance: usize, slot: u32, grace: Duration) {
        let Some(wake_ups) = self.wake_ups.get_mut(instance) else { return };
        if now < wake_ups.ignored_until {
            return;
        }
        let extra = wake_ups.unconfirmed.saturating_sub(WakeUps::FREE);
        let ignored_for = if extra == 0 {
            Duration::ZERO
        } else {
            WakeUps::IGNORED_FOR.saturating_mul(1 << extra.min(6))
        };
        *wake_ups = WakeUps {
            unconfirmed: wake_ups.unconfirmed.saturating_add(1),
            ignored_until: now.plus(ignored_for),
        };
        if let Some(free) = self.free.get_mut(instance)
            && !free.contains(&slot)
        {
            free.push(slot);
        }
        self.poll_all_by(now.plus(grace));
        self.yields = false;
    }

    /// A quorum is free, which confirms the wake-ups so far.
    pub fn confirm_wake_ups(&mut self) {
        self.wake_ups.fill(WakeUps::default());
    }

    /// Counts an attempt at `now` for one of `slots` that is free on a quorum. Returns whether the
    /// attempt may begin now. If not, all instances are polled once it may.
    pub fn spend_attempt(&mut self, now: Time, slots: u32) -> bool {
        let begins = self.attempts.spend(now, slots);
        begins.map_err(|earliest| self.poll_all_by(earliest)).is_ok()
    }

    /// A slot of `count` that is free on a quorum. The search begins at `start`, so that contenders
    /// choose different slots.
    #[must_use]
    pub fn free_slot(&self, start: u32, count: u32) -> Option<u32> {
        let is_free = |slot: &u32| {
            self.free.iter().filter(|free| free.contains(slot)).count() >= self.size.quorum()
        };
        (0..count).map(|step| start.wrapping_add(step) % count.max(1)).find(is_free)
    }

    /// Whether a quorum has answered since the last poll of all instances.
    #[must_use]
    pub fn has_quorum_answered(&self) -> bool {
        self.has_answered.iter().filter(|has| **has).count() >= self.size.quorum()
    }

    /// Whether one of `count` slots may still be free on a quorum, by the missing responses to the
    /// last poll of all instances.
    #[must_use]
    pub fn may_find(&self, count: u32) -> bool {
        let is_open = |instance: usize| {
            self.has_answered.get(instance) == Some(&false)
                && self.has_failed.get(instance) == Some(&false)
        };
        (0..count).any(|slot| {
            let free = self.free.iter().enumerate();
            free.filter(|(instance, free)| is_open(*instance) || free.contains(&slot)).count()
                >= self.size.quorum()
        })
    }

    /// The moment at which [`QueueWaiter::poll`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        self.poll_single_at.min(self.poll_all_at)
    }

    /// Starts the poll that is due at `now`, if any.
    pub fn poll(&mut self, now: Time) -> Poll {
        if now >= self.poll_all_at {
            return Poll::Ask(self.poll_all(now));
        }
        if now < self.poll_single_at {
            return Poll::NotDue;
        }
        // The last response of an instance that has not answered its poll is out of date.
        if let Some(silent) = self.poller.take_single()
            && let Some(has_answered) = self.has_answered.get_mut(silent)
        {
            *has_answered = false;
        }
        if !self.has_quorum_answered() {
            return Poll::Attempt;
        }
        self.poll_single_at = now.plus(Self::RETRY);
        Poll::Ask(self.poller.single())
    }

    /// The number of contenders ahead, if known.
    #[must_use]
    pub const fn place(&self) -> Option<u32> {
        self.place
    }

    /// The holder, with the TTL left at `now`.
    #[must_use]
    pub fn holder(&self, now: Time) -> Option<ObservedHolder> {
        let (holder, received) = self.holder.as_ref()?;
        Some(ObservedHolder {
            left: holder.left.map(|left| left.saturating_sub(now.since(*received))),
            ..holder.clone()
        })
    }
}

#[cfg(test)]
mod tests;
