//! One status request to all instances: whether a certain run holds the lock.

use super::clock::{self, AsyncTimer};
use super::system_error::{SystemError, system_error};
use crate::instance::{Cluster, ClusterSettings, Endpoint};
use crate::lock::{Request, Response};
use crate::policy::Ownership;

/// Whether a quorum shows the run of `ownership` as the holder, within the time limit of
/// `settings`.
///
/// # Errors
/// When the system refuses a timer.
pub async fn owns(
    endpoints: &[Endpoint],
    settings: ClusterSettings,
    mut ownership: Ownership,
) -> Result<bool, SystemError> {
    let now = clock::now();
    let end = now.plus(settings.op_timeout);
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let mut cluster = Cluster::new(endpoints, settings);
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
                return result.map(|()| false).map_err(system_error("a timer"));
            }
        }
    }
}
