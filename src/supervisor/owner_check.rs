//! One status request to all instances, to learn whether a certain run holds the lock.

use super::clock::{self, AsyncTimer};
use super::system_error::{SystemError, system_error};
use crate::instance::Cluster;
use crate::lock::{Request, Response};
use crate::policy::Ownership;
use std::time::Duration;

/// Whether a quorum shows the run of `ownership` as the holder, within `limit`.
///
/// # Errors
/// When the system refuses a timer.
pub async fn owns(
    mut cluster: Cluster,
    mut ownership: Ownership,
    limit: Duration,
) -> Result<bool, SystemError> {
    let now = clock::now();
    let end = now.plus(limit);
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    cluster.ask_all(now, &Request::Status(None));
    loop {
        if let Some(verdict) = ownership.verdict() {
            return Ok(verdict);
        }
        tokio::select! {
            biased;
            heard = cluster.heard() => {
                if let Response::Status(status) = &heard.response {
                    ownership.heard(heard.instance, status);
                }
            }
            result = timer.wait_until(end) => {
                result.map_err(system_error("a timer"))?;
                if clock::now() >= end {
                    return Ok(false);
                }
            }
        }
    }
}
