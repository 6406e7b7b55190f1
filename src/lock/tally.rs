//! Counting the votes of one attempt.

use super::{ClusterSize, NoVoteReason, PermanentError, Vote};
use std::time::Duration;

/// The votes of one attempt, one place for each instance.
#[derive(Clone, Debug)]
pub struct Tally {
    size: ClusterSize,
    votes: Vec<Option<Vote>>,
    /// Instances that are the same server as an earlier one, behind that one.
    duplicates: Vec<(usize, usize)>,
}

/// What the votes say so far. Once it is not [`Verdict::Pending`], no vote changes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Verdict {
    /// Votes that are still out can decide either way.
    Pending,
    /// A quorum granted.
    Granted,
    /// A quorum can no longer grant.
    Failed,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// A quorum answered, and somebody else has the key on too many of them.
    Contended,
    /// Too few answered: nothing is known.
    NoQuorum,
    /// So many refuse for good that no quorum can ever grant.
    Refused(PermanentError),
    /// A quorum granted, so late that less than half the TTL was left.
    TooLate,
    /// These two instances are one server, and the others are fewer than a quorum with it.
    SameServer(usize, usize),
    /// Another host disagrees about the servers or the slots.
    Disagreed,
}

impl Tally {
    /// No votes yet.
    #[must_use]
    pub fn new(size: ClusterSize) -> Self {
        Self { size, votes: vec![None; size.count()], duplicates: Vec::new() }
    }

    /// `other` is the same server as the earlier instance `one`, so that the two vote once: a grant
    /// of either is one of the server.
    pub fn count_once(&mut self, one: usize, other: usize) {
        if one != other && !self.duplicates.iter().any(|(_, known)| *known == other) {
            self.duplicates.push((one, other));
        }
    }

    /// The vote of each server: the first of a grant, a doubt about it, a vote that is still out, a
    /// denial, or what is left.
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

    /// How many servers there are.
    fn servers(&self) -> usize {
        self.votes.len().saturating_sub(self.duplicates.len())
    }

    /// Counts the vote of `instance`. Its first vote stands: a later one, or one from nowhere, is
    /// ignored.
    pub fn record(&mut self, instance: usize, vote: Vote) -> Verdict {
        if let Some(place @ None) = self.votes.get_mut(instance) {
            *place = Some(vote);
        }
        self.verdict()
    }

    /// Counts every vote that is still out as unknown, because its time is over.
    pub fn time_out(&mut self) -> Verdict {
        for place in &mut self.votes {
            place.get_or_insert(Vote::Unknown(NoVoteReason::TimedOut));
        }
        self.verdict()
    }

    /// What the votes say so far.
    pub fn verdict(&self) -> Verdict {
        let (granted, unproven) = (self.granted(), self.count(is_unproven));
        let pending = self.of_servers().filter(Option::is_none).count();
        let (servers, quorum) = (self.servers(), self.size.quorum());
        // Where no instance at all can prove how old its memory is, none contradicts what their
        // uptimes say.
        if granted >= quorum || (unproven == servers && servers >= quorum) {
            Verdict::Granted
        } else if granted + pending < quorum && unproven + pending < servers || servers < quorum {
            Verdict::Failed
        } else {
            Verdict::Pending
        }
    }

    /// Why the attempt failed. Meaningful after [`Verdict::Failed`].
    #[must_use]
    pub fn failure(&self) -> Failure {
        if self.servers() < self.size.quorum()
            && let Some((one, other)) = self.duplicates.first()
        {
            return Failure::SameServer(*one, *other);
        }
        let refused = |kind| {
            self.count(
                |vote| matches!(vote, Vote::Unknown(NoVoteReason::Refused(k, _)) if *k == kind),
            )
        };
        let (access, configuration) =
            (refused(PermanentError::Access), refused(PermanentError::Configuration));
        let fatal = self.size.count() - self.size.quorum() + 1;
        let (refusals, missing) = (access + configuration, self.duplicates.len());
        if refusals > 0 && refusals + missing >= fatal {
            return Failure::Refused(if access >= configuration {
                PermanentError::Access
            } else {
                PermanentError::Configuration
            });
        }
        // Denials alone can rule a quorum out, before one has answered: of four, two.
        let denied = self.count(|vote| *vote == Vote::Denied);
        let answered = denied + self.granted();
        if denied + missing >= fatal && denied > 0 || answered >= self.size.quorum() {
            Failure::Contended
        } else {
            Failure::NoQuorum
        }
    }

    /// Whether the votes that are still out can change [`Tally::failure`] from nothing known to
    /// something known.
    #[must_use]
    pub fn may_learn_more(&self) -> bool {
        let out = self.votes.iter().filter(|vote| vote.is_none()).count();
        let denied = self.count(|vote| *vote == Vote::Denied);
        let fatal = self.size.count() - self.size.quorum() + 1;
        self.failure() == Failure::NoQuorum
            && out > 0
            && (denied + out >= fatal || denied + self.granted() + out >= self.size.quorum())
    }

    /// How many servers granted.
    #[must_use]
    pub fn granted(&self) -> usize {
        self.count(|vote| *vote == Vote::Granted)
    }

    /// The vote of each instance, in their order.
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

/// In how long so many of those that have restarted vote again that, with those that granted, they
/// are a quorum of `size`; nothing, where they are too few for that.
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
