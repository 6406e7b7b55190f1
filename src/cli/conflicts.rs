//! Options that exclude each other: a flag overrides the variable of the other option, and two
//! flags are an error. So is an option in the place of a text.

use super::args::{Command, OutputArgs, PatienceArgs, RunArgs};
use super::error::CliError;
use super::values::IfBusy;
use anyhow::anyhow;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args as _};

/// Keeps the typed one of each pair that is set. Two typed ones are an error.
pub(super) fn settle(command: &mut Command, matches: &ArgMatches) -> Result<(), CliError> {
    let Some((_, matches)) = matches.subcommand() else { return Ok(()) };
    match command {
        Command::Run(args) => {
            wait_limit(&mut args.wait, matches)?;
            output(&mut args.output, matches)?;
            reason(args.lock.reason.as_deref(), matches)?;
            prefix(args.lock.key.as_ref(), &mut args.lock.prefix, matches)
        }
        Command::Wait(args) => {
            output(&mut args.output, matches)?;
            prefix(args.key.as_ref(), &mut args.holders.prefix, matches)
        }
        Command::Status(args) => {
            output(&mut args.output, matches)?;
            prefix(args.key.as_ref(), &mut args.holders.prefix, matches)
        }
        Command::ForceRelease(args) => {
            output(&mut args.output, matches)?;
            prefix(args.key.as_ref(), &mut args.holders.prefix, matches)
        }
        Command::List(args) => output(&mut args.output, matches),
        Command::Doctor(args) => output(&mut args.output, matches),
        Command::Check(args) => {
            output(&mut args.output, matches)?;
            prefix(args.key.as_ref(), &mut args.holders.prefix, matches)
        }
        Command::Acquire(args) => {
            wait_limit(&mut args.wait, matches)?;
            output(&mut args.output, matches)?;
            reason(args.lock.reason.as_deref(), matches)?;
            prefix(args.lock.key.as_ref(), &mut args.lock.prefix, matches)
        }
        Command::Hold(args) => {
            wait_limit(&mut args.wait, matches)?;
            output(&mut args.output, matches)?;
            reason(args.lock.reason.as_deref(), matches)?;
            prefix(args.lock.key.as_ref(), &mut args.lock.prefix, matches)
        }
        Command::Extend(args) => output(&mut args.output, matches),
        Command::Release(args) => output(&mut args.output, matches),
        Command::Sandbox(_) | Command::Completions(_) => Ok(()),
    }
}

/// Whether the first of two options that are both set goes before the second.
fn keep_first(matches: &ArgMatches, first: &str, second: &str) -> Result<bool, CliError> {
    let typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    match (typed(first), typed(second)) {
        (true, false) => Ok(true),
        (false, true) => Ok(false),
        _ => {
            let flag = |id: &str| format!("--{}", id.replace('_', "-"));
            Err(CliError::usage(anyhow!(
                "{} cannot be used with {}; give one of them",
                flag(first),
                flag(second)
            )))
        }
    }
}

fn wait_limit(args: &mut PatienceArgs, matches: &ArgMatches) -> Result<(), CliError> {
    if args.nonblock && args.wait.is_some() {
        if keep_first(matches, "nonblock", "wait")? {
            args.wait = None;
        } else {
            args.nonblock = false;
        }
    }
    if args.if_busy == Some(IfBusy::Skip) && args.conflict_exit_code.is_some() {
        if keep_first(matches, "if_busy", "conflict_exit_code")? {
            args.conflict_exit_code = None;
        } else {
            // Only the exit code conflicts; the wish not to wait stays.
            args.if_busy = Some(IfBusy::Fail);
        }
    }
    Ok(())
}

fn output(args: &mut OutputArgs, matches: &ArgMatches) -> Result<(), CliError> {
    if args.quiet && args.verbose {
        let quiet = keep_first(matches, "quiet", "verbose")?;
        (args.quiet, args.verbose) = (quiet, !quiet);
    }
    Ok(())
}

/// `--key` reads no variable, so it was typed.
fn prefix(
    key: Option<&String>,
    prefix: &mut Option<String>,
    matches: &ArgMatches,
) -> Result<(), CliError> {
    if key.is_some() && prefix.is_some() && keep_first(matches, "key", "prefix")? {
        *prefix = None;
    }
    Ok(())
}

/// Refuses a reason that is spelt like an option: its text is missing, and `--reason $EMPTY --ttl
/// 5s` would lock `5s`. Any other reason may begin with a hyphen.
fn reason(reason: Option<&str>, matches: &ArgMatches) -> Result<(), CliError> {
    let typed = |_: &&str| matches.value_source("reason") == Some(ValueSource::CommandLine);
    let Some(text) = reason.filter(|text| text.starts_with('-')).filter(typed) else {
        return Ok(());
    };
    let run = RunArgs::augment_args(clap::Command::new("run"));
    let long = text.strip_prefix("--").map(|long| long.split('=').next().unwrap_or(long));
    let is_it = |option: &Arg| {
        let short = option.get_short().map(|short| format!("-{short}"));
        long.is_some_and(|long| option.get_long() == Some(long))
            || short.is_some_and(|short| short == text)
    };
    match run.get_arguments().find(|option| is_it(option)) {
        None if text != "--" => Ok(()),
        _ => Err(CliError::usage(anyhow!(
            "--reason lacks its text: what follows is an option; give the text in quotes"
        ))),
    }
}
