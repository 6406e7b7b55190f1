//! What the value of an option can be, where it is one of a few words.

use super::duration;
use clap::ValueEnum;
use std::time::Duration;

/// What a lost lock means for the command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum OnLostArg {
    /// It is stopped before anybody else can have the lock.
    Stop,
    /// It goes on.
    Warn,
}

/// What a lock that is busy means.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum IfBusy {
    /// The command could not be run.
    Fail,
    /// The command is not needed: somebody else is at it.
    Skip,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What `--restart-guard` said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RestartGuardArg {
    Auto,
    Off,
    For(Duration),
}

impl RestartGuardArg {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => duration::parse(text)
                .map(Self::For)
                .map_err(|error| format!("{error}, or auto, or off")),
        }
    }
}
