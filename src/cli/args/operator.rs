//! The options of the operator's verbs, and of `redlock wait`.

use super::super::duration;
use super::steps::HandleSourceArgs;
use super::{InstanceArgs, OutputArgs};
use crate::lock::Ttl;
use clap::Args;
use clap::builder::BoolishValueParser;
use std::time::Duration;

/// The options of the holders that a verb looks for.
#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct HolderArgs {
    /// Text in front of NAME in the key [default: redlock:].
    #[arg(
        long,
        value_name = "TEXT",
        env = "REDLOCK_PREFIX",
        hide_env = true,
        hide_short_help = true
    )]
    pub(in super::super) prefix: Option<String>,

    /// TTL of the holders, from which the default of --op-timeout follows
    /// [default: 30s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_TTL", value_parser = duration::parse_ttl, hide_env = true, hide_short_help = true)]
    pub(in super::super) ttl: Option<Ttl>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct StatusArgs {
    /// Names of locks.
    #[arg(value_name = "NAME", required_unless_present_any = ["key", "locks"])]
    pub(in super::super) names: Vec<String>,

    /// One more NAME, as 'run' has it.
    #[arg(short, long = "lock", value_name = "NAME", hide_short_help = true)]
    pub(in super::super) locks: Vec<String>,

    /// Exit with 0 if free, 75 if held, 69 if undetermined.
    #[arg(long, env = "REDLOCK_EXIT_CODE", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) exit_code: bool,

    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    #[command(flatten)]
    pub(in super::super) holders: HolderArgs,

    /// Number of slots of the lock [default: 1].
    #[arg(long, value_name = "N", env = "REDLOCK_SLOTS", hide_env = true,
          value_parser = clap::value_parser!(u32).range(1..=1000), hide_short_help = true)]
    pub(in super::super) slots: Option<u32>,

    /// Redis key, instead of prefix and NAME.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["names", "locks"], hide_short_help = true)]
    pub(in super::super) key: Option<String>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct ForceReleaseArgs {
    /// Name of the lock.
    #[arg(required_unless_present_any = ["key", "locks"])]
    pub(in super::super) name: Option<String>,

    /// Id of the holder, as 'status' shows it; without it, print the command to type.
    // No variable: redlock sets REDLOCK_ID for its command.
    #[arg(long, value_name = "ID")]
    pub(in super::super) id: Option<String>,

    /// Text shown to the holder and to those who wait.
    // No variable: REDLOCK_REASON of a run around this command is the reason of that run.
    #[arg(long, value_name = "TEXT")]
    pub(in super::super) reason: Option<String>,

    /// Delete the key at once, for a holder that is known to be dead.
    #[arg(long)]
    pub(in super::super) now: bool,

    /// Do not ask.
    #[arg(short, long)]
    pub(in super::super) yes: bool,

    /// Further NAME that the holder has, as 'run' has it.
    #[arg(
        short,
        long = "lock",
        value_name = "NAME",
        conflicts_with = "slots",
        hide_short_help = true
    )]
    pub(in super::super) locks: Vec<String>,

    /// Number of slots of the lock [default: that of its holders].
    #[arg(long, value_name = "N", env = "REDLOCK_SLOTS", hide_env = true,
          value_parser = clap::value_parser!(u32).range(1..=1000), hide_short_help = true)]
    pub(in super::super) slots: Option<u32>,

    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    #[command(flatten)]
    pub(in super::super) holders: HolderArgs,

    /// Redis key, instead of prefix and NAME.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["name", "locks"], hide_short_help = true)]
    pub(in super::super) key: Option<String>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct ListArgs {
    /// Names to list, as a glob with * ? and [abc] [default: all].
    pub(in super::super) pattern: Option<String>,

    /// List remnants on a minority of the servers too: they lock nothing.
    #[arg(short, long, env = "REDLOCK_ALL", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) all: bool,

    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    #[command(flatten)]
    pub(in super::super) holders: HolderArgs,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct DoctorArgs {
    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    #[command(flatten)]
    pub(in super::super) holders: HolderArgs,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct CheckArgs {
    /// Name of the lock [default: all that the innermost redlock holds].
    #[arg(conflicts_with = "handle")]
    pub(in super::super) name: Option<String>,

    #[command(flatten)]
    pub(in super::super) source: HandleSourceArgs,

    /// How long it must be held still [default: a third of its TTL].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_LEFT", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) left: Option<Duration>,

    #[command(flatten)]
    pub(in super::super) holders: HolderArgs,

    /// Redis key, instead of prefix and NAME.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["name", "handle"], hide_short_help = true)]
    pub(in super::super) key: Option<String>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct WaitArgs {
    /// Name of the lock.
    #[arg(required_unless_present = "key")]
    pub(in super::super) name: Option<String>,

    /// Wait up to LENGTH [default: for ever].
    #[arg(short, long, visible_alias = "timeout", value_name = "LENGTH", env = "REDLOCK_WAIT", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) wait: Option<Duration>,

    #[command(flatten)]
    pub(in super::super) holders: HolderArgs,

    /// Number of runs that may hold the lock at once; wait until a slot is free [default: 1].
    #[arg(long, value_name = "N", env = "REDLOCK_SLOTS", hide_env = true,
          value_parser = clap::value_parser!(u32).range(1..=1000), hide_short_help = true)]
    pub(in super::super) slots: Option<u32>,

    /// Redis key, instead of prefix and NAME.
    #[arg(long, value_name = "KEY", conflicts_with = "name", hide_short_help = true)]
    pub(in super::super) key: Option<String>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}
