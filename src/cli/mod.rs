//! The command line: arguments, plans, and messages.

mod acquire;
mod args;
mod check;
mod complete;
mod completions;
mod config;
mod conflicts;
mod doctor;
mod duration;
mod endpoints;
mod env;
mod error;
mod extend;
mod force_release;
#[cfg(test)]
mod fuzz;
mod handle;
mod handle_text;
mod hold;
mod json;
mod list;
mod missing_dashes;
mod name;
mod nearest;
mod outer;
mod outer_check;
mod plan;
mod record;
mod release;
mod report;
mod run;
mod runtime;
mod sandbox;
mod seen;
mod server_inputs;
mod servers;
mod shell_words;
mod status;
mod still_held;
mod synonyms;
mod tls;
mod typed_password;
mod usage_error;
mod values;
mod variables;
mod wait;
mod warnings;

pub use args::Cli;
use args::{Command, OutputArgs};
use clap::builder::Resettable;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Id};
use error::CliError;
use report::Report;

use crate::policy::Exit;
use crate::supervisor::{self, GuardianHandle};
use anyhow::Context as _;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// Carries out the command of this process.
#[must_use]
pub fn main() -> Exit {
    let line: Vec<OsString> = std::env::args_os().collect();
    if let [_, word, words @ ..] = line.as_slice()
        && word == complete::WORD
    {
        return complete::main(words);
    }
    // The guardian is split off first, since a fork costs more with each page that this process has
    // written before.
    let early = line.get(1).is_some_and(|word| word == "run").then(guard);
    let TypedLine { command, mut warnings } = match parse(&line) {
        Ok(typed) => typed,
        Err(refusal) => {
            early.into_iter().flatten().for_each(GuardianHandle::let_go);
            return Report::plain(None).refuse(&refusal);
        }
    };
    warnings.extend(typed_password::hide(&command));
    let output = output(&command);
    let result = match command {
        Command::Run(args) => run::main(*args, &line, early.unwrap_or_else(guard), &mut warnings),
        Command::Wait(args) => wait::main(*args, &mut warnings),
        Command::Status(args) => status::main(&args, &mut warnings),
        Command::List(args) => list::main(&args, &mut warnings),
        Command::ForceRelease(args) => force_release::main(&args, &mut warnings),
        Command::Doctor(args) => doctor::main(&args, &mut warnings),
        Command::Check(args) => check::main(&args, &mut warnings),
        Command::Acquire(args) => acquire::main(*args, &mut warnings),
        Command::Extend(args) => extend::main(&args, &mut warnings),
        Command::Release(args) => release::main(&args, &mut warnings),
        Command::Hold(args) => hold::main(*args, &mut warnings),
        Command::Sandbox(args) => sandbox::main(*args),
        Command::Completions(args) => Ok(completions::main(&args)),
    };
    result.unwrap_or_else(|refusal| {
        let report = Report::plain(output.and_then(|output| output.color));
        // An unread variable may be the misspelt name of the missing setting.
        let warned = warnings.iter().filter(|_| output.is_some_and(|output| !output.quiet));
        warned.for_each(|text| report.warn(text));
        report.refuse(&refusal)
    })
}

/// The output options of the command, if it has them.
fn output(command: &Command) -> Option<OutputArgs> {
    match command {
        Command::Run(args) => Some(args.output),
        Command::Wait(args) => Some(args.output),
        Command::Status(args) => Some(args.output),
        Command::List(args) => Some(args.output),
        Command::ForceRelease(args) => Some(args.output),
        Command::Check(args) => Some(args.output),
        Command::Doctor(args) => Some(args.output),
        Command::Acquire(args) => Some(args.output),
        Command::Extend(args) => Some(args.output),
        Command::Release(args) => Some(args.output),
        Command::Hold(args) => Some(args.output),
        Command::Sandbox(_) | Command::Completions(_) => None,
    }
}

fn guard() -> Result<GuardianHandle, CliError> {
    supervisor::guard(None).context("cannot start the guardian").map_err(CliError::failed)
}

/// The parsed command line, and warnings about variables.
struct TypedLine {
    command: Command,
    warnings: Vec<String>,
}

fn parse(line: &[OsString]) -> Result<TypedLine, CliError> {
    let typed = |error: clap::Error| usage_error::usage_error(&error, line);
    let is_run = line.get(1).is_some_and(|word| word == "run");
    let mut options = without_empty(if is_run { args::run_alone() } else { Cli::command() });
    let matches =
        options.try_get_matches_from_mut(usage_error::with_answers(line)).map_err(typed)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(typed)?;
    conflicts::settle(&mut cli.command, &matches)?;
    Ok(TypedLine { command: cli.command, warnings: warnings::unread(&options) })
}

/// `command` without the variables that are empty: a CI system sets an empty variable for a setting
/// that was left out.
fn without_empty(command: clap::Command) -> clap::Command {
    let is_empty = |(name, value): (OsString, OsString)| {
        value.is_empty() && name.as_bytes().starts_with(b"REDLOCK_")
    };
    if !std::env::vars_os().any(is_empty) {
        return command;
    }
    let sees_empty =
        |arg: &&Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command.mut_subcommands(|subcommand| {
        let blind: Vec<Id> =
            subcommand.get_arguments().filter(sees_empty).map(|arg| arg.get_id().clone()).collect();
        blind
            .into_iter()
            .fold(subcommand, |command, id| command.mut_arg(id, |arg| arg.env(Resettable::Reset)))
    })
}
