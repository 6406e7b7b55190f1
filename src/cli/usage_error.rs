//! clap's errors as those of redlock: one sentence, with the corrected line if there is one.

use super::args::Cli;
use super::error::CliError;
use super::missing_dashes::{
    self, as_text, is_program, quoted, shown, with_dashes, with_run, with_run_for_verb,
};
use super::nearest::nearest;
use super::synonyms;
use anyhow::Error;
use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// A line in which `help` and `version` are options, as clap knows them.
pub(super) fn with_answers(line: &[OsString]) -> Vec<OsString> {
    let words = as_text(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let program = line.first().cloned().unwrap_or_default();
    match words.as_slice() {
        [_, "help"] => vec![program, "--help".into()],
        [_, "help", verb, ..] => vec![program, verb.into(), "--help".into()],
        [_, "version"] => vec![program, "--version".into()],
        _ => line.to_vec(),
    }
}

/// The error of redlock for clap's error about `line`.
pub(super) fn usage_error(error: &clap::Error, line: &[OsString]) -> CliError {
    let mut command = Cli::command();
    command.build();
    let typed = Typed { words: as_text(line), line, command: &command };
    match error.kind() {
        ErrorKind::DisplayHelp if let Some(text) = typed.host_for_help() => {
            CliError::usage(Error::msg(text))
        }
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            CliError { code: 0, error: Error::msg(error.render().to_string()), is_answer: true }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => CliError::usage(Error::msg(
            "missing what to do; write: redlock run [OPTIONS] [NAME] -- COMMAND [ARG...], or see 'redlock --help'",
        )),
        kind => {
            let hint = match (kind, invalid(error)) {
                (ErrorKind::InvalidSubcommand, Some(word)) => Some(typed.no_verb(&word)),
                (ErrorKind::UnknownArgument, Some(word)) => Some(typed.unknown(&word)),
                (ErrorKind::InvalidValue | ErrorKind::ValueValidation, _) => {
                    error.get(ContextKind::InvalidValue).and_then(for_ever)
                }
                (ErrorKind::TooManyValues, Some(option)) => {
                    Some(format!("{option} takes no value; write it alone"))
                }
                (ErrorKind::MissingRequiredArgument, _) => typed.missing(error),
                _ => None,
            };
            CliError::usage(Error::msg(hint.unwrap_or_else(|| typed.one_line(error))))
        }
    }
}

/// The word that clap refused.
fn invalid(error: &clap::Error) -> Option<String> {
    let of = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    };
    of(ContextKind::InvalidArg).or_else(|| of(ContextKind::InvalidSubcommand))
}

/// The hint for a wait without a limit, which is the default.
fn for_ever(value: &ContextValue) -> Option<String> {
    let value = value.to_string();
    ["forever", "infinite", "infinity", "inf", "unlimited"].contains(&value.as_str()).then(|| {
        format!("'{value}' is no length; leave the option out for no limit, or write a length such as 30s or 1h30m")
    })
}

/// A line that clap refused.
struct Typed<'a> {
    words: Vec<String>,
    line: &'a [OsString],
    command: &'a clap::Command,
}

