//! Check for a host with another configuration, before the start of the command and during the wait.
//!
//! A quorum does not suffice if an instance beyond it holds the value of a host with other servers.
//! So the votes of all instances are awaited for a short time, and an instance that denied is
//! polled for its holder.

use super::{AcquireResult, Acquisition, AcquisitionState, Fence};
use crate::lock::{Failure, ObservedHolder, Opinion, Release, Sample, StatusResponse, Time, Vote};
use crate::policy::{Action, Outcome};
use std::time::Duration;

impl Acquisition {
    /// Shortest wait for the votes beyond a quorum.
    const STRAGGLERS_MIN: Duration = Duration::from_millis(50);
    /// Longest wait for the votes beyond a quorum.
    const STRAGGLERS_MAX: Duration = Duration::from_millis(100);

    /// The wait for the votes beyond a quorum: half as long as that quorum `took`, within limits.
    pub(in crate::policy) fn stragglers(took: Duration) -> Duration {
        (took / 2).clamp(Self::STRAGGLERS_MIN, Self::STRAGGLERS_MAX)
    }

    /// Ends the acquisition after a quorum granted, unless a missing response may still show a
    /// disagreement.
    pub(super) fn check(&mut self, now: Time, out: &mut Vec<Action>) -> AcquireResult {
        let deadline = self.held_lock.deadline();
        if !deadline.is_some_and(|deadline| self.schedule.worth_starting(now, deadline)) {
            return self.fail(now, Failure::TooLate, out);
        }
        let is_open = self.is_open();
        if let AcquisitionState::Voting { begun, until, is_granted, tally } = &mut self.state {
            // Only the counters of all instances show a first use of the fence, so they are awaited
            // as long as the votes.
            let is_first_use = self.fence.as_ref().is_some_and(Fence::is_open);
            if !std::mem::replace(is_granted, true) && !is_first_use {
                *until = now.plus(Self::stragglers(now.since(*begun))).min(*until);
            }
            if is_open && now < *until {
                return AcquireResult::Pending;
            }
            let (begun, tally) = (*begun, tally.clone());
            self.state = AcquisitionState::Checking { begun, until: now, tally, asked: vec![] };
        }
        self.compare_all(now, out)
    }

    /// Whether a relevant response is missing: a vote, or with slots a status.
    fn is_open(&self) -> bool {
        let (AcquisitionState::Voting { tally, .. } | AcquisitionState::Checking { tally, .. }) =
            &self.state
        else {
            return false;
        };
        self.fence.as_ref().is_some_and(Fence::is_open)
            || tally.votes().zip(&self.has_status).any(|(vote, has_status)| match vote {
                None => true,
                Some(Vote::Granted | Vote::Denied) => self.slots > 1 && !has_status,
                Some(Vote::Unknown(_)) => false,
            })
    }

    /// Polls each instance that denied. Polls those with a suspect holder again, until no suspect
    /// is left.
    fn compare_all(&mut self, now: Time, out: &mut Vec<Action>) -> AcquireResult {
        let AcquisitionState::Checking { until, tally, asked, .. } = &mut self.state else {
            return AcquireResult::Pending;
        };
        let mut due = vec![];
        for (instance, (vote, has_status)) in tally.votes().zip(&mut self.has_status).enumerate() {
            if vote == Some(&Vote::Denied) && !std::mem::replace(has_status, true) {
                due.push(instance);
            }
        }
        if due.is_empty() && !asked.is_empty() && now < *until {
            return AcquireResult::Pending;
        }
        if due.is_empty() {
            asked.clear();
            match self.agreement.next_look(now) {
                None => {
                    let votes = tally.votes().map(Option::<&Vote>::cloned).collect();
                    return AcquireResult::Acquired(Box::new(self.held_lock.clone()), votes);
                }
                Some(at) if now < at => {
                    *until = at;
                    return AcquireResult::Pending;
                }
                Some(_) => due = self.agreement.suspects(now),
            }
        }
        asked.extend(&due);
        *until = now.plus(self.schedule.op_timeout());
        self.ask_status(now, due, false, out);
        AcquireResult::Pending
    }

    /// Whether a status request that was sent at `sent` belongs to the check of the current attempt.
    pub(super) fn is_of_attempt(&self, sent: Time) -> bool {
        match &self.state {
            AcquisitionState::Voting { begun, .. } => self.slots > 1 && sent >= *begun,
            AcquisitionState::Checking { begun, .. } => sent >= *begun,
            AcquisitionState::Releasing { .. }
            | AcquisitionState::BackingOff { .. }
            | AcquisitionState::Queuing { .. } => false,
        }
    }

    /// Takes the status of `instance` for the check of the current attempt.
    pub(super) fn check_status(
        &mut self,
        now: Time,
        instance: usize,
        response: StatusResponse,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        if let Some(has_status) = self.has_status.get_mut(instance) {
            *has_status = true;
        }
        if let AcquisitionState::Checking { asked, .. } = &mut self.state {
            asked.retain(|other| *other != instance);
        }
        if let StatusResponse::Seen(status) = response
            && self.agreement.compare(now, instance, status.holder.as_ref()) == Opinion::Disagrees
        {
            return self.fail(now, Failure::Disagreed, out);
        }
        self.decide(now, out)
    }

    /// Takes the status of `instance` during the wait.
    pub(super) fn handle_status(
        &mut self,
        now: Time,
        sample: Sample,
        instance: usize,
        response: StatusResponse,
        out: &mut Vec<Action>,
    ) -> AcquireResult {
        if let StatusResponse::Seen(status) = &response {
            self.compare_waiting(now, instance, status.holder.as_ref());
        }
        self.queue.handle_status(now, sample, instance, response);
        match (&self.state, self.disagreement()) {
            (
                AcquisitionState::Queuing { .. } | AcquisitionState::BackingOff { .. },
                Some(outcome),
            ) => AcquireResult::GivenUp(outcome),
            _ => self.handle_timeout(now, sample, out),
        }
    }

    /// Compares the holder in the response to a release. With slots, a slot without a holder proves
    /// nothing about the others.
    pub(super) fn compare_release(&mut self, now: Time, instance: usize, response: &Release) {
        match response {
            Release::Done(None) if self.slots > 1 => {}
            Release::Done(holder) => self.compare_waiting(now, instance, holder.as_ref()),
            Release::Written | Release::Nothing | Release::Unknown(_) => {}
        }
    }

    /// Compares a holder during the wait. For the second poll of a suspect, all instances are
    /// polled.
    fn compare_waiting(&mut self, now: Time, instance: usize, holder: Option<&ObservedHolder>) {
        match self.agreement.compare(now, instance, holder) {
            Opinion::Agrees => {}
            Opinion::Suspect(again) => self.queue.poll_all_by(again),
            Opinion::Disagrees => {
                if let AcquisitionState::Releasing { failure, .. } = &mut self.state {
                    *failure = Failure::Disagreed;
                }
            }
        }
    }

    /// The outcome of a run with which another host disagrees. `None` without a disagreement.
    pub(super) fn disagreement(&self) -> Option<Outcome> {
        self.agreement.refusal().map(|(holder, difference)| Outcome::Disagreed(holder, difference))
    }

    /// A holder whose lease is longer than our restart guard. Returned once.
    pub fn take_long_lease(&mut self) -> Option<ObservedHolder> {
        self.agreement.take_long_lease()
    }
}

#[cfg(test)]
mod tests;
