//! Messages: notices, warnings and outcomes in words.

pub(super) mod describe;
mod disagreement;
mod doctor;
pub(super) mod events;
pub(super) mod force_release;
pub(super) mod holder;
pub(super) mod list;
mod printer;
pub(super) mod status;
mod weaknesses;
mod writer;

use super::args::OutputArgs;
use super::duration::shown;
use super::error::CliError;
use super::values::Color;
use crate::instance::Endpoint;
use crate::lock::{Extension, Name, NoVoteReason, Release, Vote};
use crate::policy::{Blocker, Exit, Fault, Notice, Outcome, ProgressStyle, code};
use describe::{cannot_run, extension, ordinal, reason, unknown};
use holder::{described, lease, safe, who};
use printer::{Printer, Volume};
use std::ffi::OsStr;
use std::io::ErrorKind;

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
    name: String,
    program: String,
    slots: u32,
    /// Whether a busy lock is as good as a run.
    skips: bool,
    instances: Vec<String>,
    quorum: usize,
}

impl Report {
    /// A report before anything is known.
    pub(super) fn plain(color: Option<Color>) -> Self {
        Self {
            printer: Printer::plain(color),
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

    /// Says why redlock does nothing.
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
            // A reader that closed the pipe has seen enough.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.printer
                    .say(Volume::Quiet, &format!("cannot write what was asked for: {error}"));
                Exit::Code(code::FAILED)
            }
            _ => Exit::Code(0),
        }
    }

    /// Prints what is of no use if it does not arrive.
    pub(super) fn deliver(text: &str) -> std::io::Result<()> {
        Printer::answer(text)
    }

    /// Says something that a person should know.
    pub(super) fn warn(&self, text: &str) {
        self.printer.say(Volume::Plain, text);
    }

    /// Reports a notice, if the volume asks for it.
    pub(super) fn tell(&self, notice: &Notice) {
        let name = &self.name;
        match notice {
            Notice::Waiting { blocker, place } => self.waiting(blocker, *place),
            Notice::Waited => self.printer.clear_line(),
            // The events have these.
            Notice::Extended { .. }
            | Notice::CommandStarted
            | Notice::CommandEnded(_)
            | Notice::Released { .. } => {}
            Notice::Acquired { attempts, took, left } => self.printer.say(
                Volume::Verbose,
                &format!("acquired '{name}' at attempt {attempts} after {}, for {}", shown(*took), shown(*left)),
            ),
            Notice::InstanceLost { instance, response } => {
                let why = response
                    .as_ref()
                    .map_or("it has restarted, or is another server (its run_id has changed)".into(), extension);
                self.printer.say(Volume::Verbose, &format!("'{name}': {} lost the lock: {why}", self.instance(*instance)));
            }
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
            Notice::InstanceRejoined { instance } => {
                self.printer.say(Volume::Verbose, &format!("'{name}': {} confirmed the lock", self.instance(*instance)));
            }
            Notice::Unconfirmed { instance, response } => self.printer.say(
                Volume::Verbose,
                &format!("'{name}': {} did not extend: {}", self.instance(*instance), extension(response)),
            ),
            Notice::Stopping(loss) => {
                self.printer.say(Volume::Plain, &format!("losing '{name}': {}; stopping the command", reason(loss)));
            }
            Notice::Lost(loss) => {
                self.printer.say(Volume::Plain, &format!("lost '{name}': {}; the command goes on without it", reason(loss)));
            }
            Notice::MaxRuntimeExceeded => self.printer.say(Volume::Plain, &format!("'{name}': --max-runtime is over; stopping the command")),
            Notice::Killing => self.printer.say(Volume::Verbose, &format!("'{name}': killing the command")),
            Notice::Unkillable { pid } => self.printer.say(
                Volume::Plain,
                &format!("'{name}': process {pid} of the command cannot be killed by this user; kill it by hand"),
            ),
            Notice::Unseen => self.printer.say(
                Volume::Plain,
                &format!("'{name}': cannot see whether the command's processes are gone, so the lock is kept; end them by hand"),
            ),
            Notice::ReleaseIncomplete(answers) => self.release_incomplete(answers),
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

    /// Says how the run ended, where the exit code alone would not do.
    pub(super) fn end(&self, outcome: &Outcome, busy_code: u8) -> Exit {
        if let Some(text) = self.last_words(outcome) {
            self.printer.say(Volume::Plain, &text);
        }
        outcome.exit(busy_code)
    }

    /// Reports a wait: its blocker, and our place.
    fn waiting(&self, blocker: &Blocker, place: Option<u32>) {
        let name = &self.name;
        match blocker {
            Blocker::Holder(holder) => {
                // Changing parts first: a narrow terminal cuts a long line.
                let place =
                    place.map(|before| format!("{} in line, ", ordinal(before.saturating_add(1))));
                let left = holder.as_ref().map(|holder| format!("{}, ", lease(holder)));
                let (place, left, holder) =
                    (place.unwrap_or_default(), left.unwrap_or_default(), who(holder.as_ref()));
                self.printer
                    .say_live(&format!("waiting for '{name}', {place}{left}held by {holder}"));
            }
            Blocker::Instances(votes) => {
                self.printer
                    .say_live(&format!("waiting for '{name}', no quorum: {}", self.votes(votes)));
            }
        }
    }

    fn last_words(&self, outcome: &Outcome) -> Option<String> {
        let name = &self.name;
        Some(match outcome {
            Outcome::Ended(_) | Outcome::Interrupted(_) | Outcome::Overtime => return None,
            Outcome::Busy(_) if self.skips => return None,
            Outcome::Busy(holder) => {
                format!("'{name}' is busy, held by {}", described(holder.as_ref()))
            }
            Outcome::NoQuorum(votes) => format!("no quorum for '{name}': {}", self.votes(votes)),
            Outcome::Refused(_, votes) => {
                format!("the instances refuse '{name}': {}", self.votes(votes))
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

    fn votes(&self, votes: &[Option<Vote>]) -> String {
        let each = self.each(votes, |vote| match vote {
            None => Some("not waited for".into()),
            Some(Vote::Granted) => None,
            Some(Vote::Denied) => Some("busy".into()),
            Some(Vote::Unknown(why)) => Some(unknown(why)),
        });
        let (total, count) =
            (votes.len(), |which: fn(&&Vote) -> bool| votes.iter().flatten().filter(which).count());
        let count = if votes.contains(&None) {
            // An instance without a vote was not waited for and might have answered.
            format!(
                "{} of {total} instances cannot vote",
                count(|vote| matches!(vote, Vote::Unknown(_)))
            )
        } else {
            let is_answer = |vote: &&Vote| {
                !matches!(
                    vote,
                    Vote::Unknown(NoVoteReason::TimedOut | NoVoteReason::Unreachable(_))
                )
            };
            format!("{} of {total} instances answered", count(is_answer))
        };
        format!("{count}, {} must grant; {each}", self.quorum)
    }

    /// The instances that did not extend, in words.
    pub(super) fn extensions(&self, answers: &[Option<Extension>]) -> String {
        self.each(answers, |response| match response {
            Some(Extension::Kept | Extension::SetAgain) => None,
            Some(response) => Some(extension(response)),
            None => Some("timed out".into()),
        })
    }

    /// The instances that did not release, in words.
    pub(super) fn releases(&self, answers: &[Option<Release>]) -> String {
        self.each(answers, |response| match response {
            Some(Release::Done(_) | Release::Nothing) => None,
            Some(Release::Unknown(why)) => Some(unknown(why)),
            Some(Release::Written) | None => Some("timed out".into()),
        })
    }

    fn each<T>(&self, answers: &[T], words: impl Fn(&T) -> Option<String>) -> String {
        let each = answers.iter().enumerate().filter_map(|(instance, response)| {
            words(response).map(|words| format!("{}: {}", self.instance(instance), safe(&words)))
        });
        each.collect::<Vec<_>>().join("; ")
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
