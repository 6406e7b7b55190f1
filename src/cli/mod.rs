//! The command line: what was typed, what is meant, and what is said.

mod args;
mod completions;
mod config;
mod correction;
mod duration;
mod holder;
mod name;
mod plan;
mod refusal;
mod report;
mod run;
mod sandbox;

pub use args::Cli;
use args::Command;
use clap::Parser as _;
use refusal::Refusal;
use report::Report;

use crate::policy::Exit;
use std::ffi::OsString;

/// Does what the command line says.
#[must_use]
pub fn main() -> Exit {
    let line: Vec<OsString> = std::env::args_os().collect();
    let result = match Cli::try_parse_from(&line) {
        Ok(Cli { command: Command::Run(args) }) => run::main(*args, &line),
        Ok(Cli { command: Command::Sandbox(args) }) => sandbox::main(args),
        Ok(Cli { command: Command::Completions(args) }) => Ok(completions::main(&args)),
        Err(error) => Err(Refusal::typed(&error, &line)),
    };
    result.unwrap_or_else(|refusal| Report::plain().refuse(&refusal))
}
