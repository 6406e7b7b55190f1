//! The requests of one acquisition to its instances: its value, its slot, and the cluster.

use super::clock;
use super::run_loop::{SystemError, system_error};
use crate::instance::Cluster;
use crate::lock::{AfterRelease, InstanceResponse, LockValue, QueuedSince, Request, Time, Token};
use crate::policy::Action;
use rand::SeedableRng as _;
use rand::TryRng as _;
use rand::rngs::{SmallRng, SysRng};
use std::io;

/// The cluster, and the value of the current attempt.
pub(super) struct Requests {
    cluster: Cluster,
    lock_value: LockValue,
    /// The value and the slot of the current attempt.
    value: String,
    slot: u32,
}

/// A random generator, seeded by the system.
pub(super) fn rng() -> Result<SmallRng, SystemError> {
    SmallRng::try_from_rng(&mut SysRng)
        .map_err(|error| system_error("randomness")(io::Error::other(error)))
}

impl Requests {
    /// No request is sent before the first action. Each attempt fills token and time into
    /// `lock_value`.
    pub(super) const fn new(cluster: Cluster, lock_value: LockValue) -> Self {
        Self { cluster, lock_value, value: String::new(), slot: 0 }
    }

    /// The value of the current attempt.
    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// The slot of the current attempt, from 0.
    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }

    /// The next response of any instance.
    pub(super) async fn heard(&mut self) -> InstanceResponse {
        self.cluster.heard().await
    }

    /// Carries out the actions that send requests. Other actions send none.
    pub(super) fn act(&mut self, now: Time, action: &Action) -> Result<(), SystemError> {
        match action {
            Action::Acquire(attempt, slot) => {
                let mut bytes = [0; Token::LEN];
                SysRng
                    .try_fill_bytes(&mut bytes)
                    .map_err(|error| system_error("randomness")(io::Error::other(error)))?;
                self.lock_value.token = Token::new(bytes).hex();
                self.lock_value.since = clock::since_1970().as_secs();
                self.value = self.lock_value.to_line();
                self.slot = *slot;
                let (attempt, slot, value) = (*attempt, *slot, self.value.clone());
                self.cluster.ask_all(now, &Request::Acquire { attempt, slot, value });
            }
            Action::Extend(missing, instances) => {
                for instance in instances {
                    let (missing, slot, value) = (*missing, self.slot, self.value.clone());
                    self.cluster.ask(*instance, now, Request::Extend { missing, slot, value });
                }
            }
            Action::Release(attempt, after_release) => {
                let (attempt, slot, value) = (*attempt, self.slot, self.value.clone());
                let after_release = *after_release;
                self.cluster
                    .ask_all(now, &Request::Release { attempt, slot, value, after_release });
                if matches!(after_release, AfterRelease::LeaveQueue { .. }) {
                    // Other runs wait for this release, and for no other work of this run.
                    self.cluster.flush();
                }
            }
            Action::AskStatus { instances, waited } => {
                let queued_since =
                    waited.map(|waited| QueuedSince { wall: clock::since_1970(), waited });
                for instance in instances {
                    self.cluster.ask(*instance, now, Request::Status(queued_since));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
