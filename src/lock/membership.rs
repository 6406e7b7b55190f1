//! One instance's place in a held lock: whether our key has been there without a gap, and until when.

use super::{Extension, Identity, Time, Ttl};
use std::time::Duration;

/// The number of an extension round. Round 0 is the acquisition.
pub type Round = u64;

/// Whether an instance counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Standing {
    /// Our key is not known to be there.
    #[default]
    Outside,
    /// Our key is there again since this round, after a gap. It counts once a later round shows that
    /// a quorum of members held throughout: only then can nobody have used the gap.
    Returning(Round),
    /// Our key has been there without a gap; this is the last round it confirmed.
    Member(Round),
}

/// One instance's place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seat {
    standing: Standing,
    lease: Time,
    run_id: Option<String>,
    /// How far the instance's clock is ahead of ours at most, in nanoseconds since both began.
    ahead: Option<i128>,
    /// The seat of the same server under another URL.
    twin: Option<usize>,
}

impl Seat {
    /// Whether the instance counts.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Until when the instance keeps our key: the last confirmed command's time, plus TTL, less drift.
    #[must_use]
    pub const fn lease(&self) -> Time {
        self.lease
    }

    /// The round that the instance confirmed last as a member.
    #[must_use]
    pub const fn confirmed(&self) -> Option<Round> {
        match self.standing {
            Standing::Member(round) => Some(round),
            Standing::Outside | Standing::Returning(_) => None,
        }
    }

    /// The `run_id` that the instance told last.
    pub(super) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// Whether this server has another seat, and so no say in this one.
    pub(super) const fn has_twin(&self) -> bool {
        self.twin.is_some()
    }

    /// A new attempt: nothing is held, but who is where stays known.
    pub(super) const fn vacate(&mut self) {
        self.standing = Standing::Outside;
        self.lease = Time::from_nanos(0);
    }

    /// The instance granted the acquisition that was sent at `sent`, perhaps late.
    pub(super) fn grant(&mut self, sent: Time, ttl: Ttl) {
        self.confirm(sent, ttl);
        self.standing = Standing::Member(0);
    }

    /// Who answers there. Another `run_id` than before may be another memory: whatever it holds had a gap.
    /// A server that has the seat `twin` already counts there and not here.
    pub(super) fn identify(&mut self, identity: &Identity, twin: Option<usize>) {
        let is_another = self.run_id().is_some_and(|known| known != identity.run_id);
        if twin.is_some() || (is_another && identity.forgets) {
            self.standing = Standing::Outside;
            self.ahead = None;
        }
        self.run_id = Some(identity.run_id.clone());
        self.twin = twin;
    }

    /// The instance's clock showed `clock` at some moment between `sent` and `heard`. How far it has stepped forward
    /// since it was last seen, beyond what drift explains: what it keeps expires that much too early.
    pub(super) fn look_at(&mut self, clock: Duration, sent: Time, heard: Time, ttl: Ttl) -> Option<Duration> {
        let nanos = |length: u128| i128::try_from(length).unwrap_or(i128::MAX);
        let at_least = nanos(clock.as_nanos()) - i128::from(heard.as_nanos());
        let at_most = nanos(clock.as_nanos()) - i128::from(sent.as_nanos());
        let before = self.ahead.replace(at_most)?;
        let step = at_least - before;
        if step <= nanos(ttl.drift().as_nanos()) {
            return None;
        }
        self.standing = Standing::Outside;
        Some(Duration::from_nanos(u64::try_from(step).unwrap_or(u64::MAX)))
    }

    /// What the instance said to the extension of `round`, sent at `sent`.
    pub(super) fn extend(&mut self, round: Round, sent: Time, answer: &Extension, ttl: Ttl) {
        match answer {
            Extension::Kept => {
                self.confirm(sent, ttl);
                self.standing = match self.standing {
                    Standing::Member(last) => Standing::Member(last.max(round)),
                    Standing::Returning(since) => Standing::Returning(since),
                    Standing::Outside => Standing::Returning(round),
                };
            }
            Extension::SetAgain => {
                self.confirm(sent, ttl);
                self.standing = Standing::Returning(round);
            }
            Extension::Missing | Extension::Foreign => self.standing = Standing::Outside,
            // It may hold our key as before: its lease ages, and that is all that is known.
            Extension::Unknown(_) => {}
        }
    }

    /// A quorum of members confirmed `confirmed`: whoever returned before that round counts again.
    pub(super) fn promote(&mut self, confirmed: Round) {
        if let Standing::Returning(since) = self.standing
            && since < confirmed
        {
            self.standing = Standing::Member(since);
        }
    }

    fn confirm(&mut self, sent: Time, ttl: Ttl) {
        self.lease = self.lease.max(sent.plus(ttl.validity()));
    }
}
