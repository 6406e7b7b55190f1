//! `redlock status`: the holders of a lock, as a quorum of the instances shows them. Nothing is
//! changed on a server.

use super::args::StatusArgs;
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::json;
use super::plan::lock;
use super::report::status::Listing;
use super::report::{Report, Subject};
use super::runtime::ask_servers;
use super::seen::{LockSeen, Overall, SlotSeen};
use super::servers::Servers;
use crate::instance::{Inspector, Subjects};
use crate::lock::{
    Answer, ClusterSize, Key, KeyView, LockState, Name, NoVoteReason, Observation, PermanentError,
    QueueView, RestartGuard, Target, merged_queue,
};
use crate::policy::{Exit, code};
use crate::supervisor;
use anyhow::anyhow;

/// The most keys that are looked at in one step on a server.
const MOST_KEYS: usize = 1000;

/// Prints the holders of the locks.
pub(super) fn main(args: &StatusArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let names = args.names.iter().chain(&args.locks).chain(&args.key).cloned();
    let found =
        names.map(|name| lock(name, args.key.as_deref(), args.holders.prefix.as_deref(), &config));
    let mut locks: Vec<(Name, Key)> = found.collect::<Result<_, _>>()?;
    let mut known: Vec<String> = vec![];
    locks.retain(|(_, key)| {
        let is_new = !known.iter().any(|other| other == key.as_str());
        known.push(key.as_str().to_owned());
        is_new
    });
    let slots = args.slots.unwrap_or(1);
    let servers = Servers::named(&args.instances, args.holders.ttl, &config, &around, warnings)?;
    let names: Vec<Name> = locks.iter().map(|(name, _)| name.clone()).collect();
    let subject = Subject {
        names: &names,
        program: None,
        slots,
        skips: false,
        endpoints: &servers.endpoints,
        quorum: servers.size.quorum(),
    };
    let report = Report::new(args.output, &subject);
    warnings.drain(..).for_each(|text| report.warn(&text));
    let targets: Vec<Target> = locks.iter().map(|(_, key)| Target::slots(key, slots)).collect();
    let answers = observe(&servers, &targets)?;
    let seen = sorted(&servers, &locks, &targets, &answers);
    let now = supervisor::since_1970();
    let verbose = args.output.verbose;
    if args.json {
        let _ = report.answer(&json::status(&seen, &servers, now));
    } else if !args.output.quiet {
        let listing = Listing { servers: &servers.endpoints, now, verbose };
        let _ = report.answer(&listing.locks(&seen));
    }
    Ok(Exit::Code(exit(&seen, servers.size, args.exit_code)))
}

/// One look at all keys and queues of `targets`.
pub(super) fn observe(
    servers: &Servers,
    targets: &[Target],
) -> Result<Vec<Answer<Observation>>, CliError> {
    let subjects = Subjects {
        keys: targets.iter().flat_map(Target::keys).cloned().collect(),
        queues: targets.iter().flat_map(Target::queues).collect(),
        guard: servers.guard,
        wall: supervisor::since_1970(),
    };
    if subjects.keys.len() > MOST_KEYS {
        return Err(CliError::usage(anyhow!(
            "{} keys are too many for one look; name fewer locks or slots, at most {MOST_KEYS}",
            subjects.keys.len()
        )));
    }
    let question = async |_: usize, mut server: Inspector| server.observe(&subjects).await;
    let limit = servers.schedule.op_timeout();
    ask_servers(supervisor::survey(&servers.endpoints, (limit, limit), question))
}

/// The answers by lock and slot.
pub(super) fn sorted(
    servers: &Servers,
    locks: &[(Name, Key)],
    targets: &[Target],
    answers: &[Answer<Observation>],
) -> Vec<LockSeen> {
    let keys = targets.iter().map(|target| target.keys().len()).sum();
    let views = all_views(answers, servers.guard, keys);
    let mut at = 0;
    let mut seen = vec![];
    for (number, ((name, key), target)) in locks.iter().zip(targets).enumerate() {
        let slots = target.keys().iter().map(|key| {
            let of_key = |views: &Vec<KeyView>| views.get(at).cloned();
            let views: Vec<KeyView> = views.iter().filter_map(of_key).collect();
            at += 1;
            SlotSeen { key: key.clone(), state: LockState::of(servers.size, &views), views }
        });
        let slots = slots.collect();
        let queues: Vec<QueueView> = answers
            .iter()
            .filter_map(|answer| answer.result.as_ref().ok()?.queues.get(number).cloned())
            .collect();
        let queue = merged_queue(servers.size, &queues);
        seen.push(LockSeen {
            name: name.as_str().to_owned(),
            key: key.as_str().to_owned(),
            slots,
            queue,
        });
    }
    seen
}

/// The views of each instance. If several instances are the same server, all but the first are
/// unknown.
pub(super) fn all_views(
    answers: &[Answer<Observation>],
    guard: RestartGuard,
    keys: usize,
) -> Vec<Vec<KeyView>> {
    let views = answers.iter().zip(duplicates(answers)).map(|(answer, is_known)| {
        if is_known {
            vec![KeyView::Unknown(same_server()); keys]
        } else {
            Observation::views(answer, guard, keys)
        }
    });
    views.collect()
}

/// For each answer, whether an earlier one is of the same server.
pub(super) fn duplicates(answers: &[Answer<Observation>]) -> Vec<bool> {
    let run_ids: Vec<Option<&str>> = answers
        .iter()
        .map(|answer| answer.result.as_ref().ok().and_then(Observation::run_id))
        .collect();
    let is_known = |(number, run_id): (usize, Option<&str>)| {
        run_id.is_some() && run_ids.iter().take(number).any(|other| *other == run_id)
    };
    run_ids.iter().copied().enumerate().map(is_known).collect()
}

/// The reason why a server does not count a second time.
pub(super) fn same_server() -> NoVoteReason {
    let why = "this is the same server as an earlier one (its run_id is the same)";
    NoVoteReason::Refused(PermanentError::Configuration, why.into())
}

pub(super) fn exit(seen: &[LockSeen], size: ClusterSize, by_state: bool) -> u8 {
    let unknown = seen.iter().find(|lock| lock.overall() == Overall::Undetermined);
    if let Some(lock) = unknown {
        return lock.doubt_code(size);
    }
    let is_held = seen.iter().any(|lock| lock.overall() == Overall::Held);
    if by_state && is_held { code::BUSY } else { 0 }
}
