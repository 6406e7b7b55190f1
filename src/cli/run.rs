//! `redlock run`.

use super::args::RunArgs;
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::name;
use super::outer::OuterLock;
use super::outer_check;
use super::plan::{Invocation, Plan, Waiting};
use super::record::{self, Recorder};
use super::report::{Report, describe};
use super::runtime::block_on;
use super::tls;
use super::variables::{FENCE, HELD, PASSWORD, PASSWORD_FILE, URLS};
use crate::lock::{Holder, Name, hex, part, server_list};
use crate::policy::{Exit, OnLost, Outcome, ProgressStyle, RunOptions, SpawnError, WaitLimit};
use crate::supervisor::{self, Group, GuardianHandle, Job, Program, RunError, SystemError};
use anyhow::Context as _;
use nix::unistd::{User, gethostname, getuid};
use rand::TryRng as _;
use rand::rngs::SysRng;
use std::ffi::OsString;
use std::time::Duration;

/// Runs the command under the lock, and under `guardian`.
pub(super) fn main(
    args: RunArgs,
    line: &[OsString],
    guardian: Result<GuardianHandle, CliError>,
    warnings: &mut Vec<String>,
) -> Result<Exit, CliError> {
    let output = args.output;
    let (record, name) = (args.record.clone(), args.name.clone());
    let refused =
        |refusal: &CliError| record::refused(&record, "run", name.as_deref(), refusal.code);
    let guardian = guardian.inspect_err(refused)?;
    let meaning = record::check(&record).and_then(|()| Environment::read()).and_then(|around| {
        let config = Config::load(args.instances.config.as_deref(), warnings)?;
        Ok((Invocation::new(args, line, &config, &around, warnings, outer_check::is_held)?, around))
    });
    let (plan, around) = match meaning {
        Ok((Invocation::Hold(plan), around)) => (*plan, around),
        Ok((Invocation::Nested { argv, token }, _)) => {
            record::nested(&record, "run", name.as_deref());
            return Err(replace_by(argv, token, guardian));
        }
        Err(refusal) => {
            guardian.let_go();
            refused(&refusal);
            return Err(refusal);
        }
    };
    let mut report = Report::new(output, &plan.subject());
    warnings.drain(..).for_each(|text| report.warn(&text));
    if plan.servers.size.is_even() {
        let count = plan.servers.size.count();
        report.warn(&format!(
            "{count} instances survive the loss of no more of them than {} would; use an odd number",
            count - 1
        ));
    }
    if plan.on_lost == OnLost::Warn {
        report
            .warn("--on-lost warn: a lost lock does not stop the command, so two can run at once");
    }
    let busy_code = plan.busy_code;
    let begun = holder(&plan).map_err(CliError::failed).and_then(|holder| {
        let (subject, id) = (plan.subject(), &holder.id);
        Ok((Recorder::new(&record, "run", &subject, id, output.verbose)?, holder))
    });
    let (recorder, holder) = match begun {
        Ok(begun) => begun,
        Err(refusal) => {
            guardian.let_go();
            refused(&refusal);
            return Err(refusal);
        }
    };
    report.identify(&holder.id);
    let outcome = job((plan, holder), &around, report.progress(), guardian)
        .map_err(CliError::failed)
        .inspect_err(refused)
        .and_then(|job| hold(job, &report, &recorder, busy_code).map_err(CliError::failed));
    // Printed by the report of this run, whose writer does not block the end.
    Ok(outcome
        .map_or_else(|error| report.refuse(&error), |outcome| report.end(&outcome, busy_code)))
}

/// Runs `job` to its end.
fn hold(
    mut job: Job,
    report: &Report,
    recorder: &Recorder,
    busy_code: u8,
) -> anyhow::Result<Outcome> {
    job.will = recorder.will();
    let mut tell = |notice| {
        report.tell(&notice);
        recorder.note(&notice);
    };
    let mut last = |outcome: &Outcome| recorder.last(outcome, outcome.exit(busy_code));
    let outcome = block_on(supervisor::run(job, &mut tell, &mut last))?;
    outcome.map_err(|error| match error {
        RunError::Missing(missing) => describe::missing(missing),
        RunError::System(SystemError { what, error }) => {
            anyhow::Error::new(error).context(format!("the system refuses {what}"))
        }
    })
}

/// Replaces this process by the command, since the redlock around this one holds the lock. Returns
/// only after an error.
fn replace_by(argv: Vec<OsString>, token: Option<u64>, guardian: GuardianHandle) -> CliError {
    let named = argv.first().cloned().unwrap_or_default();
    let variables = token.map(|token| (FENCE.to_owned(), token.to_string())).into_iter().collect();
    let program = Program { argv, variables, hidden: hidden(), group: Group::Redlock };
    let error = guardian.let_go_and_become(&program);
    CliError::cannot_run(&named, SpawnError::of(error.raw_os_error().unwrap_or_default()))
}

