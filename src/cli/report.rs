//! The only place that prints: everything goes to stderr, and begins with `redlock: `.

use super::args::OutputArgs;
use super::duration::shown;
use super::holder::{described, safe};
use super::refusal::Refusal;
use super::values::Color;
use super::words::{extension, ordinal, reason, system, unknown};
use crate::instance::Endpoint;
use crate::lock::{Claim, Name, Release, Sighting, Unknown, Vote};
use crate::policy::{Blocker, Exit, Fault, Mention, Notice, Outcome, SpawnError};
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};

/// How much is said.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Voice {
    Quiet,
    Plain,
    Verbose,
}

/// What a report is about.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) names: &'a [Name],
    pub(super) program: Option<&'a OsStr>,
    pub(super) slots: u32,
    pub(super) skips: bool,
    pub(super) endpoints: &'a [Endpoint],
    pub(super) quorum: usize,
}

/// Says what happens.
#[derive(Debug)]
pub(super) struct Report {
    voice: Voice,
    is_colored: bool,
    /// Whether the cursor stands in a line that the next one takes the place of.
    has_line: Cell<bool>,
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
    pub(super) fn plain() -> Self {
        Self {
            voice: Voice::Plain,
            is_colored: wants_color(None),
            has_line: Cell::new(false),
            name: String::new(),
            program: String::new(),
            slots: 1,
            skips: false,
            instances: vec![],
            quorum: 0,
        }
    }

    /// A report as `output` wants it, on this plan.
    pub(super) fn new(output: OutputArgs, subject: &Subject<'_>) -> Self {
        let voice = match (output.quiet, output.verbose) {
            (true, _) => Voice::Quiet,
            (false, true) => Voice::Verbose,
            (false, false) => Voice::Plain,
        };
        Self {
            voice,
            is_colored: wants_color(output.color),
            has_line: Cell::new(false),
            name: safe(&subject.names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")),
            program: subject.program.map(|program| safe(&program.to_string_lossy())).unwrap_or_default(),
            slots: subject.slots,
            skips: subject.skips,
            instances: subject.endpoints.iter().map(ToString::to_string).collect(),
            quorum: subject.quorum,
        }
    }

    /// How this report mentions a long wait.
    pub(super) fn mention(&self) -> Mention {
        if self.voice > Voice::Quiet && io::stderr().is_terminal() { Mention::Live } else { Mention::News }
    }

    /// Says why redlock does nothing.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Exit {
        if refusal.is_answer {
            Self::answer(&refusal.error.to_string());
        } else {
            self.say(Voice::Quiet, &format!("{:#}", refusal.error));
        }
        Exit::Code(refusal.code)
    }

    /// Prints what was asked for: the one thing that goes to stdout.
    pub(super) fn answer(text: &str) {
        // Whoever closed the pipe has seen enough.
        let _ = io::stdout().write_all(text.as_bytes());
    }

    /// Says something that a person should know.
    pub(super) fn warn(&self, text: &str) {
        self.say(Voice::Plain, text);
    }

    /// Says what happened, if it is worth saying.
    pub(super) fn tell(&self, notice: &Notice) {
        let name = &self.name;
        match notice {
            Notice::Waiting { blocker, place } => self.waiting(blocker, *place),
            Notice::Waited => self.clear_line(),
            Notice::Acquired { attempts, took, left } => self.say(
                Voice::Verbose,
                &format!("acquired '{name}' at attempt {attempts} after {}, for {}", shown(*took), shown(*left)),
            ),
            Notice::Left { instance, answer } => {
                let why = answer.as_ref().map_or("it is another server than before".into(), extension);
                self.say(Voice::Verbose, &format!("'{name}': {} does not count: {why}", self.instance(*instance)));
            }
            Notice::SameServer { one, other } => self.say(
                Voice::Plain,
                &format!("'{name}': {}", self.same_server(*one, *other)),
            ),
            Notice::ClockStepped { instance, by } => self.say(
                Voice::Plain,
                &format!(
                    "'{name}': the clock of {} stepped forward by {}, so it does not count for now; keep its clock steady",
                    self.instance(*instance),
                    shown(*by)
                ),
            ),
            Notice::Evicts { instance } => self.say(
                Voice::Plain,
                &format!(
                    "'{name}': {} deletes keys when its memory is full, locks too; set its maxmemory-policy to noeviction",
                    self.instance(*instance)
                ),
            ),
            Notice::Joined { instance } => {
                self.say(Voice::Verbose, &format!("'{name}': {} counts", self.instance(*instance)));
            }
            Notice::Unconfirmed { instance, answer } => self.say(
                Voice::Verbose,
                &format!("'{name}': {} did not extend: {}", self.instance(*instance), extension(answer)),
            ),
            Notice::Stopping(loss) => {
                self.say(Voice::Plain, &format!("losing '{name}': {}; stopping the command", reason(*loss)));
            }
            Notice::Lost(loss) => {
                self.say(Voice::Plain, &format!("lost '{name}': {}; the command goes on without it", reason(*loss)));
            }
            Notice::Overtime => self.say(Voice::Plain, &format!("'{name}': --max-runtime is over; stopping the command")),
            Notice::Killing => self.say(Voice::Verbose, &format!("'{name}': killing the command")),
            Notice::Untouchable { pid } => self.say(
                Voice::Plain,
                &format!("'{name}': process {pid} of the command cannot be killed by this user; kill it by hand"),
            ),
            Notice::ReleaseIncomplete(answers) => self.say(
                Voice::Plain,
                &format!(
                    "released '{name}' on too few instances, so it stays busy for up to its ttl: {}",
                    self.releases(answers)
                ),
            ),
        }
    }

