//! The command line as clap reads it. Only its form is checked here.
//!
//! `group(skip)`: clap would make a group of each struct. No code uses these groups, and they cost
//! a fortieth of the time that redlock adds to a run.

mod epilogues;
mod instances;
mod operator;
mod output;
mod record;
mod sandbox;
mod steps;

pub(super) use instances::InstanceArgs;
pub(super) use operator::{
    CheckArgs, DoctorArgs, ForceReleaseArgs, ListArgs, StatusArgs, WaitArgs,
};
pub(super) use output::OutputArgs;
pub(super) use record::RecordArgs;
pub(super) use sandbox::SandboxArgs;
pub(super) use steps::{AcquireArgs, ExtendArgs, HandleOutputArgs, HoldArgs, ReleaseArgs};

use super::duration;
use super::values::{IfBusy, MinHoldOnArg, OnLostArg};
use crate::lock::Ttl;
use crate::policy::Signal;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::time::Duration;

/// Widest text of the help.
const TERM_WIDTH: usize = 80;

/// Hold a distributed lock while a command runs.
///
/// redlock takes a Redlock over three or more independent Redis servers, runs the command while it
/// keeps extending the lock, and releases it when the command ends. No two commands run under one
/// name at once.
#[derive(Debug, Parser)]
#[command(name = "redlock", version, max_term_width = TERM_WIDTH, disable_help_subcommand = true,
          after_help = epilogues::EPILOGUE)]
pub struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Run(Box<RunArgs>),
    /// Wait until a lock is free, without taking it.
    #[command(after_help = epilogues::WAIT_EPILOGUE)]
    Wait(Box<WaitArgs>),
    /// Show whether a lock is free, its holder, and the view of each server.
    #[command(after_help = epilogues::STATUS_EPILOGUE)]
    Status(Box<StatusArgs>),
    /// List the locks under the prefix, and their holders.
    #[command(after_help = epilogues::LIST_EPILOGUE)]
    List(Box<ListArgs>),
    /// Take a lock from its holder, whose command is stopped.
    #[command(after_help = epilogues::FORCE_RELEASE_EPILOGUE)]
    ForceRelease(Box<ForceReleaseArgs>),
    /// Look for faults of the servers and of this host.
    #[command(after_help = epilogues::DOCTOR_EPILOGUE)]
    Doctor(Box<DoctorArgs>),
    /// Inside a command, say by the exit code whether its lock is still held.
    #[command(after_help = epilogues::CHECK_EPILOGUE)]
    Check(Box<CheckArgs>),
    /// Take a lock for several steps, and leave it to them: nothing extends it.
    #[command(after_help = epilogues::ACQUIRE_MORE, after_long_help = epilogues::ACQUIRE_EPILOGUE)]
    Acquire(Box<AcquireArgs>),
    /// Extend a lock that 'acquire' took.
    #[command(after_help = epilogues::EXTEND_EPILOGUE)]
    Extend(Box<ExtendArgs>),
    /// Release a lock that 'acquire' or 'hold' took.
    #[command(after_help = epilogues::RELEASE_EPILOGUE)]
    Release(Box<ReleaseArgs>),
    /// Hold a lock without a command.
    #[command(after_help = epilogues::HOLD_MORE, after_long_help = epilogues::HOLD_EPILOGUE)]
    Hold(Box<HoldArgs>),
    /// Run a command with private Redis servers to try redlock on.
    #[command(after_help = epilogues::SANDBOX_EPILOGUE)]
    Sandbox(Box<SandboxArgs>),
    /// Print a shell's completions.
    Completions(Box<CompletionsArgs>),
}

/// The command line of `redlock run` alone, for [`Cli`] to read its matches: building the options
/// of the other verbs takes half as long as the run itself.
pub(super) fn run_alone() -> clap::Command {
    let run = RunArgs::augment_args(clap::Command::new("run"));
    clap::Command::new("redlock")
        .max_term_width(TERM_WIDTH)
        .disable_help_subcommand(true)
        .subcommand(run)
}

/// Run a command under a lock.
// This text is here and not at the verb, so that `run_alone` has it too.
#[derive(Args, Debug)]
#[group(skip)]
#[command(after_help = epilogues::RUN_EXAMPLES, after_long_help = epilogues::RUN_EPILOGUE)]
pub(super) struct RunArgs {
    /// Name of the lock [default: from the program and its arguments].
    ///
    /// The default is the program without its directory, and a hash of the
    /// arguments: the same on every host and in every directory.
    pub(super) name: Option<String>,

    /// Command to run, and its arguments.
    #[arg(last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub(super) argv: Vec<OsString>,

    /// Run STRING with 'sh -c' instead of a COMMAND.
    #[arg(short, long, value_name = "STRING", conflicts_with = "argv", value_hint = ValueHint::CommandString)]
    pub(super) command: Option<OsString>,

    #[command(flatten)]
    pub(super) lock: LockArgs,
    #[command(flatten)]
    pub(super) wait: PatienceArgs,
    #[command(flatten)]
    pub(super) stop: StopArgs,
    #[command(flatten)]
    pub(super) record: RecordArgs,
    #[command(flatten)]
    pub(super) instances: InstanceArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
#[command(next_help_heading = "Lock")]
pub(super) struct LockArgs {
    /// Expiry of the lock if redlock dies [default: 30s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_TTL", value_parser = duration::parse_ttl, hide_env = true)]
    pub(super) ttl: Option<Ttl>,

