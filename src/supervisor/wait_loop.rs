//! The loop of `redlock wait`: passes events to the wait and carries out its actions.

use super::clock::{self, AsyncTimer};
use super::requests::rng;
use super::system_error::{SystemError, system_error};
use crate::instance::Cluster;
use crate::lock::Request;
use crate::policy::{Action, Event, Notice, Outcome, WaitResult, WaitUntilFree};
use rand::Rng as _;

/// Waits until the lock of `cluster` is free. Returns the outcome if the wait ends earlier. `tell`
/// takes the notices.
///
/// # Errors
/// When the system refuses a timer or randomness.
pub async fn wait(
    mut cluster: Cluster,
    mut wait_free: WaitUntilFree,
    tell: &mut dyn FnMut(Notice),
) -> Result<Option<Outcome>, SystemError> {
    let mut rng = rng()?;
    let mut timer = AsyncTimer::new().map_err(system_error("a timer"))?;
    let mut event = Event::Woke;
    loop {
        let mut actions = Vec::new();
        let now = clock::now();
        let result = wait_free.handle(now, rng.next_u32(), event, &mut actions);
        for action in actions {
            match action {
                Action::AskStatus { instances, .. } => {
                    for instance in instances {
                        cluster.ask(instance, now, Request::Status(None));
                    }
                }
                Action::Notify(notice) => tell(notice),
                _ => debug_assert!(false, "a wait only polls and notifies"),
            }
        }
        match result {
            WaitResult::Pending => {}
            WaitResult::Free => return Ok(None),
            WaitResult::GivenUp(outcome) => return Ok(Some(outcome)),
        }
        event = tokio::select! {
            biased;
            received = cluster.heard() => Event::Response(received),
            result = timer.wait_until(wait_free.wake_at()) => {
                result.map_err(system_error("a timer"))?;
                Event::Woke
            }
        };
    }
}
