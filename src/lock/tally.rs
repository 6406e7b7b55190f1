//! The votes of one attempt, and the verdict.

use super::{ClusterSize, NoVoteReason, PermanentError, Vote};
use std::time::Duration;

/// The votes of one attempt, one for each instance.
#[derive(Clone, Debug)]
pub struct Tally {
    size: ClusterSize,
    votes: Vec<Option<Vote>>,
    /// Pairs of an earlier instance and a later one that are the same server.
    duplicates: Vec<(usize, usize)>,
}

/// The verdict of the votes so far. A verdict other than [`Verdict::Pending`] is final.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// The missing votes can decide either way.
    Pending,
    /// A quorum granted.
    Granted,
    /// No quorum can grant any more.
    Failed,
}

/// Reason why an attempt failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// A quorum answered, and too many of these instances denied.
    Contended,
    /// Fewer than a quorum answered.
    NoQuorum,
    /// So many instances refuse for good that no quorum can ever grant.
    Refused(PermanentError),
    /// A quorum granted, but with less than half the TTL left.
    TooLate,
    /// These two instances are one server, and there are fewer servers than a quorum.
    SameServer(usize, usize),
    /// The configuration of another host differs in the servers or the slots.
    Disagreed,
    /// Counters of the fence are not below the proposed token.
    Stale,
    /// A quorum granted the lock, and too few of these instances have a counter of the fence.
    NoFence,
}

impl Tally {
    /// A tally without votes.
    #[must_use]
    pub fn new(size: ClusterSize) -> Self {
        Self { size, votes: vec![None; size.count()], duplicates: Vec::new() }
    }

    /// `other` is the same server as the earlier instance `one`. The two have one vote, which is
    /// granted if either is.
    pub fn count_once(&mut self, one: usize, other: usize) {
        if one != other && !self.duplicates.iter().any(|(_, known)| *known == other) {
            self.duplicates.push((one, other));
        }
    }

    /// The vote of each server. Of several instances, the first kind of this order counts: granted,
    /// unproven, missing, denied, unknown.
    fn of_servers(&self) -> impl Iterator<Item = Option<&Vote>> {
        let rank = |vote: Option<&Vote>| match vote {
            Some(Vote::Granted) => 0,
            Some(Vote::Unknown(NoVoteReason::Unproven { .. })) => 1,
            None => 2,
            Some(Vote::Denied) => 3,
            Some(Vote::Unknown(_)) => 4,
        };
        let is_first =
            |instance: usize| self.duplicates.iter().all(|(_, other)| *other != instance);
        (0..self.votes.len()).filter(move |instance| is_first(*instance)).filter_map(move |first| {
            let others = self.duplicates.iter().filter(move |(one, _)| *one == first);
            let all = std::iter::once(first).chain(others.map(|(_, other)| *other));
            all.filter_map(|instance| self.votes.get(instance))
                .map(Option::as_ref)
                .min_by_key(|vote| rank(*vote))
        })
    }

    /// The number of servers.
    fn servers(&self) -> usize {
        self.votes.len().saturating_sub(self.duplicates.len())
    }

    /// Counts the vote of `instance`. Only the first vote of an instance counts; an unknown instance
    /// is ignored.
    pub fn record(&mut self, instance: usize, vote: Vote) -> Verdict {
        if let Some(place @ None) = self.votes.get_mut(instance) {
            *place = Some(vote);
        }
        self.verdict()
    }

    /// Counts every missing vote as timed out.
    pub fn time_out(&mut self) -> Verdict {
        for place in &mut self.votes {
            place.get_or_insert(Vote::Unknown(NoVoteReason::TimedOut));
        }
        self.verdict()
    }

    /// The verdict of the votes so far.
    pub fn verdict(&self) -> Verdict {
        let (granted, unproven) = (self.granted(), self.count(is_unproven));
        let pending = self.of_servers().filter(Option::is_none).count();
        let (servers, quorum) = (self.servers(), self.size.quorum());
        // If no instance has a mark that is old enough, redlock is used for the first time. The
        // uptimes count then.
        if granted >= quorum || (unproven == servers && servers >= quorum) {
            Verdict::Granted
        } else if granted + pending < quorum && unproven + pending < servers || servers < quorum {
            Verdict::Failed
        } else {
            Verdict::Pending
        }
    }

    /// The reason of the failure. Meaningful after [`Verdict::Failed`].
    #[must_use]
    pub fn failure(&self) -> Failure {
        if self.servers() < self.size.quorum()
            && let Some((one, other)) = self.duplicates.first()
        {
            return Failure::SameServer(*one, *other);
        }
        let reasons = self.of_servers().flatten().filter_map(|vote| match vote {
            Vote::Unknown(reason) => Some(reason),
            Vote::Granted | Vote::Denied => None,
        });
        let (fatal, missing) = (self.size.blocking(), self.duplicates.len());
        if let Some((kind, refusals)) = PermanentError::prevailing(reasons)
            && refusals + missing >= fatal
        {
            return Failure::Refused(kind);
        }
        // Denials alone can rule out a quorum before a quorum has answered: two of four.
        let denied = self.count(|vote| *vote == Vote::Denied);
        let answered = denied + self.granted();
        if denied + missing >= fatal || answered >= self.size.quorum() {
            Failure::Contended
        } else {
            Failure::NoQuorum
        }
    }

    /// Whether the missing votes can change [`Tally::failure`] from [`Failure::NoQuorum`] to another
    /// reason.
    #[must_use]
    pub fn may_learn_more(&self) -> bool {
        let missing = self.votes.iter().filter(|vote| vote.is_none()).count();
        let denied = self.count(|vote| *vote == Vote::Denied);
        let fatal = self.size.blocking();
        // A caller waits as long as this is true, so whatever is compared, a missing vote is needed.
        self.votes.contains(&None)
            && self.failure() == Failure::NoQuorum
            && (denied + missing >= fatal
                || denied + self.granted() + missing >= self.size.quorum())
    }

    /// The number of servers that granted.
    #[must_use]
    pub fn granted(&self) -> usize {
        self.count(|vote| *vote == Vote::Granted)
    }

    /// The vote of each instance.
    pub fn votes(&self) -> impl Iterator<Item = Option<&Vote>> {
        self.votes.iter().map(Option::as_ref)
    }

    fn count(&self, which: impl Fn(&Vote) -> bool) -> usize {
        self.of_servers().flatten().filter(|vote| which(vote)).count()
    }
}

fn is_unproven(vote: &Vote) -> bool {
    matches!(vote, Vote::Unknown(NoVoteReason::Unproven { .. }))
}

/// The time until the granted votes and those of restarted instances make a quorum of `size`.
/// `None` if there are too few of both.
#[must_use]
pub fn quorum_in(votes: &[Option<Vote>], size: ClusterSize) -> Option<Duration> {
    let granted = votes.iter().flatten().filter(|vote| **vote == Vote::Granted).count();
    let mut waits: Vec<Duration> = votes
        .iter()
        .flatten()
        .filter_map(|vote| match vote {
            Vote::Unknown(
                NoVoteReason::Restarted { votes_in, .. } | NoVoteReason::Unproven { votes_in },
            ) => Some(*votes_in),
            _ => None,
        })
        .collect();
    waits.sort_unstable();
    waits.get(size.quorum().saturating_sub(granted).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests;
