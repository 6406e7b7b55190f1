//! Waiting for a lock to be free: the loop that carries answers to the vigil.

use super::clock::{self, AsyncTimer};
use super::run_loop::{SystemError, rng, system_error};
use crate::instance::{Cluster, ClusterSettings, Endpoint};
use crate::lock::{Request, Response};
use crate::policy::{Notice, Outcome, WaitStep, WaitUntilFree};
use rand::Rng as _;

/// Waits until the lock that `settings` names is free; the outcome if the wait ends without that.
/// `tell` gets the notices for people.
///
/// # Errors
/// When the system refuses a timer or randomness.
pub async fn wait(
    endpoints: &[Endpoint],
    settings: ClusterSettings,
    mut wait_free: WaitUntilFree,
    tell: &mut dyn FnMut(Notice),
) -> Result<Option<Outcome>, SystemError> {
    let mut rng = rng()?;
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let mut cluster = Cluster::new(endpoints, settings);
    let mut next = wait_free.woke(clock::now(), rng.next_u32());
    let end = loop {
        match next {
            WaitStep::Wait => {}
            WaitStep::PollAll => cluster.ask_all(clock::now(), &Request::Status(None)),
            WaitStep::PollOne(instance) => {
                cluster.ask(instance, clock::now(), Request::Status(None));
            }
            WaitStep::Free => break None,
            WaitStep::GiveUp(outcome) => break Some(outcome),
        }
        wait_free.progress(clock::now()).into_iter().for_each(&mut *tell);
        next = tokio::select! {
            biased;
            heard = cluster.heard() => {
                if let Response::Warning(warning) = heard.response {
                    tell(Notice::ServerWarning { instance: heard.instance, warning });
                }
                wait_free.heard(clock::now(), rng.next_u32(), heard)
            }
            result = timer.wait_until(wait_free.wake_at()) => {
                result.map_err(system_error("a timer"))?;
                wait_free.woke(clock::now(), rng.next_u32())
            }
        };
    };
    wait_free.end().into_iter().for_each(tell);
    Ok(end)
}
