//! `redlock acquire`, and its common part with `redlock hold`: a plan without a command, and the
//! handle of the lock.

use super::args::{
    AcquireArgs, InstanceArgs, LockArgs, OutputArgs, PatienceArgs, RecordArgs, RunArgs, StopArgs,
};
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::handle::HandleOutput;
use super::outer_check;
use super::plan::{Invocation, Plan};
use super::record::{self, Recorder};
use super::report::Report;
use super::run::{at_random, holder, host, options};
use super::runtime::block_on;
use super::values::IfBusy;
use crate::lock::{Handle, HandleState, Holder, Keeper, LockValue};
use crate::policy::{Exit, Notice, Outcome, ProgressStyle, RecordedOutcome};
use crate::supervisor::{
    self, HeldNow, HoldEnds, HoldJob, HoldNews, HoldPurpose, HoldWatch, SystemError,
};
use anyhow::{Context as _, anyhow};
use std::ffi::OsString;
use std::time::Duration;

/// Acquires the lock, and leaves with the lock held.
pub(super) fn main(args: AcquireArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let (record, name) = (args.record.clone(), args.name.clone());
    let begun = begin(args, warnings).inspect_err(|refusal| {
        record::refused(&record, "acquire", name.as_deref(), refusal.code);
    });
    let (mut place, Begun { report, recorder, busy_code, job }, template) = begun?;
    let mut delivered: anyhow::Result<()> = Ok(());
    let mut news = |news: HoldNews| {
        let HoldNews::Acquired(held) = news else { return true };
        let line = template.of(&held, None, HandleState::Held).to_line();
        delivered = place
            .write_file(&line)
            .and_then(|()| place.tell(&line))
            .context("cannot write the handle, so the lock was released");
        delivered.is_ok()
    };
    let mut tell = |notice| {
        report.tell(&notice);
        recorder.note(&notice);
    };
    let outcome = hold(job, HoldWatch::default(), &mut news, &mut tell);
    let outcome = delivered.map_err(CliError::failed).and(outcome);
    Ok(end(outcome, RecordedOutcome::Acquired, busy_code, (&report, &recorder)))
}

/// An acquisition before anything is locked.
fn begin(
    args: AcquireArgs,
    warnings: &mut Vec<String>,
) -> Result<(HandleOutput, Begun, Template), CliError> {
    record::check(&args.record)?;
    if args.lock.ttl.is_none() {
        return Err(CliError::usage(anyhow!(
            "missing --ttl: nothing extends this lock, so say how long it may last; or use 'redlock hold'"
        )));
    }
    let AcquireArgs { name, handle, lock, wait, record, instances, output } = args;
    let plan = plan((name, lock, wait, instances, output), None, warnings)?;
    let place = HandleOutput::prepare(&handle)?.open()?;
    let wanted = ("acquire", &record, output, HoldPurpose::Leave);
    let (begun, template) = Begun::new(plan, wanted, warnings)?;
    Ok((place, begun, template))
}

/// A session without a command, before it begins.
pub(super) struct Begun {
    pub(super) report: Report,
    pub(super) recorder: Recorder,
    pub(super) busy_code: u8,
    pub(super) job: HoldJob,
}

impl Begun {
    /// The session of `plan` for a verb, and the template of its handle.
    pub(super) fn new(
        plan: Plan,
        (verb, record, output, purpose): (&str, &RecordArgs, OutputArgs, HoldPurpose),
        warnings: &mut Vec<String>,
    ) -> Result<(Self, Template), CliError> {
        let report = Report::new(output, &plan.subject());
        warnings.drain(..).for_each(|text| report.warn(&text));
        let busy_code = plan.busy_code;
        let holder = holder(&plan).map_err(CliError::failed)?;
        let recorder = Recorder::new(record, verb, &plan.subject(), &holder.id, output.verbose)?;
        let (template, job) =
            job((plan, holder), report.progress(), purpose).map_err(CliError::failed)?;
        Ok((Self { report, recorder, busy_code, job }, template))
    }
}

/// Writes the record, and reports the end.
pub(super) fn end(
    outcome: Result<Option<Outcome>, CliError>,
    held: RecordedOutcome,
    busy_code: u8,
    (report, recorder): (&Report, &Recorder),
) -> Exit {
    let (kind, exit) = match &outcome {
        Ok(None) => (held, Exit::Code(0)),
        Ok(Some(outcome @ Outcome::Ended(_))) => (held, outcome.exit(busy_code)),
        Ok(Some(outcome)) => (RecordedOutcome::of(outcome, false), outcome.exit(busy_code)),
        Err(error) => (RecordedOutcome::Failed, Exit::Code(error.code)),
    };
    let exit = match outcome {
        Ok(Some(outcome)) => report.end(&outcome, busy_code),
        Ok(None) => exit,
        Err(error) => report.refuse(&error),
    };
    recorder.write(kind, exit);
    exit
}

