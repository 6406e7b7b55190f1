//! `redlock run`.

use super::args::RunArgs;
use super::config::Config;
use super::name;
use super::plan::{HELD, Meaning, PASSWORD, PASSWORD_FILE, Plan, Surroundings, URLS, Waiting};
use super::refusal::Refusal;
use super::report::Report;
use super::tls;
use crate::lock::{Claim, hex};
use crate::policy::{Exit, Patience, Terms, code};
use crate::supervisor::{self, Job, Program, Signals, Terminal};
use anyhow::Context as _;
use nix::unistd::{User, gethostname, getuid};
use rand::TryRng as _;
use rand::rngs::SysRng;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;

/// Runs the command under the lock.
pub(super) fn main(args: RunArgs, line: &[OsString]) -> Result<Exit, Refusal> {
    let output = args.output;
    let config = Config::load(args.instances.config.as_deref())?;
    let around = Surroundings::read();
    let plan = match Meaning::new(args, line, &config, &around)? {
        Meaning::Hold(plan) => *plan,
        Meaning::Nested(wrapped) => return Err(replace_by(&wrapped)),
    };
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
    // Its tasks are over or do not matter any more; what they wrote, the kernel has.
    runtime.shutdown_background();
    Ok(report.end(&outcome, busy_code))
}

/// Becomes the command, which the lock of the redlock around this one covers; comes back only if that fails.
fn replace_by(argv: &[OsString]) -> Refusal {
    let mut command = std::process::Command::new(argv.first().cloned().unwrap_or_default());
    let error = command.args(argv.iter().skip(1)).exec();
    let code = if error.kind() == std::io::ErrorKind::NotFound { code::NOT_FOUND } else { code::CANNOT_EXECUTE };
    let program = command.get_program().to_string_lossy().into_owned();
    Refusal { code, error: anyhow::Error::new(error).context(format!("cannot run '{program}'")), is_answer: false }
}

/// Everything the run needs. The guardian is split off first, while there is one thread; then come the handlers, and
/// only then anything that is sent.
fn job(plan: Plan, around: &Surroundings) -> anyhow::Result<Job> {
    let claim = claim(&plan)?;
    let terminal = Terminal::controlling();
    let hidden =
        [URLS, PASSWORD, PASSWORD_FILE].iter().chain(&tls::VARIABLES).map(ToString::to_string).collect::<Vec<_>>();
    let program = Program { argv: plan.argv.clone(), hidden: hidden.clone(), terminal: terminal.clone() };
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
            escalates: plan.escalates,
            on_lost: plan.on_lost,
            max_runtime: plan.max_runtime,
            awaits_descendants: plan.awaits_descendants,
        },
        hidden,
        on_lost: plan.on_lost_exec.clone(),
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