    /// Prefix of the Redis key [default: redlock:].
    #[arg(
        long,
        value_name = "TEXT",
        env = "REDLOCK_PREFIX",
        hide_env = true,
        hide_short_help = true
    )]
    pub(super) prefix: Option<String>,

    /// One more NAME to hold at the same time: all of them or none.
    #[arg(short, long = "lock", value_name = "NAME", hide_short_help = true)]
    pub(super) locks: Vec<String>,

    /// Number of runs that may hold the lock at once [default: 1].
    #[arg(long, value_name = "N", env = "REDLOCK_SLOTS", hide_env = true,
          value_parser = clap::value_parser!(u32).range(1..=1000), hide_short_help = true)]
    pub(super) slots: Option<u32>,

    /// Keep others out for at least LENGTH from the start of the command, also
    /// after redlock has ended.
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_MIN_HOLD", value_parser = duration::parse, hide_env = true, hide_short_help = true)]
    pub(super) min_hold: Option<Duration>,

    /// Whether --min-hold counts after every end of the command, or on success only [default: always].
    #[arg(
        long,
        value_name = "WHAT",
        env = "REDLOCK_MIN_HOLD_ON",
        hide_env = true,
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(super) min_hold_on: Option<MinHoldOnArg>,

    /// Keep others out for LENGTH after the command, also after redlock has ended.
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_COOLDOWN", value_parser = duration::parse, hide_env = true, hide_short_help = true)]
    pub(super) cooldown: Option<Duration>,

    /// Redis key, instead of prefix and NAME: to exclude other Redlock clients.
    // No variable: redlock sets REDLOCK_KEY for its command.
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    pub(super) key: Option<String>,

    /// Get a fencing token: a number larger than that of every earlier holder.
    // No variable: redlock sets REDLOCK_FENCE for its command.
    #[arg(long, hide_short_help = true)]
    pub(super) fence: bool,

    /// Run the command at once if a redlock around this one holds the same lock.
    #[arg(long, env = "REDLOCK_REENTRANT", hide_env = true, value_parser = BoolishValueParser::new(), hide_short_help = true)]
    pub(super) reentrant: bool,

    /// Text shown to those who wait.
    #[arg(
        long,
        value_name = "TEXT",
        env = "REDLOCK_REASON",
        hide_env = true,
        allow_hyphen_values = true
    )]
    pub(super) reason: Option<String>,
}

#[derive(Args, Debug)]
#[group(skip)]
#[command(next_help_heading = "Waiting")]
pub(super) struct PatienceArgs {
    /// Do not wait.
    // flock(1) has this alias too.
    #[arg(short, long, alias = "nb", env = "REDLOCK_NONBLOCK", hide_env = true,
          value_parser = BoolishValueParser::new())]
    pub(super) nonblock: bool,

    /// Wait up to LENGTH [default: for ever].
    #[arg(short, long, visible_alias = "timeout", value_name = "LENGTH", env = "REDLOCK_WAIT", value_parser = duration::parse, hide_env = true)]
    pub(super) wait: Option<Duration>,

    /// Exit code if the lock is busy [default: 75].
    #[arg(
        short = 'E',
        long,
        value_name = "CODE",
        env = "REDLOCK_CONFLICT_EXIT_CODE",
        hide_env = true,
        hide_short_help = true
    )]
    pub(super) conflict_exit_code: Option<u8>,

    /// If it is busy: fail, or skip the command and exit with 0.
    ///
    /// Without --wait, redlock does not wait then.
    #[arg(
        long,
        value_name = "WHAT",
        env = "REDLOCK_IF_BUSY",
        hide_env = true,
        hide_possible_values = true
    )]
    pub(super) if_busy: Option<IfBusy>,

    /// Delay the first attempt by a random time up to LENGTH.
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_JITTER", value_parser = duration::parse, hide_env = true, hide_short_help = true)]
    pub(super) jitter: Option<Duration>,
}

#[derive(Args, Debug, Default)]
#[group(skip)]
#[command(next_help_heading = "Stopping the command")]
pub(super) struct StopArgs {
    /// Stop the command after LENGTH, with exit code 124.
    ///
    /// 0 is no limit.
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_MAX_RUNTIME", value_parser = duration::parse, hide_env = true)]
    pub(super) max_runtime: Option<Duration>,

    /// If the lock is lost: stop the command, or warn and let it go on [default: stop].
    #[arg(
        long,
        value_name = "WHAT",
        env = "REDLOCK_ON_LOST",
        hide_env = true,
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(super) on_lost: Option<OnLostArg>,

    /// Run STRING with 'sh -c' if the lock is lost, for at most 10s after the command.
    #[arg(long, value_name = "STRING", env = "REDLOCK_ON_LOST_EXEC", hide_env = true,
          value_hint = ValueHint::CommandString, hide_short_help = true)]
    pub(super) on_lost_exec: Option<OsString>,

    /// Hold the lock until all processes that the command started have ended.
    #[arg(long, env = "REDLOCK_WAIT_DESCENDANTS", hide_env = true, value_parser = BoolishValueParser::new(), hide_short_help = true)]
    pub(super) wait_descendants: bool,

    /// Time from the signal to the kill [default: 5s, at most ttl/4]. If given,
    /// it counts after signals that are passed on too.
    #[arg(short, long, value_name = "LENGTH", env = "REDLOCK_KILL_AFTER", value_parser = duration::parse,
          hide_env = true, hide_short_help = true)]
    pub(super) kill_after: Option<Duration>,

    /// Signal that asks the command to stop [default: TERM].
    #[arg(
        long,
        value_name = "SIGNAL",
        env = "REDLOCK_SIGNAL",
        hide_env = true,
        hide_short_help = true
    )]
    pub(super) signal: Option<Signal>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(super) struct CompletionsArgs {
    /// The shell.
    pub(super) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests;