/// Variables to hide from the command: servers and secrets.
fn hidden() -> Vec<String> {
    [URLS, PASSWORD, PASSWORD_FILE].into_iter().chain(tls::VARIABLES).map(str::to_owned).collect()
}

/// Everything the run needs.
fn job(
    (plan, holder): (Plan, Holder),
    around: &Environment,
    progress: ProgressStyle,
    guardian: GuardianHandle,
) -> anyhow::Result<Job> {
    let (cluster, agreement) = plan.servers.for_run(&plan.target, &holder);
    let mut hidden = hidden();
    let variables = variables(&plan, &holder, around);
    // A redlock around this one may have set them for its own lock. Those of this lock follow when
    // they are known.
    hidden.extend(["REDLOCK_SLOT", FENCE].map(str::to_owned));
    let options = options(&plan, at_random(plan.jitter)?, progress);
    let program = Program { argv: plan.argv, variables, hidden, group: Group::Redlock };
    Ok(Job {
        options,
        agreement,
        program,
        on_lost: plan.on_lost_exec,
        cluster,
        holder,
        guardian,
        will: None,
    })
}

/// The options of the session of `plan`, whose first attempt waits for `delay`.
pub(super) fn options(plan: &Plan, delay: Duration, progress: ProgressStyle) -> RunOptions {
    let now = supervisor::now().plus(delay);
    RunOptions {
        size: plan.servers.size,
        schedule: plan.servers.schedule,
        guard: plan.servers.guard,
        wait_limit: match plan.wait_limit {
            Waiting::Not => WaitLimit::Once,
            Waiting::For(length) => WaitLimit::Until(now.plus(length)),
            Waiting::Forever => WaitLimit::Forever,
        },
        delay,
        slots: plan.target.slot_count(),
        is_fenced: plan.is_fenced,
        progress,
        min_hold: plan.min_hold,
        min_hold_on: plan.min_hold_on,
        cooldown: plan.cooldown,
        stop_signal: plan.stop_signal,
        escalates: plan.escalates,
        on_lost: plan.on_lost,
        max_runtime: plan.max_runtime,
        awaits_descendants: plan.awaits_descendants,
    }
}

/// A random length below `most`, uniformly distributed.
pub(super) fn at_random(most: Duration) -> anyhow::Result<Duration> {
    if most.is_zero() {
        return Ok(most);
    }
    let mut bytes = [0; 4];
    SysRng.try_fill_bytes(&mut bytes).context("the system gives no randomness")?;
    Ok(part(most, u32::from_le_bytes(bytes)))
}

/// The run of `plan`, under a new id.
pub(super) fn holder(plan: &Plan) -> anyhow::Result<Holder> {
    let mut id = [0; 6];
    SysRng.try_fill_bytes(&mut id).context("the system gives no randomness")?;
    Ok(Holder {
        id: hex(&id),
        owner: owner(),
        pid: std::process::id(),
        cmd: name::program(&plan.argv),
        reason: plan.reason.clone(),
        ttl: plan.servers.schedule.ttl(),
        n: plan.servers.size.count(),
        slots: plan.target.slot_count(),
        servers: server_list(&plan.servers.names()),
    }
    .fitted())
}

/// `user@host`, for messages and to tell whether two runs are on one host.
pub(super) fn owner() -> String {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let set = |name| std::env::var_os(name).map(text).filter(|value| !value.is_empty());
    // The environment first, since the database of users may be on another host.
    let user = set("USER")
        .or_else(|| set("LOGNAME"))
        .or_else(|| Some(User::from_uid(getuid()).ok()??.name));
    let user = user.unwrap_or_else(|| getuid().to_string());
    format!("{user}@{}", host())
}

/// The name of this host.
pub(super) fn host() -> String {
    gethostname()
        .map(|host| host.to_string_lossy().into_owned())
        .ok()
        .filter(|host| !host.is_empty())
        .unwrap_or_else(|| "an unknown host".into())
}

fn variables(plan: &Plan, holder: &Holder, around: &Environment) -> Vec<(String, String)> {
    let target = &plan.target;
    // With slots, the first key stands for all slots: a nested run that took another slot could
    // wait for this run.
    let keys = if target.slot_count() > 1 { target.keys_of(0) } else { target.keys() };
    let names: Vec<&str> = plan.names.iter().map(Name::as_str).collect();
    let own = keys.iter().map(|key| OuterLock::line(key, &holder.id));
    let held: Vec<String> =
        around.held.iter().filter_map(OuterLock::passed_on).chain(own).collect();
    [
        ("REDLOCK_NAME", names.join("\n")),
        ("REDLOCK_KEY", keys.join("\n")),
        ("REDLOCK_ID", holder.id.clone()),
        ("REDLOCK_TTL_MS", holder.ttl.millis().to_string()),
        (HELD, held.join("\n")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
