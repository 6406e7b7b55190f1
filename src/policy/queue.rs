//! Waiting in line: what is known of a lock that somebody else holds, when to look again, and when
//! to try.
//!
//! A wake-up is a hint. Whoever was never woken looks at the lock when it may have become free, so
//! that lost messages, dead waiters and clients that wake nobody only make it slower.

use crate::lock::{
    ClusterSize, LockStatus, LockValue, ObservedHolder, Sample, StatusResponse, Time, part,
};
use std::time::Duration;

/// What one contender knows while it waits.
#[derive(Clone, Debug)]
pub struct QueueWaiter {
    size: ClusterSize,
    /// The slots that are free on each instance, as far as is known.
    free: Vec<Vec<u32>>,
    has_answered: Vec<bool>,
    /// The instances that cannot answer, as far as is known.
    has_failed: Vec<bool>,
    place: Option<u32>,
    holder: Option<(ObservedHolder, Time)>,
    /// When to ask one instance how things stand.
    poll_at: Time,
    /// The instance that was asked alone.
    polled: Option<usize>,
    /// When to look at all instances: there was a hint that was none of a quorum.
    look_at: Time,
    /// When all were asked last.
    asked_at: Time,
    next: usize,
    cap: Duration,
    /// Whether what is free is left to those before us: nothing has said yet that it is our turn.
    yields: bool,
    wake_ups: Vec<WakeUps>,
}

/// The wake-ups by one instance that no quorum bore out.
#[derive(Clone, Copy, Debug, Default)]
struct WakeUps {
    in_vain: u32,
    /// Until then another one changes nothing.
    next: Time,
}

impl WakeUps {
    /// So many are followed at once: the lock may have been taken by another run each time.
    const FREE: u32 = 8;
    /// Half of how long after the next one another is followed; doubled with each, up to 64 times.
    const APART: Duration = Duration::from_millis(50);
}

/// Whom to ask how things stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Poll {
    /// Nobody yet.
    None,
    /// This instance.
    One(usize),
    /// All.
    All,
    /// Too few answer: only another attempt can tell.
    Try,
}

impl QueueWaiter {
    /// A look at least this often, whatever the holder's lease.
    const CAP: Duration = Duration::from_secs(30);
    /// The same where somebody looks on, to whom a new holder is news.
    const LIVE_CAP: Duration = Duration::from_secs(10);
    /// How long to wait for an answer.
    const RETRY: Duration = Duration::from_secs(1);
    /// How often to look where nobody will wake us, or the holder wakes nobody: a release is
    /// noticed within twice that.
    const BLIND: Duration = Duration::from_millis(500);
    /// How much later each place in the line looks at a lease that is over than the one before:
    /// that has tried by then.
    const TURN: Duration = Duration::from_millis(100);
    /// The same where it is free already, so that somebody is being woken, and where all look again
    /// and again, since the holder wakes nobody; and how much less often each place looks, however
    /// short the lease.
    const LONG_TURN: Duration = Duration::from_secs(1);
    /// The largest number of such steps.
    const TURNS_MAX: u32 = 10;
    /// A key is looked at a little after it was to expire.
    const LATE: Duration = Duration::from_millis(5);
    /// So that not everybody looks at once.
    const JITTER: Duration = Duration::from_millis(50);

    /// A line in which nothing is known.
    #[must_use]
    pub fn new(size: ClusterSize) -> Self {
        Self {
            size,
            free: vec![vec![]; size.count()],
            has_answered: vec![false; size.count()],
            has_failed: vec![false; size.count()],
            place: None,
            holder: None,
            poll_at: Time::NEVER,
            polled: None,
            look_at: Time::NEVER,
            asked_at: Time::default(),
            next: 0,
            cap: Self::CAP,
            yields: false,
            wake_ups: vec![WakeUps::default(); size.count()],
        }
    }

    /// Somebody looks on: what is known of the holder is not to be old.
    pub const fn keep_up(&mut self) {
        self.cap = Self::LIVE_CAP;
    }

    /// All instances are asked at `now`: what was known is forgotten.
    pub fn ask_all(&mut self, now: Time) {
        self.free.iter_mut().for_each(Vec::clear);
        self.has_answered.fill(false);
        self.has_failed.fill(false);
        self.polled = None;
        self.look_at = Time::NEVER;
        self.asked_at = now;
        self.poll_at = now.plus(Self::RETRY);
    }

    /// All instances are asked for a place at `now`, behind an attempt that failed.
    pub fn join(&mut self, now: Time) {
        self.ask_all(now);
        self.yields = true;
    }

    /// A connection that stood in a queue has ended, and its place with it. It is taken again with
    /// a look at all instances, at once, but not more often than once a second.
    pub fn lost_place(&mut self, now: Time) {
        self.look_by(now.max(self.asked_at.plus(Self::RETRY)));
    }

    /// Whether what was asked at `sent` was asked before all were asked last.
    #[must_use]
    pub fn is_older(&self, sent: Time) -> bool {
        sent < self.asked_at
    }

    /// A look at all instances is due at `at`, if not earlier.
    pub fn look_by(&mut self, at: Time) {
        self.look_at = self.look_at.min(at);
    }