    /// Says how the run ended, where the exit code alone would not do.
    pub(super) fn end(&self, outcome: &Outcome, busy_code: u8) -> Exit {
        if let Some(text) = self.last_words(outcome) {
            self.say(Voice::Plain, &text);
        }
        outcome.exit(busy_code)
    }

    /// Says what a wait is for.
    fn waiting(&self, blocker: &Blocker, place: Option<u32>) {
        let name = &self.name;
        match blocker {
            Blocker::Holder(holder) => {
                let place = place.map(|before| format!(", {} in line", ordinal(before.saturating_add(1))));
                let other = holder.as_ref().and_then(|holder| self.other_slots(holder)).unwrap_or_default();
                let holder = described(holder.as_ref());
                self.say_live(&format!("waiting for '{name}', held by {holder}{}{other}", place.unwrap_or_default()));
            }
            Blocker::Instances(votes) => {
                self.say_live(&format!("waiting for '{name}', no quorum: {}", self.votes(votes)));
            }
        }
    }

    /// What to say of a holder that counts on another number of slots.
    fn other_slots(&self, holder: &Sighting) -> Option<String> {
        let theirs = Claim::parse(&holder.value)?.slots;
        (theirs != self.slots).then(|| {
            format!("; it counts on {theirs} slots and this run on {}, so give both the same --slots", self.slots)
        })
    }

    fn last_words(&self, outcome: &Outcome) -> Option<String> {
        let name = &self.name;
        Some(match outcome {
            Outcome::Ended(_) | Outcome::Interrupted(_) | Outcome::Overtime => return None,
            Outcome::Busy(_) if self.skips => return None,
            Outcome::Busy(holder) => {
                let other = holder.as_ref().and_then(|holder| self.other_slots(holder)).unwrap_or_default();
                format!("'{name}' is busy, held by {}{other}", described(holder.as_ref()))
            }
            Outcome::NoQuorum(votes) => format!("no quorum for '{name}': {}", self.votes(votes)),
            Outcome::Refused(_, votes) => format!("the instances refuse '{name}': {}", self.votes(votes)),
            Outcome::SameServer(one, other) => self.same_server(*one, *other),
            Outcome::Lost(loss) => format!("lost '{name}': {}", reason(*loss)),
            Outcome::CannotRun(SpawnError::NotFound) => format!("cannot run '{}': not found", self.program),
            Outcome::CannotRun(SpawnError::CannotExecute(errno)) => {
                format!("cannot run '{}': {}", self.program, system(*errno))
            }
            Outcome::Failed(Fault::GuardianLost) => {
                format!("the guardian of '{name}' was killed; the command was stopped")
            }
        })
    }

    fn votes(&self, votes: &[Option<Vote>]) -> String {
        let is_answer = |vote: &&Vote| !matches!(vote, Vote::Unknown(Unknown::TimedOut | Unknown::Unreachable(_)));
        let answered = votes.iter().flatten().filter(is_answer).count();
        let each = self.each(votes, |vote| match vote {
            None => Some("not waited for".into()),
            Some(Vote::Granted) => None,
            Some(Vote::Denied) => Some("busy".into()),
            Some(Vote::Unknown(why)) => Some(unknown(why)),
        });
        format!("{answered} of {} instances answered, {} must grant; {each}", votes.len(), self.quorum)
    }

    fn releases(&self, answers: &[Option<Release>]) -> String {
        self.each(answers, |answer| match answer {
            Some(Release::Done(_) | Release::Nothing) => None,
            Some(Release::Unknown(why)) => Some(unknown(why)),
            Some(Release::Written) | None => Some("timed out".into()),
        })
    }

    fn each<T>(&self, answers: &[T], words: impl Fn(&T) -> Option<String>) -> String {
        let each = answers.iter().enumerate().filter_map(|(instance, answer)| {
            words(answer).map(|words| format!("{}: {}", self.instance(instance), safe(&words)))
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

    fn instance(&self, number: usize) -> &str {
        self.instances.get(number).map_or("an instance", String::as_str)
    }

    fn say(&self, at: Voice, text: &str) {
        if self.voice >= at {
            self.write(&format!("{} {text}\n", self.prefix()));
        }
    }

    /// Says something that the next line takes the place of, where that can be.
    fn say_live(&self, text: &str) {
        if self.mention() == Mention::News {
            return self.say(Voice::Plain, text);
        }
        // Without wrapping: a line that wrapped could not be taken back.
        self.write(&format!("\u{1b}[?7l{} {text}\u{1b}[?7h", self.prefix()));
        self.has_line.set(true);
    }

    fn clear_line(&self) {
        if self.has_line.get() {
            self.write("");
        }
    }

    fn write(&self, text: &str) {
        let clear = if self.has_line.replace(false) { "\r\u{1b}[K" } else { "" };
        // One write, so that lines of several processes do not mix. A full disk is no reason to stop holding a lock.
        let _ = io::stderr().write_all(format!("{clear}{text}").as_bytes());
    }

    const fn prefix(&self) -> &str {
        if self.is_colored { "\u{1b}[1mredlock:\u{1b}[0m" } else { "redlock:" }
    }
}

fn wants_color(color: Option<Color>) -> bool {
    match color.unwrap_or(Color::Auto) {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stderr().is_terminal(),
    }
}
