//! `redlock __complete WORD…`: the words that the shells offer in place of the last word, if that
//! is the name of a lock or the id of a holder. Servers that take longer than a quarter of a second
//! give no words.
//!
//! The scripts of `redlock completions` call this verb; it is not in the help.

use super::args::{Cli, Command, ListArgs};
use super::config::Config;
use super::env::Environment;
use super::report::Report;
use super::runtime::ask_servers;
use super::servers::Servers;
use crate::instance::{Inspector, KeyPattern};
use crate::lock::{Inventory, Listed, ListedState, LockValue, Wanted};
use crate::policy::Exit;
use crate::supervisor;
use clap::{Arg, CommandFactory as _, FromArgMatches as _};
use std::cell::RefCell;
use std::ffi::OsString;
use std::time::Duration;

/// The hidden verb.
pub(super) const WORD: &str = "__complete";
/// Time limit for the answers of the servers.
const LONGEST: Duration = Duration::from_millis(220);
/// Verbs whose NAME is that of a held lock.
const VERBS: [&str; 4] = ["status", "force-release", "wait", "check"];

/// Kind of the word to complete.
#[derive(Clone, Debug, Eq, PartialEq)]
enum WordKind {
    /// The name of a lock.
    Name,
    /// The id of the holder of one of these locks, or of any.
    Id(Vec<String>),
}

/// Prints the possible values of the last of `words`, one a line. `words` are those after
/// `redlock`.
pub(super) fn main(words: &[OsString]) -> Exit {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let offered = kind(&words).and_then(|kind| offers(&words, &kind)).unwrap_or_default();
    Report::plain(None).answer(&offered.into_iter().map(|word| word + "\n").collect::<String>())
}

/// The kind of the last of `words`, if only the servers know its possible values.
fn kind(words: &[String]) -> Option<WordKind> {
    let (last, before) = words.split_last()?;
    let (verb, before) = before.split_first()?;
    VERBS.contains(&verb.as_str()).then_some(())?;
    let command = Cli::command();
    let command = command.find_subcommand(verb)?;
    let (mut pending, mut names): (Option<&Arg>, Vec<String>) = (None, vec![]);
    for word in before {
        if let Some(option) = pending.take() {
            if option.get_long() == Some("lock") {
                names.push(word.clone());
            }
        } else if let Some(options) = word.strip_prefix('-').filter(|options| !options.is_empty()) {
            pending = awaits_value(command, options);
        } else {
            names.push(word.clone());
        }
    }
    match pending.and_then(Arg::get_long) {
        Some("id") => Some(WordKind::Id(names)),
        Some("lock") => Some(WordKind::Name),
        None if !last.starts_with('-') && pending.is_none() => Some(WordKind::Name),
        _ => None,
    }
}

/// The option whose value is the next word. `options` is the word without its first hyphen:
/// letters, or a long option.
fn awaits_value<'a>(command: &'a clap::Command, options: &str) -> Option<&'a Arg> {
    let takes = |arg: &&Arg| arg.get_action().takes_values();
    if let Some(long) = options.strip_prefix('-') {
        return command.get_arguments().find(|arg| arg.get_long() == Some(long)).filter(takes);
    }
    let find = |letter: char| command.get_arguments().find(|arg| arg.get_short() == Some(letter));
    let (at, first) =
        options.char_indices().find_map(|(at, letter)| Some((at, find(letter).filter(takes)?)))?;
    // Letters behind the option are its value already.
    options.get(at..).is_some_and(|rest| rest.chars().count() == 1).then_some(first)
}