    /// `instance` said how things stand.
    pub fn seen(&mut self, now: Time, sample: Sample, instance: usize, status: StatusResponse) {
        let was_polled = self.polled == Some(instance);
        // No answer: what is known of the lock stays. The next instance is polled soon.
        let StatusResponse::Seen(mut view) = status else {
            if let Some(has_failed) = self.has_failed.get_mut(instance) {
                *has_failed = true;
            }
            return;
        };
        let is_first = !self.has_answered.contains(&true);
        if let Some(has_answered) = self.has_answered.get_mut(instance) {
            *has_answered = true;
        }
        // A free lock is somebody's before us who is being woken, unless it is still free when we
        // look at it by ourselves.
        self.yields &= !was_polled || view.free.is_empty();
        let is_before = |place| view.free.len() <= usize::try_from(place).unwrap_or(usize::MAX);
        let mut left =
            view.holder.as_ref().and_then(|holder| holder.left).unwrap_or(self.cap).min(self.cap);
        let mut turn = Self::TURN;
        if self.yields && !view.free.is_empty() && view.place.is_some_and(is_before) {
            view.free.clear();
            (left, turn) = (Duration::ZERO, Self::LONG_TURN);
        } else if !view.free.is_empty() {
            // Unless a quorum is free, nobody here would wake us: an election, what a dead one
            // left, too few who answer.
            left = Self::BLIND;
        }
        let poll_at = now.plus(Self::wait_limit(&view, left, turn, sample));
        if was_polled {
            // The holder extends everywhere at once, so one instance speaks for all.
            (self.polled, self.poll_at) = (None, poll_at);
            if !view.free.is_empty() {
                self.look_at = now;
            }
        } else if is_first {
            self.poll_at = poll_at;
        } else {
            self.poll_at = self.poll_at.min(poll_at);
        }
        self.place = view.place;
        if let Some(holder) = view.holder {
            self.holder = Some((holder, now));
        }
        if let Some(free) = self.free.get_mut(instance) {
            *free = view.free;
        }
    }

    /// How long to leave a lock alone that looks like this, and is somebody's for as long as is
    /// `left`; those before us have a `turn` each.
    fn wait_limit(view: &LockStatus, left: Duration, turn: Duration, sample: Sample) -> Duration {
        let is_foreign =
            view.holder.as_ref().is_some_and(|holder| LockValue::parse(&holder.value).is_none());
        let jitter = part(Self::JITTER, sample);
        let turns = |place: u32| place.min(Self::TURNS_MAX);
        match view.place {
            Some(0) if !is_foreign => left + Self::LATE + jitter,
            None | Some(0) => left.min(Self::BLIND) + Self::LATE + jitter,
            // Nobody tells those behind that the first has left, so that they had to look for
            // themselves.
            Some(place) if is_foreign => {
                left.min(Self::BLIND) + Self::LONG_TURN * turns(place) + jitter
            }
            Some(place) => {
                (left + turn * turns(place)).max(Self::LONG_TURN * turns(place)) + jitter
            }
        }
    }

    /// `slot` was released on `instance`, and it is our turn. Others may say so within `grace`.
    pub fn woken(&mut self, now: Time, instance: usize, slot: u32, grace: Duration) {
        let Some(wake_ups) = self.wake_ups.get_mut(instance) else { return };
        if now < wake_ups.next {
            return;
        }
        let extra = wake_ups.in_vain.saturating_sub(WakeUps::FREE);
        let apart = if extra == 0 {
            Duration::ZERO
        } else {
            WakeUps::APART.saturating_mul(1 << extra.min(6))
        };
        *wake_ups = WakeUps { in_vain: wake_ups.in_vain.saturating_add(1), next: now.plus(apart) };
        if let Some(free) = self.free.get_mut(instance)
            && !free.contains(&slot)
        {
            free.push(slot);
        }
        self.look_by(now.plus(grace));
        self.yields = false;
    }

    /// A quorum is free: those who said so told the truth.
    pub fn tries(&mut self) {
        self.wake_ups.fill(WakeUps::default());
    }

    /// A slot that is free on a quorum: the first from `start` on, of `count`, so that not
    /// everybody takes the same.
    #[must_use]
    pub fn choice(&self, start: u32, count: u32) -> Option<u32> {
        let is_free = |slot: &u32| {
            self.free.iter().filter(|free| free.contains(slot)).count() >= self.size.quorum()
        };
        (0..count).map(|step| start.wrapping_add(step) % count.max(1)).find(is_free)
    }

    /// Whether a quorum answered since all were asked.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.has_answered.iter().filter(|has| **has).count() >= self.size.quorum()
    }

    /// Whether one of `count` slots can still turn out to be free on a quorum: an instance that
    /// has not answered since all were asked may say so.
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

    /// When to call [`QueueWaiter::due`] at the latest.
    #[must_use]
    pub fn wake_at(&self) -> Time {
        self.poll_at.min(self.look_at)
    }

    /// Whom to ask at `now`.
    pub fn due(&mut self, now: Time) -> Poll {
        if now >= self.look_at {
            self.ask_all(now);
            return Poll::All;
        }
        // An instance that was polled and is silent knows nothing any more.
        if now >= self.poll_at
            && let Some(silent) = self.polled.take()
            && let Some(has_answered) = self.has_answered.get_mut(silent)
        {
            *has_answered = false;
        }
        if now >= self.poll_at && !self.is_known() {
            return Poll::Try;
        }
        if now >= self.poll_at {
            let instance = self.next % self.size.count();
            self.next = instance + 1;
            self.polled = Some(instance);
            self.poll_at = now.plus(Self::RETRY);
            return Poll::One(instance);
        }
        Poll::None
    }

    /// How many wait before us, where that is known.
    #[must_use]
    pub const fn place(&self) -> Option<u32> {
        self.place
    }

    /// Who holds the lock, as it stands at `now`.
    #[must_use]
    pub fn holder(&self, now: Time) -> Option<ObservedHolder> {
        let (holder, seen) = self.holder.as_ref()?;
        Some(ObservedHolder {
            left: holder.left.map(|left| left.saturating_sub(now.since(*seen))),
            ..holder.clone()
        })
    }
}

#[cfg(test)]
mod tests;
