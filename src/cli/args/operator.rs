//! What can be typed for the operator's verbs.

use super::super::duration;
use super::{InstanceArgs, OutputArgs};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

pub(super) const STATUS_EPILOGUE: &str = "\
Examples:
  redlock status deploy                who holds it, for how long, who waits
  redlock status --json deploy backup  the same of two, for programs
  redlock status -q --exit-code deploy && echo free

Exit codes:
  0 if a majority of the servers can tell, 69 if not;
  with --exit-code: 0 free, 75 held, 69 undetermined;
  64 usage, 77 access refused, 78 configuration";

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct StatusArgs {
    /// Names of locks.
    #[arg(value_name = "NAME", required_unless_present_any = ["key", "locks"])]
    pub(in super::super) names: Vec<String>,

    /// One more NAME, as 'run' has it.
    #[arg(short, long = "lock", value_name = "NAME")]
    pub(in super::super) locks: Vec<String>,

    /// Exit with 0 if free, 75 if held, 69 if undetermined.
    #[arg(long, env = "REDLOCK_EXIT_CODE", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) exit_code: bool,

    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    /// Text in front of NAME in the key [default: redlock:].
    #[arg(long, value_name = "TEXT", env = "REDLOCK_PREFIX", hide_env = true)]
    pub(in super::super) prefix: Option<String>,

    /// TTL of the holders, for --op-timeout [default: 30s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_TTL", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) ttl: Option<Duration>,

    /// Number of slots of the lock [default: 1].
    #[arg(long, value_name = "N", env = "REDLOCK_SLOTS", hide_env = true,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in super::super) slots: Option<u32>,

    /// The whole key.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["names", "locks"])]
    pub(in super::super) key: Option<String>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

pub(super) const FORCE_RELEASE_EPILOGUE: &str = "\
Examples:
  redlock force-release deploy            who holds it, and what to type
  redlock force-release deploy --id 4fa2c1d09e7b --reason 'it hangs'
  redlock force-release deploy --id 4fa2c1d09e7b --now --yes

The redlock of the holder stops its command, and the lock is free when that has
ended, or when its lease is over: no two run at once. With --now the next one
may run beside a command that is still alive.

Exit codes:
  0 taken away, or free; 75 held by another one; 69 too few servers answered;
  64 usage, as without --id or --yes; 77 access refused; 78 configuration";

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct ForceReleaseArgs {
    /// Name of the lock.
    #[arg(required_unless_present_any = ["key", "locks"])]
    pub(in super::super) name: Option<String>,

    /// Id of the holder, as 'status' shows it; without it, print what to type.
    // No variable: redlock sets REDLOCK_ID for its command.
    #[arg(long, value_name = "ID")]
    pub(in super::super) id: Option<String>,

    /// Text shown to the holder and to those who wait.
    // No variable: that of the run around this command is about something else.
    #[arg(long, value_name = "TEXT")]
    pub(in super::super) reason: Option<String>,

    /// Delete the key at once, for a holder that is known to be dead.
    #[arg(long)]
    pub(in super::super) now: bool,

    /// Do not ask.
    #[arg(short, long)]
    pub(in super::super) yes: bool,

    /// Further NAME that the holder has, as 'run' has it.
    #[arg(short, long = "lock", value_name = "NAME", conflicts_with = "slots")]
    pub(in super::super) locks: Vec<String>,

    /// Number of slots of the lock [default: what its holders say].
    #[arg(long, value_name = "N", env = "REDLOCK_SLOTS", hide_env = true,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in super::super) slots: Option<u32>,

    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    /// Text in front of NAME in the key [default: redlock:].
    #[arg(long, value_name = "TEXT", env = "REDLOCK_PREFIX", hide_env = true)]
    pub(in super::super) prefix: Option<String>,

    /// The whole key.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["name", "locks"])]
    pub(in super::super) key: Option<String>,

    /// TTL of the holders, for --op-timeout [default: 30s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_TTL", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) ttl: Option<Duration>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

pub(super) const LIST_EPILOGUE: &str = "\
Examples:
  redlock list             who holds what
  redlock list 'deploy-*'  of the names that fit
  redlock list --json | jq -r '.locks[].name'

Exit codes:
  0; 69 too few servers answered; 64 usage; 77 access refused, as without the
  right to SCAN; 78 configuration";

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct ListArgs {
    /// Names to list, as a glob with * ? and [abc] [default: all].
    pub(in super::super) pattern: Option<String>,

    /// List what is left on a minority too, which keeps nothing locked.
    #[arg(short, long, env = "REDLOCK_ALL", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) all: bool,

    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    /// Text in front of NAME in the key [default: redlock:].
    #[arg(long, value_name = "TEXT", env = "REDLOCK_PREFIX", hide_env = true)]
    pub(in super::super) prefix: Option<String>,

    /// TTL of the holders, for --op-timeout [default: 30s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_TTL", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) ttl: Option<Duration>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

pub(super) const DOCTOR_EPILOGUE: &str = "\
It takes no lock, leaves no key, and prints one line for each fault, with what
to do; a cluster without faults is one line.

Exit codes:
  0 locks are held as promised; 69 servers that do not answer or have no vote;
  77 a password or a right is missing; 78 configuration; 64 usage";

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct DoctorArgs {
    /// Print JSON for programs (docs/json.md).
    #[arg(long, env = "REDLOCK_JSON", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(in super::super) json: bool,

    /// Text in front of NAME in the keys [default: redlock:].
    #[arg(long, value_name = "TEXT", env = "REDLOCK_PREFIX", hide_env = true)]
    pub(in super::super) prefix: Option<String>,

    /// TTL of the runs that are planned, for --op-timeout [default: 30s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_TTL", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) ttl: Option<Duration>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}

pub(super) const CHECK_EPILOGUE: &str = "\
Example, in a script that runs under 'redlock run':
  redlock check --left 10s || exit 1    before the step that must not be done
  ./charge-cards                        twice

The servers come from the configuration file or from --url: the command does
not inherit REDLOCK_URLS.

Exit codes:
  0 held for at least --left; 75 not held, or not for that long; 69 unknown;
  74 the lock of a handle was lost";

#[derive(Args, Debug)]
#[group(skip)]
pub(in super::super) struct CheckArgs {
    /// Name of the lock [default: all that the innermost redlock holds].
    pub(in super::super) name: Option<String>,

    /// File with the handle of 'acquire' or 'hold', or - for standard input [env: REDLOCK_HANDLE
    /// for the handle itself, or its file].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["name", "key"])]
    pub(in super::super) handle: Option<PathBuf>,

    /// How long it must be held still [default: a third of its TTL].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_LEFT", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) left: Option<Duration>,

    /// Text in front of NAME in the key [default: redlock:].
    #[arg(long, value_name = "TEXT", env = "REDLOCK_PREFIX", hide_env = true)]
    pub(in super::super) prefix: Option<String>,

    /// The whole key.
    #[arg(long, value_name = "KEY", conflicts_with = "name")]
    pub(in super::super) key: Option<String>,

    /// TTL of the lock, for --op-timeout [default: 30s].
    #[arg(long, value_name = "LENGTH", env = "REDLOCK_TTL", value_parser = duration::parse, hide_env = true)]
    pub(in super::super) ttl: Option<Duration>,

    #[command(flatten)]
    pub(in super::super) instances: InstanceArgs,
    #[command(flatten)]
    pub(in super::super) output: OutputArgs,
}
