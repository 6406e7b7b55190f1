//! The state of one key over all instances: held, free, or undetermined.
//!
//! A holder needs a quorum of instances that show the same value. A free lock needs a quorum of
//! instances that may vote, counted as an acquisition counts votes. Everything else is undetermined.

use super::{
    Account, ClusterSize, LockValue, Memory, NoVoteReason, ObservedHolder, RestartGuard,
    Revocation, ServerReport, Tally, Time, Verdict, Vote,
};
use std::time::Duration;

/// The reply of one instance about some keys and about the server itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observation {
    /// The holder of each key; `None` where the key is missing.
    pub keys: Vec<Option<ObservedHolder>>,
    /// Each queue that was asked for.
    pub queues: Vec<QueueView>,
    /// The server's id, uptime and mark.
    pub report: ServerReport,
}

/// One queue as one instance sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueueView {
    /// How many contenders wait and still listen.
    pub waiting: u32,
    /// The first of them.
    pub first: Option<FirstInQueue>,
}

/// The first contender of a queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FirstInQueue {
    /// The public name of its run.
    pub id: String,
    /// The beginning of its wait by its wall clock, since 1970.
    pub since: Duration,
}

/// One key as one instance sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyView {
    /// The key is there.
    Held(ObservedHolder),
    /// The key is missing, and the instance may vote.
    Free,
    /// The key is missing, and the instance may have forgotten a lock.
    Abstains(NoVoteReason),
    /// Nothing is known.
    Unknown(NoVoteReason),
}

/// The answer of one instance, and the moments of the request and of the answer.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The moment before the request was written.
    pub sent: Time,
    /// The moment at which the answer was read.
    pub heard: Time,
    /// The answer, or the reason for its absence.
    pub result: Result<T, NoVoteReason>,
}

/// The state of one key over all instances.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LockState {
    /// A quorum shows this value.
    Held(HeldBy),
    /// A quorum of instances that may vote has no such key.
    Free,
    /// Neither.
    Undetermined(Doubt),
}

/// A holder on a quorum.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeldBy {
    /// The stored value.
    pub value: String,
    /// The time until fewer than a quorum have the key, unless it is extended; `None` where a quorum
    /// keeps it without expiry.
    pub left: Option<Duration>,
}

/// Why the state of a key is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// Fewer than a quorum answered.
    TooFewAnswers,
    /// A quorum answered, and several holders have the key on some instances each.
    SplitVote,
    /// A quorum answered, and one holder has the key on a minority.
    Minority,
    /// A quorum answered, and instances that have no such key may have forgotten it.
    MayHaveForgotten,
}

impl Observation {
    /// The `run_id` of the server, where it told.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        match &self.report.account {
            Some(Account::Told { run_id, .. }) => Some(run_id),
            _ => None,
        }
    }

    /// The view of each key of `answer`, by an instance behind `guard`.
    #[must_use]
    pub fn views(answer: &Answer<Self>, guard: RestartGuard, keys: usize) -> Vec<KeyView> {
        let observation = match &answer.result {
            Ok(observation) => observation,
            Err(why) => return vec![KeyView::Unknown(why.clone()); keys],
        };
        let mut memory = Memory::default();
        memory.learn(&observation.report, answer.heard);
        let view = |key: &Option<ObservedHolder>| match key {
            Some(holder) => KeyView::Held(holder.clone()),
            None => match memory.vote(guard, answer.sent, Vote::Granted) {
                Vote::Unknown(why) => KeyView::Abstains(why),
                Vote::Granted | Vote::Denied => KeyView::Free,
            },
        };
        observation.keys.iter().map(view).collect()
    }
}

impl LockState {
    /// The state of a key that the instances see like this.
    #[must_use]
    pub fn of(size: ClusterSize, views: &[KeyView]) -> Self {
        if let Some(held) = HeldBy::of(size, views) {
            return Self::Held(held);
        }
        let mut tally = Tally::new(size);
        for (instance, view) in views.iter().enumerate() {
            let vote = match view {
                KeyView::Held(_) => Vote::Denied,
                KeyView::Free => Vote::Granted,
                KeyView::Abstains(why) | KeyView::Unknown(why) => Vote::Unknown(why.clone()),
            };
            let _ = tally.record(instance, vote);
        }
        match tally.time_out() {
            Verdict::Granted => Self::Free,
            Verdict::Failed | Verdict::Pending => Self::Undetermined(Doubt::of(size, views)),
        }
    }
}

impl HeldBy {
    fn of(size: ClusterSize, views: &[KeyView]) -> Option<Self> {
        let holders = || {
            views.iter().filter_map(|view| match view {
                KeyView::Held(holder) => Some(holder),
                _ => None,
            })
        };
        let quorum = size.quorum();
        holders().find_map(|candidate| {
            let is_same =
                |other: &&ObservedHolder| Revocation::same_holder(&other.value, &candidate.value);
            let same = holders().filter(is_same);
            // A key without expiry outlives every other.
            let mut lefts: Vec<Duration> =
                same.map(|holder| holder.left.unwrap_or(Duration::MAX)).collect();
            lefts.sort_unstable_by(|one, other| other.cmp(one));
            let left = *lefts.get(quorum.checked_sub(1)?)?;
            let left = Some(left).filter(|left| *left != Duration::MAX);
            // A lock that so many have revoked is not extended any more.
            let is_revoked = |holder: &&ObservedHolder| Revocation::parse(&holder.value).is_some();
            let is_lost = holders().filter(is_same).filter(is_revoked).count() >= size.blocking();
            let shown = holders().filter(is_same).find(|holder| is_revoked(holder) == is_lost);
            Some(Self { value: shown.unwrap_or(candidate).value.clone(), left })
        })
    }

    /// The lock value; `None` where another client wrote it.
    #[must_use]
    pub fn lock_value(&self) -> Option<LockValue> {
        LockValue::parse(&self.value)
    }
}

impl Doubt {
    fn of(size: ClusterSize, views: &[KeyView]) -> Self {
        let count = |is: fn(&KeyView) -> bool| views.iter().filter(|view| is(view)).count();
        if count(|view| !matches!(view, KeyView::Unknown(_))) < size.quorum() {
            return Self::TooFewAnswers;
        }
        let mut values: Vec<&str> = views
            .iter()
            .filter_map(|view| match view {
                KeyView::Held(holder) => Some(holder.value.as_str()),
                _ => None,
            })
            .collect();
        values.sort_unstable();
        values.dedup();
        match values.len() {
            // If none of the quorum abstained, the key would be free.
            0 => Self::MayHaveForgotten,
            1 => Self::Minority,
            _ => Self::SplitVote,
        }
    }
}

/// The queue of a lock over all instances: as long as a quorum says at least, with the first
/// contender that the most instances name.
#[must_use]
pub fn merged_queue(size: ClusterSize, views: &[QueueView]) -> QueueView {
    let mut lengths: Vec<u32> = views.iter().map(|view| view.waiting).collect();
    lengths.sort_unstable_by(|one, other| other.cmp(one));
    let most = lengths.first().copied().unwrap_or_default();
    // With fewer answers than a quorum, the longest is as good as any.
    let waiting = lengths.get(size.quorum().saturating_sub(1)).copied().unwrap_or(most);
    let named = || views.iter().filter_map(|view| view.first.as_ref());
    let votes = |first: &FirstInQueue| named().filter(|other| other.id == first.id).count();
    let first = named().max_by_key(|first| votes(first)).filter(|_| waiting > 0);
    QueueView { waiting, first: first.cloned() }
}

#[cfg(test)]
mod tests;
