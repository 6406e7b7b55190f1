//! Extension and release of a lock that an earlier process acquired.

use super::clock::{self, AsyncTimer};
use super::requests::{self, HeldValue};
use super::system_error::{SystemError, system_error};
use crate::instance::Cluster;
use crate::lock::{AfterRelease, ClusterSize, Request, Response};
use crate::policy::{Action, ExtensionResult, HandleExtension, ReleaseRound};
use std::time::Duration;

/// Extends a lock once. `extension` decides, and has the result.
///
/// # Errors
/// When the system refuses a timer.
pub async fn extend(
    mut cluster: Cluster,
    held: HeldValue<'_>,
    extension: &mut HandleExtension,
) -> Result<ExtensionResult, SystemError> {
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let mut received = None;
    loop {
        let (now, mut actions) = (clock::now(), Vec::new());
        let result = extension.handle(now, received.as_ref(), &mut actions);
        if result != ExtensionResult::Pending {
            return Ok(result);
        }
        for action in actions {
            if let Action::Extend(missing, instances) = action {
                requests::extend(&mut cluster, now, held, (missing, &instances));
            }
        }
        received = tokio::select! {
            biased;
            received = cluster.heard() => Some(received),
            result = timer.wait_until(extension.wake_at()) => {
                result.map_err(system_error("a timer"))?;
                None
            }
        };
    }
}

/// Releases a lock on all `size` instances, within `limit`. The keys stay set for `hold_for`.
///
/// # Errors
/// When the system refuses a timer.
pub async fn release(
    mut cluster: Cluster,
    (size, limit): (ClusterSize, Duration),
    held: HeldValue<'_>,
    hold_for: Duration,
) -> Result<ReleaseRound, SystemError> {
    const ATTEMPT: u32 = 1;
    let now = clock::now();
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let mut round = ReleaseRound::new(size, ATTEMPT, now, limit);
    cluster.assume_set(held.slot, held.value);
    let (slot, value) = (held.slot, held.value.to_owned());
    let after_release = AfterRelease::LeaveQueue { hold_for };
    cluster.ask_all(now, &Request::Release { attempt: ATTEMPT, slot, value, after_release });
    while !round.is_done(clock::now()) {
        tokio::select! {
            biased;
            received = cluster.heard() => {
                if let Response::Release(attempt, release) = received.response {
                    round.record(received.instance, attempt, release);
                }
            }
            result = timer.wait_until(round.limit()) => {
                result.map_err(system_error("a timer"))?;
            }
        }
    }
    // The kernel has taken every request, and closes all descriptors at the exit.
    std::mem::forget(cluster);
    Ok(round)
}
