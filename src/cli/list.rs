//! `redlock list`: all locks under the prefix, merged by majority.

use super::args::ListArgs;
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::json;
use super::report::Report;
use super::report::list::Table;
use super::runtime::ask_servers;
use super::servers::Servers;
use crate::instance::{Inspector, KeyPattern};
use crate::lock::{Inventory, Listed, ListedState, NoVoteReason};
use crate::policy::{Exit, untold_code};
use crate::supervisor;
use anyhow::anyhow;
use std::cell::RefCell;

/// How many time limits the pages of one server may take altogether.
const LIMITS: u32 = 60;

/// Prints the locks.
pub(super) fn main(args: &ListArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let servers = Servers::named(&args.instances, args.holders.ttl, &config, &around, warnings)?;
    let report = Report::of_servers(args.output, &servers.endpoints);
    warnings.drain(..).for_each(|text| report.warn(&text));
    let prefix = config.prefix(args.holders.prefix.as_deref());
    let pattern = KeyPattern::new(prefix, args.pattern.as_deref().unwrap_or("*"));
    let inventory = RefCell::new(Inventory::new(servers.size));
    let question = async |instance: usize, mut server: Inspector| {
        server.list(&pattern, |key| inventory.borrow_mut().add(instance, key)).await?;
        inventory.borrow_mut().complete(instance);
        Ok(())
    };
    let limit = servers.schedule.op_timeout();
    let answers = supervisor::survey(&servers.endpoints, (limit, limit * LIMITS), question);
    let answers = ask_servers(answers)?;
    let silent: Vec<(usize, &NoVoteReason)> = answers
        .iter()
        .enumerate()
        .filter_map(|(instance, answer)| Some((instance, answer.result.as_ref().err()?)))
        .collect();
    if answers.len() - silent.len() < servers.size.quorum() {
        let code = untold_code(servers.size, silent.iter().map(|(_, reason)| *reason));
        return Err(CliError { code, error: anyhow!(report.unlisted(&silent)), is_answer: false });
    }
    if !silent.is_empty() {
        report.warn(&report.unlisted(&silent));
    }
    let mut locks = inventory.into_inner().locks();
    locks.retain(|lock| args.all || lock.state != ListedState::Remnant);
    print(args, &report, prefix, &locks, &servers);
    Ok(Exit::Code(0))
}

fn print(args: &ListArgs, report: &Report, prefix: &str, locks: &[Listed], servers: &Servers) {
    let now = supervisor::since_1970();
    let text = if args.json {
        json::list(locks, prefix, servers, now)
    } else if args.output.quiet {
        return;
    } else {
        Table { prefix, now, servers: servers.size.count() }.of(locks)
    };
    let _ = report.answer(&text);
}
