//! The fence of an attempt: the fence votes, and the second step, which writes the counters if too
//! few instances have one.

use super::{AcquireResult, Acquisition, AcquisitionState};
use crate::lock::{
    ClusterSize, Failure, FenceTally, FenceToken, FenceVerdict, FenceVote, NoVoteReason,
    PermanentError, Time, Vote,
};
use crate::policy::{Action, Notice};

/// The fence of the attempts of one contender.
#[derive(Debug)]
pub(super) struct Fence {
    size: ClusterSize,
    tally: FenceTally,
    /// Fence votes that came, each without its lock vote.
    heard: Vec<Option<FenceVote>>,
    /// Instances that set the key but have no vote yet (restart guard), with the counters that they
    /// lack.
    young: Vec<(usize, Vec<usize>)>,
    /// The largest token in the responses to earlier attempts.
    above: Option<FenceToken>,
    /// Whether a notice was given that the counters begin anew.
    is_told: bool,
    /// Number of attempts that failed because of a larger counter.
    stale_attempts: u32,
}

/// The next step of an attempt that was granted the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FenceStep {
    /// A quorum gave fence votes.
    Done,
    /// Further votes are awaited.
    Wait,
    /// The second step begins.
    Raise,
    /// The attempt has failed.
    Fail(Failure),
}

impl Fence {
    /// Largest number of attempts that follow at once on a larger counter, in one run.
    const STALE_MAX: u32 = 4;

    /// A fence without votes.
    pub(super) fn new(size: ClusterSize) -> Self {
        let count = size.count();
        Self {
            size,
            tally: FenceTally::new(size),
            heard: vec![None; count],
            young: vec![],
            above: None,
            is_told: false,
            stale_attempts: 0,
        }
    }

    /// Begins an attempt. Returns the largest token seen so far.
    pub(super) fn begin(&mut self) -> Option<FenceToken> {
        self.above = self.above.max(self.tally.seen());
        self.tally = FenceTally::new(self.size);
        self.heard.fill(None);
        self.young.clear();
        self.above
    }

    /// Takes the lock vote of `instance`, which follows its fence vote. Only an instance with both
    /// votes counts.
    pub(super) fn vote(&mut self, instance: usize, vote: &Vote) {
        let heard = self.heard.get_mut(instance).and_then(Option::take);
        if let (Vote::Unknown(NoVoteReason::Restarted { .. }), Some(FenceVote::Lacking(lacking))) =
            (vote, &heard)
        {
            self.young.push((instance, lacking.iter().map(|one| one.key).collect()));
        }
        let fence = match (vote, heard) {
            (Vote::Granted | Vote::Unknown(NoVoteReason::Unproven { .. }), Some(heard)) => heard,
            (Vote::Denied, Some(stale @ FenceVote::Stale(_))) => stale,
            (Vote::Unknown(why), _) => FenceVote::Unknown(why.clone()),
            (Vote::Granted | Vote::Denied, _) => FenceVote::NotOurs,
        };
        self.tally.record(instance, fence);
    }

    /// Takes the fence vote of `instance`. Its lock vote follows, unless this is a response to the
    /// second step.
    fn hear(&mut self, instance: usize, vote: FenceVote) {
        if self.tally.is_raising() {
            self.tally.record(instance, vote);
        } else if let Some(place) = self.heard.get_mut(instance) {
            *place = Some(vote);
        }
    }

    /// Begins the second step. An instance without a vote because of its restart gets the counters,
    /// too: otherwise it would lack them until the counters begin anew again.
    fn begin_raise(&mut self) -> Vec<(usize, Vec<usize>)> {
        let mut asked = self.tally.begin_raise();
        let anew: Vec<usize> = asked.iter().flat_map(|(_, counters)| counters.clone()).collect();
        for (instance, counters) in &self.young {
            let counters: Vec<usize> =
                counters.iter().copied().filter(|counter| anew.contains(counter)).collect();
            asked.extend((!counters.is_empty()).then_some((*instance, counters)));
        }
        asked
    }

    /// Whether to give notice that the counters begin anew. True once, and before they are written:
    /// if this attempt fails afterwards, the next holder finds counters and gives no notice.
    fn tells(&mut self) -> bool {
        !self.tally.may_be_first_use() && !std::mem::replace(&mut self.is_told, true)
    }

    /// The limit of the votes has passed.
    pub(super) fn time_out(&mut self) {
        self.tally.time_out();
    }

    /// Whether missing votes can still show that the fence is used for the first time.
    pub(super) fn is_open(&self) -> bool {
        self.tally.may_be_first_use()
    }

