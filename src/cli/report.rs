//! Messages: notices, warnings and outcomes in words.

pub(super) mod describe;
mod disagreement;
mod doctor;
pub(super) mod events;
mod fence;
pub(super) mod force_release;
pub(super) mod holder;
pub(super) mod list;
mod log;
mod printer;
pub(super) mod status;
mod votes;
mod waiting;
mod weaknesses;
mod writer;

use super::args::OutputArgs;
use super::duration::shown;
use super::error::CliError;
use super::values::Color;
use crate::instance::Endpoint;
use crate::lock::{Name, Release, Time};
use crate::policy::{Exit, Fault, Notice, Outcome, ProgressStyle, code};
use crate::supervisor::since_1970;
use describe::{cannot_run, reason};
use holder::{described, safe};
use printer::{Printer, Volume};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::ErrorKind;
use votes::refused_access;

/// Subject of a report.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) names: &'a [Name],
    pub(super) program: Option<&'a OsStr>,
    pub(super) slots: u32,
    pub(super) skips: bool,
    pub(super) endpoints: &'a [Endpoint],
    pub(super) quorum: usize,
}

/// Reports the events of one run.
#[derive(Debug)]
pub(super) struct Report {
    printer: Printer,
    /// Lines of the log that were said a short time ago.
    logged: RefCell<Vec<(String, Time)>>,
    name: String,
    /// Public id of the run; empty while unknown.
    id: String,
    program: String,
    slots: u32,
    /// Whether a busy lock is a success (`--if-busy skip`).
    skips: bool,
    instances: Vec<String>,
    quorum: usize,
}

impl Report {
    /// A report before anything is known.
    pub(super) fn plain(color: Option<Color>) -> Self {
        Self {
            printer: Printer::plain(color),
            logged: RefCell::default(),
            id: String::new(),
            name: String::new(),
            program: String::new(),
            slots: 1,
            skips: false,
            instances: vec![],
            quorum: 0,
        }
    }

    /// A report as `output` wants it, on these servers and no lock.
    pub(super) fn of_servers(output: OutputArgs, endpoints: &[Endpoint]) -> Self {
        let subject =
            Subject { names: &[], program: None, slots: 1, skips: false, endpoints, quorum: 0 };
        Self::new(output, &subject)
    }

    /// A report as `output` wants it, on this plan.
    pub(super) fn new(output: OutputArgs, subject: &Subject<'_>) -> Self {
        Self {
            printer: Printer::new(output),
            logged: RefCell::default(),
            id: String::new(),
            name: safe(&subject.names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")),
            program: subject
                .program
                .map(|program| safe(&program.to_string_lossy()))
                .unwrap_or_default(),
            slots: subject.slots,
            skips: subject.skips,
            instances: subject.endpoints.iter().map(ToString::to_string).collect(),
            quorum: subject.quorum,
        }
    }

    /// How this report mentions a long wait.
    pub(super) const fn progress(&self) -> ProgressStyle {
        self.printer.progress()
    }

    /// Prints the error, and returns its exit code.
    pub(super) fn refuse(&self, refusal: &CliError) -> Exit {
        if refusal.is_answer {
            return self.answer(&refusal.error.to_string());
        }
        self.printer.say(Volume::Quiet, &format!("{:#}", refusal.error));
        Exit::Code(refusal.code)
    }

    /// Prints an answer.
    pub(super) fn answer(&self, text: &str) -> Exit {
        match Printer::answer(text) {
            // A closed pipe is no error: its reader has seen enough.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.printer
                    .say(Volume::Quiet, &format!("cannot write what was asked for: {error}"));
                Exit::Code(code::FAILED)
            }
            _ => Exit::Code(0),
        }
    }

    /// Notes the public id of the run.
    pub(super) fn identify(&mut self, id: &str) {
        id.clone_into(&mut self.id);
    }

    /// Prints a text on stdout. A failure is an error, since nothing else has the text.
    pub(super) fn deliver(text: &str) -> std::io::Result<()> {
        Printer::answer(text)
    }

    /// Prints a warning.
    pub(super) fn warn(&self, text: &str) {
        self.printer.say(Volume::Plain, text);
    }

