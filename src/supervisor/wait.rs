//! Waiting for a lock to be free: the loop that carries answers to the vigil.

use super::clock::{self, AsyncTimer};
use super::run::{SystemError, dice, system_error};
use crate::instance::{Cluster, Conduct, Endpoint};
use crate::lock::{Answer, Ask};
use crate::policy::{Notice, Outcome, Vigil, Watching};
use rand::Rng as _;

/// Waits until the lock that `conduct` names is free; the outcome if the wait ends without that. `tell` gets what people may want
/// to know.
///
/// # Errors
/// When the system refuses a timer or randomness.
pub async fn wait(
    endpoints: &[Endpoint],
    conduct: Conduct,
    mut vigil: Vigil,
    tell: &mut dyn FnMut(Notice),
) -> Result<Option<Outcome>, SystemError> {
    let mut dice = dice()?;
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let mut cluster = Cluster::new(endpoints, conduct);
    let mut next = vigil.woke(clock::now(), dice.next_u32());
    let end = loop {
        match next {
            Watching::Wait => {}
            Watching::Look => cluster.ask_all(clock::now(), &Ask::Watch(None)),
            Watching::Glance(instance) => cluster.ask(instance, clock::now(), Ask::Watch(None)),
            Watching::Free => break None,
            Watching::GiveUp(outcome) => break Some(outcome),
        }
        vigil.mention(clock::now()).into_iter().for_each(&mut *tell);
        next = tokio::select! {
            biased;
            heard = cluster.heard() => {
                if let Answer::Remark(remark) = heard.answer {
                    tell(Notice::Remark { instance: heard.instance, remark });
                }
                vigil.heard(clock::now(), dice.next_u32(), heard)
            }
            result = timer.wait_until(vigil.wake_at()) => {
                result.map_err(system_error("a timer"))?;
                vigil.woke(clock::now(), dice.next_u32())
            }
        };
    };
    vigil.end().into_iter().for_each(tell);
    Ok(end)
}
