//! `--events`, `--result` and `--metrics`: the record of a run for machines.

use super::args::RecordArgs;
use super::error::CliError;
use super::report::Subject;
use super::report::events::EventLog;
use crate::lock::Time;
use crate::policy::{Exit, Notice, Outcome, Record, RecordedOutcome, code};
use crate::supervisor::{self, EventTarget, Will};
use anyhow::{Context as _, anyhow};
use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The record of one run, while the run goes on.
#[derive(Debug)]
pub(super) struct Recorder {
    will: Option<Will>,
    events: Option<EventLog>,
    skips: bool,
    acquired: Cell<Option<Time>>,
    released: Cell<Option<Time>>,
    fence: Cell<Option<u64>>,
    ran: Cell<bool>,
}

/// The absolute path: a keeper changes its working directory.
fn absolute(path: &OsString) -> OsString {
    std::path::absolute(Path::new(path)).map_or_else(|_| path.clone(), Into::into)
}

/// The stream of the events.
fn events(args: &RecordArgs) -> Result<Option<EventTarget>, CliError> {
    let Some(typed) = &args.events else { return Ok(None) };
    let Some(number) = typed.as_bytes().strip_prefix(b"fd:") else {
        return Ok(Some(EventTarget::File(absolute(typed))));
    };
    let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    let number = number.filter(|number: &i32| *number >= 0).ok_or_else(|| {
        CliError::usage(anyhow!("--events fd:N needs the number of an open descriptor"))
    })?;
    Ok(Some(EventTarget::Descriptor(number)))
}

/// Refuses places that cannot be written, before anything is locked.
pub(super) fn check(args: &RecordArgs) -> Result<(), CliError> {
    events(args)?;
    let tried = places(args).map_or(Ok(()), |will| will.try_places());
    tried.map_err(|(option, error)| {
        CliError::usage(anyhow!(error).context(format!("cannot write {option}")))
    })
}

/// The places of `args`. An invalid `--events` is left out.
fn places(args: &RecordArgs) -> Option<Will> {
    if args.events.is_none() && args.result.is_none() && args.metrics.is_none() {
        return None;
    }
    let events = events(args).ok().flatten();
    Some(Will {
        record: Record::open("", vec![], ""),
        is_final: false,
        begun: supervisor::now(),
        acquired: None,
        events,
        result: args.result.as_ref().map(absolute),
        metrics: args.metrics.as_ref().map(absolute),
    })
}

/// The inherited descriptor of the events.
pub(super) fn descriptor(args: &RecordArgs) -> Option<i32> {
    let text = args.events.as_ref()?.to_str()?;
    text.strip_prefix("fd:")?.parse().ok()
}

/// Writes the result of a command that did not come as far as a run.
pub(super) fn refused(args: &RecordArgs, verb: &str, name: Option<&str>, exit: u8) {
    let names = name.into_iter().map(str::to_owned).collect();
    let outcome =
        if exit == code::FAILED { RecordedOutcome::Failed } else { RecordedOutcome::Refused };
    write_at_once(args, verb, names, (outcome, Exit::Code(exit)));
}

/// Writes the result of a command that runs in the place of redlock.
pub(super) fn nested(args: &RecordArgs, verb: &str, name: Option<&str>) {
    let names = name.into_iter().map(str::to_owned).collect();
    write_at_once(args, verb, names, (RecordedOutcome::Nested, Exit::Code(0)));
}

fn write_at_once(
    args: &RecordArgs,
    verb: &str,
    names: Vec<String>,
    (outcome, exit): (RecordedOutcome, Exit),
) {
    if let Some(mut will) = places(args) {
        will.record = Record::open(verb, names, "").ended(outcome, exit);
        will.is_final = true;
        will.execute();
    }
}

impl Recorder {
    /// The record of a run of `verb` with the public id `id`.
    pub(super) fn new(
        args: &RecordArgs,
        verb: &str,
        subject: &Subject<'_>,
        id: &str,
        is_verbose: bool,
    ) -> Result<Self, CliError> {
        let names = subject.names.iter().map(|name| name.as_str().to_owned()).collect();
        let will = places(args);
        let will = will.map(|will| Will { record: Record::open(verb, names, id), ..will });
        let target = will.as_ref().and_then(|will| will.events.as_ref());
        let stream = target.map(EventTarget::open).transpose();
        let stream = stream.context("cannot write --events").map_err(CliError::usage)?;
        Ok(Self {
            will,
            events: stream.map(|stream| EventLog::new(stream, subject, id, is_verbose)),
            skips: subject.skips,
            acquired: Cell::new(None),
            released: Cell::new(None),
            fence: Cell::new(None),
            ran: Cell::new(false),
        })
    }

    /// The record to write if redlock is killed.
    pub(super) fn will(&self) -> Option<Will> {
        self.will.clone()
    }

    /// Notes a notice.
    pub(super) fn note(&self, notice: &Notice) {
        match notice {
            Notice::Acquired { .. } => self.acquired.set(Some(supervisor::now())),
            Notice::Fenced(token) => self.fence.set(Some(token.get())),
            Notice::CommandStarted => self.ran.set(true),
            Notice::Released { .. } | Notice::ReleaseIncomplete(_) => {
                self.released.set(Some(supervisor::now()));
            }
            _ => {}
        }
        self.events.iter().for_each(|events| events.note(notice));
    }

    /// The record to write after `outcome`.
    pub(super) fn last(&self, outcome: &Outcome, exit: Exit) -> Option<Will> {
        self.ended(RecordedOutcome::of(outcome, self.skips), exit)
    }

    /// The record to write after `outcome`.
    pub(super) fn ended(&self, outcome: RecordedOutcome, exit: Exit) -> Option<Will> {
        let will = self.will.as_ref()?;
        let mut record = will.record.clone().ended(outcome, exit);
        let now = self.released.get().unwrap_or_else(supervisor::now);
        // A lock that was acquired too late for the command to start was given back, and does not
        // count as acquired.
        let acquired =
            self.acquired.get().filter(|_| self.ran.get() || self.released.get().is_some());
        record.time(will.begun, acquired, now);
        record.fence = self.fence.get().filter(|_| acquired.is_some());
        record.ran = self.ran.get();
        record.lost_lines = self.events.as_ref().map_or(0, EventLog::settle);
        Some(Will { record, is_final: true, ..will.clone() })
    }

    /// Writes the record of a hold, which has no guardian to write it.
    pub(super) fn write(&self, outcome: RecordedOutcome, exit: Exit) {
        // A hold has a stand-in instead of a command: it counts for the times and is not told.
        self.ran.set(self.acquired.get().is_some());
        if let Some(mut will) = self.ended(outcome, exit) {
            will.record.ran = false;
            will.execute();
        }
    }
}
