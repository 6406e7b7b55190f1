//! The only place that prints: everything goes to stderr, and begins with `redlock: `.

use super::args::{Color, OutputArgs};
use super::duration::shown;
use super::holder::{described, safe};
use super::plan::Plan;
use super::refusal::Refusal;
use crate::lock::{Extension, Release, Unknown, Vote};
use crate::policy::{Blocker, Exit, Fault, Loss, Notice, Outcome, SpawnError};
use std::io::{self, IsTerminal as _, Write as _};

/// How much is said.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Voice {
    Quiet,
    Plain,
    Verbose,
}

/// Says what happens.
#[derive(Debug)]
pub(super) struct Report {
    voice: Voice,
    is_colored: bool,
    name: String,
    program: String,
    instances: Vec<String>,
    quorum: usize,
}

impl Report {
    /// A report before anything is known.
    pub(super) fn plain() -> Self {
        Self {
            voice: Voice::Plain,
            is_colored: wants_color(None),
            name: String::new(),
            program: String::new(),
            instances: vec![],
            quorum: 0,
        }
    }

    /// A report as `output` wants it, on this plan.
    pub(super) fn new(output: OutputArgs, plan: &Plan) -> Self {
        let voice = match (output.quiet, output.verbose) {
            (true, _) => Voice::Quiet,
            (false, true) => Voice::Verbose,
            (false, false) => Voice::Plain,
        };
        Self {
            voice,
            is_colored: wants_color(output.color),
            name: safe(plan.name.as_str()),
            program: plan.argv.first().map(|program| safe(&program.to_string_lossy())).unwrap_or_default(),
            instances: plan.endpoints.iter().map(ToString::to_string).collect(),
            quorum: plan.size.quorum(),
        }
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
            Notice::Waiting(Blocker::Holder(holder)) => {
                self.say(Voice::Plain, &format!("waiting for '{name}', held by {}", described(holder.as_ref())));
            }
            Notice::Waiting(Blocker::Instances(votes)) => {
                self.say(Voice::Plain, &format!("waiting for '{name}', no quorum: {}", self.votes(votes)));
            }
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

    fn last_words(&self, outcome: &Outcome) -> Option<String> {
        let name = &self.name;
        Some(match outcome {
            Outcome::Ended(_) | Outcome::Interrupted(_) | Outcome::Overtime => return None,
            Outcome::Busy(holder) => format!("'{name}' is busy, held by {}", described(holder.as_ref())),
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
        if self.voice < at {
            return;
        }
        let prefix = if self.is_colored { "\u{1b}[1mredlock:\u{1b}[0m" } else { "redlock:" };
        // One write, so that lines of several processes do not mix. A full disk is no reason to stop holding a lock.
        let _ = io::stderr().write_all(format!("{prefix} {text}\n").as_bytes());
    }
}

fn wants_color(color: Option<Color>) -> bool {
    match color.unwrap_or(Color::Auto) {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && io::stderr().is_terminal(),
    }
}

fn reason(loss: Loss) -> &'static str {
    match loss {
        Loss::Silence => "too few instances confirmed it in time",
        Loss::Taken => "too few instances still have the key",
        Loss::Overrun => "the command ended after the lock had expired",
    }
}

fn extension(answer: &Extension) -> String {
    match answer {
        Extension::Kept => "kept".into(),
        Extension::SetAgain => "the key was missing and was set again".into(),
        Extension::Missing => "the key is missing and could not be set again".into(),
        Extension::Foreign => "the key is somebody else's".into(),
        Extension::Unknown(why) => safe(&unknown(why)),
    }
}

fn unknown(why: &Unknown) -> String {
    match why {
        Unknown::TimedOut => "timed out".into(),
        Unknown::Unreachable(text) | Unknown::Transient(text) | Unknown::Refused(_, text) => text.clone(),
        Unknown::Restarted { up, votes_in } => {
            format!("restarted {} ago, votes again in {}", shown(*up), shown(*votes_in))
        }
    }
}

/// The system's words for an error number, without the number.
fn system(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