    /// Reports a notice if the volume allows.
    pub(super) fn tell(&self, notice: &Notice) {
        let name = &self.name;
        match notice {
            Notice::Waiting { blocker, place } => self.waiting(blocker, *place),
            Notice::Waited => self.printer.clear_line(),
            Notice::Fenced(_) | Notice::FirstFence | Notice::CountersLost => self.fence(notice),
            // These are for the record of a run.
            Notice::CommandStarted | Notice::CommandEnded(_) => {}
            Notice::SameServer { one, other } => self.printer.say(
                Volume::Plain,
                &format!("'{name}': {}", self.same_server(*one, *other)),
            ),
            Notice::ClockStepped { instance, by } => self.printer.say(
                Volume::Plain,
                &format!(
                    "'{name}': the clock of {} stepped forward by {}, so it does not count for now; keep its clock steady",
                    self.instance(*instance),
                    shown(*by)
                ),
            ),
            Notice::Weaknesses(all) => self.printer.say(Volume::Plain, &self.weaknesses(all)),
            Notice::ServerWarning { instance, warning } => {
                self.printer.say(Volume::Plain, &self.server_warning(*instance, *warning));
            }
            Notice::HeldBeside(holder, difference) => {
                self.printer.say(Volume::Plain, &self.disagreement(holder, difference));
            }
            Notice::GivingWay { instance } => {
                self.printer.say(Volume::Plain, &self.giving_way(*instance));
            }
            Notice::LongLease(holder) => self.printer.say(Volume::Plain, &self.long_lease(holder)),
            Notice::Stopping(loss) => {
                self.printer.say(Volume::Plain, &format!("losing '{name}': {}; stopping the command", reason(loss)));
            }
            Notice::Lost(loss) => {
                self.printer.say(Volume::Plain, &format!("lost '{name}': {}; the command goes on without it", reason(loss)));
            }
            Notice::MaxRuntimeExceeded => self.printer.say(Volume::Plain, &format!("'{name}': --max-runtime is over; stopping the command")),
            Notice::Unkillable { pid } => self.printer.say(
                Volume::Plain,
                &format!("'{name}': process {pid} of the command cannot be killed by this user; kill it by hand"),
            ),
            Notice::Unseen => self.printer.say(
                Volume::Plain,
                &format!("'{name}': cannot see whether the command's processes are gone, so the lock is kept; end them by hand"),
            ),
            Notice::ReleaseIncomplete(answers) => self.release_incomplete(answers),
            Notice::Acquired { .. }
            | Notice::Extended { .. }
            | Notice::Released { .. }
            | Notice::InstanceLost { .. }
            | Notice::InstanceRejoined { .. }
            | Notice::Unconfirmed { .. }
            | Notice::Killing => self.log(notice),
        }
    }

    fn release_incomplete(&self, answers: &[Option<Release>]) {
        let name = &self.name;
        self.printer.say(
            Volume::Plain,
            &format!(
                "released '{name}' on too few instances, so it stays busy for up to its ttl: {}",
                self.releases(answers)
            ),
        );
    }

    /// Prints the outcome if the exit code alone does not tell it.
    pub(super) fn end(&self, outcome: &Outcome, busy_code: u8) -> Exit {
        if let Some(text) = self.last_words(outcome) {
            self.printer.say(Volume::Plain, &text);
        }
        outcome.exit(busy_code)
    }

    fn last_words(&self, outcome: &Outcome) -> Option<String> {
        let name = &self.name;
        Some(match outcome {
            Outcome::Ended(_) | Outcome::Interrupted(_) | Outcome::Overtime => return None,
            Outcome::Busy(_) if self.skips => return None,
            Outcome::Busy(holder) => {
                format!("'{name}' is busy, held by {}", described(holder.as_ref(), since_1970()))
            }
            Outcome::NoQuorum(votes) => match self.until_old_enough(votes) {
                Some(left) => format!(
                    "no quorum for '{name}': servers that have just started do not vote for another {} (see --restart-guard)",
                    shown(left)
                ),
                None => format!("no quorum for '{name}': {}", self.votes(votes)),
            },
            Outcome::Refused(_, votes) => {
                let advice = refused_access(votes).map(|advice| format!("; {advice}"));
                format!(
                    "the instances refuse '{name}': {}{}",
                    self.votes(votes),
                    advice.unwrap_or_default()
                )
            }
            Outcome::SameServer(one, other) => self.same_server(*one, *other),
            Outcome::Disagreed(holder, difference) => self.disagreement(holder, difference),
            Outcome::Lost(loss) => format!("lost '{name}': {}", reason(loss)),
            Outcome::CannotRun(why) => cannot_run(&self.program, *why),
            Outcome::Failed(Fault::GuardianLost) => {
                format!("the guardian of '{name}' was killed; the command was stopped")
            }
            Outcome::Failed(Fault::EndUnseen) => {
                format!("the command of '{name}' is gone, and the system did not say how it ended")
            }
        })
    }

    fn same_server(&self, one: usize, other: usize) -> String {
        format!(
            "'{}' and '{}' are the same server, which must not vote twice; name each server once",
            self.instance(one),
            self.instance(other)
        )
    }

    const fn instance_count(&self) -> usize {
        self.instances.len()
    }

    fn instance(&self, number: usize) -> &str {
        self.instances.get(number).map_or("an instance", String::as_str)
    }
}
