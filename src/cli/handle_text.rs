//! The text of a handle: in a variable, or in a file that it names.

use super::error::CliError;
use super::report::describe::public_secret;
use super::variables::HANDLE;
use crate::instance::{SizeLimit, TrustedFile, Writers};
use crate::lock::Handle;
use anyhow::{Context as _, anyhow};
use std::path::Path;

/// The text of a handle that the variable holds, or that is in the file which it names.
pub(super) fn of_variable(value: &str) -> Result<Handle, CliError> {
    let text = match as_path(value) {
        Some(path) => read(path, &mut vec![])?,
        None => value.to_owned(),
    };
    Handle::parse(&text).map_err(|error| {
        CliError::usage(anyhow!(error).context(format!("{HANDLE} cannot be used")))
    })
}

pub(super) fn as_path(value: &str) -> Option<&Path> {
    (!value.trim_start().starts_with('{')).then(|| Path::new(value))
}

pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Result<String, CliError> {
    let file = TrustedFile::read(path, SizeLimit::Small, Writers::RootOrUs);
    let file = file.context("cannot use the handle").map_err(CliError::usage)?;
    if file.is_public {
        warnings.push(public_secret("the handle", path));
    }
    String::from_utf8(file.bytes).map_err(|_| CliError::usage(anyhow!("the handle is not UTF-8")))
}
