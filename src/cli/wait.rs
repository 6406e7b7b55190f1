//! `redlock wait`.

use super::args::WaitArgs;
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::outer_check;
use super::plan::{held_around, lock};
use super::report::{Report, Subject};
use super::run::owner;
use super::runtime::ask_servers;
use super::server_inputs::ServerInputs;
use crate::lock::Target;
use crate::policy::{Exit, WaitLimit, WaitUntilFree, code};
use crate::supervisor;
use anyhow::anyhow;

/// Waits until the lock is free.
pub(super) fn main(args: WaitArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let name = args.name.or_else(|| args.key.clone()).unwrap_or_default();
    let (name, key) = lock(name, args.key.as_deref(), args.holders.prefix.as_deref(), &config)?;
    let slots = args.slots.unwrap_or(1);
    // This verb holds no lock. The TTL only sets the time limit of an operation.
    let lengths = (args.holders.ttl, None);
    let mut inputs =
        ServerInputs { args: &args.instances, lengths, config: &config, around: &around, warnings };
    // With several slots, a lock around this command may leave another slot free.
    let of_one = [(name.clone(), key.clone())];
    let locks = if slots == 1 { of_one.as_slice() } else { &[] };
    let (held, servers) = inputs.held(locks, slots, outer_check::is_held)?;
    if !held.is_empty() {
        return Err(CliError::usage(anyhow!(
            "{}; leave it to what is around, or name another",
            held_around(&name)
        )));
    }
    let servers = match servers {
        Some(servers) => servers,
        None => inputs.servers()?,
    };
    let agreement = servers.agreement(&owner(), slots);
    let cluster = servers.cluster(Target::slots(&key, slots), String::new(), agreement.kind());
    let subject = Subject {
        names: std::slice::from_ref(&name),
        program: None,
        slots,
        skips: false,
        endpoints: &servers.endpoints,
        quorum: servers.size.quorum(),
    };
    let report = Report::new(args.output, &subject);
    warnings.drain(..).for_each(|text| report.warn(&text));
    let wait_limit = args
        .wait
        .map_or(WaitLimit::Forever, |length| WaitLimit::Until(supervisor::now().plus(length)));
    let wait_free = WaitUntilFree::new(
        servers.size,
        servers.schedule.op_timeout(),
        wait_limit,
        servers.guard,
        agreement,
        report.progress(),
        supervisor::now(),
    );
    let mut tell = |notice| report.tell(&notice);
    let outcome = ask_servers(supervisor::wait(cluster, wait_free, &mut tell))?;
    Ok(outcome.map_or(Exit::Code(0), |outcome| report.end(&outcome, code::BUSY)))
}
