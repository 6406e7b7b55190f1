//! Search for a holder with another configuration while the lock is held.
//!
//! The votes beyond a quorum are awaited for a short time only. An instance that denies later had
//! the key of another run before. If that run is configured with other servers or slots, both runs
//! can have a quorum. Then this run is the later one and has to give way.

use super::Acquisition;
use crate::lock::{
    Difference, Extension, InstanceResponse, ObservedHolder, Opinion, Response, StatusResponse,
    Time, Vote,
};
use crate::policy::Action;
use std::time::Duration;

/// A holder with another configuration, found while the lock is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rival {
    /// Either run may have been first. Returned once in a run.
    Beside(ObservedHolder, Difference),
    /// The other run was first: this run was denied on the instance, and both polls of the instance
    /// found the disagreement.
    First {
        /// The instance.
        instance: usize,
        /// The other run.
        holder: ObservedHolder,
        /// The difference.
        difference: Difference,
    },
}

#[derive(Debug, Default)]
pub(super) struct RivalSearch {
    /// Whether an instance with a foreign key was polled. Polled once in a run, apart from denials.
    has_asked: bool,
    has_reported: bool,
    /// Instances that denied after the others had granted, and the moment of the next poll of each.
    denied: Vec<(usize, Time)>,
}

impl RivalSearch {
    /// Denials of another attempt do not count.
    pub(super) fn forget_denials(&mut self) {
        self.denied.clear();
    }
}

impl Acquisition {
    /// The moment at which [`Acquisition::poll_rivals`] is due.
    #[must_use]
    pub fn rival_wake_at(&self) -> Time {
        self.rivals.denied.iter().map(|(_, at)| *at).min().unwrap_or(Time::NEVER)
    }

    /// Polls again each instance that denied late, as long as its holder may disagree.
    pub fn poll_rivals(&mut self, now: Time, out: &mut Vec<Action>) {
        let suspects = self.agreement.suspects(now);
        let limit = now.plus(self.op_timeout());
        let mut due = vec![];
        self.rivals.denied.retain_mut(|(instance, at)| {
            if now < *at {
                return true;
            }
            *at = limit;
            due.push(*instance);
            suspects.contains(instance)
        });
        due.retain(|instance| suspects.contains(instance));
        if !due.is_empty() {
            self.ask_status(now, due, false, out);
        }
    }

    /// Takes a response that was received while the lock is held.
    #[must_use]
    pub fn compare_rival(
        &mut self,
        now: Time,
        received: &InstanceResponse,
        out: &mut Vec<Action>,
    ) -> Option<Rival> {
        let instance = received.instance;
        match &received.response {
            Response::Vote(attempt, Vote::Denied) if *attempt == self.number => {
                self.rivals.has_asked = true;
                self.rivals.denied.push((instance, now.plus(self.op_timeout())));
                self.ask_status(now, vec![instance], false, out);
                None
            }
            // An instance has a foreign key in place of ours.
            Response::Extension(Extension::Foreign)
                if !std::mem::replace(&mut self.rivals.has_asked, true) =>
            {
                self.ask_status(now, vec![instance], false, out);
                None
            }
            Response::Status(StatusResponse::Seen(status)) => {
                let opinion = self.agreement.compare(now, instance, status.holder.as_ref());
                self.rival(instance, opinion)
            }
            _ => None,
        }
    }

    /// The rival to report after a comparison of the holder on `instance`, if any.
    fn rival(&mut self, instance: usize, opinion: Opinion) -> Option<Rival> {
        let suspicion = self.agreement.suspicion(instance);
        let denied = self.rivals.denied.iter().position(|(other, _)| *other == instance);
        match (denied, suspicion, opinion) {
            (Some(place), None, _) => {
                self.rivals.denied.swap_remove(place);
                None
            }
            (Some(_), Some((holder, difference)), Opinion::Disagrees) => {
                self.rivals.denied.clear();
                Some(Rival::First { instance, holder, difference })
            }
            (Some(place), Some(_), Opinion::Suspect(again)) => {
                if let Some((_, at)) = self.rivals.denied.get_mut(place) {
                    *at = again;
                }
                None
            }
            (_, Some((holder, difference)), _)
                if !std::mem::replace(&mut self.rivals.has_reported, true) =>
            {
                Some(Rival::Beside(holder, difference))
            }
            _ => None,
        }
    }

    const fn op_timeout(&self) -> Duration {
        self.schedule.op_timeout()
    }
}

#[cfg(test)]
mod tests;