/// The words to offer. `None` after any error.
fn offers(words: &[String], kind: &WordKind) -> Option<Vec<String>> {
    let args = options(words)?;
    let mut warnings = vec![];
    let config = Config::load(args.instances.config.as_deref(), &mut warnings).ok()?;
    let around = Environment::read().ok()?;
    let servers =
        Servers::named(&args.instances, args.holders.ttl, &config, &around, &mut warnings).ok()?;
    let prefix = config.prefix(args.holders.prefix.as_deref());
    let mut offered: Vec<String> = locks(&servers, prefix)?
        .iter()
        .filter_map(|lock| {
            let name = name(lock, prefix)?;
            match kind {
                WordKind::Name => Some(name),
                WordKind::Id(names) if names.is_empty() || names.contains(&name) => {
                    Some(Wanted::word(&lock.value))
                }
                WordKind::Id(_) => None,
            }
        })
        .filter(|word| !word.chars().any(char::is_control))
        .collect();
    offered.sort_unstable();
    offered.dedup();
    Some(offered)
}

/// The options of the line that name the servers and the locks. Other options are ignored.
fn options(words: &[String]) -> Option<ListArgs> {
    let (_, words) = words.split_last()?;
    let line = ["redlock", "list"].into_iter().chain(words.iter().skip(1).map(String::as_str));
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(line).ok()?;
    match Cli::from_arg_matches(&matches).ok()?.command {
        Command::List(args) => Some(*args),
        _ => None,
    }
}

/// All locks that are held, if a quorum lists them in time.
fn locks(servers: &Servers, prefix: &str) -> Option<Vec<Listed>> {
    let pattern = KeyPattern::new(prefix, "*");
    let inventory = RefCell::new(Inventory::new(servers.size));
    let question = async |instance: usize, mut server: Inspector| {
        server.list(&pattern, |key| inventory.borrow_mut().add(instance, key)).await?;
        inventory.borrow_mut().complete(instance);
        Ok(())
    };
    let limit = servers.schedule.op_timeout().min(LONGEST);
    let answers =
        ask_servers(supervisor::survey(&servers.endpoints, (limit, LONGEST), question)).ok()?;
    let answered = answers.iter().filter(|answer| answer.result.is_ok()).count();
    let mut locks = (answered >= servers.size.quorum()).then(|| inventory.into_inner().locks())?;
    locks.retain(|lock| lock.state != ListedState::Remnant);
    Some(locks)
}

/// The name of a lock, without the number of its slot.
fn name(lock: &Listed, prefix: &str) -> Option<String> {
    let name = lock.key.strip_prefix(prefix)?;
    let has_slots = LockValue::parse(&lock.value).is_some_and(|value| value.slots > 1);
    let without = name.rsplit_once('#').filter(|_| has_slots).map(|(name, _)| name);
    Some(without.unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_a_name_an_id_or_of_no_concern() {
        let id =
            |names: &[&str]| Some(WordKind::Id(names.iter().map(|name| (*name).into()).collect()));
        for (line, expected) in [
            ("", None),
            ("status", None),
            ("status ", Some(WordKind::Name)),
            ("status a dep", Some(WordKind::Name)),
            ("status -", None),
            ("status --slots ", None),
            ("status --slots 3 ", Some(WordKind::Name)),
            ("status --slots=3 ", Some(WordKind::Name)),
            ("status -v ", Some(WordKind::Name)),
            ("status -vu ", None),
            ("status -uhost ", Some(WordKind::Name)),
            ("status -l ", Some(WordKind::Name)),
            ("wait -w ", None),
            ("force-release deploy --id ", id(&["deploy"])),
            ("force-release -l b --yes a --id 4", id(&["b", "a"])),
            ("force-release --id ", id(&[])),
            ("force-release --reason ", None),
            ("run ", None),
            ("check ", Some(WordKind::Name)),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(kind(&words), expected, "{line:?}");
        }
    }

    #[test]
    fn the_options_of_a_line_that_is_not_finished_are_understood() {
        let words =
            ["force-release", "-u", "h1", "--prefix=x:", "a", "--id", ""].map(str::to_owned);
        let args = options(&words).unwrap();
        assert_eq!(args.holders.prefix.as_deref(), Some("x:"));
    }
}
