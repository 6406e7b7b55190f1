//! The lease of one instance in a held lock: membership, and expiry of the key.

use super::{Extension, Time, Ttl};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Membership of an instance in the held lock. Only the leases of members count.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Membership {
    /// Our key is not known to be set on the instance.
    #[default]
    NotHeld,
    /// Our key is set again after a gap, by a response of the moment `since`. The instance is a
    /// member once a quorum of members has confirmed requests that were sent at `since` or later:
    /// those members held the key during the gap, so no other run acquired the lock. A confirmation
    /// of an earlier request proves nothing about the gap, however late its response comes.
    Rejoining {
        /// Moment of our clock at which the response was received.
        since: Time,
    },
    /// Our key has been set without a gap.
    Held,
}

/// The lease of one instance. Its JSON form is a part of a [`super::Handle`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct InstanceLease {
    membership: Membership,
    /// Moment at which the newest confirmed request was sent.
    confirmed: Option<Time>,
    run_id: Option<String>,
    /// Whether the connection that reported `run_id` is still open. Another server may answer on
    /// the next one.
    #[serde(skip)]
    is_connected: bool,
    /// Largest possible lead of the instance's clock over ours, in nanoseconds. Ours counts from
    /// the boot of this host, the instance's from 1970.
    ahead: Option<i128>,
    /// The earlier instance that is the same server.
    duplicate_of: Option<usize>,
}

impl InstanceLease {
    /// The lease of a member that confirmed a request sent at `sent`.
    #[cfg(test)]
    pub(crate) fn example(sent: Time) -> Self {
        Self { membership: Membership::Held, confirmed: Some(sent), ..Self::default() }
    }

    /// The membership of the instance.
    #[must_use]
    pub const fn membership(&self) -> Membership {
        self.membership
    }

    /// The moment at which the newest confirmed request was sent. `None` without membership.
    #[must_use]
    pub fn confirmed(&self) -> Option<Time> {
        self.confirmed.filter(|_| self.membership == Membership::Held)
    }

    /// The expiry of our key: the sending of the newest confirmed request, plus the TTL, less the
    /// drift. `None` without membership.
    #[must_use]
    pub fn lease(&self, ttl: Ttl) -> Option<Time> {
        self.confirmed().map(|sent| sent.plus(ttl.validity()))
    }

    /// The `run_id` of the last report.
    pub(super) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// The `run_id` of the server behind the open connection.
    pub(super) fn connected_to(&self) -> Option<&str> {
        self.run_id().filter(|_| self.is_connected)
    }

    /// The connection has ended.
    pub(super) const fn disconnected(&mut self) {
        self.is_connected = false;
    }

    /// The earlier instance that is the same server.
    pub(super) const fn duplicate_of(&self) -> Option<usize> {
        self.duplicate_of
    }

    /// Whether an earlier instance is the same server.
    pub(super) const fn is_duplicate(&self) -> bool {
        self.duplicate_of.is_some()
    }

    /// A new attempt begins: no key is set. `run_id` and clock stay known.
    pub(super) const fn reset(&mut self) {
        self.membership = Membership::NotHeld;
        self.confirmed = None;
    }

    /// The instance granted the acquisition that was sent at `sent`. A vote in time makes a member.
    /// A vote that came `late`, at that moment, may be much younger than the lock: the instance
    /// rejoins.
    pub(super) fn grant(&mut self, sent: Time, late: Option<Time>) {
        self.confirm(sent);
        self.membership = late.map_or(Membership::Held, |since| Membership::Rejoining { since });
    }

    /// The server reported `run_id`. If a restart `forgets` the keys, another `run_id` than before
    /// ends the membership, since the key had a gap. So does the first report of a server that is
    /// the same as the instance `duplicate_of`.
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

    /// The clock of the instance showed `clock` at some moment between `sent` and `received`.
    /// Returns the length of a step forward since the last call, if it exceeds the drift. Keys
    /// expire early by the step, so the membership ends.
    pub(super) fn observe_clock(
        &mut self,
        clock: Duration,
        sent: Time,
        received: Time,
        ttl: Ttl,
    ) -> Option<Duration> {
        let nanos = |length: u128| i128::try_from(length).unwrap_or(i128::MAX);
        let at_least = nanos(clock.as_nanos()) - i128::from(received.as_nanos());
        let at_most = nanos(clock.as_nanos()) - i128::from(sent.as_nanos());
        let before = self.ahead.replace(at_most)?;
        let step = at_least - before;
        if step <= nanos(ttl.drift().as_nanos()) {
            return None;
        }
        self.membership = Membership::NotHeld;
        Some(Duration::from_nanos(u64::try_from(step).unwrap_or(u64::MAX)))
    }

    /// Takes the response to an extension that was sent at `sent`. The response was received at
    /// `received`.
    pub(super) fn extend(&mut self, sent: Time, received: Time, response: &Extension, ttl: Ttl) {
        match response {
            Extension::Kept => {
                // After its lease the key may have expired, been used by another run, and been set
                // again by a request of ours whose response was lost.
                let has_lapsed =
                    self.confirmed.is_none_or(|sent| received >= sent.plus(ttl.validity()));
                if has_lapsed || self.membership == Membership::NotHeld {
                    self.membership = Membership::Rejoining { since: received };
                }
                self.confirm(sent);
            }
            Extension::SetAgain => {
                self.confirm(sent);
                self.membership = Membership::Rejoining { since: received };
            }
            Extension::Missing | Extension::Foreign | Extension::Revoked(_) => {
                self.membership = Membership::NotHeld;
            }
            // The key may be set as before. The lease ages.
            Extension::Unknown(_) => {}
        }
    }

    /// A quorum of members confirmed requests that were sent at `confirmed` or later. An instance
    /// that rejoined before that moment is a member.
    pub(super) fn promote(&mut self, confirmed: Time) {
        if let Membership::Rejoining { since } = self.membership
            && since <= confirmed
        {
            self.membership = Membership::Held;
        }
    }

    fn confirm(&mut self, sent: Time) {
        self.confirmed = self.confirmed.max(Some(sent));
    }
}
