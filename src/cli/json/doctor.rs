//! The document of `redlock doctor`.

use super::{Moment, line};
use serde::Serialize;
use std::time::Duration;

#[derive(Debug, Serialize)]
struct Doctor<'a> {
    verb: &'static str,
    at: Moment,
    findings: &'a [Told],
}

/// One finding in words.
#[derive(Debug, Serialize)]
pub(in super::super) struct Told {
    /// The server, for a fault of a server.
    pub(in super::super) instance: Option<String>,
    /// The exit code of the fault.
    pub(in super::super) code: u8,
    /// The fault, and the advice.
    pub(in super::super) text: String,
}

/// The document of these findings.
pub(in super::super) fn doctor(findings: &[Told], now: Duration) -> String {
    line(&Doctor { verb: "doctor", at: Moment::new(now), findings })
}
