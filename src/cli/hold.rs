//! `redlock hold`: keeps a lock without a command, in the foreground or by a keeper.

use super::acquire::{Begun, Template, end, hold, plan};
use super::args::{HoldArgs, OutputArgs, RecordArgs};
use super::error::CliError;
use super::handle::HandleOutput;
use super::plan::Plan;
use super::record;
use crate::lock::{HandleState, Keeper};
use crate::policy::{Exit, Notice, Outcome, RecordedOutcome, Signal, code};
use crate::supervisor::{
    self, HeldNow, HoldNews, HoldPurpose, HoldWatch, JobSign, Reporter, Split, Starter, StateFile,
};
use anyhow::{Context as _, anyhow};
use nix::sys::wait::WaitStatus;
use std::time::Duration;

/// Time limit of the last update of the state file.
const LAST: Duration = Duration::from_secs(1);

/// Holds the lock.
pub(super) fn main(args: HoldArgs, warnings: &mut Vec<String>) -> Result<Exit, CliError> {
    let (record, name) = (args.record.clone(), args.name.clone());
    let refused = |refusal: &CliError| {
        record::refused(&record, "hold", name.as_deref(), refusal.code);
    };
    let mut prepared = prepare(args, warnings).inspect_err(refused)?;
    if !prepared.background {
        return Ok(begin(prepared, warnings, None).inspect_err(refused)?.keep());
    }
    let mut kept = prepared.watch.descriptors();
    kept.extend(record::descriptor(&record));
    let split = supervisor::split_keeper(&kept);
    let split = split.context("cannot start the keeper").map_err(CliError::failed);
    match split.inspect_err(refused)? {
        Split::Starter(starter) => starter_end(starter, &prepared.place),
        Split::Keeper(reporter) => {
            let watched = reporter.watch(&mut prepared.watch).map_err(CliError::failed);
            let begun = watched.and_then(|()| begin(prepared, warnings, Some(reporter)));
            Ok(begun.inspect_err(refused)?.keep())
        }
    }
}

/// A hold before anything is locked.
struct Prepared {
    plan: Plan,
    place: HandleOutput,
    watch: HoldWatch,
    background: bool,
    record: RecordArgs,
    output: OutputArgs,
}

fn prepare(args: HoldArgs, warnings: &mut Vec<String>) -> Result<Prepared, CliError> {
    record::check(&args.record)?;
    let mut watch = HoldWatch::default();
    if let Some(pid) = args.while_pid {
        watch.watch_process(pid).map_err(|error| unwatchable(pid, error))?;
    } else if args.background && !watch_job(&mut watch)? && args.max_hold.is_none() {
        return Err(CliError::usage(anyhow!(
            "a lock that is held in the background needs an end: give --while-pid PID or --max-hold LENGTH"
        )));
    }
    if args.until_eof {
        watch.watch_input().map_err(|_| {
            CliError::usage(anyhow!(
                "--until-eof needs a pipe or a terminal as standard input; this one has no end to wait for"
            ))
        })?;
    }
    let HoldArgs {
        name, background, max_hold, handle, lock, wait, record, instances, output, ..
    } = args;
    let plan = plan((name, lock, wait, instances, output), max_hold, warnings)?;
    let place = HandleOutput::prepare(&handle)?;
    Ok(Prepared { plan, place, watch, background, record, output })
}

/// The variables of CI systems that show the process of a job, with the way to find it.
const JOBS: [(&str, JobSign); 3] = [
    ("GITHUB_ACTIONS", JobSign::Named("Runner.Worker")),
    ("BUILDKITE", JobSign::Named("buildkite-agent")),
    ("GITLAB_CI", JobSign::ShellBelow("gitlab-runner")),
];

/// Watches the process of the CI job around this one. Returns whether there is one.
fn watch_job(watch: &mut HoldWatch) -> Result<bool, CliError> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| value == "true");
    let sign = JOBS.iter().find(|(name, _)| is_set(name)).map(|(_, sign)| *sign);
    let Some((pid, started)) = sign.and_then(supervisor::job_process) else { return Ok(false) };
    watch.watch_process(pid).map_err(|error| unwatchable(pid, error))?;
    // The pidfd is of the current process with this number, which may be a later one.
    let is_job = supervisor::is_alive(pid, started);
    if !is_job {
        *watch = HoldWatch::default();
    }
    Ok(is_job)
}

fn unwatchable(pid: i32, error: std::io::Error) -> CliError {
    if error.raw_os_error() == Some(nix::libc::ESRCH) {
        return CliError::usage(anyhow!(
            "there is no process {pid}, so --while-pid would end at once"
        ));
    }
    let what =
        format!("the system refuses to watch process {pid} (pidfd_open), so nothing was locked");
    CliError::failed(anyhow!(error).context(what))
}

