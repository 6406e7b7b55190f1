//! The options of the record of a run.

use clap::{Args, ValueHint};
use std::ffi::OsString;

#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
#[command(next_help_heading = "Record for machines")]
pub(in super::super) struct RecordArgs {
    /// Append the events to FILE or to the descriptor N, one JSON object a line (docs/events.md).
    #[arg(long, value_name = "FILE|fd:N", env = "REDLOCK_EVENTS", hide_env = true, hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub(in super::super) events: Option<OsString>,

    /// Write the last of these objects, the result, to FILE.
    #[arg(long, value_name = "FILE", env = "REDLOCK_RESULT", hide_env = true, hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub(in super::super) result: Option<OsString>,

    /// Add the result to the OpenMetrics in FILE, for node_exporter's textfile collector.
    #[arg(long, value_name = "FILE", env = "REDLOCK_METRICS", hide_env = true, hide_short_help = true, value_hint = ValueHint::FilePath)]
    pub(in super::super) metrics: Option<OsString>,
}
