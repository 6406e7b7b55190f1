//! The options of `redlock sandbox`.

use clap::{Args, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct SandboxArgs {
    /// Number of servers.
    #[arg(short = 'n', long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=99))]
    pub(in super::super) servers: u8,

    /// Server program [default: redis-server or valkey-server, from PATH].
    #[arg(long, value_name = "PATH", env = "REDLOCK_SERVER", hide_env = true, value_hint = ValueHint::ExecutablePath, hide_short_help = true)]
    pub(in super::super) server: Option<PathBuf>,

    /// Command to run, and its arguments [default: $SHELL].
    #[arg(last = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub(in super::super) argv: Vec<OsString>,
}
