//! The fencing token: the proposal of an attempt, the votes of the instances on it, and the verdict.
//!
//! Each instance has a counter beside the key. An instance gives a fence vote by raising its counter
//! to the proposed token, in the same step that sets the key. Two quorums of fence votes share an
//! instance, whose counter only rises, so a later acquisition has a larger token.
//!
//! An instance without its counter sets the key and gives no fence vote: a counter that is written
//! anew vouches for no earlier token. Only if so many lack it that the others are no quorum, the
//! attempt raises the counters in a second step, on instances that still have its key.

mod counter;

pub use counter::{FenceCounter, FenceRegister};

use super::{ClusterSize, NoVoteReason};
use std::fmt;
use std::time::Duration;

/// A fencing token: from 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FenceToken(u64);

impl FenceToken {
    /// The largest token: Lua counts with doubles, and so do readers of JSON.
    pub const MAX: u64 = (1 << 53) - 1;

    /// The token `number`. `None` outside the range.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number > Self::MAX { None } else { Some(Self(number)) }
    }

    /// The proposal of a host whose wall clock shows `wall` since 1970: milliseconds, or one more
    /// than the largest token `seen` in an answer. Any proposal is safe; this one is nearly always
    /// large enough.
    #[must_use]
    pub fn proposal(wall: Duration, seen: Option<Self>) -> Self {
        let clock = u64::try_from(wall.as_millis()).unwrap_or(Self::MAX);
        let above = seen.map_or(1, |seen| seen.0.saturating_add(1));
        Self(clock.max(above).min(Self::MAX))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FenceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The token that an attempt proposes. `Id` is the type of nonces and of run ids.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Proposal<Id = String> {
    /// The token.
    pub token: FenceToken,
    /// Nonce of the attempt. A counter with this nonce was raised by the same attempt.
    pub nonce: Id,
}

/// A counter that an instance lacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LackingCounter {
    /// Number of the key among the keys of the lock, from 0.
    pub key: usize,
    /// Token of a counter of an earlier start of the server, which a restart may have rolled back.
    pub earlier: Option<FenceToken>,
}

/// The fence vote of one instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FenceVote {
    /// The keys have our value, and every counter was raised to the proposed token.
    Raised,
    /// The keys have our value. These counters are missing; the others were raised.
    Lacking(Vec<LackingCounter>),
    /// A counter is at this token, not below the proposed one. Nothing was set.
    Stale(FenceToken),
    /// A key has not our value. Nothing was set.
    NotOurs,
    /// The state of the counters is not known.
    Unknown(NoVoteReason),
}

/// The verdict of the fence votes so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum FenceVerdict {
    /// The missing votes can decide either way.
    Pending,
    /// A quorum raised the counter of each key: the token is larger than every earlier one.
    Raised,
    /// No quorum of counters can be left of some keys, and a quorum can write them anew.
    Bootstrap,
    /// A larger token may be raised by a quorum.
    Stale,
    /// Too few instances have a counter, and too many to write the counters anew.
    NoQuorum,
}

/// The fence votes of one attempt, one for each instance.
#[derive(Clone, Debug)]
pub struct FenceTally {
    size: ClusterSize,
    votes: Vec<Option<FenceVote>>,
    /// The counters that the second step awaits from each instance.
    asked: Vec<Vec<usize>>,
    is_raising: bool,
    /// Whether no instance has ever had the counters of the second step, and each one has confirmed
    /// so far.
    is_new: bool,
}

impl FenceTally {
    /// A tally without votes.
    #[must_use]
    pub fn new(size: ClusterSize) -> Self {
        Self {
            size,
            votes: vec![None; size.count()],
            asked: vec![vec![]; size.count()],
            is_raising: false,
            is_new: false,
        }
    }

    /// Counts the vote of `instance`. A second vote counts only as the response to
    /// [`FenceTally::begin_raise`].
    pub fn record(&mut self, instance: usize, vote: FenceVote) {
        let Some(place) = self.votes.get_mut(instance) else { return };
        let asked = self.asked.get_mut(instance).map(std::mem::take).unwrap_or_default();
        match (place.as_mut(), vote) {
            (None, vote) => *place = Some(vote),
            (Some(FenceVote::Lacking(lacking)), FenceVote::Raised) => {
                lacking.retain(|one| !asked.contains(&one.key));
                if lacking.is_empty() {
                    *place = Some(FenceVote::Raised);
                }
            }
            (Some(FenceVote::Lacking(_)), vote) if !asked.is_empty() => {
                self.is_new = false;
                *place = Some(vote);
            }
            _ => {}
        }
    }

    /// Counts every missing vote as timed out.
    pub fn time_out(&mut self) {
        for place in &mut self.votes {
            place.get_or_insert(FenceVote::Unknown(NoVoteReason::TimedOut));
        }
        if self.asked.iter().any(|asked| !asked.is_empty()) {
            self.is_new = false;
        }
        self.asked.iter_mut().for_each(Vec::clear);
    }