/// Holds the lock of `job`. Returns no outcome if the lock is left held.
pub(super) fn hold(
    job: HoldJob,
    watch: HoldWatch,
    news: &mut dyn FnMut(HoldNews) -> bool,
    tell: &mut dyn FnMut(Notice),
) -> Result<Option<Outcome>, CliError> {
    let held = block_on(async {
        let ends: HoldEnds = watch
            .listen()
            .map_err(|error| SystemError { what: "to watch for the end of the hold", error })?;
        supervisor::hold(job, ends, news, tell).await
    });
    held.map_err(CliError::failed)?.map_err(|trouble| {
        let what = format!("the system refuses {}", trouble.what);
        CliError::failed(anyhow::Error::new(trouble.error).context(what))
    })
}

/// The fields of a handle that do not depend on the state of its lock.
pub(super) struct Template {
    names: Vec<String>,
    target: crate::lock::Target,
    servers: Vec<String>,
    clock: String,
    min_hold: Duration,
    cooldown: Duration,
    begun: std::cell::Cell<Option<crate::lock::Time>>,
}

impl Template {
    /// The handle of a lock that is held now.
    pub(super) fn of(&self, held: &HeldNow, keeper: Option<Keeper>, state: HandleState) -> Handle {
        let begun = self.begun.get().unwrap_or_else(supervisor::now);
        self.begun.set(Some(begun));
        let has_slots = self.target.slot_count() > 1;
        Handle {
            redlock_handle: 1,
            state,
            names: self.names.clone(),
            keys: self.target.keys_of(held.slot).to_vec(),
            slots_of: self.target.keys().first().filter(|_| has_slots).cloned(),
            slot: held.slot,
            value: held.value.clone(),
            fence: LockValue::parse(&held.value).and_then(|value| value.fence),
            servers: self.servers.clone(),
            leases: held.leases.clone(),
            clock: self.clock.clone(),
            host: host(),
            min_hold_until: begun.plus(self.min_hold),
            cooldown: self.cooldown,
            keeper,
        }
    }
}

/// The plan of a lock without a command, which is held for `max_hold` at most.
pub(super) fn plan(
    (name, lock, wait, instances, output): (
        Option<String>,
        LockArgs,
        PatienceArgs,
        InstanceArgs,
        OutputArgs,
    ),
    max_hold: Option<Duration>,
    warnings: &mut Vec<String>,
) -> Result<Plan, CliError> {
    if lock.reentrant {
        return Err(CliError::usage(anyhow!(
            "--reentrant is for 'redlock run'; a lock that is held already needs no second handle"
        )));
    }
    if wait.if_busy == Some(IfBusy::Skip) {
        return Err(CliError::usage(anyhow!(
            "--if-busy skip is for 'redlock run': without a lock there is no handle to leave"
        )));
    }
    // Waiting runs see this as the program of the holder.
    let program = vec![OsString::from("redlock")];
    let (command, stop) = (None, StopArgs { max_runtime: max_hold, ..StopArgs::default() });
    // A lock that is given by its key alone has the key as its name.
    let name = name.or_else(|| lock.key.clone().filter(|_| lock.locks.is_empty()));
    let args = RunArgs {
        name,
        argv: program,
        command,
        lock,
        wait,
        stop,
        record: RecordArgs::default(),
        instances,
        output,
    };
    let config = Config::load(args.instances.config.as_deref(), warnings)?;
    let around = Environment::read()?;
    let meaning = Invocation::new(args, &[], &config, &around, warnings, outer_check::is_held)?;
    match meaning {
        Invocation::Hold(plan) => Ok(*plan),
        // Only with --reentrant.
        Invocation::Nested { .. } => Err(CliError::usage(anyhow!("the lock is held already"))),
    }
}

/// The session of a plan.
fn job(
    (plan, holder): (Plan, Holder),
    progress: ProgressStyle,
    purpose: HoldPurpose,
) -> anyhow::Result<(Template, HoldJob)> {
    let clock = supervisor::clock_id().context(
        "/proc shows no boot of this host, so a handle could not tell how long the lock lasts",
    )?;
    let (cluster, agreement) = plan.servers.for_run(&plan.target, &holder);
    let delay = at_random(plan.jitter)?;
    let template = Template {
        names: plan.names.iter().map(|name| name.as_str().to_owned()).collect(),
        target: plan.target.clone(),
        servers: plan.servers.names().iter().map(ToString::to_string).collect(),
        clock,
        min_hold: plan.min_hold,
        cooldown: plan.cooldown,
        begun: std::cell::Cell::new(None),
    };
    let options = options(&plan, delay, progress);
    Ok((template, HoldJob { options, agreement, cluster, holder, purpose }))
}
