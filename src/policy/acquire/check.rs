//! Whether another host disagrees about the lock, asked before the command is started and while the
//! run waits.
//!
//! A quorum is not enough where an instance outside it holds the lock value of a host that names
//! other servers. So the votes of all instances are waited for, briefly, and an instance that
//! denied is asked for the lock value that is there.

use super::{AcquireStep, Acquisition, AcquisitionState, Beside};
use crate::lock::{
    Failure, LockStatus, ObservedHolder, Opinion, Release, Sample, StatusResponse, Time, Vote,
};
use crate::policy::{Notice, Outcome};
use std::time::Duration;

impl Acquisition {
    /// For how long at least and at most the votes beyond a quorum are waited for; in between, for
    /// half as long as the quorum took.
    const STRAGGLERS_MIN: Duration = Duration::from_millis(5);
    const STRAGGLERS_MAX: Duration = Duration::from_millis(100);

    /// For how long the others are waited for after a quorum that `took` so long.
    pub(in crate::policy) fn stragglers(took: Duration) -> Duration {
        (took / 2).clamp(Self::STRAGGLERS_MIN, Self::STRAGGLERS_MAX)
    }

    /// A quorum granted: starts the command, unless there is reason to wait.
    pub(super) fn check(&mut self, now: Time) -> AcquireStep {
        let deadline = self.held_lock.deadline();
        if !deadline.is_some_and(|deadline| self.schedule.worth_starting(now, deadline)) {
            return self.fail(now, Failure::TooLate);
        }
        let is_open = self.is_open();
        if let AcquisitionState::Voting { begun, until, is_granted, tally } = &mut self.state {
            if !std::mem::replace(is_granted, true) {
                *until = now.plus(Self::stragglers(now.since(*begun))).min(*until);
            }
            if is_open && now < *until {
                return AcquireStep::Wait;
            }
            let (begun, tally) = (*begun, tally.clone());
            self.state = AcquisitionState::Checking { begun, until: now, tally, asked: vec![] };
        }
        self.compare_all(now)
    }