impl Typed<'_> {
    /// The verb of the line, if any.
    fn verb(&self) -> Option<&clap::Command> {
        self.words.get(1).and_then(|word| self.command.find_subcommand(word))
    }

    /// The command line in front of `--help` for the help of this verb.
    fn help(&self) -> String {
        let verb = self.verb();
        verb.map_or("redlock".into(), |verb| format!("redlock {}", verb.get_name()))
    }

    /// The hint for `-h HOST`, as redis-cli has it. `-h` prints the help, and a command that was
    /// typed would not run.
    fn host_for_help(&self) -> Option<String> {
        let at = self.words.iter().position(|word| word == "-h")?;
        let is_value = |word: &String| !word.starts_with('-');
        let host = self.words.get(at.saturating_add(1)).filter(|word| is_value(word));
        let runs =
            self.words.iter().position(|word| word == "--").is_some_and(|dashes| at < dashes);
        if host.is_none() && !runs {
            return None;
        }
        let host = host.map_or("HOST".to_owned(), |host| {
            shown(&["-u".to_owned(), host.clone()]).replace("-u ", "")
        });
        Some(format!("-h is --help and names no server; write --url {host}"))
    }

    /// The hint for a line whose first word is no verb of ours.
    fn no_verb(&self, word: &str) -> String {
        let verbs = self.command.get_subcommands().map(clap::Command::get_name);
        let lower = word.to_lowercase();
        let runs = self.words.iter().any(|word| word == "--");
        if self.words.get(1).is_some_and(|first| first == word) {
            let known = self.command.find_subcommand(&lower).map(clap::Command::get_name);
            let known = known.or_else(|| synonyms::verb(&lower));
            let near = || nearest(&lower, verbs, if lower.len() < 6 { 1 } else { 2 });
            let meant = known.or_else(|| if is_program(word) { None } else { near() });
            match meant {
                Some("run") => return self.renamed_to_run(word),
                Some(verb) if !runs => return self.renamed(word, verb),
                _ => {}
            }
            if !runs && let Some(advice) = synonyms::advice(&lower, self.command) {
                return format!("there is no verb {}; {advice}", quoted(word));
            }
        }
        match with_run(self.line) {
            Some(corrected) => format!("missing 'run'; write: {corrected}"),
            None => format!(
                "there is no verb {}; write: redlock run NAME -- COMMAND [ARG...], or see 'redlock --help'",
                quoted(word)
            ),
        }
    }

    fn renamed_to_run(&self, word: &str) -> String {
        let rest = shown(self.words.get(2..).unwrap_or_default());
        let bare =
            || format!("redlock run {} -- COMMAND", if rest.is_empty() { "NAME" } else { &rest });
        let corrected = with_run_for_verb(self.line).unwrap_or_else(bare);
        format!("there is no verb {}; write: {corrected}", quoted(word))
    }

    fn renamed(&self, word: &str, verb: &str) -> String {
        let rest = shown(self.words.get(2..).unwrap_or_default());
        let rest = match verb {
            "doctor" => String::new(),
            "status" | "wait" if rest.is_empty() => " NAME".to_owned(),
            _ if rest.is_empty() => rest,
            _ => format!(" {rest}"),
        };
        format!("there is no verb {}; write: redlock {verb}{rest}", quoted(word))
    }

    /// The hint for a verb that lacks a word.
    fn missing(&self, error: &clap::Error) -> Option<String> {
        let Some(ContextValue::Strings(lacking)) = error.get(ContextKind::InvalidArg) else {
            return None;
        };
        let [word] = lacking.as_slice() else { return None };
        let word = word.trim_start_matches('<').split('>').next().unwrap_or_default();
        Some(format!("missing the {word}; write: {} {word}", self.help()))
    }

    /// The hint for a word or an option that a verb does not have.
    fn unknown(&self, word: &str) -> String {
        let Some(verb) = self.verb() else { return self.option_without_verb(word) };
        let is_run = verb.get_name() == "run";
        let dashes = self.words.iter().any(|word| word == "--");
        if is_run
            && !dashes
            && let Some(corrected) = with_dashes(self.line)
        {
            let before = corrected.split(" -- ").next().unwrap_or_default();
            // A word with a hyphen counts only in front of the corrected `--`: behind it, it is an
            // option of the command.
            if !word.starts_with('-') || !before.split(' ').any(|before| before == word) {
                return format!("missing '--' before the command; write: {corrected}");
            }
        }
        if !word.starts_with('-') {
            return self.extra(word, is_run);
        }
        let help = self.help();
        let value = self.value(word);
        let advice = synonyms::option(word, value.as_deref(), verb)
            .or_else(|| negative(word))
            .or_else(|| near_option(word, verb).map(|option| format!("write {option}")));
        match advice {
            Some(advice) => format!("'{help}' has no option {}; {advice}", quoted(word)),
            None => format!("'{help}' has no option {}; see '{help} --help'", quoted(word)),
        }
    }

    /// The text for a word after the last one that the verb takes.
    fn extra(&self, word: &str, is_run: bool) -> String {
        let help = self.help();
        let shown = missing_dashes::redact_args(&["-u".to_owned(), word.to_owned()]).swap_remove(1);
        let names_servers = self.words.iter().any(|word| word == "-u" || word.starts_with("--url"));
        if word.contains(':') && names_servers {
            return format!(
                "'{shown}' is a word too many for one --url; write commas between servers"
            );
        }
        if is_run {
            return format!(
                "'{shown}' is a word too many: only one NAME stands before '--'; see '{help} --help'"
            );
        }
        format!("'{shown}' is a word too many; see '{help} --help'")
    }

    fn option_without_verb(&self, word: &str) -> String {
        if let Some(corrected) = with_run(self.line) {
            return format!("missing 'run'; write: {corrected}");
        }
        match word {
            "-v" => {
                "missing what to do; write: redlock --version, or redlock run -v [NAME] -- COMMAND"
                    .into()
            }
            "-?" | "--usage" | "-H" => {
                format!("there is no option {}; write: redlock --help", quoted(word))
            }
            _ => format!(
                "missing what to do; write: redlock run {} [NAME] -- COMMAND, or see 'redlock --help'",
                shown(self.words.get(1..).unwrap_or_default())
            ),
        }
    }

    /// The value that was typed for an unknown option, without a password.
    fn value(&self, flag: &str) -> Option<String> {
        let before = self.words.iter().take_while(|word| *word != "--");
        let words: Vec<&String> = before.collect();
        let at = words.iter().position(|word| word.split('=').next() == Some(flag))?;
        let word = words.get(at)?;
        let value = match word.split_once('=') {
            Some((_, value)) => value.to_owned(),
            None => words
                .get(at.saturating_add(1))
                .filter(|next| !next.starts_with('-'))?
                .as_str()
                .to_owned(),
        };
        Some(shown(&[value]))
    }

    /// The first paragraph of clap's message in one line. The message may quote the command line,
    /// but no password.
    fn one_line(&self, error: &clap::Error) -> String {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let lines = text
            .lines()
            .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
        // clap's tip puts `--` before the unknown word, where the command would begin.
        let is_of_use = |line: &&str| !line.is_empty() && !line.starts_with("tip: to pass");
        let joined: Vec<&str> = lines.map(str::trim).filter(is_of_use).collect();
        let joined = plain(&joined.join("; "));
        let words = &self.words;
        let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
        let quoted = words.iter().cloned().zip(missing_dashes::redact_args(words));
        let unseen = value.iter().cloned().zip(missing_dashes::redact_args(value.as_slice()));
        let joined = quoted.chain(unseen).fold(joined, |text, (word, shown)| {
            let text = text.replace(&word, &shown);
            // clap quotes the value of `--flag=value` alone.
            match (word.split_once('='), shown.split_once('=')) {
                (Some((_, value)), Some((_, shown))) => text.replace(value, shown),
                _ => text,
            }
        });
        let source =
            value.filter(|value| !is_typed(value, words)).zip(error.get(ContextKind::InvalidArg));
        let source = source.and_then(|(value, option)| {
            let variable = variable(self.verb()?, &option.to_string())?;
            // The value of an option without one is empty: the variable must have exactly this
            // value.
            std::env::var_os(&variable)
                .is_some_and(|set| *set.to_string_lossy() == *value)
                .then_some(variable)
        });
        let source =
            source.map(|variable| format!("; it comes from {variable}")).unwrap_or_default();
        format!("{}{source}; see '{} --help'", joined.trim_end_matches(';'), self.help())
    }
}

