//! clap's errors as those of redlock: one sentence, with the corrected line if there is one.

use super::args::Cli;
use super::error::CliError;
use super::missing_dashes;
use anyhow::Error;
use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// A line in which `help` is an option, as clap knows it: `help VERB` is `VERB --help`.
pub(super) fn with_answers(line: &[OsString]) -> Vec<OsString> {
    match line {
        [program, help, rest @ ..] if help == "help" => {
            let verb = rest.iter().take(1).cloned();
            std::iter::once(program.clone()).chain(verb).chain(["--help".into()]).collect()
        }
        _ => line.to_vec(),
    }
}

/// The error of redlock for clap's error about `line`.
pub(super) fn usage_error(error: &clap::Error, line: &[OsString]) -> CliError {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            CliError { code: 0, error: Error::msg(error.render().to_string()), is_answer: true }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => CliError::usage(Error::msg(
            "missing what to do; write: redlock run [OPTIONS] [NAME] -- COMMAND [ARG...], or see 'redlock --help'",
        )),
        ErrorKind::UnknownArgument if is_word(error) => match missing_dashes::with_dashes(line) {
            Some(corrected) => CliError::usage(missing_dashes::error(&corrected)),
            None => CliError::usage(Error::msg(one_line(error, line))),
        },
        _ => CliError::usage(Error::msg(one_line(error, line))),
    }
}

/// Whether clap stumbled over a word that is no flag.
fn is_word(error: &clap::Error) -> bool {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => !word.starts_with('-'),
        _ => false,
    }
}

/// The first paragraph of clap's message, and its tips, in one line. It may quote the command
/// line, but no password.
fn one_line(error: &clap::Error, typed: &[OsString]) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    // The tip puts '--' before the unknown word, which would begin the command there.
    let is_of_use = |line: &&str| !line.is_empty() && !line.starts_with("tip: to pass");
    let joined: Vec<&str> = lines.map(str::trim).filter(is_of_use).collect();
    let joined = joined.join("; ").replace("provided:;", "provided:");
    let words: Vec<String> = typed.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
    let quoted = words.iter().cloned().zip(missing_dashes::discreet(&words));
    let unseen = value.iter().cloned().zip(missing_dashes::discreet(value.as_slice()));
    let joined = quoted.chain(unseen).fold(joined, |text, (word, shown)| {
        let text = text.replace(&word, &shown);
        // The value of `--flag=value` is quoted alone.
        match (word.split_once('='), shown.split_once('=')) {
            (Some((_, value)), Some((_, shown))) => text.replace(value, shown),
            _ => text,
        }
    });
    let mut command = Cli::command();
    command.build();
    let subcommand = words.get(1).and_then(|word| command.find_subcommand(word));
    let source =
        value.filter(|value| !is_typed(value, &words)).zip(error.get(ContextKind::InvalidArg));
    let source = source.and_then(|(value, option)| {
        let variable = variable(subcommand?, &option.to_string())?;
        // An option without its value has one that is nowhere.
        std::env::var_os(&variable)
            .is_some_and(|set| *set.to_string_lossy() == *value)
            .then_some(variable)
    });
    let source = source.map(|variable| format!("; it comes from {variable}")).unwrap_or_default();
    let help = subcommand
        .map_or("redlock".into(), |subcommand| format!("redlock {}", subcommand.get_name()));
    format!("{}{source}; see '{help} --help'", joined.trim_end_matches(';'))
}

/// Whether this value of an option is in the line, and not only in the command's own part of it.
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
