//! The options of redlock's output.

use super::super::values::Color;
use clap::Args;
use clap::builder::BoolishValueParser;

#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
#[command(next_help_heading = "Output")]
pub(in super::super) struct OutputArgs {
    /// Log the events of the lock, with the time.
    #[arg(short, long, overrides_with = "verbose", env = "REDLOCK_VERBOSE", value_parser = BoolishValueParser::new(), hide_env = true)]
    pub(in super::super) verbose: bool,

    /// Print no messages of a run; the exit code tells.
    #[arg(short, long, overrides_with = "quiet", env = "REDLOCK_QUIET", value_parser = BoolishValueParser::new(), hide_env = true)]
    pub(in super::super) quiet: bool,

    /// When to use colours: auto, always or never [default: auto].
    #[arg(
        long,
        value_name = "WHEN",
        env = "REDLOCK_COLOR",
        hide_env = true,
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub(in super::super) color: Option<Color>,
}
