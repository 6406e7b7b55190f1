//! One instance's place in a held lock: whether our key has been there without a gap, and until
//! when.

use super::{Extension, Time, Ttl};
use std::time::Duration;

/// Whether an instance counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Membership {
    /// Our key is not known to be there.
    #[default]
    NotHeld,
    /// Our key is there again after a gap, as an answer said that came at `told`. It counts once a
    /// quorum of members has confirmed requests that were not sent before that moment: then they
    /// held throughout the gap, and no other run can have used it. A confirmation that was sent
    /// earlier says nothing of the gap, however late its answer comes.
    Rejoining {
        /// The moment of our clock at which the answer came.
        told: Time,
    },
    /// Our key has been there without a gap.
    Held,
}

/// One instance's place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InstanceLease {
    membership: Membership,
    /// When the newest request was sent that the instance confirmed.
    confirmed: Option<Time>,
    run_id: Option<String>,
    /// Whether the connection on which it told that is still there: behind the next one another
    /// server may answer.
    is_connected: bool,
    /// How far the instance's clock is ahead of ours at most, in nanoseconds since both began.
    ahead: Option<i128>,
    /// An earlier instance that is the same server.
    duplicate_of: Option<usize>,
}

impl InstanceLease {
    /// Whether the instance counts.
    #[must_use]
    pub const fn membership(&self) -> Membership {
        self.membership
    }

    /// When the newest request was sent that the instance confirmed, if it counts.
    #[must_use]
    pub fn confirmed(&self) -> Option<Time> {
        self.confirmed.filter(|_| self.membership == Membership::Held)
    }

    /// Until when the instance keeps our key: the sending of the newest command that it confirmed,
    /// plus the TTL, less the drift. `None` where it does not count.
    #[must_use]
    pub fn lease(&self, ttl: Ttl) -> Option<Time> {
        self.confirmed().map(|sent| sent.plus(ttl.validity()))
    }

    /// The `run_id` that the instance told last.
    pub(super) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// The `run_id` of the server that answers there now.
    pub(super) fn connected_to(&self) -> Option<&str> {
        self.run_id().filter(|_| self.is_connected)
    }

    /// The connection has ended.
    pub(super) const fn disconnected(&mut self) {
        self.is_connected = false;
    }

    /// An earlier instance that is the same server.
    pub(super) const fn duplicate_of(&self) -> Option<usize> {
        self.duplicate_of
    }

    /// Whether an earlier instance is the same server.
    pub(super) const fn is_duplicate(&self) -> bool {
        self.duplicate_of.is_some()
    }

    /// A new attempt: nothing is held, but who is where stays known.
    pub(super) const fn reset(&mut self) {
        self.membership = Membership::NotHeld;
        self.confirmed = None;
    }

    /// The instance granted the acquisition that was sent at `sent`. A vote in time counts at once.
    /// One that came later, at `told`, may have been given long after the lock was acquired by the
    /// others: it counts as a key that was set again.
    pub(super) fn grant(&mut self, sent: Time, told: Option<Time>) {
        self.confirm(sent);
        self.membership = told.map_or(Membership::Held, |told| Membership::Rejoining { told });
    }

    /// Who answers there. Where a restart `forgets`, another `run_id` than before may be another
    /// memory: whatever it holds had a gap. The same is assumed of a server that turns out to be
    /// the one of `duplicate_of`.
    pub(super) fn identify(&mut self, run_id: &str, forgets: bool, duplicate_of: Option<usize>) {
        let is_another = self.run_id().is_some_and(|known| known != run_id);
        let is_found_out = duplicate_of.is_some() && duplicate_of != self.duplicate_of;
        if is_found_out || (is_another && forgets) {
            self.membership = Membership::NotHeld;
        }
        if is_another {
            self.ahead = None;
        }
        self.run_id = Some(run_id.to_owned());
        self.is_connected = true;
        self.duplicate_of = duplicate_of;
    }

    /// The instance's clock showed `clock` at some moment between `sent` and `heard`. How far it
    /// has stepped forward since it was last seen, beyond what drift explains: what it keeps
    /// expires that much too early.
    pub(super) fn observe_clock(
        &mut self,
        clock: Duration,
        sent: Time,
        heard: Time,
        ttl: Ttl,
    ) -> Option<Duration> {
        let nanos = |length: u128| i128::try_from(length).unwrap_or(i128::MAX);
        let at_least = nanos(clock.as_nanos()) - i128::from(heard.as_nanos());
        let at_most = nanos(clock.as_nanos()) - i128::from(sent.as_nanos());
        let before = self.ahead.replace(at_most)?;
        let step = at_least - before;
        if step <= nanos(ttl.drift().as_nanos()) {
            return None;
        }
        self.membership = Membership::NotHeld;
        Some(Duration::from_nanos(u64::try_from(step).unwrap_or(u64::MAX)))
    }

    /// What the instance said to an extension that was sent at `sent`, in an answer that came at
    /// `heard`.
    pub(super) fn extend(&mut self, sent: Time, heard: Time, response: &Extension, ttl: Ttl) {
        match response {
            Extension::Kept => {
                // Beyond its lease the key may have expired, been used by another run, and been set
                // again by a request of ours whose answer was lost.
                let has_lapsed =
                    self.confirmed.is_none_or(|sent| heard >= sent.plus(ttl.validity()));
                if has_lapsed || self.membership == Membership::NotHeld {
                    self.membership = Membership::Rejoining { told: heard };
                }
                self.confirm(sent);
            }
            Extension::SetAgain => {
                self.confirm(sent);
                self.membership = Membership::Rejoining { told: heard };
            }
            Extension::Missing | Extension::Foreign => self.membership = Membership::NotHeld,
            // It may hold our key as before: its lease ages, and that is all that is known.
            Extension::Unknown(_) => {}
        }
    }

    /// A quorum of members confirmed requests that were sent at `confirmed` or later, and so
    /// executed after that: an instance whose gap was over by then counts again.
    pub(super) fn promote(&mut self, confirmed: Time) {
        if let Membership::Rejoining { told } = self.membership
            && told <= confirmed
        {
            self.membership = Membership::Held;
        }
    }

    fn confirm(&mut self, sent: Time) {
        self.confirmed = self.confirmed.max(Some(sent));
    }
}
