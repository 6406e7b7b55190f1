//! The options of the verbs for locks that are held across several steps.

use super::{InstanceArgs, LockArgs, OutputArgs, PatienceArgs, RecordArgs};
use crate::cli::duration;
use clap::{Args, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

/// Where the handle goes.
#[derive(Args, Debug)]
#[group(skip)]
#[command(next_help_heading = "Handle")]
pub(in super::super) struct HandleOutputArgs {
    /// File for the handle, which only this user can read; without it, the handle is printed.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in super::super) handle: Option<PathBuf>,

    /// Print 'export REDLOCK_HANDLE=...' for a shell's eval.
    #[arg(long)]
    pub(in super::super) export: bool,

    /// In GitHub Actions: set REDLOCK_HANDLE for the next steps, and the output 'handle'.
    #[arg(long)]
    pub(in super::super) github: bool,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct AcquireArgs {
    /// Name of the lock.
    #[arg(required_unless_present_any = ["key", "locks"])]
    pub(in super::super) name: Option<String>,

    #[command(flatten)]
    pub(in super::super) handle: HandleOutputArgs,
    #[command(flatten)]
    pub(in super::super) lock: LockArgs,
    #[command(flatten)]
    pub(in super::super) wait: PatienceArgs,
    #[command(flatten)]
    pub(in super::super) record: RecordArgs,
    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct HoldArgs {
    /// Name of the lock.
    #[arg(required_unless_present_any = ["key", "locks"])]
    pub(in super::super) name: Option<String>,

    /// Release the lock when the process PID is gone.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub(in super::super) while_pid: Option<i32>,

    /// Release the lock at the end of standard input.
    #[arg(long, conflicts_with = "background")]
    pub(in super::super) until_eof: bool,

    /// Return when the lock is held, and leave a process that extends it.
    ///
    /// It needs --while-pid or --max-hold, except in a job of a CI system that is known.
    #[arg(long)]
    pub(in super::super) background: bool,

    /// Release the lock after LENGTH, and exit with 124.
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_MAX_HOLD", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) max_hold: Option<Duration>,

    #[command(flatten)]
    pub(in super::super) handle: HandleOutputArgs,
    #[command(flatten)]
    pub(in super::super) lock: LockArgs,
    #[command(flatten)]
    pub(in super::super) wait: PatienceArgs,
    #[command(flatten)]
    pub(in super::super) record: RecordArgs,
    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

/// Where the handle comes from.
#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct HandleSourceArgs {
    /// File with the handle, or - for standard input [env: REDLOCK_HANDLE for the handle itself, or
    /// its file].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in super::super) handle: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct ExtendArgs {
    #[command(flatten)]
    pub(in super::super) source: HandleSourceArgs,

    /// Print 'export REDLOCK_HANDLE=...' for a shell's eval, if the handle is in no file.
    #[arg(long)]
    pub(in super::super) export: bool,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct ReleaseArgs {
    #[command(flatten)]
    pub(in super::super) source: HandleSourceArgs,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}
