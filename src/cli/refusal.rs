//! A command line or configuration that redlock does not act on: one sentence and an exit code.

use super::correction;
use super::holder::safe;
use super::words::system;
use crate::policy::code;
use anyhow::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::{OsStr, OsString};

/// Why redlock does nothing.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u8,
    pub(super) error: Error,
    /// Text that is the answer and not a fault: help or a version.
    pub(super) is_answer: bool,
}

impl Refusal {
    pub(super) fn usage(error: impl Into<Error>) -> Self {
        Self { code: code::USAGE, error: error.into(), is_answer: false }
    }

    pub(super) fn config(error: impl Into<Error>) -> Self {
        Self { code: code::CONFIG, error: error.into(), is_answer: false }
    }

    pub(super) fn failed(error: impl Into<Error>) -> Self {
        Self { code: code::FAILED, error: error.into(), is_answer: false }
    }

    /// A program that the system refuses to run, with its error number.
    pub(super) fn cannot_run(program: &OsStr, errno: i32) -> Self {
        let is_missing = errno == nix::libc::ENOENT;
        let why = if is_missing { "not found".to_owned() } else { system(errno) };
        let error = Error::msg(format!("cannot run '{}': {why}", safe(&program.to_string_lossy())));
        let code = if is_missing { code::NOT_FOUND } else { code::CANNOT_EXECUTE };
        Self { code, error, is_answer: false }
    }

    /// What clap says of `line`.
    pub(super) fn typed(error: &clap::Error, line: &[OsString]) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Self { code: 0, error: Error::msg(error.render().to_string()), is_answer: true }
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Self::usage(Error::msg(
                "missing what to do; write: redlock run [OPTIONS] [NAME] -- COMMAND [ARG...], or see 'redlock --help'",
            )),
            ErrorKind::UnknownArgument if is_word(error) => match correction::with_dashes(line) {
                Some(corrected) => Self::usage(missing_dashes(&corrected)),
                None => Self::usage(Error::msg(one_line(error, line))),
            },
            _ => Self::usage(Error::msg(one_line(error, line))),
        }
    }
}

/// What to say of a line without `--`.
pub(super) fn missing_dashes(corrected: &str) -> Error {
    Error::msg(format!("missing '--' before the command; write: {corrected}"))
}

/// Whether clap stumbled over a word that is no flag.
fn is_word(error: &clap::Error) -> bool {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => !word.starts_with('-'),
        _ => false,
    }
}

/// The first paragraph of clap's message, and its tips, in one line. It may quote what was typed, but no password.
fn one_line(error: &clap::Error, typed: &[OsString]) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    // A '--' before what is no option here would begin the command.
    let is_of_use = |line: &&str| !line.is_empty() && !line.starts_with("tip: to pass");
    let joined: Vec<&str> = lines.map(str::trim).filter(is_of_use).collect();
    let joined = joined.join("; ").replace("provided:;", "provided:");
    let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
    let words = typed.iter().map(|word| word.to_string_lossy().into_owned());
    let joined = words.chain(value.clone()).fold(joined, |text, word| {
        // The value of `--flag=value` is quoted alone.
        let value = word.split_once('=').map_or(word.as_str(), |(_, value)| value);
        text.replace(&word, &correction::discreet(&word)).replace(value, &correction::discreet(value))
    });
    let is_typed = |value: &str| typed.iter().any(|word| word.to_string_lossy().contains(value));
    let source = match (value, error.get(ContextKind::InvalidArg)) {
        // Only a variable can have set it then.
        (Some(value), Some(arg)) if !is_typed(&value) => variable(&arg.to_string()),
        _ => String::new(),
    };
    let subcommands = ["run", "wait", "sandbox", "completions"];
    let subcommand = typed.get(1).and_then(|word| subcommands.into_iter().find(|known| word == known));
    let help = subcommand.map_or("redlock --help".into(), |subcommand| format!("redlock {subcommand} --help"));
    format!("{}{source}; see '{help}'", joined.trim_end_matches(';'))
}

/// Where the value of an option such as `--wait <LENGTH>` comes from that was not typed.
fn variable(option: &str) -> String {
    let name = option.trim_start_matches('-').split(' ').next().unwrap_or_default();
    format!("; it comes from REDLOCK_{}", name.replace('-', "_").to_uppercase())
}
