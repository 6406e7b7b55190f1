//! `redlock wait`.

use super::args::WaitArgs;
use super::config::Config;
use super::endpoints::{endpoints, guard};
use super::env::Environment;
use super::error::CliError;
use super::plan::{held_around, lock, settings, ttl};
use super::report::{Report, Subject};
use super::run::{agreement, owner};
use super::runtime::block_on;
use crate::lock::{Schedule, Target};
use crate::policy::{Exit, WaitLimit, WaitUntilFree, code};
use crate::supervisor;
use anyhow::anyhow;

/// Waits until nobody holds the lock.
pub(super) fn main(args: WaitArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let name = args.name.or_else(|| args.key.clone()).unwrap_or_default();
    let (name, key) = lock(name, args.key.as_deref(), args.prefix.as_deref(), &config)?;
    let slots = args.slots.unwrap_or(1);
    // Of several slots another one may be free.
    if slots == 1 && around.holds(&key) {
        return Err(CliError::usage(anyhow!(
            "{}; leave it to what is around, or name another",
            held_around(&name)
        )));
    }
    let (size, endpoints) = endpoints(&args.instances, &config, &around, warnings)?;
    // Nothing is held: its length sets how long an instance has to answer.
    let ttl = ttl(args.ttl, &config)?;
    let op_timeout = args.instances.op_timeout.or(config.op_timeout);
    let schedule = Schedule::new(ttl, None, op_timeout).map_err(CliError::usage)?;
    let guard = guard(args.instances.restart_guard, &config)?;
    let target = Target::slots(&key, slots);
    let op_timeout = schedule.op_timeout();
    let mut settings = settings(target, ttl, schedule, guard);
    let agreement = agreement(&owner(), &settings, &endpoints);
    settings.kind = agreement.kind();
    let subject = Subject {
        names: std::slice::from_ref(&name),
        program: None,
        slots,
        skips: false,
        endpoints: &endpoints,
        quorum: size.quorum(),
    };
    let report = Report::new(args.output, &subject);
    warnings.drain(..).for_each(|text| report.warn(&text));
    let wait_limit = args
        .wait
        .map_or(WaitLimit::Forever, |length| WaitLimit::Until(supervisor::now().plus(length)));
    let wait_free = WaitUntilFree::new(
        size,
        op_timeout,
        wait_limit,
        guard,
        agreement,
        report.progress(),
        supervisor::now(),
    );
    let mut tell = |notice| report.tell(&notice);
    let outcome = block_on(supervisor::wait(&endpoints, settings, wait_free, &mut tell))
        .map_err(CliError::failed)?;
    let outcome = outcome.map_err(|trouble| {
        CliError::failed(anyhow::Error::new(trouble.error).context(trouble.what))
    })?;
    Ok(outcome.map_or(Exit::Code(0), |outcome| report.end(&outcome, code::BUSY)))
}
