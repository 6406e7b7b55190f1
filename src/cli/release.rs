//! `redlock release`: gives back exactly the lock of a handle.

use super::args::ReleaseArgs;
use super::error::CliError;
use super::handle::{OpenHandle, living_keeper};
use super::runtime::ask_servers;
use crate::lock::{HandleState, StillHeld};
use crate::policy::{Exit, code};
use crate::supervisor::{self, KeeperEnd};
use anyhow::anyhow;
use std::time::Duration;

/// Releases the lock of a handle.
pub(super) fn main(args: &ReleaseArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let mut open = OpenHandle::open(args.source.handle.as_deref(), &args.instances, warnings)?;
    let report = open.report(args.output);
    warnings.drain(..).for_each(|text| report.warn(&text));
    if open.handle.state == HandleState::Released {
        report.warn(&format!("{} was released before", open.named()));
        return Ok(Exit::Code(0));
    }
    // The state before this release, since afterwards no server has the key.
    let was_gone = matches!(open.still_held(Some(Duration::ZERO))?, StillHeld::Not(_));
    end_keeper(&open, &report);
    let Some(cluster) = open.cluster() else {
        return Err(CliError::failed(anyhow!("the handle has no keys")));
    };
    let clock = supervisor::clock_id().unwrap_or_default();
    let hold_for =
        if was_gone { Duration::ZERO } else { open.handle.hold_for(&clock, supervisor::now()) };
    let (size, limit) = (open.servers.size, open.servers.schedule.op_timeout());
    let released = supervisor::release(cluster, (size, limit), open.held_value(), hold_for);
    let round = ask_servers(released)?;
    let was_lost = was_gone || open.handle.state == HandleState::Lost;
    open.handle.state = if was_lost { HandleState::Lost } else { HandleState::Released };
    if round.is_complete() || was_lost {
        open.store(&report);
    }
    if was_lost {
        return Err(open.lost("was lost, or released elsewhere, before this release"));
    }
    if !round.is_complete() {
        return Err(CliError {
            code: code::NO_QUORUM,
            error: anyhow!(
                "released {} on too few instances, so it may stay busy for up to its ttl: {}",
                open.named(),
                report.releases(round.responses())
            ),
            is_answer: false,
        });
    }
    Ok(Exit::Code(0))
}

/// Ends the process that extends the lock, which would set a deleted key again.
fn end_keeper(open: &OpenHandle, report: &super::report::Report) {
    let Some(keeper) = living_keeper(&open.handle) else { return };
    // Time for the keeper's own release, and for the last update of its file.
    let patience = open.servers.schedule.op_timeout().saturating_mul(2) + Duration::from_secs(2);
    match supervisor::end_keeper(keeper.pid, keeper.started, patience) {
        KeeperEnd::Absent | KeeperEnd::Ended => {}
        KeeperEnd::Killed => report.warn(&format!(
            "the process that held {} did not end by itself and was killed",
            open.named()
        )),
        KeeperEnd::Alive => report.warn(&format!(
            "process {} still holds {} and cannot be ended by this user",
            keeper.pid,
            open.named()
        )),
    }
}
