//! Options whose value is one of a few words.

use super::duration;
use clap::ValueEnum;
use std::time::Duration;

/// Effect of a lost lock on the command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum OnLostArg {
    /// The command is stopped before another run can hold the lock.
    Stop,
    /// The command goes on.
    Warn,
}

/// Effect of a busy lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum IfBusy {
    /// The command could not be run.
    Fail,
    /// The command is not needed: another run does it.
    Skip,
}

/// Ends of the command after which `--min-hold` counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum MinHoldOnArg {
    /// Every end.
    Always,
    /// Exit code 0.
    Success,
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

/// Value of `--restart-guard`.
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
