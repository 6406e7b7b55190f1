//! Broken forms of the rule. The search has to find the fault of each.

use super::state::{Counter, Instance, Sent};
use redlock_cli::lock::{FenceTally, FenceVote};

/// A rule of the fence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rule {
    /// The rule of redlock.
    Own,
    /// INCR on each instance, and the maximum of a majority.
    Increment,
    /// A counter that is higher already counts as raised.
    SilentRaise,
    /// The second step does not compare the key.
    UnboundRaise,
    /// An instance without its counter writes the counter and votes.
    VotesWithout,
    /// A counter of an earlier start of the server is believed.
    BelievesRollback,
    /// The second step although the instances with a counter may be a quorum, and without a
    /// warning.
    EagerBootstrap,
    /// The second step of a first use, on the replies of a quorum alone.
    HastyFirstUse,
    /// The warning that the counters begin anew comes from the attempt that acquires the lock, and
    /// not before the counters are written.
    LateWarning,
    /// The holder writes its token to an instance that lacks a counter, if the key is its own.
    Repair,
}

impl Rule {
    /// The reply of a broken instance to a proposal. `None` if redlock's rule gives the reply.
    pub(super) fn propose(self, place: &mut Instance, attempt: usize, token: u8) -> Option<Sent> {
        let own = u8::try_from(attempt).ok();
        let counter = place.counter;
        let is_free = place.key.is_none();
        let token = match (self, counter) {
            (Self::Increment, _) if is_free => counter.map_or(0, |counter| counter.token) + 1,
            (Self::SilentRaise, Some(counter)) if is_free && counter.token >= token => {
                place.key = own;
                return Some(Sent::Raised);
            }
            (Self::VotesWithout, None) if is_free => token,
            (Self::BelievesRollback, Some(counter)) if is_free && counter.token < token => token,
            _ => return None,
        };
        place.key = own;
        raise(place, attempt, token);
        Some(Sent::Raised)
    }

    /// The reply of a broken instance to the second step. `None` if redlock's rule gives the reply.
    pub(super) fn raise(self, place: &mut Instance, attempt: usize, token: u8) -> Option<Sent> {
        let is_below = place.counter.is_none_or(|counter| counter.token < token);
        match self {
            Self::UnboundRaise if is_below => {}
            _ => return None,
        }
        raise(place, attempt, token);
        Some(Sent::Confirmed)
    }

    /// Whether a client begins the second step without the warning of redlock.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::EagerBootstrap | Self::HastyFirstUse | Self::LateWarning)
    }

    /// The instances that a broken client asks for the second step.
    pub(super) fn bootstrap(self, tally: &FenceTally) -> Option<Vec<usize>> {
        let lacking =
            |instance: &usize| matches!(tally.vote(*instance), Some(FenceVote::Lacking(_)));
        let lacking: Vec<usize> = (0..3).filter(lacking).collect();
        (self == Self::EagerBootstrap && !lacking.is_empty()).then_some(lacking)
    }
}

fn raise(place: &mut Instance, attempt: usize, token: u8) {
    place.saved = place.counter;
    let nonce = u8::try_from(attempt).unwrap();
    place.counter = Some(Counter { token, nonce, run: place.run });
}