    /// Whether an instance may still say something that matters: its vote, or with slots what is in
    /// the other slots.
    fn is_open(&self) -> bool {
        let (AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. }) =
            &self.state
        else {
            return false;
        };
        tally.votes().zip(&self.has_shown).any(|(vote, has_shown)| match vote {
            None => true,
            Some(Vote::Granted | Vote::Denied) => self.slots > 1 && !has_shown,
            Some(Vote::Unknown(_)) => false,
        })
    }

    /// Looks at what denied us, and again at what disagreed, until there is none of either.
    fn compare_all(&mut self, now: Time) -> AcquireStep {
        let AcquisitionState::Checking { until, tally, asked, .. } = &mut self.state else {
            return AcquireStep::Wait;
        };
        let mut due = vec![];
        for (instance, (vote, has_shown)) in tally.votes().zip(&mut self.has_shown).enumerate() {
            if vote == Some(&Vote::Denied) && !std::mem::replace(has_shown, true) {
                due.push(instance);
            }
        }
        if due.is_empty() && !asked.is_empty() && now < *until {
            return AcquireStep::Wait;
        }
        if due.is_empty() {
            asked.clear();
            match self.agreement.next_look(now) {
                None => {
                    let votes = tally.votes().map(Option::<&Vote>::cloned).collect();
                    return AcquireStep::Won(Box::new(self.held_lock.clone()), votes);
                }
                Some(at) if now < at => {
                    *until = at;
                    return AcquireStep::Wait;
                }
                Some(_) => due = self.agreement.suspects(now),
            }
        }
        asked.extend(&due);
        *until = now.plus(self.schedule.op_timeout());
        AcquireStep::Check(due)
    }

    /// Whether what was asked at `sent` is what is in the way of the attempt that is under way.
    pub(super) fn is_shown(&self, sent: Time) -> bool {
        match &self.state {
            AcquisitionState::Voting { begun, .. } => self.slots > 1 && sent >= *begun,
            AcquisitionState::Checking { begun, .. } => sent >= *begun,
            AcquisitionState::GivingBack { .. }
            | AcquisitionState::Pausing { .. }
            | AcquisitionState::Queuing { .. } => false,
        }
    }

    /// `instance` showed what is there while an attempt is under way.
    pub(super) fn showed(
        &mut self,
        now: Time,
        instance: usize,
        status: StatusResponse,
    ) -> AcquireStep {
        if let Some(has_shown) = self.has_shown.get_mut(instance) {
            *has_shown = true;
        }
        if let AcquisitionState::Checking { asked, .. } = &mut self.state {
            asked.retain(|other| *other != instance);
        }
        if let StatusResponse::Seen(view) = status
            && self.agreement.compare(now, instance, view.holder.as_ref()) == Opinion::Disagrees
        {
            return self.fail(now, Failure::Disagreed);
        }
        self.decide(now)
    }

    /// `instance` said how things stand while the run waits.
    pub(super) fn status(
        &mut self,
        now: Time,
        sample: Sample,
        instance: usize,
        status: StatusResponse,
    ) -> AcquireStep {
        if let StatusResponse::Seen(view) = &status {
            self.compare_waiting(now, instance, view.holder.as_ref());
        }
        self.queue.seen(now, sample, instance, status);
        match (&self.state, self.disagreement()) {
            (
                AcquisitionState::Queuing { .. } | AcquisitionState::Pausing { .. },
                Some(outcome),
            ) => AcquireStep::GiveUp(outcome),
            _ => self.woke(now, sample),
        }
    }

    /// What `instance` said to a release is compared too. With slots it tells of one of them only.
    pub(super) fn released(&mut self, now: Time, instance: usize, response: &Release) {
        match response {
            Release::Done(None) if self.slots > 1 => {}
            Release::Done(holder) => self.compare_waiting(now, instance, holder.as_ref()),
            Release::Written | Release::Nothing | Release::Unknown(_) => {}
        }
    }

    /// Compares what is in the way of a run that waits; the second look is one at all instances.
    fn compare_waiting(&mut self, now: Time, instance: usize, holder: Option<&ObservedHolder>) {
        match self.agreement.compare(now, instance, holder) {
            Opinion::Agrees => {}
            Opinion::Suspect(again) => self.queue.look_by(again),
            Opinion::Disagrees => {
                if let AcquisitionState::GivingBack { failure, .. } = &mut self.state {
                    *failure = Failure::Disagreed;
                }
            }
        }
    }

    /// How a run ends with which another host disagrees.
    pub(super) fn disagreement(&self) -> Option<Outcome> {
        self.agreement.refusal().map(|(holder, difference)| Outcome::Disagreed(holder, difference))
    }

    /// Whether to ask an instance what is in the way of our extension there; once in a run.
    pub const fn asks_beside(&mut self) -> bool {
        let is_first = matches!(self.beside, Beside::Unasked);
        if is_first {
            self.beside = Beside::Asked;
        }
        is_first
    }

    /// What `instance` showed while the lock is held: a holder that disagrees, if it is one; once.
    pub fn beside(
        &mut self,
        now: Time,
        instance: usize,
        status: &StatusResponse,
    ) -> Option<Notice> {
        let StatusResponse::Seen(LockStatus { holder, .. }) = status else { return None };
        let _: Opinion = self.agreement.compare(now, instance, holder.as_ref());
        let (holder, difference) = self.agreement.suspicion(instance)?;
        let is_news = std::mem::replace(&mut self.beside, Beside::Told) != Beside::Told;
        is_news.then_some(Notice::HeldBeside(holder, difference))
    }

    /// A holder whose lease is longer than our restart guard; once.
    pub fn take_long_lease(&mut self) -> Option<ObservedHolder> {
        self.agreement.take_long_lease()
    }

    pub(super) fn fail(&mut self, now: Time, failure: Failure) -> AcquireStep {
        let (AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. }) =
            &self.state
        else {
            return AcquireStep::Wait;
        };
        let (granted, votes) =
            (tally.granted(), tally.votes().map(Option::<&Vote>::cloned).collect());
        self.give_back(now, failure, granted, votes)
    }
}

#[cfg(test)]
mod tests;
