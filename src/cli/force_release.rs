//! `redlock force-release`: takes a lock from one holder, and never from the next.

use super::args::ForceReleaseArgs;
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::json;
use super::plan::lock;
use super::report::force_release::{Found, commands, outcome, question};
use super::report::status::Listing;
use super::report::{Report, Subject};
use super::run::owner;
use super::runtime::ask_servers;
use super::seen::{LockSeen, Overall};
use super::servers::Servers;
use super::status::{duplicates, exit, observe, sorted};
use crate::instance::{ForceRelease, Inspector};
use crate::lock::{
    Force, Key, KeyView, LockValue, Name, NoVoteReason, Removal, Revocation, Target, Wanted,
};
use crate::policy::{Exit, ForcedRelease, code, untold_code};
use crate::supervisor;
use anyhow::anyhow;
use std::io::{self, BufRead as _, IsTerminal as _};

/// The locks that are named, and their state on the servers.
struct Look {
    locks: Vec<(Name, Key)>,
    target: Target,
    seen: Vec<LockSeen>,
    /// Servers that are named twice.
    duplicates: Vec<bool>,
}

/// Takes the lock away. Without an id, prints the command line to type.
pub(super) fn main(args: &ForceReleaseArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let names = args.name.iter().chain(&args.locks).chain(&args.key).cloned();
    let found =
        names.map(|name| lock(name, args.key.as_deref(), args.holders.prefix.as_deref(), &config));
    let locks: Vec<(Name, Key)> = found.collect::<Result<_, _>>()?;
    let servers = Servers::named(&args.instances, args.holders.ttl, &config, &around, warnings)?;
    let names: Vec<Name> = locks.iter().map(|(name, _)| name.clone()).collect();
    let subject = Subject {
        names: &names,
        program: None,
        slots: 1,
        skips: false,
        endpoints: &servers.endpoints,
        quorum: servers.size.quorum(),
    };
    let report = Report::new(args.output, &subject);
    warnings.drain(..).for_each(|text| report.warn(&text));
    let look = look(args, &servers, locks)?;
    let Some(id) = &args.id else { return Ok(what_to_type(args, &report, &servers, &look)) };
    let wanted = Wanted::parse(id);
    let Some(value) = look.value_of(&wanted) else {
        return Ok(not_held(args, &report, &servers, &look));
    };
    if !args.yes && !is_agreed(args, &report, &value)? {
        return Err(CliError::usage(anyhow!("nothing was changed")));
    }
    let removals = take_away(args, &servers, &look, wanted)?;
    let forced = ForcedRelease::of(servers.size, &removals);
    if forced == ForcedRelease::NotHeld {
        // The lock was released meanwhile.
        let look = self::look(args, &servers, look.locks)?;
        return Ok(not_held(args, &report, &servers, &look));
    }
    let found =
        Found { names: &names, value: &value, servers: &servers, forced, removals: &removals };
    print(args, &report, &found);
    Ok(Exit::Code(match forced {
        ForcedRelease::Revoked(_) | ForcedRelease::Deleted | ForcedRelease::NotHeld => 0,
        ForcedRelease::WithoutExpiry => code::USAGE,
        ForcedRelease::TooFew(_) => {
            untold_code(servers.size, removals.iter().filter_map(|removal| removal.as_ref().err()))
        }
    }))
}

/// Looks at the locks. Without `--slots`, the number of slots is the largest in a holder's value.
fn look(
    args: &ForceReleaseArgs,
    servers: &Servers,
    locks: Vec<(Name, Key)>,
) -> Result<Look, CliError> {
    let first = look_once(servers, locks, args.slots.unwrap_or(1))?;
    let values = first.seen.iter().flat_map(LockSeen::values);
    let most = values.filter_map(LockValue::parse).map(|value| value.slots).max();
    match most.filter(|most| *most > 1 && args.slots.is_none() && first.locks.len() == 1) {
        // The number comes from a value, so it is bounded here.
        Some(most) => look_once(servers, first.locks, most.min(1000)),
        None => Ok(first),
    }
}

fn look_once(servers: &Servers, locks: Vec<(Name, Key)>, slots: u32) -> Result<Look, CliError> {
    let target = match locks.as_slice() {
        [(_, key)] => Target::slots(key, slots),
        several => Target::all(several.iter().map(|(_, key)| key.clone())),
    };
    let targets: Vec<Target> = locks.iter().map(|(_, key)| Target::slots(key, slots)).collect();
    let answers = observe(servers, &targets)?;
    let seen = sorted(servers, &locks, &targets, &answers);
    Ok(Look { locks, target, seen, duplicates: duplicates(&answers) })
}

