//! One instance's place in a held lock: whether our key has been there without a gap, and until when.

use super::{Extension, Identity, Time, Ttl};

/// The number of an extension round. Round 0 is the acquisition.
pub type Round = u64;

/// Whether an instance counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Our key is not known to be there.
    Outside,
    /// Our key is there again since this round, after a gap. It counts once a later round shows that
    /// a quorum of members held throughout: only then can nobody have used the gap.
    Returning(Round),
    /// Our key has been there without a gap; this is the last round it confirmed.
    Member(Round),
}

/// One instance's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seat {
    standing: Standing,
    lease: Time,
    run_id: Option<String>,
}

impl Default for Seat {
    fn default() -> Self {
        Self { standing: Standing::Outside, lease: Time::default(), run_id: None }
    }
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

    /// The instance granted the acquisition that was sent at `sent`, perhaps late.
    pub(super) fn grant(&mut self, sent: Time, ttl: Ttl) {
        self.confirm(sent, ttl);
        self.standing = Standing::Member(0);
    }

    /// Who answers there. Another `run_id` than before is another memory: whatever it holds had a gap.
    pub(super) fn identify(&mut self, identity: &Identity) {
        if self.run_id.as_ref().is_some_and(|known| *known != identity.run_id) {
            self.standing = Standing::Outside;
        }
        self.run_id = Some(identity.run_id.clone());
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
