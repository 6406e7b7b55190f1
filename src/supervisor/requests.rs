//! The requests of one acquisition to its instances, with its value and its slot.

use super::clock;
use super::system_error::{SystemError, system_error};
use crate::instance::Cluster;
use crate::lock::{
    AfterRelease, FenceToken, Holder, IfMissing, Proposal, QueuedSince, Request, Time, Token,
};
use crate::policy::Action;
use rand::SeedableRng as _;
use rand::TryRng as _;
use rand::rngs::{SmallRng, SysRng};
use std::io;

/// The cluster, and the value of the current attempt.
pub(super) struct Requests {
    pub(super) cluster: Cluster,
    holder: Holder,
    /// The value and the slot of the current attempt.
    value: String,
    slot: u32,
    /// The fencing token of the current attempt, if any.
    proposal: Option<Proposal>,
}

/// The value of a lock, and where it is set.
#[derive(Clone, Copy, Debug)]
pub struct HeldValue<'a> {
    /// The value of the keys.
    pub value: &'a str,
    /// The slot, from 0.
    pub slot: u32,
}

/// Sends an extension to some instances.
pub(super) fn extend(
    cluster: &mut Cluster,
    now: Time,
    held: HeldValue<'_>,
    (missing, instances): (IfMissing, &[usize]),
) {
    for instance in instances {
        let (slot, value) = (held.slot, held.value.to_owned());
        cluster.ask(*instance, now, Request::Extend { missing, slot, value });
    }
}

/// A random generator, seeded by the system.
pub(super) fn rng() -> Result<SmallRng, SystemError> {
    SmallRng::try_from_rng(&mut SysRng)
        .map_err(|error| system_error("randomness")(io::Error::other(error)))
}

impl Requests {
    /// The requests of `holder`. None is sent before the first action.
    pub(super) const fn new(cluster: Cluster, holder: Holder) -> Self {
        Self { cluster, holder, value: String::new(), slot: 0, proposal: None }
    }

    /// The value of the current attempt.
    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// The slot of the current attempt, from 0.
    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }

    /// The fencing token of the current attempt, if any.
    pub(super) fn fence(&self) -> Option<FenceToken> {
        self.proposal.as_ref().map(|proposal| proposal.token)
    }

    /// Carries out an action that sends requests. Ignores any other.
    pub(super) fn act(&mut self, now: Time, action: Action) -> Result<(), SystemError> {
        match action {
            Action::Acquire(attempt, slot) => self.acquire(now, attempt, slot, None)?,
            Action::Propose { attempt, above } => {
                let token = FenceToken::proposal(clock::since_1970(), above);
                self.acquire(now, attempt, 0, Some(token))?;
            }
            Action::Raise(attempt, instances) => {
                for (instance, counters) in instances {
                    let Some(proposal) = self.proposal.clone() else { continue };
                    let value = self.value.clone();
                    let request = Request::Raise { attempt, value, proposal, counters };
                    self.cluster.ask(instance, now, request);
                }
            }
            Action::Extend(missing, instances) => {
                let held = HeldValue { value: &self.value, slot: self.slot };
                extend(&mut self.cluster, now, held, (missing, &instances));
            }
            Action::Release(attempt, after_release) => {
                let (slot, value) = (self.slot, self.value.clone());
                self.cluster
                    .ask_all(now, &Request::Release { attempt, slot, value, after_release });
                if matches!(after_release, AfterRelease::LeaveQueue { .. }) {
                    // Other runs wait for this release, so it is written before any other work.
                    self.cluster.flush();
                }
            }
            Action::AskStatus { instances, waited } => {
                let queued_since =
                    waited.map(|waited| QueuedSince { wall: clock::since_1970(), waited });
                for instance in instances {
                    self.cluster.ask(instance, now, Request::Status(queued_since));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends an acquisition with a new nonce, and with a fencing token if the command gets one.
    fn acquire(
        &mut self,
        now: Time,
        attempt: u32,
        slot: u32,
        token: Option<FenceToken>,
    ) -> Result<(), SystemError> {
        let mut bytes = [0; Token::LEN];
        SysRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| system_error("randomness")(io::Error::other(error)))?;
        let nonce = Token::new(bytes).hex();
        let since = clock::since_1970().as_secs();
        self.value = self.holder.lock_value(&nonce, since, token).to_line();
        self.slot = slot;
        self.proposal = token.map(|token| Proposal { token, nonce });
        let (value, fence) = (self.value.clone(), self.proposal.clone());
        self.cluster.ask_all(now, &Request::Acquire { attempt, slot, value, fence });
        Ok(())
    }
}
