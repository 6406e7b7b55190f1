//! Whether a run still holds its lock, by the answers of the servers.

use super::error::CliError;
use super::servers::Servers;
use super::status::{all_views, observe};
use crate::lock::{Key, KeyView, StillHeld, Target};
use crate::policy::code;
use crate::supervisor;
use anyhow::anyhow;
use std::time::Duration;

/// Whether the run with this public id is certain to hold every key for `left` more, by default a
/// third of its TTL.
pub(super) fn still_held(
    servers: &Servers,
    keys: &[Key],
    id: &str,
    left: Option<Duration>,
) -> Result<StillHeld, CliError> {
    let targets: Vec<Target> = keys.iter().map(|key| Target::all([key.clone()])).collect();
    let answers = observe(servers, &targets)?;
    let now = supervisor::now();
    let all = all_views(&answers, servers.guard, targets.len());
    let verdict = |at: usize| {
        let of_key = |views: &Vec<KeyView>| views.get(at).cloned();
        let views: Vec<KeyView> = all.iter().filter_map(of_key).collect();
        StillHeld::of(servers.size, id, left, (&views, &answers), now)
    };
    Ok(StillHeld::of_all((0..targets.len()).map(verdict)))
}

/// The error if too few servers tell whether a lock is still held.
pub(super) fn undetermined(what: &str) -> CliError {
    let error = anyhow!("too few servers tell whether {what} is still held");
    CliError { code: code::NO_QUORUM, error, is_answer: false }
}