/// clap's words without its brackets, and a range as people write it.
fn plain(text: &str) -> String {
    let text = text.replace("provided:;", "provided:");
    let text = match text.split_once("; [possible values: ") {
        Some((before, values)) => {
            format!("{before}: expected one of {}", values.replacen(']', "", 1))
        }
        None => text,
    };
    match text.split_once(" is not in ").and_then(|(before, range)| {
        let (first, last) = range.split_once("..=")?;
        Some(format!(
            "{}expected a number from {first} to {last}",
            before.trim_end_matches(|c| c != ' ')
        ))
    }) {
        Some(range) => range,
        None => text,
    }
}

/// The hint for a number in place of an option.
fn negative(word: &str) -> Option<String> {
    let is_number = word.strip_prefix('-')?.starts_with(|c: char| c.is_ascii_digit());
    is_number.then(|| {
        "a length is not negative: write one such as 30s, or leave the option out to wait without a limit".to_owned()
    })
}

/// The option that a misspelt one was meant to be.
fn near_option(word: &str, verb: &clap::Command) -> Option<String> {
    let word = word.strip_prefix("--")?;
    let limit = if word.len() < 6 { 1 } else { 2 };
    nearest(word, verb.get_arguments().filter_map(clap::Arg::get_long), limit)
        .map(|long| format!("--{long}"))
}

/// Whether this value of an option is typed in the line before the `--`.
fn is_typed(value: &str, words: &[String]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| {
        let is_short = word.starts_with('-') && !word.starts_with("--");
        word == value
            || word.split_once('=').is_some_and(|(_, part)| part == value)
            || is_short && word.ends_with(value)
    })
}

/// The variable of an option that is shown as `--wait <LENGTH>`.
fn variable(subcommand: &clap::Command, option: &str) -> Option<String> {
    let long = option.trim_start_matches('-').split(' ').next()?;
    let option = subcommand.get_arguments().find(|argument| argument.get_long() == Some(long))?;
    Some(option.get_env()?.to_string_lossy().into_owned())
}
