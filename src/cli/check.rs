//! `redlock check`: inside a command, whether the lock around it is held for some time more.

use super::args::CheckArgs;
use super::config::Config;
use super::duration::shown;
use super::env::Environment;
use super::error::CliError;
use super::handle::OpenHandle;
use super::outer::OuterLock;
use super::plan::lock;
use super::report::Report;
use super::servers::Servers;
use super::still_held::{still_held, undetermined};
use crate::lock::{Key, StillHeld};
use crate::policy::{Exit, code};
use anyhow::anyhow;
use std::time::Duration;

/// Leaves with 0 if the lock is held, 75 if not, and 69 if that is not known.
pub(super) fn main(args: &CheckArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    if args.source.handle.is_some() {
        return of_handle(args, warnings);
    }
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let (what, held) = outer_locks(args, &config, &around)?;
    // Locks of a handle come first in the list. A redlock inside the step of the handle is closer
    // to this command and goes before them.
    if held.first().is_some_and(|outer| outer.is_of_handle()) {
        return of_handle(args, warnings);
    }
    let Some(id) = held.first().and_then(|outer| outer.id()) else {
        return Err(not_held(format!("no redlock around this command holds {what}")));
    };
    let servers = Servers::named(&args.instances, args.holders.ttl, &config, &around, warnings)?;
    let report = Report::of_servers(args.output, &servers.endpoints);
    warnings.drain(..).for_each(|text| report.warn(&text));
    let keys: Vec<Key> = held.iter().filter_map(|outer| outer.held_key()).collect();
    match still_held(&servers, &keys, id, args.left)? {
        StillHeld::For(_) => Ok(Exit::Code(0)),
        StillHeld::Undetermined => Err(undetermined(&what)),
        StillHeld::Not(Duration::ZERO) => Err(not_held(format!("{what} is not held any more"))),
        StillHeld::Not(left) => Err(not_held(too_short(&what, left))),
    }
}

/// The error for a lock that is not held, or not for long enough: code 75.
fn not_held(why: String) -> CliError {
    CliError { code: code::BUSY, error: anyhow!(why), is_answer: false }
}

fn too_short(what: &str, left: Duration) -> String {
    format!("{what} is held for {} more, which is too short", shown(left))
}

/// Checks the lock of a handle. A lost lock is code 74.
fn of_handle(args: &CheckArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let open = OpenHandle::open(args.source.handle.as_deref(), &args.instances, warnings)?;
    let report = open.report(args.output);
    warnings.drain(..).for_each(|text| report.warn(&text));
    open.refuse_ended()?;
    match open.still_held(args.left)? {
        StillHeld::For(_) => Ok(Exit::Code(0)),
        StillHeld::Undetermined => Err(undetermined(&open.named())),
        StillHeld::Not(Duration::ZERO) => Err(open.lost("is not held any more")),
        StillHeld::Not(left) => Err(not_held(too_short(&open.named(), left))),
    }
}

/// The lock of NAME, or all locks of the innermost redlock: in words for messages, and as
/// `REDLOCK_HELD` has them. A redlock that is not around this process does not count.
fn outer_locks<'a>(
    args: &CheckArgs,
    config: &Config,
    around: &'a Environment,
) -> Result<(String, Vec<&'a OuterLock>), CliError> {
    let alive = || around.held.iter().filter(|outer| outer.is_around());
    let name = args.name.clone().or_else(|| args.key.clone());
    let Some(name) = name else {
        let innermost = alive().next_back().and_then(OuterLock::id);
        let held = alive().filter(|outer| innermost.is_some() && outer.id() == innermost);
        return Ok(("the lock".into(), held.collect()));
    };
    let (name, key): (_, Key) =
        lock(name, args.key.as_deref(), args.holders.prefix.as_deref(), config)?;
    let held = around.outer(&key).filter(|outer| outer.is_around());
    Ok((format!("'{name}'"), held.into_iter().collect()))
}
