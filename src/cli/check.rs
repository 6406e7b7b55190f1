//! `redlock check`: inside a command, whether the lock around it is held for some time more.

use super::args::CheckArgs;
use super::config::Config;
use super::duration::shown;
use super::env::Environment;
use super::error::CliError;
use super::extend;
use super::handle::OpenHandle;
use super::outer::OuterLock;
use super::plan::{lock, ttl};
use super::report::Report;
use super::servers::Servers;
use super::status::{all_views, observe};
use crate::lock::{HandleState, Key, KeyView, StillHeld, Target};
use crate::policy::{Exit, code};
use crate::supervisor;
use anyhow::anyhow;
use std::time::Duration;

/// Leaves with 0 if the lock is held, 75 if not, and 69 if that is not known.
pub(super) fn main(args: &CheckArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    if args.handle.is_some() {
        return of_handle(args, warnings);
    }
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let (what, held) = outer_locks(args, &config, &around)?;
    // A lock of a redlock around this command is inside of the step.
    if held.first().is_some_and(|outer| outer.is_of_handle()) {
        return of_handle(args, warnings);
    }
    let lost = |why: String| CliError { code: code::BUSY, error: anyhow!(why), is_answer: false };
    let Some(id) = held.first().and_then(|outer| outer.id()) else {
        return Err(lost(format!("no redlock around this command holds {what}")));
    };
    let ttl = ttl(args.ttl, &config)?;
    let servers = Servers::named(&args.instances, ttl, &config, &around, warnings)?;
    let report = Report::of_servers(args.output, &servers.endpoints);
    warnings.drain(..).for_each(|text| report.warn(&text));
    let keys: Vec<Key> = held.iter().filter_map(|outer| outer.held_key()).collect();
    let verdicts = verdicts(&servers, &keys, id, args.left)?;
    let not = verdicts.iter().find_map(|verdict| match verdict {
        StillHeld::Not(left) => Some(*left),
        _ => None,
    });
    if let Some(left) = not {
        return Err(lost(if left.is_zero() {
            format!("{what} is not held any more")
        } else {
            format!("{what} is held for {} more, which is too short", shown(left))
        }));
    }
    if verdicts.contains(&StillHeld::Undetermined) {
        let error = anyhow!("too few servers tell whether {what} is still held");
        return Err(CliError { code: code::NO_QUORUM, error, is_answer: false });
    }
    Ok(Exit::Code(0))
}

/// The same for the lock of a handle, where 74 tells that it was lost.
fn of_handle(args: &CheckArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let open = OpenHandle::open(args.handle.as_deref(), &args.instances, warnings)?;
    let report = extend::report(&open, args.output);
    warnings.drain(..).for_each(|text| report.warn(&text));
    match open.handle.state {
        HandleState::Held => {}
        HandleState::Lost => return Err(extend::lost(&open, "was lost")),
        HandleState::Released => return Err(extend::lost(&open, "was released")),
    }
    let id = open.handle.lock_value().map(|value| value.id).unwrap_or_default();
    let verdicts = verdicts(&open.servers, &open.keys(), &id, args.left)?;
    for verdict in &verdicts {
        if let StillHeld::Not(left) = verdict {
            if left.is_zero() {
                return Err(extend::lost(&open, "is not held any more"));
            }
            let left = shown(*left);
            let error = anyhow!("{} is held for {left} more, which is too short", open.named());
            return Err(CliError { code: code::BUSY, error, is_answer: false });
        }
    }
    if verdicts.contains(&StillHeld::Undetermined) {
        let error = anyhow!("too few servers tell whether {} is still held", open.named());
        return Err(CliError { code: code::NO_QUORUM, error, is_answer: false });
    }
    Ok(Exit::Code(0))
}

/// Whether the run with this public name is certain to hold each key for `left` more.
pub(super) fn verdicts(
    servers: &Servers,
    keys: &[Key],
    id: &str,
    left: Option<Duration>,
) -> Result<Vec<StillHeld>, CliError> {
    let targets: Vec<Target> = keys.iter().map(|key| Target::all([key.clone()])).collect();
    let answers = observe(servers, &targets)?;
    let now = supervisor::now();
    let all = all_views(&answers, servers.guard, targets.len());
    let verdict = |at: usize| {
        let of_key = |views: &Vec<KeyView>| views.get(at).cloned();
        let views: Vec<KeyView> = all.iter().filter_map(of_key).collect();
        StillHeld::of(servers.size, id, left, (&views, &answers), now)
    };
    Ok((0..targets.len()).map(verdict).collect())
}

/// The locks that are meant, in words and as `REDLOCK_HELD` has them: that of NAME, or all that the
/// innermost redlock holds. Those of a redlock that is not around this process are none.
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
    let (name, key): (_, Key) = lock(name, args.key.as_deref(), args.prefix.as_deref(), config)?;
    let held = around.outer(&key).filter(|outer| outer.is_around());
    Ok((format!("'{name}'"), held.into_iter().collect()))
}