/// The starter of a keeper: waits for the handle and prints it.
fn starter_end(mut starter: Starter, place: &HandleOutput) -> Result<Exit, CliError> {
    let heard = starter.handle().context("cannot wait for the keeper").map_err(CliError::failed)?;
    match heard {
        Ok(line) => {
            // Without an acknowledgement the keeper releases the lock.
            place.tell(&line).map_err(CliError::failed)?;
            starter.acknowledge().context("the keeper is gone").map_err(CliError::failed)?;
            Ok(Exit::Code(0))
        }
        Err(WaitStatus::Exited(_, code)) => {
            Ok(Exit::Code(u8::try_from(code).unwrap_or(code::FAILED)))
        }
        Err(WaitStatus::Signaled(_, signal, _)) => Ok(Exit::Signal(Signal::new(signal as i32))),
        Err(_) => Ok(Exit::Code(code::FAILED)),
    }
}

/// The handle of a keeper, and the places to write it to.
struct Keeping {
    template: Template,
    place: HandleOutput,
    state: Option<StateFile>,
    reporter: Option<Reporter>,
    keeper: Option<Keeper>,
    last: Option<HeldNow>,
    delivered: anyhow::Result<()>,
}

impl Keeping {
    fn new(
        template: Template,
        place: HandleOutput,
        reporter: Option<Reporter>,
    ) -> Result<Self, CliError> {
        let state = place.path().map(|path| StateFile::new(path.to_owned())).transpose();
        let state = state.context("the system refuses a thread").map_err(CliError::failed)?;
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let space = supervisor::pid_space();
        let keeper = supervisor::own_start().map(|started| Keeper { space, pid, started });
        let (last, delivered) = (None, Ok(()));
        Ok(Self { template, place, state, reporter, keeper, last, delivered })
    }

    fn line(&self, held: &HeldNow, state: HandleState) -> String {
        self.template.of(held, self.keeper.clone(), state).to_line()
    }

    fn take(&mut self, news: HoldNews) -> bool {
        match news {
            HoldNews::Acquired(held) => {
                let line = self.line(&held, HandleState::Held);
                self.delivered = self.deliver(&line);
                self.last = Some(held);
                self.delivered.is_ok()
            }
            HoldNews::Extended(held) => {
                self.update(&held, HandleState::Held);
                self.last = Some(held);
                true
            }
            HoldNews::Detached => {
                supervisor::detach();
                true
            }
        }
    }

    fn deliver(&mut self, line: &str) -> anyhow::Result<()> {
        self.place.write_file(line)?;
        match &mut self.reporter {
            Some(reporter) => reporter.report(line).context("its reader is gone"),
            None => Ok(self.place.tell(line)?),
        }
    }

    fn update(&self, held: &HeldNow, state: HandleState) {
        if let Some(file) = &self.state {
            file.update(format!("{}\n", self.line(held, state)));
        }
    }

    /// Writes the last state of the lock, for the steps that follow.
    fn end(mut self, state: HandleState) {
        if let Some(held) = self.last.take() {
            self.update(&held, state);
        }
        if let Some(file) = self.state.take() {
            file.settle(LAST);
        }
    }
}

/// A hold that can begin.
struct Hold {
    begun: Begun,
    keeping: Keeping,
    watch: HoldWatch,
}

fn begin(
    prepared: Prepared,
    warnings: &mut Vec<String>,
    reporter: Option<Reporter>,
) -> Result<Hold, CliError> {
    let Prepared { plan, place, watch, record, output, .. } = prepared;
    let place = place.open()?;
    let wanted = ("hold", &record, output, HoldPurpose::Keep);
    let (begun, template) = Begun::new(plan, wanted, warnings)?;
    Ok(Hold { begun, keeping: Keeping::new(template, place, reporter)?, watch })
}

impl Hold {
    fn keep(self) -> Exit {
        let Self { begun: Begun { report, recorder, busy_code, job }, keeping, watch } = self;
        let keeping = std::cell::RefCell::new(keeping);
        let mut news = |news| keeping.borrow_mut().take(news);
        let mut tell = |notice: Notice| {
            let keeping = keeping.borrow();
            if let (Notice::Stopping(_), Some(held)) = (&notice, &keeping.last) {
                // Now, since a step may read the file before the release has ended.
                keeping.update(held, HandleState::Lost);
            }
            // The message about the outcome says the same.
            if !matches!(notice, Notice::Stopping(_) | Notice::Killing) {
                report.tell(&notice);
            }
            recorder.note(&notice);
        };
        let outcome = hold(job, watch, &mut news, &mut tell);
        let mut keeping = keeping.into_inner();
        let delivered = std::mem::replace(&mut keeping.delivered, Ok(()));
        let is_lost = matches!(outcome, Ok(Some(Outcome::Lost(_))));
        keeping.end(if is_lost { HandleState::Lost } else { HandleState::Released });
        let delivered = delivered.context("the lock was released: cannot deliver the handle");
        let outcome = delivered.map_err(CliError::failed).and(outcome);
        end(outcome, RecordedOutcome::Released, busy_code, (&report, &recorder))
    }
}
