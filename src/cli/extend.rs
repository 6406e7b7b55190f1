//! `redlock extend`: a lock of an earlier step lasts for its TTL from now on, or is lost.

use super::args::ExtendArgs;
use super::duration::shown;
use super::error::CliError;
use super::handle::{OpenHandle, exported, living_keeper};
use super::report::Report;
use super::run::host;
use super::runtime::ask_servers;
use super::still_held::undetermined;
use crate::lock::{HandleState, StillHeld};
use crate::policy::{Exit, ExtensionResult, HandleExtension, LossCause, code};
use crate::supervisor;
use anyhow::anyhow;
use std::time::Duration;

/// Extends the lock of a handle.
pub(super) fn main(args: &ExtendArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let mut open = OpenHandle::open(args.source.handle.as_deref(), &args.instances, warnings)?;
    let report = open.report(args.output);
    warnings.drain(..).for_each(|text| report.warn(&text));
    open.refuse_ended()?;
    if living_keeper(&open.handle).is_some() {
        return kept(&open);
    }
    let now = supervisor::now();
    let clock = supervisor::clock_id().unwrap_or_default();
    let held_lock = open.handle.held_lock(open.servers.size, open.servers.guard, (&clock, now));
    let Some(held_lock) = held_lock else { return Err(unproved(&open)) };
    let (schedule, size) = (open.servers.schedule, open.servers.size);
    let mut extension = HandleExtension::new(schedule, size, held_lock, now);
    let Some(cluster) = open.cluster() else { return Err(unproved(&open)) };
    let result = supervisor::extend(cluster, open.held_value(), &mut extension);
    let result = ask_servers(result)?;
    open.handle.leases = extension.held_lock().leases().to_vec();
    match result {
        ExtensionResult::Extended(_) => {
            open.store(&report);
            if !open.is_file() {
                let line = open.handle.to_line();
                let text = if args.export {
                    exported(&line, open.handle.fence)
                } else {
                    format!("{line}\n")
                };
                Report::deliver(&text).map_err(CliError::failed)?;
            }
            Ok(Exit::Code(0))
        }
        ExtensionResult::Lost(cause) => {
            open.handle.state = HandleState::Lost;
            open.store(&report);
            Err(open.lost(match cause {
                LossCause::Revoked(_) => "was taken away by an operator",
                LossCause::KeysGone => "was lost: too few servers still have it",
                LossCause::NoQuorum | LossCause::EndedAfterExpiry => {
                    "was lost: it expired before it was extended"
                }
            }))
        }
        ExtensionResult::Unconfirmed(expiry) => {
            // The handle keeps which servers lost the lock, also after a failure.
            open.store(&report);
            let left = shown(expiry.since(supervisor::now()));
            Err(CliError {
                code: code::NO_QUORUM,
                error: anyhow!(
                    "too few servers confirmed the extension of {}, which expires in {left}: {}",
                    open.named(),
                    report.extensions(extension.responses())
                ),
                is_answer: false,
            })
        }
        ExtensionResult::Pending => Err(CliError::failed(anyhow!("the extension has no result"))),
    }
}

/// The result if a living keeper extends the lock: whether the servers still show it as held.
fn kept(open: &OpenHandle) -> Result<Exit, CliError> {
    match open.still_held(Some(Duration::ZERO))? {
        StillHeld::For(_) => Ok(Exit::Code(0)),
        StillHeld::Not(_) => Err(open.lost("was lost: too few servers still have it")),
        StillHeld::Undetermined => Err(undetermined(&open.named())),
    }
}

/// The error for leases that were dated by another clock.
fn unproved(open: &OpenHandle) -> CliError {
    let here = host();
    if open.handle.host == here {
        return open.lost("was lost: this host has restarted since, or has another clock here");
    }
    CliError::config(anyhow!(
        "{} was acquired on host {:?}, so {here:?} cannot tell whether it was held all the time; extend it there, or \
         acquire it with a longer --ttl",
        open.named(),
        open.handle.host
    ))
}
