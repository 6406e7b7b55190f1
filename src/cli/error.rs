//! A command line or configuration that redlock does not act on: one sentence and an exit code.

use super::report::describe::cannot_run;
use super::report::holder::safe;
use crate::policy::{SpawnError, code};
use anyhow::Error;
use std::ffi::OsStr;

/// A refused command line or configuration, and its exit code.
#[derive(Debug)]
pub(super) struct CliError {
    pub(super) code: u8,
    pub(super) error: Error,
    /// Text that is the answer and not a fault: help or a version.
    pub(super) is_answer: bool,
}

impl CliError {
    pub(super) fn usage(error: impl Into<Error>) -> Self {
        Self { code: code::USAGE, error: error.into(), is_answer: false }
    }

    pub(super) fn config(error: impl Into<Error>) -> Self {
        Self { code: code::CONFIG, error: error.into(), is_answer: false }
    }

    pub(super) fn failed(error: impl Into<Error>) -> Self {
        Self { code: code::FAILED, error: error.into(), is_answer: false }
    }

    /// A program that the system refuses to run.
    pub(super) fn cannot_run(program: &OsStr, why: SpawnError) -> Self {
        let error = Error::msg(cannot_run(&safe(&program.to_string_lossy()), why));
        Self { code: why.code(), error, is_answer: false }
    }
}
