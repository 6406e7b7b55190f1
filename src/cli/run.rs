//! `redlock run`.

use super::args::RunArgs;
use super::config::Config;
use super::name;
use super::plan::{HELD, PASSWORD, Plan, Surroundings, URLS, Waiting};
use super::refusal::Refusal;
use super::report::Report;
use crate::lock::{Claim, hex};
use crate::policy::{Exit, Patience, Terms};
use crate::supervisor::{self, Job, Program, Signals, Terminal};
use anyhow::Context as _;
use nix::unistd::{User, gethostname, getuid};
use rand::TryRng as _;
use rand::rngs::SysRng;
use std::ffi::OsString;

/// Runs the command under the lock.
pub(super) fn main(args: RunArgs, line: &[OsString]) -> Result<Exit, Refusal> {
    let output = args.output;
    let config = Config::load(args.instances.config.as_deref())?;
    let around = Surroundings::read();
    let plan = Plan::new(args, line, &config, &around)?;
    let report = Report::new(output, &plan);
    if plan.size.is_even() {
        let count = plan.size.count();
        report.warn(&format!("{count} instances survive no more failures than {}; use an odd number", count - 1));
    }
    let busy_code = plan.busy_code;
    let job = job(plan, &around).map_err(Refusal::failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(Refusal::failed)?;
    let outcome = runtime.block_on(supervisor::run(job, &mut |notice| report.tell(&notice)));
    let outcome = outcome.map_err(|trouble| {
        Refusal::failed(anyhow::Error::new(trouble.error).context(format!("the system refuses {}", trouble.what)))
    })?;
    report.end(&outcome);
    // Its tasks are over or do not matter any more; what they wrote, the kernel has.
    runtime.shutdown_background();
    Ok(outcome.exit(busy_code))
}

/// Everything the run needs. The guardian is split off first, while there is one thread; then come the handlers, and
/// only then anything that is sent.
fn job(plan: Plan, around: &Surroundings) -> anyhow::Result<Job> {
    let claim = claim(&plan)?;
    let terminal = Terminal::controlling();
    let program =
        Program { argv: plan.argv.clone(), hidden: vec![URLS.into(), PASSWORD.into()], terminal: terminal.clone() };
    let ward = supervisor::guard(vec![program], None).context("cannot start the guardian")?;
    let signals = Signals::install().context("cannot install a signal handler")?;
    let now = supervisor::now();
    Ok(Job {
        terms: Terms {
            size: plan.size,
            schedule: plan.schedule,
            patience: match plan.patience {
                Waiting::Not => Patience::Once,
                Waiting::For(length) => Patience::Until(now.plus(length)),
                Waiting::Forever => Patience::Forever,
            },
            stop_signal: plan.stop_signal,
        },
        variables: variables(&plan, &claim, around),
        endpoints: plan.endpoints,
        conduct: plan.conduct,
        claim,
        ward,
        signals,
        terminal,
    })
}

fn claim(plan: &Plan) -> anyhow::Result<Claim> {
    let mut id = [0; 6];
    SysRng.try_fill_bytes(&mut id).context("the system gives no randomness")?;
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    // The environment first: the user's database may be on the other side of a network.
    let user = set("USER").or_else(|| set("LOGNAME")).or_else(|| Some(User::from_uid(getuid()).ok()??.name));
    let user = user.unwrap_or_else(|| getuid().to_string());
    let host = gethostname().map(|host| host.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Claim {
        v: 1,
        id: hex(&id),
        token: String::new(),
        owner: format!("{user}@{host}"),
        pid: std::process::id(),
        cmd: name::program(&plan.argv),
        reason: plan.reason.clone(),
        since: 0,
        ttl_ms: plan.conduct.ttl.millis(),
        n: plan.size.count(),
    })
}

fn variables(plan: &Plan, claim: &Claim, around: &Surroundings) -> Vec<(String, String)> {
    let key = plan.conduct.key.as_str();
    let held: Vec<&str> = around.held.iter().map(String::as_str).chain([key]).collect();
    [
        ("REDLOCK_NAME", plan.name.to_string()),
        ("REDLOCK_KEY", key.to_owned()),
        ("REDLOCK_ID", claim.id.clone()),
        ("REDLOCK_TTL_MS", claim.ttl_ms.to_string()),
        (HELD, held.join("\n")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
