//! The command line: what was typed, what is meant, and what is said.

mod args;
mod completions;
mod config;
mod correction;
mod duration;
mod holder;
mod instances;
mod name;
mod plan;
mod refusal;
mod report;
mod rivals;
mod run;
mod sandbox;
mod tls;
mod values;
mod wait;
mod words;

pub use args::Cli;
use args::Command;
use clap::{CommandFactory as _, FromArgMatches as _};
use refusal::Refusal;
use report::Report;

use crate::policy::Exit;
use std::ffi::OsString;

/// Does what the command line says.
#[must_use]
pub fn main() -> Exit {
    let line: Vec<OsString> = std::env::args_os().collect();
    let result = parse(&line).and_then(|command| match command {
        Command::Run(args) => run::main(*args, &line),
        Command::Wait(args) => wait::main(*args),
        Command::Sandbox(args) => sandbox::main(args),
        Command::Completions(args) => Ok(completions::main(&args)),
    });
    result.unwrap_or_else(|refusal| Report::plain().refuse(&refusal))
}

/// What was typed.
fn parse(line: &[OsString]) -> Result<Command, Refusal> {
    let typed = |error: clap::Error| Refusal::typed(&error, line);
    let matches = Cli::command().try_get_matches_from(line).map_err(typed)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(typed)?;
    if let (Command::Run(args), Some(matches)) = (&mut cli.command, matches.subcommand_matches("run")) {
        rivals::settle(args, matches)?;
    }
    Ok(cli.command)
}