    /// The next step.
    pub(super) fn step(&self) -> FenceStep {
        match self.tally.verdict() {
            FenceVerdict::Raised => FenceStep::Done,
            // An instance that is left out would lack its counter until the counters begin anew
            // again.
            FenceVerdict::Bootstrap if !self.has_open() => FenceStep::Raise,
            FenceVerdict::Bootstrap | FenceVerdict::Pending => FenceStep::Wait,
            FenceVerdict::Stale => FenceStep::Fail(Failure::Stale),
            FenceVerdict::NoQuorum => FenceStep::Fail(self.failure()),
        }
    }

    fn has_open(&self) -> bool {
        (0..self.size.count()).any(|instance| self.tally.vote(instance).is_none())
    }

    fn failure(&self) -> Failure {
        let votes = (0..self.size.count()).filter_map(|instance| self.tally.vote(instance));
        let reasons = votes.filter_map(|vote| match vote {
            FenceVote::Unknown(why) => Some(why),
            _ => None,
        });
        match PermanentError::prevailing(reasons) {
            Some((kind, count)) if count >= self.size.blocking() => Failure::Refused(kind),
            _ => Failure::NoFence,
        }
    }

    /// Whether a larger token could have been granted, given that `granted` instances granted the
    /// lock, fewer than a quorum.
    pub(super) fn is_stale(&self, granted: usize) -> bool {
        let is_stale =
            |instance: &usize| matches!(self.tally.vote(*instance), Some(FenceVote::Stale(_)));
        let stale = (0..self.size.count()).filter(is_stale).count();
        granted + stale >= self.size.quorum()
    }

    /// Counts an attempt that failed because of a larger counter. Returns whether the next one
    /// follows at once.
    pub(super) const fn retries_at_once(&mut self) -> bool {
        self.stale_attempts = self.stale_attempts.saturating_add(1);
        self.stale_attempts <= Self::STALE_MAX
    }

    /// The lock vote of `instance` for messages: without a fence vote, the reason for that.
    pub(super) fn shown(&self, instance: usize, vote: Option<Vote>) -> Option<Vote> {
        match (vote, self.tally.vote(instance)) {
            (Some(Vote::Granted), Some(FenceVote::Lacking(_))) => {
                Some(Vote::Unknown(NoVoteReason::NoCounter))
            }
            (Some(Vote::Granted | Vote::Denied), Some(FenceVote::Stale(token))) => {
                Some(Vote::Unknown(NoVoteReason::HigherCounter(*token)))
            }
            (Some(Vote::Granted), Some(FenceVote::Unknown(why))) => {
                Some(Vote::Unknown(why.clone()))
            }
            (vote, _) => vote,
        }
    }
}

impl Acquisition {
    /// Takes the fence vote of `instance` on the current attempt.
    pub(super) fn hear_fence(
        &mut self,
        now: Time,
        instance: usize,
        vote: FenceVote,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        let Some(fence) = &mut self.fence else { return AcquireResult::Pending };
        fence.hear(instance, vote);
        self.decide(now, out)
    }

    /// Goes on after a quorum granted the lock, once a quorum of fence votes has come as well.
    pub(super) fn check_fence(&mut self, now: Time, out: &mut Vec<Action>) -> AcquireResult {
        let Some(fence) = &mut self.fence else { return self.check(now, out) };
        let AcquisitionState::Voting { until, .. } = &mut self.state else {
            return self.check(now, out);
        };
        match fence.step() {
            FenceStep::Done => self.check(now, out),
            FenceStep::Fail(failure) => self.fail(now, failure, out),
            FenceStep::Wait => AcquireResult::Pending,
            FenceStep::Raise => {
                *until = now.plus(self.schedule.op_timeout());
                let asked = fence.begin_raise();
                let told = fence.tells().then_some(Action::Notify(Notice::CountersLost));
                out.extend(told);
                out.push(Action::Raise(self.number, asked));
                AcquireResult::Pending
            }
        }
    }

    /// The notice about the counters that this attempt has written. `None` if it wrote none, or if
    /// the notice was given before.
    #[must_use]
    pub fn fence_notice(&self) -> Option<Notice> {
        let Fence { tally, is_told, .. } = self.fence.as_ref()?;
        let notice = if tally.is_first_use() { Notice::FirstFence } else { Notice::CountersLost };
        (tally.is_raising() && !is_told).then_some(notice)
    }
}

#[cfg(test)]
mod tests;