    /// The vote of `instance`, if any.
    #[must_use]
    pub fn vote(&self, instance: usize) -> Option<&FenceVote> {
        self.votes.get(instance)?.as_ref()
    }

    /// The largest token in the votes.
    #[must_use]
    pub fn seen(&self) -> Option<FenceToken> {
        let stale = self.votes.iter().flatten().filter_map(|vote| match vote {
            FenceVote::Stale(token) => Some(*token),
            _ => None,
        });
        stale.chain(self.all_lacking().filter_map(|one| one.earlier)).max()
    }

    /// Begins the second step. Returns the instances to ask, and the counters that each has to write
    /// anew: those that are lacking on so many that the others are no quorum. A first vote that comes
    /// later does not count.
    pub fn begin_raise(&mut self) -> Vec<(usize, Vec<usize>)> {
        self.time_out();
        let anew = |one: &&LackingCounter| self.lacking(one.key) >= self.size.blocking();
        let asked: Vec<Vec<usize>> = self
            .votes
            .iter()
            .map(|vote| match vote {
                Some(FenceVote::Lacking(lacking)) => {
                    lacking.iter().filter(anew).map(|one| one.key).collect()
                }
                _ => vec![],
            })
            .collect();
        let count = self.size.count();
        let is_new = self
            .all_lacking()
            .filter(anew)
            .all(|one| one.earlier.is_none() && self.lacking(one.key) == count);
        (self.asked, self.is_raising, self.is_new) = (asked, true, is_new);
        let asked = self.asked.iter().cloned().enumerate();
        asked.filter(|(_, counters)| !counters.is_empty()).collect()
    }

    /// Whether the second step has begun.
    #[must_use]
    pub const fn is_raising(&self) -> bool {
        self.is_raising
    }

    /// Whether the second step wrote the first counters: no instance had ever had one, and each one
    /// kept our keys until its counters were written. Otherwise a counter may have been lost, and the
    /// token is only as large as the hosts' clocks make it. An answer of an instance that lost our key
    /// meanwhile may be old: another attempt may have used the counter in between.
    #[must_use]
    pub fn is_first_use(&self) -> bool {
        self.is_new && !self.is_asking()
    }

    /// Whether [`FenceTally::is_first_use`] may still become true.
    #[must_use]
    pub fn may_be_first_use(&self) -> bool {
        self.is_new && self.is_asking()
    }

    fn is_asking(&self) -> bool {
        self.asked.iter().any(|asked| !asked.is_empty())
    }

    /// The verdict of the votes so far.
    pub fn verdict(&self) -> FenceVerdict {
        let count =
            |is: fn(&FenceVote) -> bool| self.votes.iter().flatten().filter(|v| is(v)).count();
        let ours = count(|vote| matches!(vote, FenceVote::Raised | FenceVote::Lacking(_)));
        let stale = count(|vote| matches!(vote, FenceVote::Stale(_)));
        let open = self.votes.iter().filter(|vote| vote.is_none()).count();
        let (quorum, fatal) = (self.size.quorum(), self.size.blocking());
        // Of the votes that have our keys, those that have this counter too.
        let raised = |one: &LackingCounter| ours.saturating_sub(self.lacking(one.key));
        let anew = |one: &LackingCounter| {
            if self.is_raising {
                self.asked.iter().filter(|asked| asked.contains(&one.key)).count()
            } else if self.lacking(one.key) >= fatal {
                self.lacking(one.key)
            } else {
                0
            }
        };
        if ours >= quorum && self.all_lacking().all(|one| raised(one) >= quorum) {
            FenceVerdict::Raised
        } else if ours >= quorum
            && (stale == 0 || self.is_raising)
            && self.all_lacking().all(|one| raised(one) + anew(one) >= quorum)
        {
            if self.is_raising { FenceVerdict::Pending } else { FenceVerdict::Bootstrap }
        } else if open > 0 && ours + open >= quorum {
            FenceVerdict::Pending
        } else if ours + stale >= quorum
            && self.all_lacking().all(|one| raised(one) + anew(one) + stale >= quorum)
        {
            // A vote is stale: without one, these are the conditions of a quorum above.
            FenceVerdict::Stale
        } else {
            FenceVerdict::NoQuorum
        }
    }

    /// Number of instances that lack the counter of this key.
    fn lacking(&self, key: usize) -> usize {
        self.all_lacking().filter(|one| one.key == key).count()
    }

    fn all_lacking(&self) -> impl Iterator<Item = &LackingCounter> {
        let lacking = self.votes.iter().flatten().filter_map(|vote| match vote {
            FenceVote::Lacking(lacking) => Some(lacking),
            _ => None,
        });
        lacking.flatten()
    }
}

#[cfg(test)]
mod tests;