impl Look {
    /// A value of the wanted holder that a server shows; one that is revoked only if all are.
    fn value_of(&self, wanted: &Wanted) -> Option<String> {
        let values = self.seen.iter().flat_map(LockSeen::values);
        let mut its: Vec<&str> = values.filter(|value| wanted.is_holder(value)).collect();
        its.sort_by_key(|value| Revocation::parse(value).is_some());
        its.first().map(|value| (*value).to_owned())
    }
}

impl LockSeen {
    /// All values that a server shows.
    fn values(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().flat_map(|slot| &slot.views).filter_map(|view| match view {
            KeyView::Held(holder) => Some(holder.value.as_str()),
            _ => None,
        })
    }
}

fn listing<'a>(args: &ForceReleaseArgs, servers: &'a Servers) -> Listing<'a> {
    let verbose = args.output.verbose;
    Listing { servers: &servers.endpoints, now: supervisor::since_1970(), verbose }
}

/// Prints the holders of the lock, and the command line to take it away.
fn what_to_type(args: &ForceReleaseArgs, report: &Report, servers: &Servers, look: &Look) -> Exit {
    let mut text = listing(args, servers).locks(&look.seen);
    let mut holders: Vec<&str> = vec![];
    for value in look.seen.iter().flat_map(LockSeen::values) {
        if !holders.iter().any(|known| Revocation::same_holder(known, value)) {
            holders.push(value);
        }
    }
    text += &commands(args, &holders);
    if !args.output.quiet && !args.json {
        let _ = report.answer(&text);
    } else if args.json {
        let _ = report.answer(&json::status(&look.seen, servers, supervisor::since_1970()));
    }
    let told = exit(&look.seen, servers.size, false);
    Exit::Code(if told == 0 && !holders.is_empty() { code::USAGE } else { told })
}

/// The holder does not hold the lock, or not any more. Nothing was changed.
fn not_held(args: &ForceReleaseArgs, report: &Report, servers: &Servers, look: &Look) -> Exit {
    let id = args.id.as_deref().unwrap_or_default();
    if args.json {
        let names: Vec<&str> = look.locks.iter().map(|(name, _)| name.as_str()).collect();
        let _ = report.answer(&json::not_held(&names, id, servers, supervisor::since_1970()));
    } else if !args.output.quiet {
        let text = listing(args, servers).locks(&look.seen);
        let _ = report.answer(&format!("not held by {id}, and nothing was changed\n{text}"));
    }
    let is_held = look.seen.iter().any(|lock| lock.overall() == Overall::Held);
    match exit(&look.seen, servers.size, false) {
        0 if is_held => Exit::Code(code::BUSY),
        told => Exit::Code(told),
    }
}

/// Whether the person at the terminal agrees.
fn is_agreed(args: &ForceReleaseArgs, report: &Report, value: &str) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() || !Report::is_on_terminal() {
        return Err(CliError::usage(anyhow!(
            "there is no terminal to ask at; give --yes to take the lock away without a question"
        )));
    }
    report.ask(&question(value, args.force()));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(CliError::failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Takes the lock away on each server.
fn take_away(
    args: &ForceReleaseArgs,
    servers: &Servers,
    look: &Look,
    wanted: Wanted,
) -> Result<Vec<Result<Removal, NoVoteReason>>, CliError> {
    let since_1970 = supervisor::since_1970().as_secs();
    let order = ForceRelease {
        keys: look.target.keys().to_vec(),
        queues: look.target.queues(),
        wanted,
        force: args.force(),
        revocation: Revocation::new(&owner(), args.reason.as_deref(), since_1970),
    };
    let question = async |instance: usize, mut server: Inspector| {
        if look.duplicates.get(instance) == Some(&true) {
            return Err(super::status::same_server());
        }
        server.force_release(&order).await
    };
    // Two steps at most: the value of another client is read before it is replaced.
    let limit = servers.schedule.op_timeout();
    let answers = supervisor::survey(&servers.endpoints, (limit, limit * 2), question);
    Ok(ask_servers(answers)?.into_iter().map(|answer| answer.result).collect())
}

fn print(args: &ForceReleaseArgs, report: &Report, found: &Found<'_>) {
    if args.json {
        let _ = report.answer(&json::force_release(found, supervisor::since_1970()));
    } else if !args.output.quiet {
        let _ = report.answer(&outcome(found));
    }
}

impl ForceReleaseArgs {
    const fn force(&self) -> Force {
        if self.now { Force::Delete } else { Force::Revoke }
    }
}
