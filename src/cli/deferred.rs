//! The options of a subcommand, made only when it is called: making those of all four is a thirtieth of what a run adds.

use clap::builder::Resettable;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, Id};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// Arguments of which `clap` learns when it needs to.
#[derive(Debug)]
pub(super) struct Deferred<T>(pub(super) Box<T>);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| without_empty(T::augment_args(command)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(T::augment_args_for_update)
    }
}

/// `command`, whose options do not see variables that are empty: a CI system sets them so where somebody has left them out.
fn without_empty(command: Command) -> Command {
    let is_empty = |(name, value): (OsString, OsString)| value.is_empty() && name.as_bytes().starts_with(b"REDLOCK_");
    if !std::env::vars_os().any(is_empty) {
        return command;
    }
    let sees_empty = |arg: &&Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let blind: Vec<Id> = command.get_arguments().filter(sees_empty).map(|arg| arg.get_id().clone()).collect();
    blind.into_iter().fold(command, |command, id| command.mut_arg(id, |arg| arg.env(Resettable::Reset)))
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(Self(Box::new(T::from_arg_matches(matches)?)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
