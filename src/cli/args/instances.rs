//! The options of the servers.

use crate::cli::duration;
use crate::cli::tls::TlsArgs;
use crate::cli::values::RestartGuardArg;
use crate::cli::variables::PASSWORD_FILE;
use clap::builder::BoolishValueParser;
use clap::{Args, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args, Debug)]
#[group(skip)]
#[command(next_help_heading = "Instances")]
pub(in super::super) struct InstanceArgs {
    /// Redis servers, with commas between them [env: REDLOCK_URLS].
    ///
    /// The option can be repeated. A server is `redis://[[USER]:PASSWORD@]HOST:PORT/DB`,
    /// `rediss://` for TLS, `unix:///PATH`, or HOST:PORT. Name three or more.
    #[arg(short, long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(in super::super) url: Vec<String>,

    /// Time limit of one operation on one server [default: ttl/20, from 50ms to 1s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_OP_TIMEOUT", value_parser = duration::parse, hide_env = true, hide_short_help = true)]
    pub(in super::super) op_timeout: Option<Duration>,

    /// How long a server that has restarted has no vote, which is also the
    /// longest --ttl: auto (1m), off, or LENGTH. The same on every host
    /// [default: auto].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_RESTART_GUARD", value_parser = RestartGuardArg::parse,
          hide_env = true, hide_short_help = true)]
    pub(in super::super) restart_guard: Option<RestartGuardArg>,

    /// Use exactly one server, without a majority.
    #[arg(long, env = "REDLOCK_SINGLE", value_parser = BoolishValueParser::new(), hide_env = true, hide_short_help = true)]
    pub(in super::super) single: bool,

    /// User for URLs without one.
    #[arg(
        long,
        value_name = "USER",
        env = "REDLOCK_USER",
        hide_env = true,
        hide_short_help = true
    )]
    pub(in super::super) user: Option<String>,

    /// File with the password for URLs without one. REDLOCK_PASSWORD is the
    /// password itself.
    #[arg(long, value_name = "FILE", env = PASSWORD_FILE, value_hint = ValueHint::FilePath, hide_env = true, hide_short_help = true)]
    pub(in super::super) password_file: Option<PathBuf>,

    #[command(flatten)]
    pub(in super::super) tls: TlsArgs,

    /// Configuration file, instead of the user's and the system's.
    #[arg(long, value_name = "FILE", env = "REDLOCK_CONFIG", value_hint = ValueHint::FilePath, hide_env = true, hide_short_help = true)]
    pub(in super::super) config: Option<PathBuf>,
}
